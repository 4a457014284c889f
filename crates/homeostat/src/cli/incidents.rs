//! `homeostat incidents`: a table of them, or one with its timeline, evidence and reasons.

use std::io::{self, Write};
use std::thread::sleep;
use std::time::Duration;

use clap::Args as ClapArgs;
use homeostat_core::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::client::{Client, Server, Trouble};
use super::labels::Pair;
use super::plain::{lines, plain};
use super::table::{Look, table};
use super::{Exit, Output};
use crate::access::agreeing;
use crate::web::api::view::{
    AlertView, ApprovalView, CollectedView, Entry, IncidentList, IncidentView, LookView, OrderView,
    StateView, VoteView, WhyView,
};

/// How often is looked for what is new, where somebody watches.
const LOOK: Duration = Duration::from_secs(1);

/// Answers that a choice tells, unless all reasons are wanted.
const ANSWERS: usize = 4;

/// List incidents, or tell one
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  \
                  homeostat incidents --open\n  \
                  homeostat incidents --outcome escalated --since 24h\n  \
                  homeostat incidents --policy web-down --target instance=a:80\n  \
                  homeostat incidents 17\n  \
                  homeostat incidents 17 --why\n  \
                  homeostat incidents 17 --follow\n  \
                  homeostat incidents 17 --output json")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that is typed")]
pub(super) struct Args {
    /// Tell this one, with all that happened and why
    id: Option<String>,

    /// Tell every candidate, guard and answer of each choice
    #[arg(long, requires = "id")]
    why: bool,

    /// Tell what happens, as it happens, until it is closed
    #[arg(long, requires = "id", conflicts_with_all = ["why", "output"])]
    follow: bool,

    /// Only those that are open
    #[arg(long, conflicts_with_all = ["id", "state"])]
    open: bool,

    /// Only those with this outcome; may be given more than once
    #[arg(long, conflicts_with = "id")]
    outcome: Vec<String>,

    /// Only those that opened since then: a time as in 2026-01-05T09:00:00Z, or how long ago, as in 24h
    #[arg(long, value_name = "WHEN", conflicts_with = "id", value_parser = since)]
    since: Option<Timestamp>,

    /// Go on, and show the list again when it has changed
    #[arg(long, conflicts_with_all = ["id", "output"])]
    watch: bool,

    /// Only those in this state: `waiting`, `awaiting_approval`, `acting`, `verifying` or `closed`
    #[arg(long, conflicts_with = "id")]
    state: Option<String>,

    /// Only those of this policy
    #[arg(long, conflicts_with = "id")]
    policy: Option<String>,

    /// Only those with this target label; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "id")]
    target: Vec<Pair>,

    /// At most so many
    #[arg(long, default_value_t = 50, conflicts_with = "id")]
    limit: u32,

    /// Go on from where an earlier list ended
    #[arg(long, conflicts_with = "id")]
    cursor: Option<String>,

    /// Print text for a person, or JSON
    #[arg(long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    server: Server,
}

/// Of the policies in force, how their remedies fared in shadow.
#[derive(Debug, Deserialize)]
pub(super) struct Policies {
    policies: Vec<PolicyScores>,
}

#[derive(Debug, Deserialize)]
struct PolicyScores {
    name: String,
    remedies: Vec<RemedyScore>,
}

#[derive(Debug, Deserialize)]
struct RemedyScore {
    name: String,
    #[serde(default)]
    shadow: Option<Score>,
}

