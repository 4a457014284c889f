//! What all facts came to, as it is written down: a start reads a snapshot and the facts after it
//! instead of every fact there ever was, and facts that a snapshot covers can be let go.
//!
//! A snapshot is a list of records and not one document, so that it can be written and read in
//! small steps and never lies in memory whole. Records come from [`State::records`] and go to
//! [`State::recall`]; what can be computed from others (the indices) is no record, so that the two
//! cannot disagree.
//!
//! Facts behind a snapshot may be gone, so a reader must go on understanding every snapshot that
//! was ever written; [`VERSION`] stands beside each.
//!
//! [`State::records`]: crate::state::State::records
//! [`State::recall`]: crate::state::State::recall

mod version_1;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Deserializer;

use crate::alert::Episode;
use crate::approval::StandingApproval;
use crate::clock::Clock;
use crate::incident::Incident;
use crate::label::Fingerprint;
use crate::ledger::Line;
use crate::name::{ApprovalId, BootId, EpisodeId, IncidentId, SourceName};
use crate::notice::Obligation;
use crate::time::Timestamp;
use crate::witness::Sighting;

/// The version of the snapshots that this program writes.
pub const VERSION: u32 = 2;

/// One thing that a state knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// Where counting stands.
    Counters {
        /// In which boot of the machine the engine last started.
        boot: Option<BootId>,
        /// The last episode's number.
        episode: EpisodeId,
        /// The last incident's number.
        incident: IncidentId,
        /// The last standing approval's number. Older snapshots have none.
        #[serde(default, skip_serializing_if = "is_first")]
        approval: ApprovalId,
    },
    /// How the engine's clock stands to the wall clock. Older snapshots have none.
    Clock(Clock),
    /// An episode that fires, or whose incident is not yet forgotten.
    Episode {
        /// Its number.
        id: EpisodeId,
        /// Whether it fires.
        fires: bool,
        /// The episode.
        episode: Arc<Episode>,
    },
    /// Which rules were seen to fire an alert of the alerts API. Older snapshots have none.
    Sighted {
        /// Its episode.
        id: EpisodeId,
        /// Which rules.
        sightings: Arc<[Sighting]>,
    },
    /// The end of an alert's last episode.
    Ended {
        /// Who sent the alert.
        source: SourceName,
        /// Which alert.
        fingerprint: Fingerprint,
        /// When we heard of the end.
        at: Timestamp,
        /// When it ended, by its source.
        ends_at: Option<Timestamp>,
    },
    /// An incident that is open or latched.
    Incident {
        /// Whether its next step is due: a gate that has opened does not show in the incident.
        ready: bool,
        /// The incident.
        incident: Arc<Incident>,
    },
    /// What people have approved ahead. Older snapshots have none.
    Approval(Arc<StandingApproval>),
    /// What a person must be told.
    Notice(Obligation),
    /// What the guards count.
    Ledger(Line),
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_first(id: &ApprovalId) -> bool {
    *id == ApprovalId::default()
}

/// A record, or why it cannot be read.
pub type Read = serde_json::Result<Record>;

/// Reads records, a line of JSON each, as this version or an earlier one wrote them. Returns `None`
/// where a version wrote them that this program does not know.
pub fn read(version: u32, lines: &[u8]) -> Option<Box<dyn Iterator<Item = Read> + '_>> {
    let lines = Deserializer::from_slice(lines);
    match version {
        1 => Some(Box::new(lines.into_iter().map(|record| version_1::read(record?)))),
        VERSION => Some(Box::new(lines.into_iter())),
        _ => None,
    }
}
