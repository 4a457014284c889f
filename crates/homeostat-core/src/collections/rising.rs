//! A map and a set of keys that mostly grow, as numbers do that are given one after the other.
//!
//! A tree splits a node that is full in the middle, wherever the new key belongs: of keys that only
//! grow, each node but the last stays half empty for ever. Here they lie in chunks, and a key behind a
//! full chunk begins a new one:
//!
//! ```text
//!  bounds     1                33               71
//!             │                │                │
//!  chunks     1 2 3 … 31 32    33 34 … 69 70    71 72 ─▶ 73
//! ```
//!
//! Each bound is at most the first key of its chunk, and more than the last key of the chunk before.

use std::collections::VecDeque;
use std::fmt;

/// The entries of a chunk that is full.
const FULL: usize = 32;

/// The entries of a chunk that may go to the one before.
const FEW: usize = FULL / 4;

/// A map, in the order of its keys.
#[derive(Clone)]
pub(crate) struct RisingMap<K, V> {
    chunks: VecDeque<Chunk<K, V>>,
    len: usize,
}

/// A part of the keys. It has some.
#[derive(Clone)]
struct Chunk<K, V> {
    bound: K,
    entries: Vec<(K, V)>,
}

impl<K, V> Default for RisingMap<K, V> {
    fn default() -> Self {
        Self { chunks: VecDeque::new(), len: 0 }
    }
}

impl<K: Ord + Clone, V> RisingMap<K, V> {
    /// The chunk that has the key, if any has: the last whose bound is not above it.
    fn chunk_of(&self, key: &K) -> Option<usize> {
        // Of keys that grow, most are looked for where they were put in: at the end.
        match self.chunks.back() {
            Some(last) if last.bound <= *key => Some(self.chunks.len() - 1),
            _ => self.chunks.partition_point(|chunk| chunk.bound <= *key).checked_sub(1),
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let chunk = &self.chunks[self.chunk_of(key)?].entries;
        place(chunk, key).ok().map(|place| &chunk[place].1)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.chunk_of(key)?;
        let chunk = &mut self.chunks[at].entries;
        place(chunk, key).ok().map(|place| &mut chunk[place].1)
    }

    /// Returns what was kept under the key before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let at = self.chunk_of(&key).unwrap_or_else(|| self.begin_with(&key));
        let chunk = &mut self.chunks[at].entries;
        let place = match place(chunk, &key) {
            Ok(place) => return Some(std::mem::replace(&mut chunk[place].1, value)),
            Err(place) => place,
        };
        self.len += 1;
        if let Some((bound, entries)) = insert(chunk, place, (key, value)) {
            self.chunks.insert(at + 1, Chunk { bound, entries });
        }
        None
    }

    /// Lets the first chunk begin with this key, which is less than all.
    fn begin_with(&mut self, key: &K) -> usize {
        let bound = key.clone();
        match self.chunks.front_mut() {
            Some(first) => first.bound = bound,
            None => self.chunks.push_back(Chunk { bound, entries: Vec::new() }),
        }
        0
    }

    /// Returns what was kept under the key.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.chunk_of(key)?;
        let chunk = &mut self.chunks[at].entries;
        let place = place(chunk, key).ok()?;
        let (_, value) = chunk.remove(place);
        self.len -= 1;
        match chunk.len() {
            0 => drop(self.chunks.remove(at)),
            FEW => self.gather(at),
            _ => {}
        }
        Some(value)
    }

    /// Puts what is left of a chunk to the chunk before where there is room, and leaves none unused.
    fn gather(&mut self, at: usize) {
        let has_room = |before: usize| self.chunks[before].entries.len() + FEW <= FULL;
        if let Some(before) = at.checked_sub(1).filter(|before| has_room(*before)) {
            let rest = self.chunks.remove(at).map(|chunk| chunk.entries);
            self.chunks[before].entries.extend(rest.into_iter().flatten());
        } else {
            self.chunks[at].entries.shrink_to_fit();
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> + Clone {
        self.chunks.iter().flat_map(|chunk| &chunk.entries).map(|(key, value)| (key, value))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> + Clone {
        self.iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> + Clone {
        self.iter().map(|(_, value)| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.chunks.iter_mut().flat_map(|chunk| &mut chunk.entries).map(|(_, value)| value)
    }

    /// The entries from this key on.
    fn starting_at<'a>(&'a self, key: &K) -> impl Iterator<Item = &'a (K, V)> + use<'a, K, V> {
        let first = self.chunk_of(key).unwrap_or(0);
        let less = |chunk: &Chunk<K, V>| chunk.entries.partition_point(|(other, _)| other < key);
        let less = self.chunks.get(first).map_or(0, less);
        self.chunks.range(first..).flat_map(|chunk| &chunk.entries).skip(less)
    }
}

/// Where a key is in a chunk, or belongs.
fn place<K: Ord, V>(chunk: &[(K, V)], key: &K) -> Result<usize, usize> {
    chunk.binary_search_by(|(other, _)| other.cmp(key))
}

/// Puts an entry into a chunk. Where that was full, returns another one with all from its bound on.
fn insert<K: Clone, V>(
    chunk: &mut Vec<(K, V)>,
    place: usize,
    entry: (K, V),
) -> Option<(K, Vec<(K, V)>)> {
    if chunk.len() < FULL {
        chunk.insert(place, entry);
        return None;
    }
    if place == FULL {
        return Some((entry.0.clone(), vec![entry]));
    }
    let mut upper = chunk.split_off(FULL / 2);
    match place.checked_sub(FULL / 2) {
        Some(place) => upper.insert(place, entry),
        None => chunk.insert(place, entry),
    }
    Some((upper[0].0.clone(), upper))
}

impl<K: Ord + Clone, V: PartialEq> PartialEq for RisingMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Ord + Clone, V: Eq> Eq for RisingMap<K, V> {}

impl<K: Ord + Clone + fmt::Debug, V: fmt::Debug> fmt::Debug for RisingMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A set, in the order of its keys.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RisingSet<K: Ord + Clone>(RisingMap<K, ()>);

impl<K: Ord + Clone> Default for RisingSet<K> {
    fn default() -> Self {
        Self(RisingMap::default())
    }
}

impl<K: Ord + Clone> RisingSet<K> {
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.0.get(key).is_some()
    }

    pub(crate) fn insert(&mut self, key: K) {
        self.0.insert(key, ());
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.0.remove(key);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &K> + Clone {
        self.0.keys()
    }

    pub(crate) fn first(&self) -> Option<&K> {
        let (key, ()) = self.0.chunks.front()?.entries.first()?;
        Some(key)
    }

    pub(crate) fn pop_first(&mut self) -> Option<K> {
        let first = &mut self.0.chunks.front_mut()?.entries;
        let (key, ()) = first.remove(0);
        if first.is_empty() {
            self.0.chunks.pop_front();
        }
        self.0.len -= 1;
        Some(key)
    }

    /// The keys from this one on.
    pub(crate) fn starting_at<'a>(&'a self, key: &K) -> impl Iterator<Item = &'a K> + use<'a, K> {
        self.0.starting_at(key).map(|(key, ())| key)
    }
}

impl<K: Ord + Clone> FromIterator<K> for RisingSet<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut set = Self::default();
        keys.into_iter().for_each(|key| set.insert(key));
        set
    }
}

