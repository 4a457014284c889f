//! From the text of files to what they mean, or to all that is wrong with them.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::ops::Range;
use std::path::Path;

use crate::config::{Callable, Config};
use crate::files::{self, Files};
use crate::gather::{Gathered, gather, read_text};
use crate::http::HttpConfig;
use crate::read::Reader;
use crate::report::{Problem, Report, Severity};
use crate::web::WebConfig;
use crate::{check, raw, yaml};

/// Reads and checks a configuration: files, and directories of files, together one book.
///
/// # Errors
///
/// A file cannot be read, or has errors: all that could be found in all of them, and the warnings.
pub fn load<P: AsRef<Path>>(paths: &[P]) -> Result<Config, Report> {
    load_for(paths, Callable::Elsewhere)
}

/// Reads and checks a configuration for a program that has these handlers.
///
/// # Errors
///
/// As [`load`], and it calls a handler that there is not.
pub fn load_for<P: AsRef<Path>>(paths: &[P], callable: Callable<'_>) -> Result<Config, Report> {
    mean(gather(paths), callable, Care::Usual)
}

/// Reads and checks a configuration for somebody who writes it: warns also of programs and files
/// that are not on this machine, and of what is valid and seldom meant.
///
/// # Errors
///
/// As [`load`].
pub fn load_with_care<P: AsRef<Path>>(paths: &[P]) -> Result<Config, Report> {
    mean(gather(paths), Callable::Elsewhere, Care::Great)
}

/// How much is warned of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Care {
    /// What is wrong wherever the file is read.
    Usual,
    /// What only this machine shows, too, and what is seldom meant.
    Great,
}

/// Checks the text of a configuration. Relative paths in it are meant from the directory of the
/// file that `name` says; it includes nothing, because nothing is read.
///
/// # Errors
///
/// The text has errors: all that could be found, and its warnings.
///
/// ```
/// let text = "policies: [{ name: watch, matchers: ['job=\"web\"'], mode: shadow, remedies: [] }]";
/// let config = homeostat_config::parse("homeostat.yml", text).unwrap();
/// assert_eq!(config.book.policies().len(), 1);
/// ```
pub fn parse(name: &str, text: &str) -> Result<Config, Report> {
    mean(Gathered::text(name, text), Callable::Elsewhere, Care::Usual)
}

fn mean(gathered: Gathered, callable: Callable<'_>, care: Care) -> Result<Config, Report> {
    let Gathered { name, files, documents, problems: found, unread, .. } = gathered;
    let mut reader = Reader::new(files.text());
    let told = |problem: &Problem| care == Care::Great || problem.severity != Severity::Note;
    found.into_iter().filter(told).for_each(|problem| reader.problems.report(problem));
    let file = raw::join(&mut reader, &documents);
    let mut problems = reader.problems;
    if care == Care::Great {
        problems.look_around();
    }
    let checked = check::check(&file, &files, callable, &mut problems);
    let shown = mask(files.text(), problems.take_concealed());
    let report = Report::of(&name, &files, &shown, problems.into_vec());
    if unread {
        return Err(report.with_unread());
    }
    if report.errors() > 0 {
        return Err(report);
    }
    let check::Checked { book, sources, requests, settings, notify, access, redact } = checked;
    let files = files.read();
    Ok(Config {
        book,
        sources,
        requests,
        settings,
        notify,
        access,
        redact,
        files,
        warnings: report,
    })
}

/// Reads and checks a file of `--web.config.file`. What it names is not read.
///
/// # Errors
///
/// The file cannot be read, or it has errors: all that could be found, and its warnings.
pub fn load_web(path: &Path) -> Result<WebConfig, Report> {
    parse_web(&path.display().to_string(), &read_text(path)?)
}

