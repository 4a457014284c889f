//! A request to a web service: as the configuration has it, and with every placeholder filled in.
//!
//! The values of an alert are data wherever they stand: in the URL they are escaped as one part of
//! its path or query, a header refuses what would end it, and a body is a tree whose texts are
//! templates, so that no value can become a part of its structure. Not the duty of this room:
//! sending it, and the secrets that go with it, which never come here.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::template::{Place, Template, TemplateError, Values};

/// What is asked of the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// To show it.
    Get,
    /// To show what is known about it.
    Head,
    /// To say what can be done with it.
    Options,
    /// To do something with it.
    Post,
    /// To be as the body says.
    Put,
    /// To change as the body says.
    Patch,
    /// To be gone.
    Delete,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 7] =
        [Self::Get, Self::Head, Self::Options, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// Returns the method as it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Tells whether doing it twice means the same as doing it once.
    ///
    /// Source: RFC 9110, section 9.2.2.
    pub fn is_idempotent(self) -> bool {
        match self {
            Self::Get | Self::Head | Self::Options | Self::Put | Self::Delete => true,
            Self::Post | Self::Patch => false,
        }
    }
}

/// HTTP statuses, from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statuses {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl Statuses {
    /// 200 to 299.
    pub const SUCCESS: Self = Self { first: 200, last: 299 };

    /// Tells whether a status is one of these.
    pub fn contains(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first % 100, self.last - self.first) {
            (_, 0) => write!(f, "{}", self.first),
            (0, 99) => write!(f, "{}xx", self.first / 100),
            _ => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

/// A request with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTemplate {
    /// The method.
    pub method: Method,
    /// The URL; its scheme, host and port are constant.
    pub url: Template,
    /// The headers, in the order of the file.
    pub headers: Vec<HeaderTemplate>,
    /// The body.
    pub body: BodyTemplate,
    /// Which statuses are a success.
    pub expected: Vec<Statuses>,
    /// The header by which the deed's key is sent, where the service wants one.
    pub key_header: Option<Arc<str>>,
}

/// One header of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderTemplate {
    /// Its name.
    pub name: Arc<str>,
    /// Its value; `None` for a secret, which only the sender knows.
    pub value: Option<Template>,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyTemplate {
    /// None.
    Nothing,
    /// A constant text.
    Text(Arc<str>),
    /// A JSON document.
    Json(Json),
}

/// A JSON document whose texts are templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it is written.
    Number(Arc<str>),
    /// A text.
    Text(Template),
    /// A list.
    List(Vec<Json>),
    /// An object; its names are constant.
    Map(Vec<(Arc<str>, Json)>),
}

/// A request, ready to be sent but for the secrets that go with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: String,
    /// The headers.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Option<Content>,
    /// Which statuses are a success.
    pub expected: Vec<Statuses>,
    /// Whether sending it again does no harm: by its method, by its key, or because the remedy
    /// says so.
    pub repeatable: bool,
}

/// One header of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value; `None` for a secret, which is written down nowhere.
    pub value: Option<String>,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// What it is, unless a header says so.
    pub media_type: String,
    /// The body itself.
    pub text: String,
}

impl RequestTemplate {
    /// Tells whether sending the request twice does what sending it once does.
    pub fn is_repeatable(&self) -> bool {
        self.method.is_idempotent() || self.key_header.is_some()
    }

    /// Fills in the placeholders. `idempotent` says that the remedy vouches for a second time.
    ///
    /// # Errors
    ///
    /// A value is missing, or cannot be carried where it stands.
    pub fn render(&self, values: &Values, idempotent: bool) -> Result<Request, TemplateError> {
        let mut headers = Vec::with_capacity(self.headers.len() + 1);
        for HeaderTemplate { name, value } in &self.headers {
            let value = value.as_ref().map(|v| v.render(Place::Header, values)).transpose()?;
            headers.push(Header { name: name.to_string(), value });
        }
        if let Some(name) = &self.key_header {
            headers.push(Header { name: name.to_string(), value: Some(values.key.clone()) });
        }
        Ok(Request {
            method: self.method,
            url: self.render_url(values)?,
            headers,
            body: self.body.render(values)?,
            expected: self.expected.clone(),
            repeatable: idempotent || self.is_repeatable(),
        })
    }

    fn render_url(&self, values: &Values) -> Result<String, TemplateError> {
        let url = self.url.render(Place::UrlComponent, values)?;
        if url.len() > limits::REQUEST_URL_BYTES {
            let message = format!("{}: the URL is longer than 8 KiB", self.url.source());
            return Err(TemplateError { message, span: None });
        }
        Ok(url)
    }
}

impl BodyTemplate {
    fn render(&self, values: &Values) -> Result<Option<Content>, TemplateError> {
        let (media_type, text) = match self {
            Self::Nothing => return Ok(None),
            Self::Text(text) => ("text/plain; charset=utf-8", text.to_string()),
            Self::Json(json) => {
                let mut text = String::new();
                json.write(&mut text, values)?;
                ("application/json", text)
            }
        };
        if text.len() > limits::REQUEST_BODY_BYTES {
            let message = "the body is longer than 128 KiB".to_owned();
            return Err(TemplateError { message, span: None });
        }
        Ok(Some(Content { media_type: media_type.to_owned(), text }))
    }
}

