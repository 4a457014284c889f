//! Placeholders such as `{{ labels.instance | host }}`, rendered strictly.
//!
//! A template that names something missing refuses; a value is escaped for the place where it
//! stands; nothing is ever handed to a shell. Which alert a template is rendered for is `plan`'s
//! duty.
//!
//! Source: the Jinja language as `minijinja` has it, with strict undefined values and a bounded
//! number of instructions.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use minijinja::value::{Object, Serde, Value};
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use serde::Serialize;

use crate::label::LabelSet;
use crate::limits;

/// The names that a template may use.
pub const NAMES: [&str; 6] = ["labels", "annotations", "incident", "policy", "remedy", "attempt"];

/// How much of a refused value is shown: enough to know it by.
const SHOWN_CHARS: usize = 80;

/// Text with placeholders, known to parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: Arc<str>,
}

/// Where a value stands decides how it is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// One element of an argument vector, or the key of a lock: no escaping, no NUL, and no
    /// leading `-` where the template begins with a placeholder.
    Argument,
    /// PromQL: values are escaped as the content of a string in double or single quotes.
    Promql,
    /// A part of a URL's path or query: everything but letters, digits, `-`, `.`, `_` and `~` is
    /// written as `%` and its bytes. Refuses a value that is empty or leads to another path.
    UrlComponent,
    /// The value of an HTTP header: no escaping, and no control characters.
    Header,
    /// A text of a JSON document, to be escaped by whoever writes the document.
    Json,
}

/// What placeholders can name.
#[derive(Debug, Clone, Serialize)]
pub struct Values {
    /// Labels of the alert.
    pub labels: LabelSet,
    /// Annotations of the alert.
    pub annotations: LabelSet,
    /// Number of the incident.
    pub incident: u64,
    /// Name of the policy.
    pub policy: String,
    /// Name of the remedy.
    pub remedy: String,
    /// Which run of this remedy, counted from 1.
    pub attempt: u32,
    /// Tells this deed from any other, and is the same for its retries. Placeholders cannot name
    /// it: it is sent where a request asks for an idempotency key.
    #[serde(skip)]
    pub key: String,
}

impl Values {
    /// What placeholders can name before there is an incident.
    pub fn of_alert(labels: LabelSet, annotations: LabelSet, policy: String) -> Self {
        let (remedy, key) = (String::new(), String::new());
        Self { labels, annotations, incident: 0, policy, remedy, attempt: 0, key }
    }
}

/// Why a template does not parse or refuses to render.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// What is wrong, for a person.
    pub message: String,
    /// Bytes of the source that are meant, where known.
    pub span: Option<std::ops::Range<usize>>,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TemplateError {}

impl Template {
    /// Parses a template and refuses names that no alert can give, and filters that there are not.
    ///
    /// # Errors
    ///
    /// The syntax is wrong, a name is not one of [`NAMES`], or no alert could render it.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let environment = environment(Place::Argument);
        let parsed =
            environment.template_from_str(source).map_err(|error| explain(source, &error))?;
        let mut unknown: Vec<String> = parsed
            .undeclared_variables(false)
            .into_iter()
            .filter(|name| !NAMES.contains(&name.as_str()))
            .collect();
        unknown.sort();
        match unknown.first() {
            None => try_out(source).map(|()| Self { source: source.into() }),
            Some(name) => Err(TemplateError {
                message: format!("unknown name {name:?}; there are {}", NAMES.join(", ")),
                span: source.find(name.as_str()).map(|at| at..at + name.len()),
            }),
        }
    }

    /// Lists the names that it uses, of [`NAMES`].
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let environment = environment(Place::Argument);
        let parsed = environment.template_from_str(&self.source);
        let used = parsed.map(|parsed| parsed.undeclared_variables(false)).unwrap_or_default();
        NAMES.into_iter().filter(move |name| used.contains(*name))
    }

    /// Returns the text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders for a place.
    ///
    /// # Errors
    ///
    /// A name is missing, or the value cannot be carried to the place.
    pub fn render(&self, place: Place, values: &Values) -> Result<String, TemplateError> {
        if !self.source.contains('{') {
            return Ok(self.source.to_string());
        }
        let environment = environment(place);
        let rendered = environment.render_str(&self.source, Serde(values)).map_err(|error| {
            if error.kind() == ErrorKind::UndefinedError {
                self.name_what_is_missing(&environment, values)
            } else {
                explain(&self.source, &error)
            }
        })?;
        self.refuse_what_cannot_be_carried(place, &rendered)?;
        Ok(rendered)
    }

    fn name_what_is_missing(&self, environment: &Environment, values: &Values) -> TemplateError {
        let parsed = environment.template_from_str(&self.source);
        let names = parsed.map(|parsed| parsed.undeclared_variables(true)).unwrap_or_default();
        let mut missing: Vec<String> = names
            .into_iter()
            .filter(|name| match name.split_once('.') {
                Some(("labels", label)) => values.labels.get(label).is_none(),
                Some(("annotations", label)) => values.annotations.get(label).is_none(),
                Some(_) | None => true,
            })
            .collect();
        missing.sort();
        let missing = if missing.is_empty() { "a value".to_owned() } else { missing.join(", ") };
        let message = format!("{}: {missing} is not set on this alert", self.source);
        TemplateError { message, span: None }
    }

    fn refuse_what_cannot_be_carried(
        &self,
        place: Place,
        rendered: &str,
    ) -> Result<(), TemplateError> {
        let refuse = |message: &str| {
            Err(TemplateError { message: format!("{}: {message}", self.source), span: None })
        };
        if rendered.len() >= limits::RENDERED_BYTES {
            return refuse(match place {
                Place::Argument => {
                    "the value is longer than 128 KiB, the kernel's limit for an argument"
                }
                Place::Promql | Place::UrlComponent | Place::Header | Place::Json => {
                    "the value is longer than 128 KiB"
                }
            });
        }
        match place {
            Place::Argument if rendered.contains('\0') => {
                refuse("the value contains a NUL byte, which no argument can carry")
            }
            Place::Argument if self.source.starts_with('{') && rendered.starts_with('-') => refuse(
                "the value starts with \"-\" and would be read as an option; write text before \
                 the placeholder to allow it",
            ),
            Place::Header if rendered.chars().any(char::is_control) => refuse(
                "the value contains a line break or another control character, which no header \
                 can carry",
            ),
            Place::Argument | Place::Promql | Place::UrlComponent | Place::Header | Place::Json => {
                Ok(())
            }
        }
    }
}