/// Checks the text of a file of `--web.config.file`, as [`load_web`] does.
///
/// # Errors
///
/// The text has errors: all that could be found, and its warnings.
///
/// ```
/// let text = "tls_server_config: { cert_file: server.crt, key_file: server.key }";
/// let config = homeostat_config::parse_web("web.yml", text).unwrap();
/// assert!(config.http2 && config.tls.is_some());
/// ```
pub fn parse_web(name: &str, text: &str) -> Result<WebConfig, Report> {
    let mut reader = Reader::new(text);
    let file = match yaml::parse(text) {
        Ok(Some(document)) => raw::web::web(&mut reader, &document),
        Ok(None) => Some(raw::web::Web::default()),
        Err(problem) => return Err(Report::new(name, text, vec![problem])),
    };
    let files = Files::one(name, "");
    let mut problems = reader.problems;
    let checked = file.map(|file| check::web::check(&file, &files, &mut problems));
    let shown = mask(text, problems.take_concealed());
    let report = Report::new(name, &shown, problems.into_vec());
    match checked {
        Some(checked) if report.errors() == 0 => {
            let check::web::CheckedWeb { tls, http2, headers, users, rate } = checked;
            let file = Some(files::read(name, text));
            Ok(WebConfig { tls, http2, headers, users, rate, file, warnings: report })
        }
        Some(_) | None => Err(report),
    }
}

/// Says what is wrong with a file that a file of `--web.config.file` names, at the place where it names
/// it; where that is no longer so, about the file as a whole.
pub fn complain_of(path: &Path, named: &Path, message: &str) -> Report {
    let (name, text) = (path.display().to_string(), read_text(path).unwrap_or_default());
    let mut reader = Reader::new(&text);
    let file = match yaml::parse(&text) {
        Ok(Some(document)) => raw::web::web(&mut reader, &document),
        Ok(None) | Err(_) => None,
    };
    let directory = path.parent().unwrap_or(Path::new(""));
    let tls = file.as_ref().and_then(|file| file.tls.given());
    let files = tls.map(|tls| [&tls.cert_file, &tls.key_file, &tls.client_ca_file]);
    let mut files = files.iter().flatten().filter_map(|file| file.given());
    let problem = match files.find(|file| directory.join(&file.value) == named) {
        Some(file) => Problem::error(file.span.clone(), message),
        None => Problem::of_file(message),
    };
    let shown = mask(&text, reader.problems.take_concealed());
    Report::new(&name, &shown, vec![problem])
}

/// Reads and checks a file of `--http.config.file`: how a server is talked to, as Prometheus' and
/// Alertmanager's own command lines have it. The files that it names must be there.
///
/// # Errors
///
/// The file cannot be read, or it has errors: all that could be found.
pub fn load_http(path: &Path) -> Result<HttpConfig, Report> {
    let (name, text) = (path.display().to_string(), read_text(path)?);
    let mut reader = Reader::new(&text);
    let file = match yaml::parse(&text) {
        Ok(Some(document)) => raw::http::file(&mut reader, &document),
        Ok(None) => Some(raw::Http::default()),
        Err(problem) => return Err(Report::new(&name, &text, vec![problem])),
    };
    let mut problems = reader.problems;
    problems.need_files();
    let files = Files::one(&name, "");
    let checked = file.map(|file| check::http::http(&file, &files, &mut problems));
    let shown = mask(&text, problems.take_concealed());
    let report = Report::new(&name, &shown, problems.into_vec());
    match checked {
        Some(http) if report.errors() == 0 => Ok(http),
        Some(_) | None => Err(report),
    }
}

/// Writes asterisks over secrets. Their bytes are counted, so that all places stay the same.
pub(crate) fn mask(text: &str, mut secrets: Vec<Range<usize>>) -> Cow<'_, str> {
    if secrets.is_empty() {
        return Cow::Borrowed(text);
    }
    // An alias repeats a secret where it stands.
    secrets.sort_by_key(|secret| (secret.start, Reverse(secret.end)));
    secrets.dedup();
    let mut masked = String::with_capacity(text.len());
    for secret in secrets {
        let before = text.get(masked.len()..secret.start);
        let inner = text.get(secret.clone());
        let (Some(before), Some(inner)) = (before, inner) else { continue };
        masked.push_str(before);
        masked.extend(inner.bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }));
    }
    masked.push_str(text.get(masked.len()..).unwrap_or_default());
    Cow::Owned(masked)
}