impl<K: Ord + Clone + fmt::Debug> fmt::Debug for RisingSet<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u16),
        Remove(u16),
        /// Many that grow, from this one on.
        Grow(u16, u16),
        /// Many are removed, from this one on.
        Shrink(u16, u16),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let (key, many) = (0u16..400, 0u16..120);
        let one = prop_oneof![
            3 => key.clone().prop_map(Step::Insert),
            3 => key.clone().prop_map(Step::Remove),
            1 => (key.clone(), many.clone()).prop_map(|(from, many)| Step::Grow(from, many)),
            1 => (key, many).prop_map(|(from, many)| Step::Shrink(from, many)),
        ];
        prop::collection::vec(one, 0..120)
    }

    fn check(map: &RisingMap<u16, usize>, model: &BTreeMap<u16, usize>) {
        assert!(map.iter().eq(model.iter()) && map.len() == model.len());
        let mut last = None;
        for Chunk { bound, entries: chunk } in &map.chunks {
            assert!(!chunk.is_empty() && chunk.len() <= FULL);
            assert!(last < Some(*bound) && *bound <= chunk[0].0);
            last = chunk.last().map(|(key, _)| *key);
        }
        for key in 0..520 {
            assert_eq!(map.get(&key), model.get(&key), "{key}");
            let from = map.starting_at(&key).map(|(key, value)| (key, value));
            assert!(from.take(2).eq(model.range(key..).take(2)), "from {key} on");
        }
        assert!(map.starting_at(&70).map(|(key, value)| (key, value)).eq(model.range(70..)));
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in steps()) {
            let (mut map, mut model) = (RisingMap::default(), BTreeMap::new());
            for (number, step) in steps.into_iter().enumerate() {
                let (keys, grows) = match step {
                    Step::Insert(key) => (key..key + 1, true),
                    Step::Remove(key) => (key..key + 1, false),
                    Step::Grow(from, many) => (from..from + many, true),
                    Step::Shrink(from, many) => (from..from + many, false),
                };
                for key in keys {
                    let (was, is) = if grows {
                        (model.insert(key, number), map.insert(key, number))
                    } else {
                        (model.remove(&key), map.remove(&key))
                    };
                    prop_assert_eq!(was, is);
                }
            }
            check(&map, &model);
            for value in map.values_mut() {
                *value += 1;
            }
            for value in model.values_mut() {
                *value += 1;
            }
            check(&map, &model);
            let mut other = RisingMap::default();
            for (key, value) in model.iter().rev() {
                other.insert(*key, *value);
            }
            prop_assert_eq!(&other, &map, "whatever way it came to be");
            check(&other, &model);
        }
    }

    #[test]
    fn keys_that_grow_leave_no_room() {
        let set: RisingSet<u64> = (0..1_000).collect();
        let chunks = set.0.chunks.iter().map(|chunk| &chunk.entries);
        assert_eq!(chunks.clone().map(Vec::len).max(), Some(FULL));
        assert_eq!(chunks.len(), 1_000usize.div_ceil(FULL));
        let room: usize = chunks.map(Vec::capacity).sum();
        assert!(room < 1_000 + FULL, "{room}");
    }

    #[test]
    fn what_is_left_of_many_is_gathered() {
        let mut set: RisingSet<u64> = (0..3_200).collect();
        for key in (0..3_200).filter(|key| key % 32 != 0) {
            set.remove(&key);
        }
        let room: usize = set.0.chunks.iter().map(|chunk| chunk.entries.capacity()).sum();
        assert!(set.len() == 100 && room < 1_000, "{} in room for {room}", set.len());
    }
}
