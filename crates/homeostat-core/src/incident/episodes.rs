//! The episodes of one incident, by how they stand: mostly one, and sometimes tens of thousands.
//!
//! Whatever happens to one of them takes the same time however many there are, and nobody looks at
//! all of them to know how the incident stands.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::name::EpisodeId;

/// How an incident's alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It fires, as far as we were told.
    Firing,
    /// Its source said that it resolved.
    Resolved,
    /// Its source stopped mentioning it.
    Lapsed,
}

/// An alert of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attached {
    /// Its episode.
    pub episode: EpisodeId,
    /// How it stands.
    pub standing: Standing,
}

/// The episodes of an incident. They are listed in the order in which they began.
///
/// It is written down, and compared, as a list of [`Attached`].
#[derive(Clone)]
pub struct Episodes(Kept);

/// Of a hundred thousand incidents in a storm, most have one alert.
#[derive(Clone)]
enum Kept {
    One(Attached),
    Many(Box<Many>),
}

#[derive(Clone, Default)]
struct Many {
    firing: BTreeSet<EpisodeId>,
    resolved: BTreeSet<EpisodeId>,
    lapsed: BTreeSet<EpisodeId>,
}

impl Many {
    fn of(&self, standing: Standing) -> &BTreeSet<EpisodeId> {
        match standing {
            Standing::Firing => &self.firing,
            Standing::Resolved => &self.resolved,
            Standing::Lapsed => &self.lapsed,
        }
    }

    fn enter(&mut self, Attached { episode, standing }: Attached) {
        self.leave(episode);
        match standing {
            Standing::Firing => self.firing.insert(episode),
            Standing::Resolved => self.resolved.insert(episode),
            Standing::Lapsed => self.lapsed.insert(episode),
        };
    }

    fn leave(&mut self, episode: EpisodeId) {
        for all in [&mut self.firing, &mut self.resolved, &mut self.lapsed] {
            all.remove(&episode);
        }
    }
}

impl Episodes {
    /// The one episode with which an incident opens.
    pub fn of(episode: EpisodeId) -> Self {
        Self(Kept::One(Attached { episode, standing: Standing::Firing }))
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kept::One(_) => 1,
            Kept::Many(many) => many.firing.len() + many.resolved.len() + many.lapsed.len(),
        }
    }

    /// Tells whether there is none. An incident has one at least.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how an episode stands, where it is one of these.
    pub fn standing(&self, episode: EpisodeId) -> Option<Standing> {
        match &self.0 {
            Kept::One(one) => Some(one.standing).filter(|_| one.episode == episode),
            Kept::Many(many) => [Standing::Firing, Standing::Resolved, Standing::Lapsed]
                .into_iter()
                .find(|standing| many.of(*standing).contains(&episode)),
        }
    }

    /// Tells whether an episode is one of these.
    pub fn has(&self, episode: EpisodeId) -> bool {
        self.standing(episode).is_some()
    }

    /// Returns how many stand so.
    pub fn count(&self, standing: Standing) -> usize {
        match &self.0 {
            Kept::One(one) => usize::from(one.standing == standing),
            Kept::Many(many) => many.of(standing).len(),
        }
    }

    /// Tells whether another one than this stands so.
    pub fn has_other(&self, but: EpisodeId, standing: Standing) -> bool {
        let itself = self.standing(but) == Some(standing);
        self.count(standing) > usize::from(itself)
    }

    /// Tells whether another one than this is not known to have resolved.
    pub fn has_other_unresolved(&self, but: EpisodeId) -> bool {
        self.has_other(but, Standing::Firing) || self.has_other(but, Standing::Lapsed)
    }

    /// Lists all.
    pub fn iter(&self) -> impl Iterator<Item = Attached> + '_ {
        merged(self.unresolved(), self.all(Standing::Resolved))
    }

    /// Lists those that fire.
    pub fn firing(&self) -> impl Iterator<Item = EpisodeId> + '_ {
        self.all(Standing::Firing).map(|attached| attached.episode)
    }

    /// Lists all, those that fire first.
    pub fn firing_first(&self) -> impl Iterator<Item = EpisodeId> + '_ {
        let ended = merged(self.all(Standing::Lapsed), self.all(Standing::Resolved));
        self.firing().chain(ended.map(|attached| attached.episode))
    }

    /// Lists all, those first that are not known to have resolved.
    pub fn unresolved_first(&self) -> impl Iterator<Item = Attached> + '_ {
        self.unresolved().chain(self.all(Standing::Resolved))
    }

    fn unresolved(&self) -> impl Iterator<Item = Attached> + '_ {
        merged(self.all(Standing::Firing), self.all(Standing::Lapsed))
    }

    fn all(&self, standing: Standing) -> impl Iterator<Item = Attached> + '_ {
        let (one, many) = match &self.0 {
            Kept::One(one) => (Some(*one).filter(|one| one.standing == standing), None),
            Kept::Many(many) => (None, Some(many.of(standing))),
        };
        let many = many.into_iter().flatten();
        one.into_iter().chain(many.map(move |&episode| Attached { episode, standing }))
    }

    /// Enters an episode, or says how it stands now.
    pub(crate) fn enter(&mut self, new: Attached) {
        match &mut self.0 {
            Kept::One(one) if one.episode == new.episode => *one = new,
            Kept::One(one) => {
                let one = *one;
                let mut many = Box::<Many>::default();
                many.enter(one);
                many.enter(new);
                self.0 = Kept::Many(many);
            }
            Kept::Many(many) => many.enter(new),
        }
    }

    /// Takes another episode in the place of these.
    pub(crate) fn replace(&mut self, earlier: &[EpisodeId], new: Attached) {
        match &mut self.0 {
            Kept::One(one) if earlier.contains(&one.episode) => *one = new,
            Kept::One(_) => self.enter(new),
            Kept::Many(many) => {
                for episode in earlier {
                    many.leave(*episode);
                }
                many.enter(new);
            }
        }
    }

    /// Says how an episode stands, if it is one of these.
    pub(crate) fn stand(&mut self, episode: EpisodeId, standing: Standing) {
        if self.has(episode) {
            self.enter(Attached { episode, standing });
        }
    }
}