/// An alert that has every label and every annotation.
#[derive(Debug)]
enum Anything {
    Alert,
    Labels,
}

impl Object for Anything {
    fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
        Some(match (&**self, name.as_str()) {
            (Self::Alert, Some("labels" | "annotations")) => Value::from_object(Self::Labels),
            (Self::Alert, Some("incident" | "attempt")) => Value::from(1),
            (Self::Alert | Self::Labels, _) => Value::from("x"),
        })
    }
}

/// Renders once for an alert that has everything: unknown filters only show when they are used.
fn try_out(source: &str) -> Result<(), TemplateError> {
    if !source.contains('{') {
        return Ok(());
    }
    let alert = Value::from_object(Anything::Alert);
    match environment(Place::Argument).render_str(source, alert) {
        Err(error) if error.kind() != ErrorKind::UndefinedError => Err(explain(source, &error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn environment(place: Place) -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(limits::TEMPLATE_FUEL));
    environment.add_filter("host", |text: String| host(&text));
    environment.add_filter("word", |text: String| word(&text).map(str::to_owned));
    environment.add_filter("re", |text: String| quote_regex(&text));
    environment.add_filter("lower", |text: String| text.to_lowercase());
    environment.add_filter("upper", |text: String| text.to_uppercase());
    environment
        .add_filter("replace", |text: String, from: String, to: String| text.replace(&from, &to));
    match place {
        Place::Argument | Place::Header | Place::Json => environment.set_formatter(write_plain),
        Place::Promql => environment.set_formatter(write_promql),
        Place::UrlComponent => environment.set_formatter(write_url_component),
    }
    environment
}

fn text_of(value: &Value) -> Result<String, Error> {
    if value.is_undefined() || value.is_none() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    Ok(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn write_plain(out: &mut Output, _: &mut State, value: &Value) -> Result<(), Error> {
    out.write_str(&text_of(value)?).map_err(Error::from)
}

fn write_promql(out: &mut Output, _: &mut State, value: &Value) -> Result<(), Error> {
    for c in text_of(value)?.chars() {
        match c {
            // PromQL refuses an escaped quote in a string of the other quote.
            '"' => out.write_str("\\x22"),
            '\'' => out.write_str("\\x27"),
            '`' => out.write_str("\\x60"),
            '\\' => out.write_str("\\\\"),
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c)),
            c => out.write_char(c),
        }
        .map_err(Error::from)?;
    }
    Ok(())
}

/// Source: RFC 3986, section 2.3.
fn write_url_component(out: &mut Output, _: &mut State, value: &Value) -> Result<(), Error> {
    let text = text_of(value)?;
    let refuse = |why| Err(Error::new(ErrorKind::InvalidOperation, why));
    if text.is_empty() {
        return refuse("the value is empty, and the URL without it would name something else");
    }
    // Escaped slashes hide from us and not from every server.
    if text.split(['/', '\\']).any(|segment| matches!(segment, "." | "..")) {
        return refuse("the value leads to another path");
    }
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.write_char(char::from(byte))
        } else {
            write!(out, "%{byte:02X}")
        }
        .map_err(Error::from)?;
    }
    Ok(())
}

