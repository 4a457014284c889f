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

/// What a text must be made of: ASCII letters, digits, and some marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// What such a text is, for people.
    pub what: &'static str,
    /// The marks that it may begin with.
    pub first: &'static str,
    /// The marks that may follow.
    pub then: &'static str,
    /// How long it may be, in bytes.
    pub most: usize,
}

impl Form {
    /// A host: its name (RFC 1123, and `_`, which people use) or its address, an IPv6 one with its zone.
    pub const HOST: Self =
        Self { what: "a host name or an address", first: ":", then: ".-_:%", most: 255 };
    /// The name of a user, as systems and directories have it.
    pub const USER: Self =
        Self { what: "the name of a user", first: "_", then: "._-@+", most: 255 };

    /// A unit of systemd: its name, and never the path of one.
    pub const UNIT: Self =
        Self { what: "the name of a unit", first: "_.:", then: "_.:@\\-", most: 255 };

    /// Tells whether a text is of this form.
    pub fn admits(&self, text: &str) -> bool {
        let is = |c: char, marks: &str| c.is_ascii_alphanumeric() || marks.contains(c);
        text.len() <= self.most
            && text.starts_with(|c: char| is(c, self.first))
            && text.chars().skip(1).all(|c| is(c, self.then))
    }
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
        ErrandTemplate { hand: "ssh".into(), verb: "exec".into(), fields }
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
        for (form, good) in [(Form::HOST, "x"), (Form::USER, "_x"), (Form::UNIT, "x@y.service")] {
            assert!(form.admits(good));
            for bad in ["", "-x", "x y", "x\n", "x/y", &"x".repeat(256)] {
                assert!(!form.admits(bad), "{bad:?}");
            }
        }
    }
}
