//! What becomes of a question to a person, and of their word.
//!
//! The default is no: a question that nobody answers, and an approval that no guard let pass in
//! its time, hand the incident over to a person. Nothing else is tried then: whoever wants to
//! approve one remedy does not want the next one instead.

use super::next::{Ending, Next};
use crate::approval::{Approved, Asked, Digest};
use crate::incident::{Cause, Incident, Stage};
use crate::policy::{Mode, Policy, Remedy};

/// Nobody answered in time.
pub(super) fn expire(asked: &Asked) -> Vec<Next> {
    let Asked { order, expires_at, .. } = asked;
    let reason =
        format!("nobody approved remedy {} by {expires_at:.0}: it was not run", order.remedy);
    vec![Next::Withdraw, Next::Close(Ending::HandedOver(Cause::Unapproved, reason))]
}

/// Nobody could make use of an approval in its time. Whoever gave it is told so; asked again, they
/// would have to answer for as long as the guards hold.
pub(super) fn expire_unused(
    policy: &Policy,
    incident: &Incident,
    approved: &Approved,
) -> Vec<Next> {
    let remedy = &approved.asked.order.remedy;
    if policy.remedy(remedy).is_none_or(|remedy| remedy.mode != Mode::Approve) {
        return vec![Next::Void(format!("remedy {remedy} does not ask for approval any more"))];
    }
    let held = match &incident.stage {
        Stage::Held { holds, .. } => {
            let holds: Vec<String> = holds.iter().map(ToString::to_string).collect();
            format!("it was held: {}", holds.join("; "))
        }
        stage => format!("it was {}", stage.as_str()),
    };
    let expired = approved.asked.expires_at;
    let reason = format!("the approval of remedy {remedy} expired at {expired:.0} unused; {held}");
    vec![Next::Close(Ending::HandedOver(Cause::Unapproved, reason))]
}

/// What was asked and what was approved expires with a jump of the wall clock.
pub(super) fn expire_by(incident: &Incident, why: &str) -> Vec<Next> {
    let reason = match (&incident.stage, &incident.approved) {
        (Stage::AwaitingApproval(asked), _) => {
            let remedy = &asked.order.remedy;
            format!("{why}: the question whether remedy {remedy} may run is void; it was not run")
        }
        (_, Some(approved)) => {
            let remedy = &approved.asked.order.remedy;
            format!("{why}: the approval of remedy {remedy} is void; it was not run")
        }
        (_, None) => return Vec::new(),
    };
    vec![Next::Withdraw, Next::Close(Ending::HandedOver(Cause::Unapproved, reason))]
}

/// Takes back what is asked where it is not what the present book would do, or would ask.
pub(super) fn review(asked: &Asked, deed: Option<(&Remedy, Digest)>) -> Vec<Next> {
    let reason = match deed {
        None => "the configuration has no such remedy any more",
        Some((remedy, digest)) => match remedy.mode {
            Mode::Auto | Mode::Shadow => "the configuration changed the mode",
            Mode::Approve if digest != asked.digest => {
                "the configuration changed what would be done"
            }
            Mode::Approve
                if (&remedy.approval.by, remedy.approval.count) != (&asked.by, asked.count) =>
            {
                "the configuration changed who must approve"
            }
            Mode::Approve => return Vec::new(),
        },
    };
    vec![Next::Withdraw, Next::Void(reason.to_owned())]
}
