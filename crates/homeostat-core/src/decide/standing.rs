//! What people approve ahead: that it stands, and that it does not any more.
//!
//! It ends with its time, when somebody who may approve revokes it, when the wall clock jumps, and with a
//! configuration by which it would not be given: the remedy is another one, or too few of those who stand
//! for it may approve. What has ended does not come back with what ended it.

use super::desk::Desk;
use crate::approval::{Asked, Digest, Over, Quorum, StandingApproval, Terms, Vote};
use crate::command::Reply;
use crate::fact::What;
use crate::incident::Incident;
use crate::limits;
use crate::name::ApprovalId;
use crate::operator::Operator;
use crate::policy::{Book, Remedy};

/// Tells why nothing can be approved ahead, or by what it would be told apart from other deeds.
pub(super) fn acceptable(desk: &Desk<'_>, asked: &Asked, terms: Terms) -> Result<Digest, String> {
    let (remedy, most) = (&asked.order.remedy, limits::STANDING_LASTS);
    if terms.uses == 0 || terms.uses > limits::STANDING_USES {
        return Err(format!("from 1 to {} runs can be approved ahead", limits::STANDING_USES));
    }
    if terms.lasts.is_zero() || terms.lasts > most {
        return Err(format!("runs can be approved ahead for some time, up to {most}"));
    }
    if desk.state.approvals().iter().len() >= limits::STANDING_APPROVALS {
        let most = limits::STANDING_APPROVALS;
        return Err(format!(
            "{most} standing approvals are in force: revoke one that is not needed"
        ));
    }
    asked.kind.ok_or_else(|| {
        format!(
            "no run of remedy {remedy} can be approved ahead: what it does names its incident, so \
             that no two are alike"
        )
    })
}

/// What enough people have approved ahead: no more than each of them.
pub(super) fn stand(
    desk: &mut Desk<'_>,
    incident: &Incident,
    asked: &Asked,
    definition: &Remedy,
    votes: Vec<Vote>,
) -> Option<StandingApproval> {
    let each: Option<Vec<_>> = votes.iter().map(|vote| Some((vote.at, vote.ahead?))).collect();
    let each = each?;
    let uses = each.iter().map(|(_, terms)| terms.uses).min()?;
    let until = each.iter().map(|(at, terms)| *at + terms.lasts).min()?;
    let approval = StandingApproval {
        id: desk.state.next_approval(),
        policy: incident.policy.clone(),
        remedy: asked.order.remedy.clone(),
        definition: definition.definition.clone(),
        target: incident.target.clone(),
        action: asked.action.clone(),
        kind: asked.kind?,
        incident: incident.id,
        votes,
        since: desk.now,
        until,
        uses,
        runs: [].into(),
    };
    desk.note(What::ApprovalStands { approval: approval.clone() });
    Some(approval)
}

/// Ends what somebody does not want any more.
pub(super) fn revoke(desk: &mut Desk<'_>, id: ApprovalId, by: Operator, reason: String) -> Reply {
    let Some(known) = desk.state.approvals().get(id) else { return Reply::NoApproval(id) };
    let StandingApproval { remedy, policy, .. } = known;
    let message = format!(
        "standing approval {id} is revoked: a person is asked before remedy {remedy} of policy \
         {policy} runs again"
    );
    desk.note(What::ApprovalEnded { approval: id, why: Over::Revoked { by, reason } });
    Reply::Taken(message)
}

/// Ends what has come to its time.
pub(super) fn expire(desk: &mut Desk<'_>, id: ApprovalId) {
    let known = desk.state.approvals().get(id);
    if known.is_some_and(|known| known.until <= desk.now) {
        desk.note(What::ApprovalEnded { approval: id, why: Over::Expired });
    }
}

/// Ends all: nobody knows how long they have stood.
pub(super) fn live_through(desk: &mut Desk<'_>, why: &str) {
    for known in desk.state.approvals().iter() {
        let why = Over::Void { reason: why.to_owned() };
        desk.note(What::ApprovalEnded { approval: known.id, why });
    }
}

/// Ends what would not be given by the present book.
pub(super) fn review(desk: &mut Desk<'_>) {
    for known in desk.state.approvals().iter() {
        if let Some(reason) = objection(desk.book, known) {
            let why = Over::Void { reason };
            desk.note(What::ApprovalEnded { approval: known.id, why });
        }
    }
}

fn objection(book: &Book, known: &StandingApproval) -> Option<String> {
    let StandingApproval { policy, remedy, target, definition, .. } = known;
    let Some(policy) = book.policy(policy) else {
        return Some(format!("the configuration has no policy {policy} any more"));
    };
    let Some(remedy) = policy.remedy(remedy) else {
        return Some(format!("the configuration has no remedy {remedy} any more"));
    };
    if remedy.definition != *definition {
        return Some(format!("the configuration changed remedy {}", remedy.name));
    }
    let quorum = Quorum::of(policy, remedy, target);
    if quorum.is_met(known.people()) {
        return None;
    }
    let left = quorum.counted(known.people()).len();
    Some(match quorum.need() {
        1 => "whoever gave it may not approve any more".to_owned(),
        need => format!("{left} of those who gave it may approve now, and {need} must"),
    })
}