/// Strips a port: `web01:9100` gives `web01`, `[::1]:9100` gives `::1`, `::1` stays. Of a URL, its
/// host; refuses what has none.
fn host(text: &str) -> Result<String, Error> {
    let authority = match text.split_once("://") {
        Some((_, rest)) => {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            authority.rsplit_once('@').map_or(authority, |(_, host)| host)
        }
        None => text,
    };
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => match authority.rsplit_once(':') {
            Some((name, port))
                if !name.contains(':')
                    && !port.is_empty()
                    && port.bytes().all(|b| b.is_ascii_digit()) =>
            {
                name
            }
            Some(_) | None => authority,
        },
    };
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || "/?#@\\".contains(c);
    if host.is_empty() || host.contains(is_odd) {
        return Err(refusal("has no host", text));
    }
    Ok(host.to_owned())
}

/// Refuses what a shell would not take for one plain word, whatever quotes stand around it.
fn word(text: &str) -> Result<&str, Error> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if text.is_empty() || text.starts_with(['-', '=']) || !text.chars().all(is_plain) {
        return Err(refusal("is not one plain word", text));
    }
    Ok(text)
}

fn refusal(why: &str, text: &str) -> Error {
    let shown: String = text.chars().take(SHOWN_CHARS).collect();
    Error::new(ErrorKind::InvalidOperation, format!("{shown:?} {why}"))
}

