//! An errand: a deed of one of the hands, with named fields; as the configuration has it, and with every
//! placeholder filled in.
//!
//! Core knows no API. It knows that there is a hand, by its name, that the hand has verbs, and that a
//! verb has fields, whose texts are of a form. What they mean is said by whoever performs the errand.
//! The values of an alert are data here too: a field that must be a name is one, or nothing is done.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::template::{Place, Template, TemplateError, Values};

/// How much of a refused value is shown: enough to know it by.
const SHOWN_CHARS: usize = 80;

/// What a text must be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// What such a text is, for people.
    pub what: &'static str,
    /// Of what it is made.
    pub letters: Letters,
    /// How long it may be, in bytes.
    pub most: usize,
}

/// The characters of a text, and where they may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letters {
    /// ASCII letters, digits, and some marks.
    Marks {
        /// The marks that it may begin with.
        first: &'static str,
        /// The marks that may follow.
        then: &'static str,
    },
    /// Labels with dots between them, at most so many: each is lower-case letters, digits, and `-`
    /// inside (RFC 1123).
    Labels(usize),
}

impl Form {
    /// A host: its name (RFC 1123, and `_`, which people use) or its address, an IPv6 one with its zone.
    pub const HOST: Self = Self::of_marks("a host name or an address", ":", ".-_:%", 255);
    /// The name of a user, as systems and directories have it.
    pub const USER: Self = Self::of_marks("the name of a user", "_", "._-@+", 255);

    /// A unit of systemd: its name, and never the path of one.
    pub const UNIT: Self = Self::of_marks("the name of a unit", "_.:", "_.:@\\-", 255);

    /// A namespace of Kubernetes.
    pub const NAMESPACE: Self =
        Self { what: "the name of a namespace", letters: Letters::Labels(1), most: 63 };
    /// An object of Kubernetes whose name is a DNS subdomain, as most names are.
    pub const OBJECT: Self = Self {
        what: "the name of an object of Kubernetes: lower-case letters, digits, `-` and `.`",
        letters: Letters::Labels(usize::MAX),
        most: 253,
    };
    /// The identity of an object, which no other object ever has.
    pub const UID: Self = Self::of_marks("a uid", "", "-", 64);
    /// A context of a kubeconfig.
    pub const CONTEXT: Self = Self::of_marks("the name of a context", "_", "._-@:/+", 253);

    /// A form of ASCII letters, digits and marks.
    pub const fn of_marks(
        what: &'static str,
        first: &'static str,
        then: &'static str,
        most: usize,
    ) -> Self {
        Self { what, letters: Letters::Marks { first, then }, most }
    }

    /// Tells whether a text is of this form.
    pub fn admits(&self, text: &str) -> bool {
        text.len() <= self.most
            && match self.letters {
                Letters::Marks { first, then } => {
                    let is = |c: char, marks: &str| c.is_ascii_alphanumeric() || marks.contains(c);
                    text.starts_with(|c: char| is(c, first))
                        && text.chars().skip(1).all(|c| is(c, then))
                }
                Letters::Labels(most) => {
                    text.split('.').count() <= most && text.split('.').all(is_label)
                }
            }
    }
}

/// A label of a name in the DNS, in lower case. The whole name's length bounds it where it matters.
fn is_label(text: &str) -> bool {
    let is_inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.chars().all(is_inside)
}

/// An errand with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrandTemplate {
    /// Which hand does it.
    pub hand: Arc<str>,
    /// What the hand does.
    pub verb: Arc<str>,
    /// What it is told, by name, in the order in which it is shown.
    pub fields: Vec<(Arc<str>, FieldTemplate)>,
    /// Whether the hand can say first what would come of it.
    pub rehearsed: bool,
}

/// One field of an errand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldTemplate {
    /// A text of a form.
    Text(Template, Form),
    /// A list of texts, each as it is.
    List(Vec<Template>),
}

impl FieldTemplate {
    /// Returns its texts.
    pub fn texts(&self) -> &[Template] {
        match self {
            Self::Text(text, _) => std::slice::from_ref(text),
            Self::List(list) => list,
        }
    }
}

/// An errand, as it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    /// Which hand does it.
    pub hand: Arc<str>,
    /// What the hand does.
    pub verb: Arc<str>,
    /// What it is told, by name.
    pub fields: Vec<(Arc<str>, Field)>,
}

/// What one field says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Field {
    /// A text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

impl ErrandTemplate {
    /// Returns all of its texts.
    pub fn texts(&self) -> impl Iterator<Item = &Template> {
        self.fields.iter().flat_map(|(_, field)| field.texts())
    }

    /// Fills in the placeholders.
    ///
    /// # Errors
    ///
    /// A value is missing, cannot be carried, or is not of the form that its field has.
    pub fn render(&self, values: &Values) -> Result<Errand, TemplateError> {
        let fields = self.fields.iter().map(|(name, field)| {
            let rendered = match field {
                FieldTemplate::Text(text, form) => Field::Text(of_form(text, *form, values)?),
                FieldTemplate::List(list) => {
                    let texts = list.iter().map(|text| text.render(Place::Argument, values));
                    Field::List(texts.collect::<Result<_, _>>()?)
                }
            };
            Ok((name.clone(), rendered))
        });
        let fields = fields.collect::<Result<_, TemplateError>>()?;
        Ok(Errand { hand: self.hand.clone(), verb: self.verb.clone(), fields })
    }
}

