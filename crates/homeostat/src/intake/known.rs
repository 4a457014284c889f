//! Notifications that are known word by word: what an Alertmanager sends anew is equal byte for byte, and
//! need not be read again to know which alerts it repeats.
//!
//! Only such as were read without a flaw, say the same whenever they come, and were answered without the
//! engine, are here. Whether their alerts still rest is asked each time.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use homeostat_core::name::SourceName;
use homeostat_core::repeats::Repeat;
use parking_lot::Mutex;

/// Alerts in all notifications that are known at once, of 40 bytes each. Beyond it all are forgotten, and
/// those that still come are soon known again.
const ALERTS: usize = 100_000;

/// The notifications that are known, by a keyed hash of source and body.
#[derive(Debug, Default)]
pub(super) struct Known {
    key: RandomState,
    notifications: Mutex<Notifications>,
}

#[derive(Debug, Default)]
struct Notifications {
    by_hash: HashMap<u64, Arc<[Repeat]>>,
    alerts: usize,
}

impl Known {
    /// What stands for a body of a source: nobody who does not know the key can make two that agree.
    pub(super) fn hash(&self, source: &SourceName, body: &[u8]) -> u64 {
        self.key.hash_one((source, body))
    }

    /// Returns what a notification repeats, if it is known.
    pub(super) fn find(&self, hash: u64) -> Option<Arc<[Repeat]>> {
        self.notifications.lock().by_hash.get(&hash).cloned()
    }

    /// Knows a notification from now on.
    pub(super) fn learn(&self, hash: u64, repeats: Vec<Repeat>) {
        let mut known = self.notifications.lock();
        if known.alerts + repeats.len() > ALERTS {
            *known = Notifications::default();
        }
        known.alerts += repeats.len();
        if let Some(before) = known.by_hash.insert(hash, repeats.into()) {
            known.alerts -= before.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use homeostat_core::name::EpisodeId;

    use super::*;

    fn repeats(count: u64) -> Vec<Repeat> {
        let repeat = |id| Repeat { episode: EpisodeId(id), starts_at: None, ends_at: None };
        (0..count).map(repeat).collect()
    }

    #[test]
    fn a_notification_is_known_by_its_source_and_each_of_its_bytes() {
        let known = Known::default();
        let hash = |source, body| known.hash(&SourceName::new(source), body);
        known.learn(hash("main", b"{}"), repeats(1));
        assert_eq!(known.find(hash("main", b"{}")).as_deref(), Some(&*repeats(1)));
        for other in
            [hash("other", b"{}"), hash("main", b"{} "), hash("main", b"{"), hash("main", b"")]
        {
            assert_eq!(known.find(other), None);
        }
    }

    #[test]
    fn what_is_known_is_bounded_by_alerts() {
        let known = Known::default();
        for _ in 0..3 {
            known.learn(1, repeats(ALERTS as u64 - 1));
        }
        known.learn(2, repeats(1));
        assert!(known.find(1).is_some() && known.find(2).is_some(), "what is learned again is one");
        known.learn(3, repeats(1));
        assert!(known.find(1).is_none() && known.find(2).is_none() && known.find(3).is_some());
    }
}
