//! A disk that lost the end of what was written: the log of the database is cut at any byte.

use std::fs;

use super::*;

/// Cuts of the log that are tried: at so many places, spread over all of it.
const CUTS: u64 = 200;

/// A cut may lose groups that were written last, as a disk does that lied about what it has synced.
/// What is left is whole groups, from the first on, and an engine goes on from it.
#[test]
fn a_log_that_is_cut_anywhere_holds_whole_groups_and_takes_new_ones() {
    let written = tempfile::tempdir().unwrap();
    let story = story();
    let mut journal = Journal::open(written.path()).unwrap();
    let groups: Vec<&[Fact]> = story.chunks(2).collect();
    for group in &groups {
        journal.commit(group).unwrap();
    }
    let (database, log) = ("homeostat.db", "homeostat.db-wal");
    let whole = fs::read(written.path().join(log)).unwrap();
    let mut lengths = std::collections::BTreeSet::new();
    for cut in 0..=CUTS {
        let kept = whole.len() * usize::try_from(cut).unwrap() / usize::try_from(CUTS).unwrap();
        let torn = tempfile::tempdir().unwrap();
        fs::copy(written.path().join(database), torn.path().join(database)).unwrap();
        fs::write(torn.path().join(log), &whole[..kept]).unwrap();
        let mut journal = Journal::open(torn.path()).unwrap();
        let facts = read_back(&journal);
        assert_eq!(facts, story[..facts.len()], "cut at {kept}: what is left is the beginning");
        assert!(facts.len().is_multiple_of(2) || facts == story, "cut at {kept}: half a group");
        lengths.insert(facts.len());

        journal.commit(&story[facts.len()..]).unwrap();
        drop(journal);
        assert_eq!(read_back(&Journal::open(torn.path()).unwrap()), story, "cut at {kept}");
        let verified = verify(torn.path(), None).unwrap();
        assert!(verified.is_whole(), "cut at {kept}: {verified:?}");
    }
    assert_eq!(lengths.len(), groups.len() + 1, "every group was once the last: {lengths:?}");
}
