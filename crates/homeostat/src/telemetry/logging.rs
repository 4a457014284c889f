//! How log lines look: logfmt or JSON, to standard error, one event a line.
//!
//! ```text
//! ts=2026-01-05T09:00:00.000Z level=info component=web msg="listening" address=127.0.0.1:9999
//! ```
//!
//! Whatever stands in a value, a label with a line break for example, a line stays one line, and
//! a value never looks like another key.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `key=value`, as Prometheus does.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "logfmt" => Ok(Self::Logfmt),
            "json" => Ok(Self::Json),
            _ => Err("expected logfmt or json".into()),
        }
    }
}

/// Starts logging to standard error, for the whole process.
///
/// Our own events are shown from `level` on, those of libraries from warnings on. A second call
/// changes nothing, so that tests may start what they need.
pub fn start(level: Level, format: Format) {
    let _ = subscriber(level, format, std::io::stderr).try_init();
}

fn subscriber<W>(level: Level, format: Format, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let level = LevelFilter::from_level(level);
    let targets =
        Targets::new().with_default(LevelFilter::WARN.min(level)).with_target("homeostat", level);
    let lines = tracing_subscriber::fmt::layer().event_format(Lines(format)).with_writer(writer);
    tracing_subscriber::registry().with(targets).with(lines)
}

/// Writes events as lines.
struct Lines(Format);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let head = [
            ("ts", Value::from(format!("{:.3}", Timestamp::now()))),
            ("level", level(*metadata.level()).into()),
            ("component", component(metadata).into()),
            ("msg", fields.message.into()),
        ];
        let all = head.into_iter().chain(fields.others);
        writer.write_str(&match self.0 {
            Format::Logfmt => logfmt(all),
            Format::Json => json(all),
        })?;
        writer.write_char('\n')
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// The room that speaks: `web` for `homeostat::web::server`, `runner` for one of the hands; the whole
/// path for a library.
fn component<'m>(metadata: &Metadata<'m>) -> &'m str {
    let target = metadata.target();
    let ours = ["homeostat::", "homeostat_hands::"];
    ours.iter()
        .find_map(|prefix| target.strip_prefix(prefix))
        .map_or(target, |path| path.split("::").next().unwrap_or(path))
}

/// The fields of one event.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("message", value) => self.message = value.to_string(),
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            let _ = write!(text, ": {cause}");
            source = cause.source();
        }
        self.put(field, text.into());
    }
}

fn logfmt(fields: impl Iterator<Item = (&'static str, Value)>) -> String {
    let mut line = String::new();
    for (name, value) in fields {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(name);
        line.push('=');
        match value {
            Value::String(text) if name == "msg" || !is_plain(&text) => quote(&mut line, &text),
            Value::String(text) => line.push_str(&text),
            other => line.push_str(&other.to_string()),
        }
    }
    line
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"=\"\\".contains(&b))
}

/// Writes a text in quotes, on one line, with nothing that moves a terminal's cursor.
fn quote(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' | '\n' | '\r' | '\t' => line.extend(c.escape_default()),
            c if is_visible(c) => line.push(c),
            c => line.extend(c.escape_unicode()),
        }
    }
    line.push('"');
}

/// Whether a character neither controls a terminal nor hides or reverses what is around it.
fn is_visible(c: char) -> bool {
    let hides = matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_control() && !hides
}

fn json(fields: impl Iterator<Item = (&'static str, Value)>) -> String {
    let object: Map<String, Value> = fields.map(|(name, value)| (name.to_owned(), value)).collect();
    Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: Level, format: Format, speak: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(level, format, move || writer.clone());
        tracing::subscriber::with_default(subscriber, speak);
        let bytes = lines.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_has_its_time_level_component_sentence_and_fields() {
        let text = logged(Level::INFO, Format::Logfmt, || {
            let address = "[::1]:9999";
            tracing::info!(
                target: "homeostat::web::server", address, connections = 3, "listening"
            );
        });
        let (ts, rest) = text.split_once(' ').unwrap();
        let ts = ts.strip_prefix("ts=").unwrap();
        assert!(ts.parse::<Timestamp>().is_ok() && ts.len() == "2026-01-05T09:00:00.000Z".len());
        assert_eq!(
            rest,
            "level=info component=web msg=\"listening\" address=[::1]:9999 connections=3\n"
        );
    }

    #[test]
    fn a_value_can_forge_neither_a_line_nor_a_key() {
        let hostile = "a\nts=1 level=error msg=\"gone\" \u{1b}[2J \u{202e} \\";
        let text = logged(Level::INFO, Format::Logfmt, || {
            tracing::warn!(target: "homeostat::intake", label = hostile, "quarantined");
        });
        assert_eq!(text.lines().count(), 1);
        let escaped = r#"label="a\nts=1 level=error msg=\"gone\" \u{1b}[2J \u{202e} \\""#;
        assert!(text.trim_end().ends_with(escaped), "{text}");
        let empty = logged(Level::INFO, Format::Logfmt, || {
            tracing::warn!(target: "homeostat::intake", label = "", "quarantined");
        });
        assert!(empty.ends_with("label=\"\"\n"));
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = logged(Level::INFO, Format::Json, || {
            tracing::error!(target: "homeostat_hands::act::exec", code = 1, ok = false, "a\nb");
        });
        assert_eq!(text.lines().count(), 1);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["msg"], "a\nb");
        assert_eq!(value["level"], "error");
        assert_eq!(value["component"], "act");
        assert_eq!((&value["code"], &value["ok"]), (&Value::from(1), &Value::from(false)));
    }

    #[test]
    fn libraries_are_heard_from_warnings_on() {
        let text = logged(Level::DEBUG, Format::Logfmt, || {
            tracing::debug!(target: "hyper::proto", "parsed");
            tracing::warn!(target: "hyper::proto", "reset");
            tracing::debug!(target: "homeostat::web", "own");
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains("component=hyper::proto msg=\"reset\""));
    }
}