/// Renders a text that must be of a form.
fn of_form(text: &Template, form: Form, values: &Values) -> Result<String, TemplateError> {
    let rendered = text.render(Place::Argument, values)?;
    if form.admits(&rendered) {
        return Ok(rendered);
    }
    let shown: String = rendered.chars().take(SHOWN_CHARS).collect();
    let message = format!("{}: {shown:?} is not {}", text.source(), form.what);
    Err(TemplateError { message, span: None })
}

impl Errand {
    /// Returns what a field says that holds a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.field(name)? {
            Field::Text(text) => Some(text),
            Field::List(_) => None,
        }
    }

    /// Returns what a field says that holds a list.
    pub fn list(&self, name: &str) -> Option<&[String]> {
        match self.field(name)? {
            Field::Text(_) => None,
            Field::List(list) => Some(list),
        }
    }

    fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|(known, _)| **known == *name).map(|(_, field)| field)
    }
}

impl fmt::Display for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.hand, self.verb)?;
        for (name, field) in &self.fields {
            match field {
                Field::Text(text) => write!(f, " {name}={}", Word(text))?,
                Field::List(list) => write!(f, " {name}=[{}]", Words(list))?,
            }
        }
        Ok(())
    }
}

/// A text, in quotes where it would otherwise not be seen where it ends.
struct Word<'a>(&'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=+,%".contains(c);
        if !self.0.is_empty() && self.0.chars().all(is_plain) {
            f.write_str(self.0)
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}

/// The words of a command, so that each is seen.
#[derive(Debug)]
pub struct Words<'a>(pub &'a [String]);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, word) in self.0.iter().enumerate() {
            let space = if position == 0 { "" } else { " " };
            write!(f, "{space}{}", Word(word))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::LabelSet;

    fn values(instance: &str) -> Values {
        Values {
            labels: LabelSet::from_pairs([("instance", instance)]),
            annotations: LabelSet::default(),
            incident: 17,
            policy: "web-down".into(),
            remedy: "restart".into(),
            attempt: 1,
            key: "k".into(),
        }
    }

    fn template() -> ErrandTemplate {
        let parse = |text: &str| Template::parse(text).unwrap();
        let host = FieldTemplate::Text(parse("{{ labels.instance | host }}"), Form::HOST);
        let argv = FieldTemplate::List(vec![parse("say"), parse("x={{ labels.instance }}")]);
        let fields = vec![("host".into(), host), ("argv".into(), argv)];
        ErrandTemplate { hand: "ssh".into(), verb: "exec".into(), fields, rehearsed: false }
    }

    #[test]
    fn it_is_rendered_shown_and_read_back() {
        let errand = template().render(&values("web1:80")).unwrap();
        assert_eq!(errand.text("host"), Some("web1"));
        assert_eq!(errand.list("argv").unwrap(), ["say", "x=web1:80"]);
        assert_eq!(
            (errand.text("argv"), errand.list("host"), errand.text("no")),
            (None, None, None)
        );
        assert_eq!(errand.to_string(), "ssh exec host=web1 argv=[say x=web1:80]");
        let json = serde_json::to_string(&errand).unwrap();
        assert_eq!(
            json,
            r#"{"hand":"ssh","verb":"exec","fields":[["host","web1"],["argv",["say","x=web1:80"]]]}"#
        );
        assert_eq!(serde_json::from_str::<Errand>(&json).unwrap(), errand);
    }

    #[test]
    fn what_is_shown_cannot_be_taken_for_another_field() {
        let errand = template().render(&values("a user=root")).unwrap_err();
        assert!(errand.message.contains("has no host"), "{errand}");
        let mut template = template();
        template.fields.remove(0);
        let errand = template.render(&values("a] user=root")).unwrap();
        assert_eq!(errand.to_string(), r#"ssh exec argv=[say "x=a] user=root"]"#);
    }

    #[test]
    fn a_value_that_is_not_of_its_fields_form_refuses() {
        for hostile in ["-oProxyCommand=x", "a;b", "a$(b)", "a'b", "ä", "a,b", "a|b"] {
            let error = template().render(&values(hostile)).unwrap_err();
            assert!(error.message.contains("labels.instance"), "{hostile:?}: {error}");
        }
        for host in ["web1", "10.0.0.1", "[::1]:22", "fe80::1%eth0", "a_b.example"] {
            assert!(template().render(&values(host)).is_ok(), "{host}");
        }
    }

    #[test]
    fn forms_are_bounded() {
        let forms = [
            (Form::HOST, "x"),
            (Form::USER, "_x"),
            (Form::UNIT, "x@y.service"),
            (Form::NAMESPACE, "kube-system"),
            (Form::OBJECT, "web-5d4f.b-0"),
            (Form::UID, "0b7c1a2e-6c1b-4a53-9f5e-0d6a8c1f2b3d"),
            (Form::CONTEXT, "arn:aws:eks:eu-1:12:cluster/prod"),
        ];
        for (form, good) in forms {
            assert!(form.admits(good), "{good}");
            for bad in ["", "-x", "x y", "x\n", "/x", "x;y", "x$(y)", "é", &"x".repeat(256)] {
                assert!(!form.admits(bad), "{bad:?}");
            }
        }
    }

    #[test]
    fn the_name_of_an_object_is_never_a_path_or_a_query() {
        let hostile = ["a/b", "..", "a..b", ".a", "a.", "a-", "A", "a?b", "a#b", "a%2fb", "a_b"];
        for name in hostile {
            assert!(!Form::OBJECT.admits(name), "{name}");
            assert!(!Form::NAMESPACE.admits(name), "{name}");
        }
        assert!(!Form::NAMESPACE.admits("a.b"), "a namespace is one label");
        assert!(!Form::NAMESPACE.admits(&"a".repeat(64)));
    }
}
