//! Finds and reads the files of a configuration.
//!
//! ```text
//! paths ──▶ files, directories' files by name ──▶ each, then what it includes by name ──▶ one text
//! ```
//!
//! Duty: which files there are, in which order, bounded. A file that is met again is read once. Not
//! its duty: what stands in them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern, glob_with};
use homeostat_core::configuration::ReadFile;

use crate::files::Files;
use crate::read::{Reader, Text};
use crate::report::{Problem, Report};
use crate::yaml::{self, Node};
use crate::{limits, raw};

/// Files as they were read.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// What was asked for.
    pub(crate) name: String,
    pub(crate) files: Files,
    /// What stands in those that are not empty; `None` where that cannot be told.
    pub(crate) documents: Vec<Option<Node>>,
    pub(crate) problems: Vec<Problem>,
    /// Whether one that was asked for could not be read.
    pub(crate) unread: bool,
    /// Those that have been met, by their real paths.
    met: BTreeSet<PathBuf>,
    bytes: usize,
    nodes: usize,
}

/// Reads files, the files of directories, and what they include.
pub(crate) fn gather<P: AsRef<Path>>(paths: &[P]) -> Gathered {
    let names: Vec<String> = paths.iter().map(|path| path.as_ref().display().to_string()).collect();
    let mut gathered = Gathered { name: names.join(", "), ..Gathered::default() };
    for path in paths {
        match listed(path.as_ref()) {
            Ok(files) => files.iter().for_each(|file| gathered.asked(file)),
            Err(error) => gathered.unreadable(path.as_ref(), &error),
        }
    }
    gathered
}

/// Returns which files these are now, whether what stands in them is right or not. A file that cannot be
/// read is not among them.
pub fn look<P: AsRef<Path>>(paths: &[P]) -> Vec<ReadFile> {
    gather(paths).files.read()
}

/// A file, or the files of a directory by name.
fn listed(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files = entries.collect::<io::Result<Vec<PathBuf>>>()?;
    files.retain(|file| is_shown(file) && is_yaml(file) && !is_test(file) && file.is_file());
    files.sort();
    if files.is_empty() {
        return Err(io::Error::other("there is no *.yml and no *.yaml in this directory"));
    }
    Ok(files)
}

fn is_shown(path: &Path) -> bool {
    path.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."))
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "yml" || end == "yaml")
}

/// Policy tests stand beside what they test, by such names.
fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|name| name.as_encoded_bytes().ends_with(b".test"))
}

impl Gathered {
    /// A text that goes by the name of a file.
    pub(crate) fn text(name: &str, text: &str) -> Self {
        let mut gathered = Self { name: name.to_owned(), ..Self::default() };
        if text.len() > limits::FILE_BYTES {
            gathered.problems.push(too_large().named(name));
            gathered.documents.push(None);
            return gathered;
        }
        gathered.understand(name, text);
        for pattern in gathered.patterns(0) {
            let problem = Problem::error(pattern.span, "only files that are read include others");
            gathered.problems.push(problem);
        }
        gathered
    }

    /// Takes a file that was asked for, and what it includes.
    fn asked(&mut self, path: &Path) {
        if !self.meet(path) {
            return;
        }
        let own = self.documents.len();
        if let Err(error) = self.take(path) {
            return self.unreadable(path, &error);
        }
        for pattern in self.patterns(own) {
            self.include(path, &pattern);
        }
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        let problem = Problem::of_file(format!("cannot be read: {error}"));
        self.problems.push(problem.named(&path.display().to_string()));
        self.documents.push(None);
        self.unread = true;
    }

