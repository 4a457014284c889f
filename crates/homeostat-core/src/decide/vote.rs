//! A person's word that a run may start: whether it counts, and whether it is enough.

use super::desk::Desk;
use super::{notices, standing};
use crate::approval::{Asked, Digest, Quorum, StandingApproval, Terms, Vote};
use crate::command::{Command, Reply};
use crate::fact::What;
use crate::incident::Incident;
use crate::notice::Topic;
use crate::operator::Operator;
use crate::policy::Remedy;

/// Who commands, and why; and what they saw and approve ahead, where they approve.
pub(super) struct Word {
    pub(super) by: Operator,
    pub(super) reason: String,
    pub(super) seen: Option<Digest>,
    pub(super) ahead: Option<Terms>,
}

/// Takes a word for what waits for it, or says why not.
pub(super) fn approve(
    desk: &mut Desk<'_>,
    incident: &Incident,
    asked: &Asked,
    word: &Word,
) -> Reply {
    let name = &asked.order.remedy;
    let policy = desk.policy(incident);
    let known = policy.and_then(|policy| Some((policy, policy.remedy(name)?)));
    let Some((policy, remedy)) = known else {
        return Reply::Refused(format!("the configuration has no remedy {name} any more"));
    };
    if let Err(why) = fits(desk, asked, word) {
        return Reply::Refused(why);
    }
    let quorum = desk.quorum(incident, policy, remedy);
    if let Some(objection) = quorum.objection(&word.by) {
        return Reply::NotTheirs(objection);
    }
    // Those who have agreed so far, and whose word still counts.
    let agreed: Vec<Vote> = quorum.counted(incident.votes.iter()).into_iter().cloned().collect();
    if agreed.iter().any(|vote| vote.by.person() == word.by.person()) {
        return Reply::Refused(format!(
            "{} has approved it already: {}; somebody else must",
            word.by.person(),
            count(&agreed, &quorum)
        ));
    }
    take(desk, incident, asked, (&quorum, remedy), agreed, word)
}

/// Tells why a word is not for what waits.
fn fits(desk: &Desk<'_>, asked: &Asked, word: &Word) -> Result<(), String> {
    let (remedy, expires_at) = (&asked.order.remedy, asked.expires_at);
    if expires_at <= desk.now {
        return Err(format!("the approval of remedy {remedy} expired at {expires_at:.0}"));
    }
    if word.seen.is_some_and(|seen| seen != asked.digest) {
        let action = &asked.action;
        return Err(format!("this is not what you saw: remedy {remedy} is now `{action}`"));
    }
    word.ahead.map_or(Ok(()), |terms| standing::acceptable(desk, asked, terms).map(drop))
}

fn count(agreed: &[Vote], quorum: &Quorum<'_>) -> String {
    let who: Vec<&str> = agreed.iter().map(|vote| vote.by.person()).collect();
    format!("{} of {} approvals: {}", agreed.len(), quorum.need(), who.join(", "))
}

fn take(
    desk: &mut Desk<'_>,
    incident: &Incident,
    asked: &Asked,
    (quorum, remedy): (&Quorum<'_>, &Remedy),
    mut agreed: Vec<Vote>,
    word: &Word,
) -> Reply {
    let Word { by, reason, ahead, .. } = word;
    let (by, reason, ahead) = (by.clone(), reason.clone(), *ahead);
    agreed.push(Vote { by: by.clone(), reason: reason.clone(), at: desk.now, ahead });
    let (have, need) = (agreed.len(), quorum.need());
    let missing = u32::try_from(need.saturating_sub(have)).unwrap_or(u32::MAX);
    let command = Command::Approve;
    desk.note(What::IncidentCommanded {
        incident: incident.id,
        command,
        by,
        reason,
        missing,
        ahead,
    });
    let so_far = count(&agreed, quorum);
    let topic = Topic::Approval { incident: incident.id };
    let message = if missing > 0 {
        if let Some(owed) = desk.state.notice(&topic).filter(|owed| !owed.cleared) {
            let reason = format!("{}; {so_far}", notices::to_let_it_start(incident.id, asked));
            desk.raise(owed.notice.reworded(reason));
        }
        let until = asked.expires_at;
        format!("{so_far}; {missing} more must approve remedy {} by {until:.0}", remedy.name)
    } else {
        let wanted = agreed.iter().any(|vote| vote.ahead.is_some());
        let stands = standing::stand(desk, incident, asked, remedy, agreed);
        desk.clear(topic);
        approved(asked, wanted, stands.as_ref())
    };
    if quorum.counts_people() {
        Reply::Counted { message, have, need }
    } else {
        Reply::Taken(message)
    }
}

fn approved(asked: &Asked, wanted: bool, stands: Option<&StandingApproval>) -> String {
    let (remedy, until) = (&asked.order.remedy, asked.expires_at);
    let now = format!(
        "remedy {remedy} is approved until {until:.0}: all guards judge it again, and it starts as \
         soon as they agree"
    );
    match stands {
        Some(StandingApproval { id, uses, until, .. }) => format!(
            "{now}; standing approval {id}: it may start {uses} more times until {until:.0} without \
             a question"
        ),
        None if wanted => format!("{now}; no run is approved ahead, because not all wanted that"),
        None => now,
    }
}