/// Lists two lists as one, in the order of their episodes.
fn merged(
    one: impl Iterator<Item = Attached>,
    other: impl Iterator<Item = Attached>,
) -> impl Iterator<Item = Attached> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(first), Some(second)) if second.episode < first.episode => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}

impl FromIterator<Attached> for Episodes {
    fn from_iter<I: IntoIterator<Item = Attached>>(all: I) -> Self {
        let mut all = all.into_iter();
        let first = all.next();
        let mut episodes = match first {
            Some(first) => Self(Kept::One(first)),
            None => Self(Kept::Many(Box::default())),
        };
        all.for_each(|attached| episodes.enter(attached));
        episodes
    }
}

impl PartialEq for Episodes {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Episodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Episodes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Episodes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Attached>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attached(episode: u64, standing: Standing) -> Attached {
        Attached { episode: EpisodeId(episode), standing }
    }

    fn ids(all: impl Iterator<Item = EpisodeId>) -> Vec<u64> {
        all.map(|episode| episode.0).collect()
    }

    #[test]
    fn episodes_are_told_by_how_they_stand_in_the_order_in_which_they_began() {
        use Standing::{Firing, Lapsed, Resolved};
        let mut episodes = Episodes::of(EpisodeId(5));
        for (episode, standing) in [(9, Resolved), (3, Lapsed), (7, Firing), (1, Resolved)] {
            episodes.enter(attached(episode, standing));
        }
        assert_eq!(ids(episodes.iter().map(|a| a.episode)), [1, 3, 5, 7, 9]);
        assert_eq!(ids(episodes.firing()), [5, 7]);
        assert_eq!(ids(episodes.firing_first()), [5, 7, 1, 3, 9]);
        assert_eq!(ids(episodes.unresolved_first().map(|a| a.episode)), [3, 5, 7, 1, 9]);
        assert_eq!([Firing, Resolved, Lapsed].map(|s| episodes.count(s)), [2, 2, 1]);
        episodes.stand(EpisodeId(7), Resolved);
        assert!(
            !episodes.has_other(EpisodeId(5), Firing) && episodes.has_other(EpisodeId(7), Firing)
        );
        assert!(episodes.has_other_unresolved(EpisodeId(5)), "one was lost sight of");
        episodes.replace(&[EpisodeId(3), EpisodeId(1)], attached(10, Firing));
        assert_eq!(ids(episodes.iter().map(|a| a.episode)), [5, 7, 9, 10]);
        episodes.stand(EpisodeId(4), Firing);
        assert_eq!((episodes.len(), episodes.standing(EpisodeId(4))), (4, None));
    }

    #[test]
    fn they_are_written_as_a_list_and_one_alone_is_small() {
        let mut episodes = Episodes::of(EpisodeId(2));
        assert_eq!(size_of::<Episodes>(), 16);
        assert!(matches!(episodes.0, Kept::One(_)));
        episodes.replace(&[EpisodeId(2)], attached(3, Standing::Firing));
        assert!(matches!(episodes.0, Kept::One(_)), "it fires again");
        episodes.enter(attached(1, Standing::Lapsed));
        let written = serde_json::to_string(&episodes).unwrap();
        let list = r#"[{"episode":1,"standing":"lapsed"},{"episode":3,"standing":"firing"}]"#;
        assert_eq!(written, list);
        assert_eq!(serde_json::from_str::<Episodes>(&written).unwrap(), episodes);
        // Earlier versions wrote them in the order in which they were attached.
        let attached = r#"[{"episode":3,"standing":"firing"},{"episode":1,"standing":"lapsed"}]"#;
        assert_eq!(serde_json::from_str::<Episodes>(attached).unwrap(), episodes);
    }
}