#[derive(Debug, Deserialize)]
struct Score {
    judged: u64,
    needless: u64,
    since: Timestamp,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Trouble> {
    let client = Client::new(&args.server)?;
    if let Some(id) = args.id.as_ref().filter(|_| args.follow) {
        return follow(&client, id, out);
    }
    if let Some(id) = &args.id {
        let incident: IncidentView = client.get(&["api", "v1", "incidents", id], &[])?;
        match args.output {
            Output::Text => tell(&incident, args.why, out)?,
            Output::Json => json(&incident, out)?,
        }
        return Ok(Exit::Fine);
    }
    let query = query(args);
    if args.watch {
        return watch(&client, &query, out);
    }
    let list: IncidentList = client.get(&["api", "v1", "incidents"], &query)?;
    match args.output {
        Output::Text => {
            table(&list, Look::of_standard_output(), out)?;
            let policies: Policies = client.get(&["api", "v1", "policies"], &[])?;
            scores(&policies, out)?;
        }
        Output::Json => json(&list, out)?,
    }
    Ok(Exit::Fine)
}

fn query(args: &Args) -> Vec<(&'static str, String)> {
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.open.then(|| ("state", "open".to_owned())));
    query.extend(args.state.iter().map(|state| ("state", state.clone())));
    query.extend(args.outcome.iter().map(|outcome| ("outcome", outcome.clone())));
    query.extend(args.since.iter().map(|since| ("since", since.to_string())));
    query.extend(args.policy.iter().map(|policy| ("policy", policy.clone())));
    query.extend(args.target.iter().map(|p| ("target", format!("{}={}", p.name, p.value))));
    query.extend(args.cursor.iter().map(|cursor| ("cursor", cursor.clone())));
    query
}

/// A moment, or how long ago it was.
fn since(text: &str) -> Result<Timestamp, String> {
    let ago: Option<Span> = text.parse().ok();
    match ago {
        Some(ago) => Ok(Timestamp::from_micros(jiff::Timestamp::now().as_microsecond()) - ago),
        None => text.parse().map_err(|error| format!("{error}, and no duration as in 24h")),
    }
}

/// Shows the list again whenever it has changed; on a terminal in the same place. It ends with its reader.
fn watch(client: &Client, query: &[(&str, String)], out: &mut dyn Write) -> Result<Exit, Trouble> {
    let mut shown = None;
    loop {
        let list: IncidentList = client.get(&["api", "v1", "incidents"], query)?;
        if shown.as_ref() != Some(&list) {
            let look = Look::of_standard_output();
            if look.is_of_terminal() {
                write!(out, "\u{1b}[H\u{1b}[2J")?;
            }
            table(&list, look, out)?;
            out.flush()?;
            shown = Some(list);
        }
        sleep(LOOK);
    }
}

/// Tells what happens to one incident until it is closed.
fn follow(client: &Client, id: &str, out: &mut dyn Write) -> Result<Exit, Trouble> {
    let mut told = 0;
    loop {
        let incident: IncidentView = client.get(&["api", "v1", "incidents", id], &[])?;
        for entry in incident.timeline.iter().skip(told) {
            tell_entry(entry, out)?;
        }
        told = told.max(incident.timeline.len());
        out.flush()?;
        if incident.state == StateView::Closed {
            return Ok(Exit::Fine);
        }
        sleep(LOOK);
    }
}

