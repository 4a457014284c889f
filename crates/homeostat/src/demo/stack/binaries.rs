//! Where the programs of the stack are on this machine.

use std::env;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::StackError;

/// A program of the Prometheus stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// The Prometheus server.
    Prometheus,
    /// The Alertmanager.
    Alertmanager,
}

impl Binary {
    const fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus",
            Self::Alertmanager => "Alertmanager",
        }
    }

    const fn variable(self) -> &'static str {
        match self {
            Self::Prometheus => "PROMETHEUS",
            Self::Alertmanager => "ALERTMANAGER",
        }
    }

    /// File names, the distribution's before upstream's.
    const fn file_names(self) -> &'static [&'static str] {
        match self {
            Self::Prometheus => &["prometheus"],
            Self::Alertmanager => &["prometheus-alertmanager", "alertmanager"],
        }
    }
}

/// Finds a program: at the path that `PROMETHEUS` or `ALERTMANAGER` says, else on the `PATH`.
///
/// # Errors
///
/// [`StackError::Missing`], whose text says what to do, and [`StackError::NotAProgram`].
pub fn find(binary: Binary) -> Result<PathBuf, StackError> {
    let variable = binary.variable();
    if let Some(named) = env::var_os(variable).filter(|value| !value.is_empty()) {
        let named = PathBuf::from(named);
        return if runs(&named) {
            Ok(named)
        } else {
            Err(StackError::NotAProgram { variable, named })
        };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = env::split_paths(&path).collect();
    look_in(&places, binary).ok_or_else(|| StackError::Missing {
        name: binary.name(),
        tried: binary.file_names().join(" or "),
        variable,
    })
}

fn look_in(places: &[PathBuf], binary: Binary) -> Option<PathBuf> {
    let candidates = binary.file_names().iter();
    candidates.flat_map(|name| places.iter().map(move |p| p.join(name))).find(|p| runs(p))
}

fn runs(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn place(name: &str, mode: u32) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(name);
        fs::write(&file, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        directory
    }

    #[test]
    fn the_name_of_the_distribution_is_preferred_to_upstreams() {
        let (upstream, debian) =
            (place("alertmanager", 0o755), place("prometheus-alertmanager", 0o755));
        let places = [upstream.path().to_owned(), debian.path().to_owned()];
        let found = look_in(&places, Binary::Alertmanager);
        assert_eq!(found, Some(debian.path().join("prometheus-alertmanager")));
    }

    #[test]
    fn a_file_that_cannot_be_executed_is_passed_over() {
        let (plain, program) = (place("prometheus", 0o644), place("prometheus", 0o755));
        let places = [plain.path().to_owned(), program.path().to_owned()];
        let found = look_in(&places, Binary::Prometheus);
        assert_eq!(found, Some(program.path().join("prometheus")));
        assert_eq!(look_in(&places[..1], Binary::Prometheus), None);
    }

    #[test]
    fn what_is_missing_is_told_with_what_to_do() {
        let missing = StackError::Missing {
            name: Binary::Alertmanager.name(),
            tried: Binary::Alertmanager.file_names().join(" or "),
            variable: Binary::Alertmanager.variable(),
        };
        let told = missing.to_string();
        assert!(told.contains("make deps") && told.contains("ALERTMANAGER="), "{told}");
    }
}