/// Quotes for a regular expression of RE2, as Go's `regexp.QuoteMeta`.
fn quote_regex(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

fn explain(source: &str, error: &Error) -> TemplateError {
    let span = error.range().filter(|range| source.get(range.clone()).is_some());
    let place = span.clone().map(|range| source[range].trim().to_owned());
    let message = match (error.kind(), place) {
        (ErrorKind::OutOfFuel, _) => format!("{source}: too much work for a placeholder"),
        (_, place) => {
            let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            format!("{}: {detail}", place.unwrap_or_else(|| source.to_owned()))
        }
    };
    TemplateError { message, span }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(labels: &[(&str, &str)]) -> Values {
        Values {
            labels: LabelSet::from_pairs(labels.iter().copied()),
            annotations: LabelSet::default(),
            incident: 17,
            policy: "web-down".into(),
            remedy: "restart".into(),
            attempt: 1,
            key: "k".into(),
        }
    }

    fn argument(source: &str, labels: &[(&str, &str)]) -> Result<String, String> {
        let template = Template::parse(source).map_err(|e| e.message)?;
        template.render(Place::Argument, &values(labels)).map_err(|e| e.message)
    }

    #[test]
    fn values_are_put_in_as_they_are() {
        let hostile = "a b\"'$(reboot)`\n;";
        assert_eq!(
            argument("x={{ labels.l }}", &[("l", hostile)]).unwrap(),
            format!("x={hostile}")
        );
        assert_eq!(
            argument("web@{{ labels.i | host }}.service", &[("i", "w1:80")]).unwrap(),
            "web@w1.service"
        );
        assert_eq!(argument("{{ incident }}-{{ attempt }}", &[]).unwrap(), "17-1");
    }

    #[test]
    fn a_missing_value_refuses_and_is_named() {
        for source in ["{{ labels.gone }}", "{{ labels.gone | host }}", "{{ annotations.gone }}"] {
            let message = argument(source, &[("here", "x")]).unwrap_err();
            assert!(message.contains("gone"), "{message}");
        }
    }

    #[test]
    fn a_leading_dash_is_refused_only_where_the_placeholder_begins() {
        assert!(argument("{{ labels.l }}", &[("l", "-rf")]).unwrap_err().contains("option"));
        assert_eq!(argument("x{{ labels.l }}", &[("l", "-rf")]).unwrap(), "x-rf");
        assert!(argument("{% if true %}{{ labels.l }}{% endif %}", &[("l", "-rf")]).is_err());
    }

    #[test]
    fn nul_and_overlong_values_are_refused() {
        assert!(argument("{{ labels.l }}", &[("l", "a\0b")]).unwrap_err().contains("NUL"));
        let long = "x".repeat(200 * 1024);
        assert!(argument("{{ labels.l }}", &[("l", &long)]).unwrap_err().contains("128 KiB"));
    }

    #[test]
    fn promql_values_cannot_leave_their_string() {
        let template = Template::parse("up{i=\"{{ labels.l }}\"}").unwrap();
        let rendered = template.render(Place::Promql, &values(&[("l", "a\"} or vector(1) #\\\n")]));
        assert_eq!(rendered.unwrap(), "up{i=\"a\\x22} or vector(1) #\\\\\\n\"}");
        let template = Template::parse("up{i=~\"{{ labels.l | re }}\"}").unwrap();
        let rendered = template.render(Place::Promql, &values(&[("l", "a.b|c")]));
        assert_eq!(rendered.unwrap(), "up{i=~\"a\\\\.b\\\\|c\"}");
    }

    fn rendered(place: Place, value: &str) -> Result<String, String> {
        let template = Template::parse("/x/{{ labels.l }}").unwrap();
        template.render(place, &values(&[("l", value)])).map_err(|e| e.message)
    }

    #[test]
    fn url_values_cannot_leave_their_component() {
        let hostile = "a/b?c=d&e#f%2e:@\\\r\n\0 é+\"";
        assert_eq!(
            rendered(Place::UrlComponent, hostile).unwrap(),
            "/x/a%2Fb%3Fc%3Dd%26e%23f%252e%3A%40%5C%0D%0A%00%20%C3%A9%2B%22"
        );
        assert_eq!(rendered(Place::UrlComponent, "A-z.0_9~").unwrap(), "/x/A-z.0_9~");
        for elsewhere in [".", "..", "../x", "a/../b", "..\\x", "/."] {
            let message = rendered(Place::UrlComponent, elsewhere).unwrap_err();
            assert!(message.contains("another path"), "{elsewhere}: {message}");
        }
        assert!(rendered(Place::UrlComponent, "...").is_ok());
        let template = Template::parse("/x/{{ labels.l | host }}").unwrap();
        let error = template.render(Place::UrlComponent, &values(&[("l", ":80")])).unwrap_err();
        assert!(error.message.contains("has no host"), "{error}");
    }

    #[test]
    fn a_header_carries_no_line_break() {
        assert_eq!(rendered(Place::Header, "a\"é;").unwrap(), "/x/a\"é;");
        for split in ["a\r\nX: y", "a\ny", "a\0", "\u{7f}", "\u{85}"] {
            let message = rendered(Place::Header, split).unwrap_err();
            assert!(message.contains("control character"), "{message}");
        }
    }

    #[test]
    fn unknown_names_and_bad_syntax_are_refused_when_parsed() {
        assert!(Template::parse("{{ label.x }}").unwrap_err().message.contains("label"));
        assert!(Template::parse("{{ $labels.x }}").is_err());
        assert!(Template::parse("{{ labels.x").is_err());
        assert!(Template::parse("{{ labels.x | hsot }}").unwrap_err().message.contains("hsot"));
        assert!(Template::parse("{{ labels.x | host | replace('a', 'b') }}").is_ok());
        assert!(Template::parse("{{ labels.x | replace('a') }}").is_err());
        assert!(Template::parse("{{ labels['x'] }}-{{ incident }}{{ attempt }}").is_ok());
        assert!(argument("{% for i in range(9999999) %}{% endfor %}", &[]).is_err());
    }

    #[test]
    fn ports_are_stripped_and_addresses_kept() {
        for (given, wanted) in [
            ("a:80", "a"),
            ("a", "a"),
            ("[::1]:80", "::1"),
            ("::1", "::1"),
            ("a:b", "a:b"),
            ("a:", "a:"),
        ] {
            assert_eq!(host(given).unwrap(), wanted);
        }
    }

    #[test]
    fn a_url_gives_its_host_and_what_has_none_refuses() {
        for (given, wanted) in [
            ("http://a.example:9090/metrics?x=1#y", "a.example"),
            ("https://a.example", "a.example"),
            ("https://bob:secret@a.example:443/", "a.example"),
            ("http://[::1]:80/x", "::1"),
            ("tcp://10.0.0.1:5432", "10.0.0.1"),
        ] {
            assert_eq!(host(given).unwrap(), wanted);
        }
        for given in ["/dev/sda", "http:///x", "http://", "a b", "a/../b", "a@b", "http://a b/"] {
            let message = argument("{{ labels.l | host }}", &[("l", given)]).unwrap_err();
            assert!(message.contains("has no host"), "{given}: {message}");
        }
    }

    #[test]
    fn a_word_is_plain_or_refused() {
        for plain in ["web@1.service", "a:80", "/var/log/a_b", "50%", "x,y=z"] {
            assert_eq!(word(plain).unwrap(), plain);
        }
        for odd in [
            "a b", "-rf", "=ls", "a;b", "$x", "a'b", "a\"b", "`a`", "a\nb", "~", "*", "a\\b", "ä",
            "!a",
        ] {
            let message = argument("x {{ labels.l | word }}", &[("l", odd)]).unwrap_err();
            assert!(message.contains("is not one plain word"), "{odd}: {message}");
        }
    }
}