fn json(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// Prints what remedies in shadow would have been worth, where any was judged.
pub(super) fn scores(policies: &Policies, out: &mut dyn Write) -> io::Result<()> {
    let mut before = "\n";
    for policy in &policies.policies {
        for remedy in &policy.remedies {
            let Some(shadow) = &remedy.shadow else { continue };
            let (policy, remedy) = (plain(&policy.name), plain(&remedy.name));
            let Score { judged, needless, since } = shadow;
            let since = seconds(*since);
            writeln!(
                out,
                "{before}in shadow: {needless} of {judged} times since {since} it ended without remedy \
                 {remedy} of {policy}, by itself or by somebody"
            )?;
            before = "";
        }
    }
    Ok(())
}

/// The name of the first alert of an incident.
pub(super) fn alert(incident: &IncidentView) -> &str {
    incident.alerts.first().and_then(|alert| alert.labels.get("alertname")).unwrap_or("–")
}

/// The outcome of what is closed, the state of what is not.
pub(super) fn standing(incident: &IncidentView) -> &str {
    match (incident.state, incident.outcome) {
        (StateView::Closed, Some(outcome)) => outcome.as_str(),
        (state, _) => state.as_str(),
    }
}

/// A policy, and whose it is where it is somebody's.
pub(super) fn of_team(policy: &str, team: Option<&str>) -> String {
    team.map_or_else(|| policy.to_owned(), |team| format!("{policy} of team {team}"))
}

/// Prints one incident with all that happened; of each choice what a person needs at night, or why
/// in full.
pub(super) fn tell(incident: &IncidentView, why: bool, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "incident {}: {}", plain(&incident.id), headline(incident))?;
    let mut fields = vec![
        ("policy", of_team(&incident.policy, incident.team.as_deref())),
        ("target", incident.target.to_string()),
        ("opened", seconds(incident.opened_at)),
    ];
    if let Some(closed_at) = incident.closed_at {
        let took = closed_at.since(incident.opened_at);
        fields.push(("closed", format!("{}, after {took}", seconds(closed_at))));
    }
    if let Some(earlier) = &incident.relapse_of {
        fields.push(("relapse", format!("of incident {earlier}")));
    }
    fields.push(("reason", incident.reason.clone()));
    // What an open incident waits for was judged then, and not when it is read.
    if let Some(at) = incident.reason_at.filter(|_| incident.closed_at.is_none()) {
        fields.push(("as of", seconds(at)));
    }
    for (name, value) in fields {
        writeln!(out, "  {name:<8} {}", plain(&value))?;
    }
    if let Some(approval) = &incident.approval {
        writeln!(
            out,
            "\nwaits for approval until {}{}",
            seconds(approval.expires_at),
            people(approval)
        )?;
        for VoteView { by, reason, at } in &approval.votes {
            let why =
                if reason.is_empty() { String::new() } else { format!(": {}", plain(reason)) };
            writeln!(out, "  approved   by {} at {}{why}", plain(by), seconds(*at))?;
        }
        writeln!(out, "  would run  {}", plain(&approval.action))?;
        writeln!(out, "  yes        homeostat approve {}", plain(&incident.id))?;
        writeln!(out, "  no         homeostat reject {}", plain(&incident.id))?;
    }
    section(out, "alerts", &incident.alerts, tell_alert)?;
    let told = u64::try_from(incident.alerts.len()).unwrap_or(u64::MAX);
    if let Some(more) = incident.alerts_total.checked_sub(told).filter(|more| *more > 0) {
        writeln!(out, "  and {more} more")?;
    }
    section(out, "orders", &incident.orders, tell_order)?;
    section(out, "before and after", &incident.collected, tell_collected)?;
    let tell_reasons = if why { tell_all_reasons } else { tell_reasons };
    section(out, "timeline", &incident.timeline, |entry, out| {
        tell_entry(entry, out)?;
        entry.why.as_ref().map_or(Ok(()), |why| tell_reasons(why, out))
    })?;
    if !why && incident.timeline.iter().any(|entry| entry.why.is_some()) {
        writeln!(out, "\nall reasons: homeostat incidents {} --why", plain(&incident.id))?;
    }
    Ok(())
}

/// Prints what collectors found, indented so that no line of it can be taken for one of ours.
fn tell_collected(collected: &CollectedView, out: &mut dyn Write) -> io::Result<()> {
    for look in &collected.found {
        let LookView { name, at, text, cut, trouble } = look;
        let (moment, time) = (plain(&collected.moment), seconds(collected.at));
        writeln!(out, "  {} {moment}, {time}: {}", plain(name), plain(at))?;
        if let Some(trouble) = trouble {
            writeln!(out, "    {}", plain(trouble))?;
        }
        if *cut {
            writeln!(out, "    …")?;
        }
        for line in text.lines() {
            writeln!(out, "    | {}", plain(line))?;
        }
    }
    Ok(())
}

