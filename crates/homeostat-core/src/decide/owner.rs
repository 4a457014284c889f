//! Whose it is what an alert is about: when that is asked, and what follows from the answer.
//!
//! Until it is known no policy that wants to know has an incident of the alert. When it is, or cannot
//! be, each opens one in the same decision.

use std::collections::{BTreeMap, BTreeSet};

use super::desk::Desk;
use super::observe;
use crate::alert::Episode;
use crate::errand::Errand;
use crate::event::{About, Effect, Question};
use crate::evidence::{Ask, Evidence, Finding, Trouble};
use crate::fact::What;
use crate::name::EpisodeId;
use crate::owner::{Seen, Sought, Whose};
use crate::text::Text;

/// Asks what is due, and gives up what is too late: then a person has the alert.
pub(super) fn due(desk: &mut Desk<'_>, id: EpisodeId) {
    let Some(episode) = firing(desk, id) else { return };
    let wanted = wanted(desk, episode);
    let mut known = episode.clone();
    let mut asks = Vec::new();
    for lookup in &episode.owners {
        let Sought::Open { due, why, .. } = &lookup.stands else { continue };
        let of = lookup.of.clone();
        if !wanted.contains(&of) {
            desk.note(What::OwnerDropped { episode: id, of });
        } else if lookup.stands.deadline().is_some_and(|deadline| deadline <= desk.now) {
            let why = why.clone().unwrap_or_else(|| Text::new("its owner was not told in time"));
            miss(desk, id, &mut known, &of, why);
        } else if *due <= desk.now {
            asks.push(Ask::Owner { of });
        }
    }
    if !asks.is_empty() {
        desk.want(Effect::Ask(Question { about: About::Owner(id), asks }));
    }
    settle(desk, id, episode, &known);
}

/// Takes what was said. An answer to what is asked no more says nothing.
pub(super) fn told(desk: &mut Desk<'_>, id: EpisodeId, evidence: &Evidence) {
    let Some(episode) = firing(desk, id) else { return };
    let mut known = episode.clone();
    for (ask, finding) in &evidence.found {
        let (Ask::Owner { of }, Finding::Owner(said)) = (ask, finding) else { continue };
        let Some(sought) = known.sought(of).filter(|sought| sought.is_open()) else { continue };
        match said {
            Ok(Whose::Of(owner)) => {
                known.seek(of, Sought::Found(owner.clone()));
                let (of, owner) = (of.clone(), owner.clone());
                desk.note(What::OwnerFound { episode: id, of, owner });
            }
            Ok(Whose::Nobody { why }) => miss(desk, id, &mut known, of, Text::new(why)),
            Err(Trouble(why)) => {
                let (why, again) = (Text::new(why), sought.again(desk.now));
                match again {
                    None => miss(desk, id, &mut known, of, why),
                    again => {
                        let of = of.clone();
                        desk.note(What::OwnerMissed { episode: id, of, why, again });
                    }
                }
            }
        }
    }
    settle(desk, id, episode, &known);
}

/// Notes that an answer is not to be had any more.
fn miss(desk: &mut Desk<'_>, id: EpisodeId, known: &mut Episode, of: &Errand, why: Text) {
    known.seek(of, Sought::Missing { why: why.clone() });
    desk.note(What::OwnerMissed { episode: id, of: of.clone(), why, again: None });
}

/// Opens incidents for those who waited for what is known now.
fn settle(desk: &mut Desk<'_>, id: EpisodeId, before: &Episode, known: &Episode) {
    if before.owners != known.owners {
        let (mut opened, left) = (BTreeMap::new(), BTreeSet::new());
        let known = (&known.alert, &known.owners[..]);
        observe::open_incidents(desk, id, known, &mut opened, &left);
    }
}

fn firing<'a>(desk: &Desk<'a>, id: EpisodeId) -> Option<&'a Episode> {
    desk.state.episode(id).filter(|_| desk.state.is_firing(id))
}

/// Lists what is still to be asked, by the policies that take the alert now.
fn wanted(desk: &Desk<'_>, episode: &Episode) -> Vec<Errand> {
    let Episode { alert, owners, .. } = episode;
    let mut wanted = Vec::new();
    for policy in desk.book.taking(&alert.labels) {
        match policy.sees(&alert.labels, &alert.annotations, owners) {
            Seen::Asks(of) => wanted.push(*of),
            Seen::Labels(_) | Seen::Unowned { .. } => {}
        }
    }
    wanted
}
