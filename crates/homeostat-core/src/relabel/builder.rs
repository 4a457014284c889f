//! Labels while rules change them, in the order in which Prometheus walks over them.
//!
//! Two labels that a rule maps to one name are the only ones whose order matters: the last one wins.
//!
//! Source: `Builder` in `model/labels/labels.go` of Prometheus.

use crate::label::LabelSet;

pub(super) struct Builder {
    /// Sorted by name.
    base: Vec<(String, String)>,
    /// Names of `base` that are gone.
    deleted: Vec<String>,
    /// What was set since, in this order; each name once.
    added: Vec<(String, String)>,
}

impl Builder {
    pub(super) fn new(labels: &LabelSet) -> Self {
        let base = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { base, deleted: Vec::new(), added: Vec::new() }
    }

    /// The value of a label; empty where there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        let of = |labels: &[(String, String)]| labels.iter().position(|(own, _)| own == name);
        if let Some(position) = of(&self.added) {
            return &self.added[position].1;
        }
        if self.deleted.iter().any(|own| own == name) {
            return "";
        }
        of(&self.base).map_or("", |position| &self.base[position].1)
    }

    /// Sets a label; to nothing deletes it.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.delete(name);
        } else if let Some((_, own)) = self.added.iter_mut().find(|(own, _)| own == name) {
            value.clone_into(own);
        } else {
            self.added.push((name.to_owned(), value.to_owned()));
        }
    }

    pub(super) fn delete(&mut self, name: &str) {
        self.added.retain(|(own, _)| own != name);
        if !self.deleted.iter().any(|own| own == name) {
            self.deleted.push(name.to_owned());
        }
    }

    /// The labels as they are now, those that were set last.
    pub(super) fn list(&self) -> Vec<(String, String)> {
        let is_kept = |name: &String| {
            !self.deleted.contains(name) && !self.added.iter().any(|(own, _)| own == name)
        };
        let base = self.base.iter().filter(|(name, _)| is_kept(name));
        base.chain(&self.added).cloned().collect()
    }

    /// Makes what was set a part of what is sorted.
    pub(super) fn settle(&mut self) {
        if !self.added.is_empty() || !self.deleted.is_empty() {
            *self = Self::new(&self.labels());
        }
    }

    pub(super) fn labels(&self) -> LabelSet {
        LabelSet::from_pairs(self.list())
    }

    /// How long all names and values are.
    pub(super) fn bytes(&self) -> usize {
        let labels = self.base.iter().chain(&self.added);
        labels.map(|(name, value)| name.len() + value.len()).sum()
    }
}