/// Who must agree, where that is not whoever may approve.
fn people(approval: &ApprovalView) -> String {
    let ApprovalView { by, count, .. } = approval;
    let count = Some(*count).filter(|count| *count > 1);
    if by.is_none() && count.is_none() {
        return String::new();
    }
    format!(", by {}", plain(&agreeing(count, by.as_deref())))
}

fn headline(incident: &IncidentView) -> String {
    let remedy = incident.remedy.as_ref().map(|remedy| format!(" by {}", plain(remedy)));
    let grade = incident.grade.map(|grade| format!(", {grade}"));
    let standing = standing(incident);
    format!("{standing}{}{}", remedy.unwrap_or_default(), grade.unwrap_or_default())
}

fn section<T>(
    out: &mut dyn Write,
    title: &str,
    items: &[T],
    tell: impl Fn(&T, &mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    items.iter().try_for_each(|item| tell(item, out))
}

fn tell_alert(alert: &AlertView, out: &mut dyn Write) -> io::Result<()> {
    let labels = alert.labels.to_string();
    let of = alert.owner.as_ref().map(|owner| format!(", of {} {}", owner.kind, owner.name));
    writeln!(
        out,
        "  {:<8} {}{}, says {}",
        alert.status.as_str(),
        plain(&labels),
        plain(&of.unwrap_or_default()),
        plain(&alert.source)
    )
}

fn tell_order(order: &OrderView, out: &mut dyn Write) -> io::Result<()> {
    let result = match &order.outcome {
        Some(outcome) => outcome.as_str(),
        None => order.state.as_str(),
    };
    writeln!(out, "  {:<16} {}: {}", plain(&order.id), plain(&order.action), plain(result))?;
    lines(&order.output).try_for_each(|line| writeln!(out, "  {:16} | {line}", ""))
}

fn tell_entry(entry: &Entry, out: &mut dyn Write) -> io::Result<()> {
    let times = if entry.count > 1 { format!(" ({} times)", entry.count) } else { String::new() };
    writeln!(out, "  {}  {}{times}", seconds(entry.at), plain(&entry.text))
}

/// What a tired person wants: what was tried before, and what was known. Which guards hold, the
/// entry itself says.
fn tell_reasons(why: &WhyView, out: &mut dyn Write) -> io::Result<()> {
    for candidate in why.candidates.iter().filter(|candidate| candidate.came_before()) {
        reason(out, "before", &candidate.remedy, &candidate.text)?;
    }
    tell_answers(why, ANSWERS, out)
}

fn tell_all_reasons(why: &WhyView, out: &mut dyn Write) -> io::Result<()> {
    for candidate in &why.candidates {
        reason(out, "remedy", &candidate.remedy, &candidate.text)?;
    }
    for said in &why.guards {
        reason(out, said.verdict.as_str(), &said.guard, &said.reason)?;
    }
    tell_answers(why, usize::MAX, out)
}

fn tell_answers(why: &WhyView, at_most: usize, out: &mut dyn Write) -> io::Result<()> {
    for told in why.evidence.iter().take(at_most) {
        let answer = format!("{} ({} old)", told.answer, told.age);
        reason(out, "asked", &told.asked, &answer)?;
    }
    let untold = why.evidence.len().saturating_sub(at_most);
    match untold + why.more_evidence.unwrap_or_default() {
        0 => Ok(()),
        more => writeln!(out, "  {:20}    asked   {more} more", ""),
    }
}

fn reason(out: &mut dyn Write, kind: &str, of: &str, reason: &str) -> io::Result<()> {
    writeln!(out, "  {:20}    {kind:<7} {}: {}", "", plain(of), plain(reason))
}

/// A time to the second: nobody reads more at night.
pub(super) fn seconds(at: Timestamp) -> String {
    Timestamp::from_seconds(at.seconds()).to_string()
}
