//! What is looked at before an act and after the last one, so that people see what it was like.
//!
//! ```text
//!  order issued ─> before ─> the act ─> … ─> the incident closes ─> after
//!                   └── at once beside each other; what is late is left out, and said to be
//! ```
//!
//! A look is never in the way: nothing is decided by what it finds, none that fails or is late holds an
//! order, and the state keeps nothing of it. What was found is a fact, for whoever asks later.
//!
//! *Not* the duty of this room: to look (the doors), and what evidence says (`evidence`).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::errand::{Errand, ErrandTemplate, Words};
use crate::name::SourceName;
use crate::template::{Place, Template, TemplateError, Values};

/// When a look is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Before the first run of its remedy, or of the incident where it is the policy's.
    Before,
    /// When the incident closes.
    After,
}

impl Moment {
    /// Returns the moment as it stands in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// A look with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// Its name, unique among those of its policy and of its remedy.
    pub name: Arc<str>,
    /// When it is taken; `None`: before and after.
    pub when: Option<Moment>,
    /// At what.
    pub at: Looked,
}

/// What is looked at, with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// What a program with arguments prints; no shell.
    Exec(Vec<Template>),
    /// What a hand says.
    Errand(Box<ErrandTemplate>),
    /// The result of PromQL.
    Query(Template),
}

/// One look that is to be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The name of its collector.
    pub name: Arc<str>,
    /// At what.
    pub at: At,
}

/// What is looked at, with every placeholder filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// What a program with arguments prints.
    Exec(Vec<String>),
    /// What a hand says.
    Errand(Box<Errand>),
    /// The result of PromQL.
    Query {
        /// The expression.
        promql: String,
        /// The Prometheus that is asked; `None` for the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<SourceName>,
    },
    /// Nothing: the alert does not have what it needs.
    Nothing {
        /// What is missing.
        why: String,
    },
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exec(argv) => Words(argv).fmt(f),
            Self::Errand(errand) => errand.fmt(f),
            Self::Query { promql, .. } => f.write_str(promql),
            Self::Nothing { why } => f.write_str(why),
        }
    }
}

/// The looks that go with an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Looks {
    /// Those that are taken before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Look>,
    /// Those that are taken when its incident closes, if no other order follows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Look>,
}

impl Looks {
    /// Returns the looks of a moment.
    pub fn of(&self, moment: Moment) -> &[Look] {
        match moment {
            Moment::Before => &self.before,
            Moment::After => &self.after,
        }
    }
}

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The name of its collector.
    pub name: Arc<str>,
    /// At what was looked, as it is shown.
    pub at: String,
    /// What was to be seen, of a bounded length and without secrets, as far as these are known by a
    /// pattern.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Whether there was more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Why it is not all, or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Fills in the placeholders of the collectors that look at a moment. One that lacks a value is in
/// nobody's way: it says so.
pub fn looks<'a>(
    collectors: impl IntoIterator<Item = &'a Collector>,
    moment: Moment,
    values: &Values,
    by: Option<&SourceName>,
) -> Vec<Look> {
    let taken = collectors.into_iter().filter(|one| one.when.is_none_or(|when| when == moment));
    let look = |one: &Collector| {
        let at = render(&one.at, values, by);
        let at = at.unwrap_or_else(|error| At::Nothing { why: error.to_string() });
        Look { name: one.name.clone(), at }
    };
    taken.map(look).collect()
}

fn render(looked: &Looked, values: &Values, by: Option<&SourceName>) -> Result<At, TemplateError> {
    Ok(match looked {
        Looked::Exec(argv) => {
            let words = argv.iter().map(|word| word.render(Place::Argument, values));
            At::Exec(words.collect::<Result<_, _>>()?)
        }
        Looked::Errand(errand) => At::Errand(Box::new(errand.render(values)?)),
        Looked::Query(promql) => {
            At::Query { promql: promql.render(Place::Promql, values)?, by: by.cloned() }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::LabelSet;

    fn collector(name: &str, when: Option<Moment>, at: Looked) -> Collector {
        Collector { name: name.into(), when, at }
    }

    fn template(text: &str) -> Template {
        Template::parse(text).unwrap()
    }

    fn values() -> Values {
        Values {
            labels: LabelSet::from_pairs([("instance", "web1:80")]),
            annotations: LabelSet::default(),
            incident: 1,
            policy: "p".into(),
            remedy: "r".into(),
            attempt: 1,
            key: "k".into(),
        }
    }

    #[test]
    fn each_moment_has_its_looks_and_one_that_lacks_a_value_says_so() {
        let all = [
            collector("top", Some(Moment::Before), Looked::Exec(vec![template("top")])),
            collector(
                "up",
                None,
                Looked::Query(template(r#"up{instance="{{ labels.instance }}"}"#)),
            ),
            collector("disk", None, Looked::Exec(vec![template("{{ labels.mountpoint }}")])),
        ];
        let by = SourceName::new("main");
        let of = |moment| looks(&all, moment, &values(), Some(&by));
        let names = |looks: &[Look]| looks.iter().map(|l| l.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&of(Moment::Before)), ["top", "up", "disk"]);
        assert_eq!(names(&of(Moment::After)), ["up", "disk"]);
        let after = of(Moment::After);
        let promql = r#"up{instance="web1:80"}"#.to_owned();
        assert_eq!(after[0].at, At::Query { promql, by: Some(by.clone()) });
        let At::Nothing { why } = &after[1].at else { panic!("{after:?}") };
        assert!(why.contains("mountpoint"), "{why}");
    }

    #[test]
    fn looks_read_back_and_take_no_room_where_there_are_none() {
        let looks = Looks {
            before: looks(
                &[collector("top", None, Looked::Exec(vec![template("top"), template("-b n")]))],
                Moment::Before,
                &values(),
                None,
            ),
            after: Vec::new(),
        };
        let json = serde_json::to_string(&looks).unwrap();
        assert_eq!(json, r#"{"before":[{"name":"top","at":{"exec":["top","-b n"]}}]}"#);
        assert_eq!(serde_json::from_str::<Looks>(&json).unwrap(), looks);
        assert_eq!(looks.of(Moment::Before)[0].at.to_string(), r#"top "-b n""#);
    }
}
