//! Collections that are seldom more than empty.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// A collection that takes no more than a pointer until something is put in. Of a hundred thousand
/// incidents in a storm, few were ever acted on.
///
/// It reads, compares and is written as the collection; changing it is explicit, so that nobody makes
/// room by looking.
#[derive(Clone)]
pub struct Rare<T>(Option<Box<T>>);

/// What may be [`Rare`].
pub trait Collection: Default + 'static {
    /// An empty one.
    const EMPTY: &'static Self;

    /// Tells whether nothing is in it.
    fn has_none(&self) -> bool;
}

impl<T: 'static> Collection for Vec<T> {
    const EMPTY: &'static Self = &Vec::new();

    fn has_none(&self) -> bool {
        self.is_empty()
    }
}

impl<T: 'static> Collection for BTreeSet<T> {
    const EMPTY: &'static Self = &BTreeSet::new();

    fn has_none(&self) -> bool {
        self.is_empty()
    }
}

impl<K: 'static, V: 'static> Collection for BTreeMap<K, V> {
    const EMPTY: &'static Self = &BTreeMap::new();

    fn has_none(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Collection> Rare<T> {
    /// Tells whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.has_none()
    }

    /// Gives room, to put something in.
    pub(crate) fn room(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }

    /// Changes what is in it, if anything is.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut T)) {
        if let Some(mut all) = self.0.take() {
            change(&mut all);
            self.0 = Some(all).filter(|all| !all.has_none());
        }
    }

    /// Takes everything out.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Collection> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::EMPTY)
    }
}

impl<T: Collection + PartialEq> PartialEq for Rare<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Collection + Eq> Eq for Rare<T> {}

impl<T: Collection + std::fmt::Debug> std::fmt::Debug for Rare<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Collection + Serialize> Serialize for Rare<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: Collection + Deserialize<'de>> Deserialize<'de> for Rare<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = T::deserialize(deserializer)?;
        Ok(Self(Some(all).filter(|all| !all.has_none()).map(Box::new)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_and_is_written_as_its_collection_and_is_small_while_empty() {
        let mut tried: Rare<Vec<String>> = serde_json::from_str("[]").unwrap();
        assert_eq!((tried.len(), tried.is_empty(), tried.0.is_none()), (0, true, true));
        tried.change(|_| unreachable!("there is nothing to change"));
        tried.room().push("restart".to_owned());
        let written = serde_json::to_string(&tried).unwrap();
        assert_eq!(written, r#"["restart"]"#);
        assert_eq!(serde_json::from_str::<Rare<Vec<String>>>(&written).unwrap(), tried);
        tried.change(Vec::clear);
        assert!(tried.0.is_none());
        assert_eq!(size_of::<Rare<Vec<String>>>(), size_of::<usize>());
    }
}
