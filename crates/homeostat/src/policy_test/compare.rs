//! Compares what is expected with what there is, and says what is there instead.

use std::collections::BTreeSet;

use homeostat_core::event::Run;
use homeostat_core::hold::{Guard, Hold};
use homeostat_core::incident::Stage;
use homeostat_core::label::LabelSet;
use homeostat_core::name::IncidentId;
use homeostat_core::notice::{Notice, Topic};

use super::{Failure, Moment};
use crate::web::api::view::IncidentView;
use homeostat_config::policy_test::{Check, Expectation, Selection, WantedNotice, WantedOrder};

/// Compares everything that an expectation names.
pub(super) fn compare(expected: &Expectation, moment: &Moment<'_>) -> Vec<Failure> {
    let failed = expected.checks.iter().filter_map(|(check, span)| {
        let wrong = check_one(check, &expected.of, moment).err()?;
        let message = format!("at {}: {}", expected.at, wrong.message);
        Some(Failure { span: span.clone(), message, help: wrong.help })
    });
    failed.collect()
}

/// What is not as expected.
struct Wrong {
    message: String,
    help: Option<String>,
}

impl Wrong {
    fn new(message: String) -> Self {
        Self { message, help: None }
    }

    fn because(self, incident: &IncidentView) -> Self {
        let help = format!("incident {}: {}", incident.id, incident.reason);
        Self { help: Some(help), ..self }
    }
}

fn check_one(check: &Check, of: &Selection, moment: &Moment<'_>) -> Result<(), Wrong> {
    match check {
        Check::Incidents(wanted) => {
            let found = chosen(of, moment).len();
            let message = format!("expected {wanted} incidents since the beginning, found {found}");
            if found == *wanted { Ok(()) } else { Err(Wrong::new(message)) }
        }
        Check::Orders(wanted) => orders(wanted, of, moment),
        Check::Notices(wanted) => notices(wanted, of, moment),
        Check::State(wanted) => {
            let incident = the_one(of, moment)?;
            equal("state", wanted, Some(incident.state.as_str()), incident)
        }
        Check::Outcome(wanted) => {
            let incident = the_one(of, moment)?;
            let found = incident.outcome.map(|outcome| outcome.to_string());
            equal("outcome", &wanted.to_string(), found.as_deref(), incident)
        }
        Check::Grade(wanted) => {
            let incident = the_one(of, moment)?;
            let found = incident.grade.map(|grade| grade.to_string());
            equal("grade", &wanted.to_string(), found.as_deref(), incident)
        }
        Check::Reason(wanted) => {
            let incident = the_one(of, moment)?;
            let message = format!("the reason does not say {wanted:?}");
            let says = incident.reason.contains(wanted.as_str());
            if says { Ok(()) } else { Err(Wrong::new(message).because(incident)) }
        }
        Check::Holds(wanted) => holds(wanted, the_one(of, moment)?, moment),
    }
}

fn equal(
    what: &str,
    wanted: &str,
    found: Option<&str>,
    incident: &IncidentView,
) -> Result<(), Wrong> {
    if found == Some(wanted) {
        return Ok(());
    }
    let found = match found {
        Some(found) => format!("found {found}"),
        None => format!("found none: it is {}", incident.state.as_str()),
    };
    Err(Wrong::new(format!("expected {what} {wanted}, {found}")).because(incident))
}

fn chosen<'m>(of: &Selection, moment: &'m Moment<'_>) -> Vec<&'m IncidentView> {
    let means = |incident: &&IncidentView| of.means(&incident.policy, &incident.target);
    moment.incidents.iter().filter(means).collect()
}

/// The newest incident that is meant, if all that are meant are about one thing.
fn the_one<'m>(of: &Selection, moment: &'m Moment<'_>) -> Result<&'m IncidentView, Wrong> {
    let chosen = chosen(of, moment);
    let subjects: BTreeSet<(&str, &LabelSet)> =
        chosen.iter().map(|incident| (incident.policy.as_str(), &incident.target)).collect();
    match (chosen.last(), subjects.len()) {
        (Some(incident), 1) => Ok(incident),
        (Some(_), count) => {
            let names: Vec<String> =
                subjects.iter().map(|(policy, target)| format!("{policy} on {target}")).collect();
            Err(Wrong {
                message: format!(
                    "{count} things have incidents, and it is not said which is meant"
                ),
                help: Some(format!("say `policy` or `target`: {}", names.join("; "))),
            })
        }
        (None, _) => Err(Wrong {
            message: "there is no such incident".to_owned(),
            help: Some(match moment.incidents.len() {
                0 => "no incident has opened".to_owned(),
                _ => "the incidents that opened are of other policies or targets".to_owned(),
            }),
        }),
    }
}