    /// Whether a file is met for the first time.
    fn meet(&mut self, path: &Path) -> bool {
        self.met.insert(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()))
    }

    /// What a document includes, if there is one. Where that is not well said, it is told when the
    /// whole of it is read.
    fn patterns(&self, document: usize) -> Vec<Text> {
        let Some(Some(document)) = self.documents.get(document) else { return Vec::new() };
        raw::includes(&mut Reader::new(self.files.text()), document)
    }

    /// Takes the files that a pattern means, each by itself: they include nothing.
    fn include(&mut self, from: &Path, pattern: &Text) {
        let place = || pattern.span.clone();
        let found = match matching(from, &pattern.value) {
            Ok(found) => found,
            Err(why) => return self.problems.push(Problem::error(place(), why)),
        };
        if found.is_empty() {
            let problem = Problem::note(place(), "no file is included by this pattern");
            return self.problems.push(problem);
        }
        for file in found {
            if !self.meet(&file) {
                continue;
            }
            let own = self.documents.len();
            if let Err(error) = self.take(&file) {
                let message = format!("{} cannot be read: {error}", file.display());
                self.problems.push(Problem::error(place(), message));
                self.documents.push(None);
            }
            self.refuse_further(own, from);
        }
    }

    fn refuse_further(&mut self, document: usize, from: &Path) {
        for pattern in self.patterns(document) {
            let problem = Problem::error(pattern.span, "an included file includes nothing further");
            let help = format!("write the pattern in {}, from its directory", from.display());
            self.problems.push(problem.help(help));
        }
    }

    /// Reads a file, bounded.
    fn take(&mut self, path: &Path) -> io::Result<()> {
        let name = path.display().to_string();
        if self.met.len() > limits::FILES {
            return Err(io::Error::other(format!("there are more than {} files", limits::FILES)));
        }
        let bytes = read_bytes(path, limits::FILE_BYTES - self.bytes)?;
        self.bytes += bytes.len();
        if self.bytes > limits::FILE_BYTES {
            self.bytes = limits::FILE_BYTES;
            self.problems.push(too_large().named(&name));
            self.documents.push(None);
            return Ok(());
        }
        match String::from_utf8(bytes) {
            Ok(text) => self.understand(&name, &text),
            Err(error) => {
                let readable = error.utf8_error().valid_up_to();
                let start = self.files.push(&name, &String::from_utf8_lossy(&error.into_bytes()));
                self.problems.push(no_text(start + readable));
                self.documents.push(None);
            }
        }
        Ok(())
    }

    fn understand(&mut self, name: &str, text: &str) {
        let start = self.files.push(name, text);
        match yaml::parse_part(text, start, &mut self.nodes) {
            Ok(None) => {}
            Ok(document) => self.documents.push(document),
            Err(problem) => {
                self.problems.push(problem);
                self.documents.push(None);
            }
        }
    }
}

/// The files that a pattern means, by name; hidden ones and policy tests are not meant.
fn matching(from: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let directory = from.parent().unwrap_or(Path::new(""));
    if !pattern.contains(['*', '?', '[']) {
        return Ok(vec![directory.join(pattern)]);
    }
    let directory = directory.to_str().ok_or("the path of this file is not UTF-8")?;
    let whole = Path::new(&Pattern::escape(directory)).join(pattern);
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let whole = whole.to_str().ok_or("the path of this file is not UTF-8")?;
    let found =
        glob_with(whole, options).map_err(|error| format!("not a pattern: {}", error.msg))?;
    let is_meant = |file: &PathBuf| file.is_file() && !is_test(file);
    let found = found.filter(|file| file.as_ref().map_or(true, is_meant));
    found.take(limits::FILES + 1).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

fn too_large() -> Problem {
    let bound = limits::FILE_BYTES / (1024 * 1024);
    Problem::of_file(format!("larger than {bound} MiB, together with the files before it"))
}

fn no_text(at: usize) -> Problem {
    Problem::error(at..at + 1, "these bytes are not UTF-8")
}

/// Reads a file; one byte too many where it is larger.
fn read_bytes(path: &Path, bound: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(bound as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a text file, bounded.
///
/// # Errors
///
/// The file cannot be read, or its bytes are not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Report> {
    let name = path.display().to_string();
    let bytes = read_bytes(path, limits::FILE_BYTES)
        .map_err(|error| Report::unread(&name, &error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let readable = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        Report::new(&name, &text, vec![no_text(readable)])
    })
}