impl Json {
    fn write(&self, out: &mut String, values: &Values) -> Result<(), TemplateError> {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => out.push_str(number),
            Self::Text(template) => write_string(out, &template.render(Place::Json, values)?),
            Self::List(items) => {
                out.push('[');
                for (position, item) in items.iter().enumerate() {
                    out.push_str(if position == 0 { "" } else { "," });
                    item.write(out, values)?;
                }
                out.push(']');
            }
            Self::Map(entries) => {
                out.push('{');
                for (position, (name, value)) in entries.iter().enumerate() {
                    out.push_str(if position == 0 { "" } else { "," });
                    write_string(out, name);
                    out.push(':');
                    value.write(out, values)?;
                }
                out.push('}');
            }
        }
        Ok(())
    }

    /// Writes the document with its placeholders, for a person.
    pub fn source(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(template) => quoted(template.source()),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::source).collect();
                format!("[{}]", items.join(","))
            }
            Self::Map(entries) => {
                let pair = |(name, value): &(Arc<str>, Self)| {
                    format!("{}:{}", quoted(name), value.source())
                };
                let pairs: Vec<String> = entries.iter().map(pair).collect();
                format!("{{{}}}", pairs.join(","))
            }
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    write_string(&mut out, text);
    out
}

/// Source: RFC 8259, section 7. What may also be escaped is, so that the text can stand anywhere.
fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Writing into a text never fails. Some readers take the last two for line breaks.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.url)?;
        let Some(body) = &self.body else { return Ok(()) };
        let mut shown = body.text.split_whitespace().collect::<Vec<_>>().join(" ");
        if shown.len() > limits::PROGRESS_BYTES {
            shown.truncate(shown.floor_char_boundary(limits::PROGRESS_BYTES));
            shown.push('…');
        }
        write!(f, " {shown}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::LabelSet;

    fn values(labels: &[(&str, &str)]) -> Values {
        Values {
            labels: LabelSet::from_pairs(labels.iter().copied()),
            annotations: LabelSet::default(),
            incident: 17,
            policy: "web-down".into(),
            remedy: "replace".into(),
            attempt: 1,
            key: "17.replace.1".into(),
        }
    }

    fn template(text: &str) -> Template {
        Template::parse(text).unwrap()
    }

    fn request(url: &str, body: BodyTemplate) -> RequestTemplate {
        RequestTemplate {
            method: Method::Post,
            url: template(url),
            headers: vec![
                HeaderTemplate { name: "X-Host".into(), value: Some(template("{{ labels.l }}")) },
                HeaderTemplate { name: "X-Token".into(), value: None },
            ],
            body,
            expected: vec![Statuses::SUCCESS],
            key_header: Some("Idempotency-Key".into()),
        }
    }

    #[test]
    fn hostile_values_stay_values_in_the_body() {
        let hostile = "\"}, \"admin\": true, \"x\": {\"\\\u{1}\u{2028}\u{7f}é";
        let body = Json::Map(vec![
            ("host".into(), Json::Text(template("h={{ labels.l }}"))),
            ("a\"b".into(), Json::List(vec![Json::Null, Json::Bool(true), Json::List(vec![])])),
            ("n".into(), Json::Number("-1.50e3".into())),
        ]);
        let body = BodyTemplate::Json(body).render(&values(&[("l", hostile)])).unwrap().unwrap();
        let json: serde_json::Value = serde_json::from_str(&body.text).unwrap();
        let expected = serde_json::json!({
            "host": format!("h={hostile}"), "a\"b": [null, true, []], "n": -1500.0,
        });
        assert_eq!(json, expected);
        assert!(body.text.is_ascii() || body.text.contains('é'));
        assert_eq!(body.media_type, "application/json");
    }

    #[test]
    fn a_request_carries_its_key_and_no_secret() {
        let template = request("https://c.example/h/{{ labels.l }}?a=1", BodyTemplate::Nothing);
        let request = template.render(&values(&[("l", "a b")]), false).unwrap();
        assert_eq!(request.url, "https://c.example/h/a%20b?a=1");
        let header = |name: &str, value: Option<&str>| Header {
            name: name.into(),
            value: value.map(str::to_owned),
        };
        let expected = [
            header("X-Host", Some("a b")),
            header("X-Token", None),
            header("Idempotency-Key", Some("17.replace.1")),
        ];
        assert_eq!(request.headers, expected);
        assert!(request.repeatable);
        assert_eq!(request.to_string(), "POST https://c.example/h/a%20b?a=1");
        assert_eq!(
            serde_json::from_str::<Request>(&serde_json::to_string(&request).unwrap()).unwrap(),
            request
        );
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let long = "x".repeat(9_000);
        let template = request("https://c.example/{{ labels.l }}", BodyTemplate::Nothing);
        let error = template.render(&values(&[("l", &long)]), false).unwrap_err();
        assert!(error.message.contains("8 KiB"), "{error}");
        let text = BodyTemplate::Text("x".repeat(200_000).into());
        assert!(text.render(&values(&[])).unwrap_err().message.contains("128 KiB"));
    }

    #[test]
    fn statuses_read_as_they_are_written() {
        let all = [Statuses::SUCCESS, Statuses { first: 404, last: 404 }];
        assert_eq!(all.map(|s| s.to_string()), ["2xx", "404"]);
        assert!(Statuses::SUCCESS.contains(299) && !Statuses::SUCCESS.contains(300));
    }
}
