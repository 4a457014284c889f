//! Of which files a configuration is made, and which bytes of its one text are whose.
//!
//! Duty: all files stand in one text, one after the other, so that a place is a range of bytes
//! wherever it is. This room tells whose place it is. Not its duty: finding and reading files.

use std::ops::Range;
use std::path::{Path, PathBuf};

use homeostat_core::configuration::ReadFile;
use sha2::{Digest as _, Sha256};

/// Files in one text.
#[derive(Debug, Default)]
pub(crate) struct Files {
    text: String,
    /// In the order of the text.
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    name: String,
    start: usize,
}

impl Files {
    /// A text that goes by the name of a file.
    pub(crate) fn one(name: &str, text: &str) -> Self {
        let mut files = Self::default();
        files.push(name, text);
        files
    }

    /// Adds a file, and tells where its text begins.
    pub(crate) fn push(&mut self, name: &str, text: &str) -> usize {
        if !self.parts.is_empty() {
            // What is wrong at the end of a file is not at the beginning of the next.
            self.text.push('\n');
        }
        let start = self.text.len();
        self.text.push_str(text);
        self.parts.push(Part { name: name.to_owned(), start });
        start
    }

    /// The text of all files.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The files, each with the SHA-256 of its text.
    pub(crate) fn read(&self) -> Vec<ReadFile> {
        let ends = self.parts.iter().skip(1).map(|next| next.start - 1);
        let ends = ends.chain([self.text.len()]);
        let read = |(part, end): (&Part, usize)| read(&part.name, &self.text[part.start..end]);
        self.parts.iter().zip(ends).map(read).collect()
    }

    /// The name of the file in which a place stands, and where that file begins.
    pub(crate) fn of(&self, place: &Range<usize>) -> (&str, usize) {
        let after = self.parts.partition_point(|part| part.start <= place.start);
        let part = after.checked_sub(1).and_then(|at| self.parts.get(at));
        part.map_or(("", 0), |part| (&part.name, part.start))
    }

    /// A path, meant from the directory of the file in which it stands.
    pub(crate) fn resolve(&self, place: &Range<usize>, path: &str) -> PathBuf {
        let (name, _) = self.of(place);
        Path::new(name).parent().unwrap_or(Path::new("")).join(path)
    }
}

/// A file as `sha256sum` prints it.
pub(crate) fn read(name: &str, text: &str) -> ReadFile {
    let digest = Sha256::digest(text);
    let digits: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    ReadFile { name: name.to_owned(), sha256: digits.concat() }
}
