//! A map by two keys of which few share the first: it is kept once for all that have it, and compared
//! once to find any of them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// The map, and how much is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nested<A, B, V> {
    rows: BTreeMap<A, BTreeMap<B, V>>,
    len: usize,
}

impl<A, B, V> Default for Nested<A, B, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), len: 0 }
    }
}

impl<A: Ord + Clone, B: Ord, V> Nested<A, B, V> {
    pub(crate) fn get(&self, first: &A, second: &B) -> Option<&V> {
        self.rows.get(first)?.get(second)
    }

    pub(crate) fn get_mut(&mut self, first: &A, second: &B) -> Option<&mut V> {
        self.rows.get_mut(first)?.get_mut(second)
    }

    /// Returns what was kept under the keys before.
    pub(crate) fn insert(&mut self, first: &A, second: B, value: V) -> Option<V> {
        let before = row(&mut self.rows, first).insert(second, value);
        self.len += usize::from(before.is_none());
        before
    }

    pub(crate) fn get_or_insert_with(
        &mut self,
        first: &A,
        second: &B,
        new: impl FnOnce() -> V,
    ) -> &mut V
    where
        B: Clone,
    {
        let Self { rows, len } = self;
        match row(rows, first).entry(second.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => {
                *len += 1;
                vacant.insert(new())
            }
        }
    }

    pub(crate) fn remove(&mut self, first: &A, second: &B) {
        let Some(row) = self.rows.get_mut(first) else { return };
        self.len -= usize::from(row.remove(second).is_some());
        if row.is_empty() {
            self.rows.remove(first);
        }
    }

    /// What is kept under this second key, whatever the first.
    pub(crate) fn all(&self, second: &B) -> impl Iterator<Item = &V> {
        self.rows.values().filter_map(move |row| row.get(second))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&A, &B, &V)> {
        self.rows
            .iter()
            .flat_map(|(first, row)| row.iter().map(move |(second, value)| (first, second, value)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&A, &B, &mut V)> {
        self.rows.iter_mut().flat_map(|(first, row)| {
            row.iter_mut().map(move |(second, value)| (first, second, value))
        })
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.rows.values().flat_map(BTreeMap::values)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

fn row<'a, A: Ord + Clone, R: Default>(rows: &'a mut BTreeMap<A, R>, first: &A) -> &'a mut R {
    rows.entry(first.clone()).or_default()
}
