//! The incidents of one policy and one target: seldom more than one. An older one may still be latched,
//! or a person may look after it, when a new trouble begins.

use crate::name::IncidentId;

/// At least one incident, the newest first.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Succession {
    newest: IncidentId,
    /// In their order.
    #[allow(
        clippy::box_collection,
        reason = "there is one for each incident, and seldom any in it"
    )]
    older: Option<Box<Vec<IncidentId>>>,
}

impl Succession {
    pub(super) fn of(id: IncidentId) -> Self {
        Self { newest: id, older: None }
    }

    pub(super) fn newest(&self) -> IncidentId {
        self.newest
    }

    /// Tells whether there is only one.
    pub(super) fn is_alone(&self) -> bool {
        self.older.is_none()
    }

    /// Lists them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = IncidentId> + '_ {
        self.older.iter().flat_map(|older| older.iter().copied()).chain([self.newest])
    }

    /// Takes in another one, whenever it opened.
    pub(super) fn enter(&mut self, id: IncidentId) {
        let (newest, other) = (self.newest.max(id), self.newest.min(id));
        self.newest = newest;
        let older = self.older.get_or_insert_default();
        if let Err(place) = older.binary_search(&other) {
            older.insert(place, other);
        }
    }

    /// Lets one go. Returns whether any is left.
    pub(super) fn leave(&mut self, id: IncidentId) -> bool {
        let Some(older) = &mut self.older else { return self.newest != id };
        if self.newest == id {
            self.newest = older.pop().unwrap_or(id);
        } else {
            older.retain(|other| *other != id);
        }
        if older.is_empty() {
            self.older = None;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_is_left_leads_in_whatever_order_they_came() {
        let [one, two, three] = [IncidentId(1), IncidentId(2), IncidentId(3)];
        let mut forwards = Succession::of(one);
        forwards.enter(two);
        forwards.enter(three);
        let mut backwards = Succession::of(three);
        backwards.enter(one);
        backwards.enter(two);
        assert_eq!(forwards, backwards);
        assert_eq!(forwards.iter().collect::<Vec<_>>(), [one, two, three]);
        assert!(forwards.leave(three));
        assert_eq!(forwards.newest(), two);
        assert!(forwards.leave(one) && forwards == Succession::of(two));
        assert!(!forwards.leave(two));
    }
}
