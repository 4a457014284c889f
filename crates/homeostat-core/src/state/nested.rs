//! A map by two keys of which few share the first: it is kept once for all that have it, and compared
//! once to find any of them.

use std::collections::BTreeMap;

/// The map, and how much is in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Nested<A, B, V> {
    rows: BTreeMap<A, BTreeMap<B, V>>,
    len: usize,
}

impl<A, B, V> Default for Nested<A, B, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), len: 0 }
    }
}

impl<A: Ord + Clone, B: Ord, V> Nested<A, B, V> {
    pub(super) fn get(&self, first: &A, second: &B) -> Option<&V> {
        self.rows.get(first)?.get(second)
    }

    pub(super) fn get_mut(&mut self, first: &A, second: &B) -> Option<&mut V> {
        self.rows.get_mut(first)?.get_mut(second)
    }

    pub(super) fn insert(&mut self, first: &A, second: B, value: V) {
        let row = match self.rows.get_mut(first) {
            Some(row) => row,
            None => self.rows.entry(first.clone()).or_default(),
        };
        self.len += usize::from(row.insert(second, value).is_none());
    }

    pub(super) fn remove(&mut self, first: &A, second: &B) {
        let Some(row) = self.rows.get_mut(first) else { return };
        self.len -= usize::from(row.remove(second).is_some());
        if row.is_empty() {
            self.rows.remove(first);
        }
    }

    /// What is kept under this second key, whatever the first.
    pub(super) fn all(&self, second: &B) -> impl Iterator<Item = &V> {
        self.rows.values().filter_map(move |row| row.get(second))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.rows.values().flat_map(BTreeMap::values)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}
