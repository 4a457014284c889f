//! Why a choice was made, as the API shows it: read from what stands in the fact, never judged anew.

use homeostat_core::fact::What;
use homeostat_core::guard::Grant;
use homeostat_core::hold::Hold;
use homeostat_core::why::{Candidate, Rank, Why};

use super::sentence;
use super::view::{CandidateView, Entry, Ruling, Verdict, VerdictView, WhyView};

/// Tells why, where the fact is a choice. Journals of earlier versions know the guards alone.
pub(super) fn told(what: &What) -> Option<WhyView> {
    let (holds, grants, why): (&[Hold], &[Grant], _) = match what {
        What::OrderHeld { holds, grants, why, .. }
        | What::RemedyShadowed { holds, grants, why, .. } => (holds, grants, why),
        What::OrderIssued { order } | What::OrderReissued { order } => {
            (&[], &order.grants, &order.why)
        }
        What::ApprovalAsked { grants, why, .. } => (&[], grants, why),
        _ => return None,
    };
    let held = sentence::rulings(holds).into_iter().map(|ruling| said(ruling, Verdict::Hold));
    let cleared = sentence::grants(grants).into_iter().map(|ruling| said(ruling, Verdict::Clear));
    let guards = held.chain(cleared).collect();
    let why = why.as_deref().cloned().unwrap_or_default();
    let Why { candidates, evidence, more_evidence } = why;
    let candidates = candidates.into_iter().map(candidate).collect();
    let more_evidence = (more_evidence > 0).then_some(more_evidence);
    Some(WhyView { candidates, guards, evidence, more_evidence })
}

/// Adds to a hold what an equal one after it found: later evidence, and what was told anew.
pub(super) fn amend(entry: &mut Entry, later: Option<WhyView>) {
    let (Some(why), Some(later)) = (&mut entry.why, later) else { return };
    if !later.evidence.is_empty() {
        why.evidence = later.evidence;
        why.more_evidence = later.more_evidence;
    }
    if later.guards.iter().any(|said| said.verdict == Verdict::Clear) {
        why.guards = later.guards;
    }
}

fn said(Ruling { guard, reason }: Ruling, verdict: Verdict) -> VerdictView {
    VerdictView { guard, verdict, reason }
}

fn candidate(Candidate { remedy, rank }: Candidate) -> CandidateView {
    let (word, text) = match rank {
        Rank::Chosen => ("chosen", "chosen".to_owned()),
        Rank::Tried { how } => ("tried", format!("tried: {how}")),
        Rank::Shadowed => ("shadowed", "in shadow: only recorded".to_owned()),
        Rank::Relapsed { of } => {
            ("relapsed", format!("incident {of}, which came back, had done with it"))
        }
        Rank::PassedOver => {
            ("passed_over", "passed over: the configuration has changed since".to_owned())
        }
        Rank::Ahead => ("ahead", "its turn comes later".to_owned()),
    };
    CandidateView { remedy: remedy.to_string(), rank: word.to_owned(), text }
}
