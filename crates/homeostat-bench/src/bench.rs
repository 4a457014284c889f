//! What all measurements need: how often, where, and with which programs.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::{ending, rows};

/// Rounds unless told otherwise: the least that a median is worth something with.
const ROUNDS: usize = 5;

/// How, where and with what to measure.
#[derive(Debug)]
pub(crate) struct Bench {
    /// Rounds of each measurement.
    pub(crate) rounds: usize,
    /// The engine's binary, built as it is released.
    pub(crate) engine: PathBuf,
    /// The root of the tree.
    pub(crate) root: PathBuf,
    /// Where compiled peers are kept between calls.
    pub(crate) peers: PathBuf,
    /// Everything else; gone at the end.
    scratch: TempDir,
}

impl Bench {
    pub(crate) fn prepare() -> Result<Self> {
        let rounds = match std::env::var("BENCH_ROUNDS") {
            Ok(text) => text.parse().context("BENCH_ROUNDS is a number of rounds")?,
            Err(_) => ROUNDS,
        };
        let beside = std::env::current_exe()?;
        let beside = beside.parent().context("this program lies in a directory")?;
        let engine = beside.join("homeostat");
        if !engine.is_file() {
            bail!("there is no {}: use make bench, which builds it", engine.display());
        }
        let peers = beside.join("bench-peers");
        std::fs::create_dir_all(&peers)?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
        // Not the system's temporary directory, which is often in memory: the disk is measured.
        let disk = std::env::var_os("BENCH_DIR").map_or_else(|| beside.to_owned(), PathBuf::from);
        let scratch = tempfile::Builder::new().prefix("bench-").tempdir_in(disk)?;
        ending::clean_up_on_signals(scratch.path().to_owned())?;
        Ok(Self { rounds: rounds.max(1), engine, root, peers, scratch })
    }

    /// A directory of its own on the disk that is measured. It stays until the end: ext4 looks
    /// long for an inode where many were given back in the last seconds, which would be measured.
    pub(crate) fn directory(&self) -> Result<PathBuf> {
        Ok(tempfile::tempdir_in(self.scratch.path())?.keep())
    }

    /// A file that lives as long as the benchmark.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        let path = self.scratch.path().join(name);
        std::fs::write(&path, content)?;
        Ok(path)
    }

    /// A file of the tree.
    pub(crate) fn source(&self, name: &str) -> PathBuf {
        self.root.join("bench/peers").join(name)
    }
}

/// Which measurements were asked for; none means all.
pub(crate) fn only() -> Result<Vec<String>> {
    let text = std::env::var("BENCH_ONLY").unwrap_or_default();
    let names: Vec<String> =
        text.split(',').map(|name| name.trim().to_owned()).filter(|n| !n.is_empty()).collect();
    for name in &names {
        if !rows::ALL.iter().any(|(known, _)| known == name) {
            let known: Vec<&str> = rows::ALL.iter().map(|(known, _)| *known).collect();
            bail!("there is no measurement {name:?}; there are: {}", known.join(", "));
        }
    }
    Ok(names)
}