fn holds(
    wanted: &BTreeSet<Guard>,
    incident: &IncidentView,
    moment: &Moment<'_>,
) -> Result<(), Wrong> {
    let id = incident.id.parse().ok().map(IncidentId);
    let stage = id.and_then(|id| moment.scenario.state().incident(id)).map(|known| &known.stage);
    let found: BTreeSet<Guard> = match stage {
        Some(Stage::Held { holds, .. }) => holds.iter().map(Hold::guard).collect(),
        _ => BTreeSet::new(),
    };
    if found == *wanted {
        return Ok(());
    }
    let message =
        format!("expected these guards to hold: {}; found: {}", list(wanted), list(&found));
    Err(Wrong::new(message).because(incident))
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

fn orders(wanted: &[WantedOrder], of: &Selection, moment: &Moment<'_>) -> Result<(), Wrong> {
    let target = |run: &Run| target_of(run.order.id.incident, moment);
    let is_meant = |run: &&Run| of.means(run.policy.as_str(), &target(run));
    let found: Vec<&Run> = moment.orders.iter().filter(is_meant).collect();
    let fits = |(wanted, run): (&WantedOrder, &&Run)| is_order(wanted, run, &target(run));
    if wanted.len() == found.len() && wanted.iter().zip(&found).all(fits) {
        return Ok(());
    }
    let say = |run: &&Run| {
        let id = &run.order.id;
        let again = if id.attempt > 1 { format!(" (run {})", id.attempt) } else { String::new() };
        format!("{}{again} on {}: `{}`", id.remedy, target(run), run.order.action)
    };
    let wanted = list(wanted.iter().map(say_wanted));
    Err(Wrong {
        message: format!("expected these orders: {wanted}"),
        help: Some(format!("issued since the expectation before: {}", list(found.iter().map(say)))),
    })
}

fn is_order(wanted: &WantedOrder, run: &Run, target: &LabelSet) -> bool {
    let id = &run.order.id;
    wanted.remedy.as_ref().is_none_or(|remedy| remedy == id.remedy.as_str())
        && wanted.of.means(run.policy.as_str(), target)
        && wanted.attempt.is_none_or(|attempt| attempt == id.attempt)
        && wanted.action.as_ref().is_none_or(|action| *action == run.order.action.to_string())
}

fn say_wanted(order: &WantedOrder) -> String {
    let remedy = order.remedy.as_deref().unwrap_or("any remedy");
    let again = order.attempt.map_or_else(String::new, |attempt| format!(" (run {attempt})"));
    let action = order.action.as_ref().map_or_else(String::new, |action| format!(": `{action}`"));
    format!("{remedy}{again}{}{action}", say_selection(&order.of))
}

fn say_selection(of: &Selection) -> String {
    let policy = of.policy.as_ref().map_or_else(String::new, |name| format!(" of {name}"));
    let target = &of.target;
    if target.is_empty() { policy } else { format!("{policy} on {target}") }
}

fn notices(wanted: &[WantedNotice], of: &Selection, moment: &Moment<'_>) -> Result<(), Wrong> {
    let is_meant = |notice: &&Notice| of.means(notice.policy.as_str(), &notice.target);
    let found: Vec<&Notice> = moment.scenario.told().filter(is_meant).collect();
    let fits = |(wanted, notice): (&WantedNotice, &&Notice)| is_notice(wanted, notice);
    if wanted.len() == found.len() && wanted.iter().zip(&found).all(fits) {
        return Ok(());
    }
    let say_wanted = |notice: &WantedNotice| {
        let reason = notice.reason.as_ref().map_or("any".to_owned(), |text| format!("{text:?}"));
        format!("{reason}{}", say_selection(&notice.of))
    };
    let say = |notice: &&Notice| {
        format!("{:?} ({}, {})", notice.reason, topic_of(notice), notice.severity)
    };
    Err(Wrong {
        message: format!("expected people to be told: {}", list(wanted.iter().map(say_wanted))),
        help: Some(format!("they are told: {}", list(found.iter().map(say)))),
    })
}

fn is_notice(wanted: &WantedNotice, notice: &Notice) -> bool {
    wanted.topic.is_none_or(|topic| topic == topic_of(notice))
        && wanted.of.means(notice.policy.as_str(), &notice.target)
        && wanted.reason.as_ref().is_none_or(|text| notice.reason.contains(text.as_str()))
        && wanted.severity.as_ref().is_none_or(|severity| *severity == notice.severity)
}

fn topic_of(notice: &Notice) -> &'static str {
    match notice.topic() {
        Topic::Escalation { .. } => "escalation",
        Topic::Approval { .. } => "approval",
        Topic::Guard { .. } => "guard",
    }
}

fn target_of(id: IncidentId, moment: &Moment<'_>) -> LabelSet {
    let id = id.to_string();
    let incident = moment.incidents.iter().find(|incident| incident.id == id);
    incident.map_or_else(LabelSet::default, |incident| incident.target.clone())
}
