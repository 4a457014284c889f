//! Whose it is what an alert is about: nothing is opened before that was told, nobody who wants to know
//! is left without an incident or a question, and no question stays open for longer than its bound.

use homeostat_core::errand::Errand;
use homeostat_core::evidence::{Ask, Evidence, Finding};
use homeostat_core::fact::What;
use homeostat_core::limits::{OWNER_AGAIN_CAP, OWNER_PATIENCE};
use homeostat_core::name::EpisodeId;
use homeostat_core::owner::{Owner, Whose};
use homeostat_core::policy::Book;
use homeostat_core::state::State;
use homeostat_core::time::{Span, Timestamp};

use super::{Heard, Oracle, Verdict, Violation};
use crate::owners::LABEL;

/// How much later than due a turn may be.
const GRACE: Span = Span::from_secs(60);

/// How far the answer to whose it is got, as it was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sought {
    /// It is asked since then.
    Since(Timestamp),
    /// It is this one's.
    Found(Owner),
    /// A person has it.
    GivenUp,
}

/// What was told of it in one group.
fn told<'a>(
    heard: &'a Heard,
    episode: EpisodeId,
    of: &'a Errand,
) -> impl Iterator<Item = &'a Whose> {
    let of_it = heard.owners.iter().filter(move |(of, _)| *of == episode);
    let found = of_it.flat_map(|(_, Evidence { found, .. })| found);
    found.filter_map(move |(ask, finding)| match (ask, finding) {
        (Ask::Owner { of: asked }, Finding::Owner(Ok(whose))) if asked == of => Some(whose),
        _ => None,
    })
}

impl Oracle {
    /// Follows what is written down of owners. What is believed was told, and what is given up was
    /// nobody's, or asked for long enough.
    pub(super) fn follow_owners(
        &mut self,
        what: &What,
        (heard, book): (&Heard, &Book),
        now: Timestamp,
    ) -> Verdict {
        match what {
            What::OwnerSought { episode, .. } => {
                self.owners.insert(*episode, Sought::Since(now));
            }
            What::OwnerFound { episode, of, owner } => {
                let is_told = |whose: &Whose| matches!(whose, Whose::Of(told) if told == owner);
                if !told(heard, *episode, of).any(is_told) {
                    let text = format!("{of} is taken for {owner}'s, and nobody said so");
                    return Err(Violation::new(now, "owned", text));
                }
                self.met.count("owner told");
                self.owners.insert(*episode, Sought::Found(owner.clone()));
            }
            What::OwnerMissed { again: Some(_), .. } => self.met.count("owner not told"),
            What::OwnerMissed { episode, of, again: None, .. } => {
                let is_nobodys = |whose: &Whose| matches!(whose, Whose::Nobody { .. });
                let nobodys = told(heard, *episode, of).any(is_nobodys);
                let least = OWNER_PATIENCE.saturating_sub(OWNER_AGAIN_CAP);
                if let Some(Sought::Since(since)) = self.owners.get(episode)
                    && !nobodys
                    && now.since(*since) < least
                {
                    let text = format!("{of} is given up after {}", now.since(*since));
                    return Err(Violation::new(now, "owned", text));
                }
                self.met.count(if nobodys { "owner that there is none" } else { "owner given up" });
                self.owners.insert(*episode, Sought::GivenUp);
            }
            What::OwnerDropped { episode, .. } | What::EpisodeEnded { episode, .. } => {
                self.owners.remove(episode);
            }
            What::IncidentOpened { policy, target, episode, .. } => {
                let asks = book.policy(policy).is_some_and(|policy| policy.owner_of.is_some());
                let name = match self.owners.get(episode) {
                    Some(Sought::Found(owner)) if asks => Some(&*owner.name),
                    Some(Sought::Found(_) | Sought::Since(_) | Sought::GivenUp) | None => None,
                };
                if target.get(LABEL) != name {
                    let text = format!("policy {policy} has {target}, and it is of {name:?}");
                    return Err(Violation::new(now, "owned", text));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What fires has an incident of each policy that takes it, or is asked about, and not for too long.
    pub(super) fn owners_are_asked(&self, state: &State, book: &Book, now: Timestamp) -> Verdict {
        if book.policies().iter().all(|policy| policy.owner_of.is_none()) {
            return Ok(());
        }
        for episode in self.firing.values() {
            let Some(known) = self.episodes.get(episode) else { continue };
            let labels = &known.alert.labels;
            for policy in book.taking(labels) {
                let mut own = state.incidents_of(*episode);
                if policy.owner_of.is_none() || own.any(|own| own.policy == policy.name) {
                    continue;
                }
                match self.owners.get(episode) {
                    Some(Sought::Since(since))
                        if now.since(*since) <= OWNER_PATIENCE.saturating_add(GRACE) => {}
                    sought => {
                        let name = &policy.name;
                        let text = format!("{labels} has no incident of {name}: {sought:?}");
                        return Err(Violation::new(now, "owned", text));
                    }
                }
            }
        }
        Ok(())
    }
}
