//! The setting of a process: as whom it runs, where, with which variables and which secrets.
//!
//! The values of secrets are in no order, journal, log or frame: only the names of their files are.
//! Whoever starts the process reads them then, and puts a copy of each where the process alone reads
//! it: `secrets/<name>/`, which is gone with the run.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::claim::storage;
use super::limits::SECRET_MAX;
use super::spawn::Identity;

/// The directory of the secrets of all runs, in the storage directory.
pub const SECRETS: &str = "secrets";

/// The variable that says where the files with secrets are.
pub const SECRETS_VARIABLE: &str = "HOMEOSTAT_SECRETS";

/// What a process has besides its program and its data. By default it has nothing of it: it runs as
/// the engine does, in a directory of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Setting {
    /// As whom it runs, if not as the engine.
    pub identity: Option<Identity>,
    /// Where it runs, if not in a directory of its own.
    pub directory: Option<PathBuf>,
    /// Variables, which are none of ours.
    pub variables: Vec<(String, String)>,
    /// Secrets.
    pub secrets: Vec<SecretFile>,
}

/// A secret that a process is handed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretFile {
    /// Its name, that of a file and of a variable: `[A-Za-z_][A-Za-z0-9_]*`.
    pub name: String,
    /// Where it stands.
    pub file: PathBuf,
    /// Whether it is a variable, too. A variable is inherited by all that the process starts, and
    /// stands in the system's lists of processes for the same user.
    pub as_variable: bool,
}

/// The private directory of one run. Removed with all that is in it when it is dropped.
#[derive(Debug)]
pub(super) struct Secrets {
    path: PathBuf,
}

impl Drop for Secrets {
    fn drop(&mut self) {
        // What is left of it is removed with the order, or by the next runner.
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Setting {
    /// Refuses what cannot be a name or a value of a variable.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let nul = |place: &str| Err(Refusal::Nul { place: place.to_owned() });
        for (name, value) in &self.variables {
            if value.contains('\0') || !is_variable(name) {
                return nul(name);
            }
        }
        match self.secrets.iter().find(|secret| !is_variable(&secret.name)) {
            Some(secret) => nul(&secret.name),
            None => Ok(()),
        }
    }

    /// Gives a file or directory to whoever the process runs as.
    pub(super) fn hand_over(&self, path: &Path) -> Result<(), Refusal> {
        self.give(path).map_err(|error| storage("give the action its directory", &error))
    }

    /// Hands over the secrets, and dresses the command with them and with the variables.
    pub(super) fn dress(
        &self,
        command: &mut Command,
        root: &Path,
        name: &str,
    ) -> Result<Option<Secrets>, Refusal> {
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if self.secrets.is_empty() {
            return Ok(None);
        }
        let secrets = self.private_directory(&root.join(SECRETS).join(name));
        let secrets = secrets.map_err(|error| storage("make a directory for secrets", &error))?;
        for SecretFile { name, file, as_variable } in &self.secrets {
            let copied = self.copy(file, &secrets.path.join(name));
            let value = copied.map_err(|error| {
                storage(&format!("hand over the secret {name} from {}", file.display()), &error)
            })?;
            if *as_variable {
                let text = value.strip_suffix(b"\n").unwrap_or(&value);
                if text.contains(&0) {
                    return Err(Refusal::Nul { place: format!("the secret {name}") });
                }
                command.env(name, std::ffi::OsStr::from_bytes(text));
            }
        }
        command.env(SECRETS_VARIABLE, &secrets.path);
        Ok(Some(secrets))
    }

    fn private_directory(&self, path: &Path) -> io::Result<Secrets> {
        if let Some(above) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o711).create(above)?;
        }
        // Of a run that was killed before it was over.
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        DirBuilder::new().mode(0o700).create(path)?;
        let secrets = Secrets { path: path.to_owned() };
        self.give(path)?;
        Ok(secrets)
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<Vec<u8>> {
        let mut value = Vec::new();
        fs::File::open(from)?.take(SECRET_MAX + 1).read_to_end(&mut value)?;
        if value.len() as u64 > SECRET_MAX {
            return Err(io::Error::other(format!("it is longer than {SECRET_MAX} bytes")));
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
        file.write_all(&value)?;
        file.set_permissions(Permissions::from_mode(0o400))?;
        self.give(to)?;
        Ok(value)
    }

    fn give(&self, path: &Path) -> io::Result<()> {
        match &self.identity {
            Some(identity) => {
                std::os::unix::fs::chown(path, Some(identity.user), Some(identity.group))
            }
            None => Ok(()),
        }
    }
}

/// Whether every shell takes it as the name of a variable.
pub fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
