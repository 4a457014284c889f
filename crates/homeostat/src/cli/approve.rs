//! `homeostat approve`: lets the run start that waits for a person's word, as it is shown here.

use std::io::{self, IsTerminal as _, Write};

use clap::Args as ClapArgs;
use homeostat_core::time::Span;
use serde_json::Value;

use super::Exit;
use super::client::{Client, Trouble};
use super::command::{About, post};
use super::plain::plain;
use crate::web::api::view::IncidentView;

/// Let the remedy start that waits for approval
///
/// What is approved is the action that is printed, and no other. All guards judge it once more;
/// where one holds it, the approval counts until it expires: what would hold it now, is said. On a
/// terminal it is asked whether that is meant. Where the policy wants several people, each of them
/// approves.
///
/// With --next and --for, the same remedy may start on the same target so many times more without a
/// question, as long as it would do the same: a standing approval, which `homeostat approvals` lists.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example:
  homeostat approve 17 --reason 'nobody is logged in there'
  homeostat approve 17 --next 5 --for 24h --reason 'until the new disk is there'")]
pub(super) struct Args {
    #[command(flatten)]
    about: About,

    /// Approve so many further runs, too
    #[arg(long, value_name = "RUNS", requires = "lasts")]
    next: Option<u32>,

    /// Do not ask whether that is meant
    #[arg(long, short)]
    yes: bool,

    /// For so long
    #[arg(long = "for", id = "lasts", value_name = "DURATION", requires = "next")]
    lasts: Option<Span>,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Trouble> {
    let About { id, said } = &args.about;
    let client = Client::new(&said.server)?;
    let incident: IncidentView = client.get(&["api", "v1", "incidents", id], &[])?;
    let mut body = said.body();
    if let Some(approval) = &incident.approval {
        writeln!(out, "{}: {}", plain(&approval.remedy), plain(&approval.action))?;
        for hold in holding(&client, &incident) {
            writeln!(out, "it would be held now: {}", plain(&hold))?;
        }
        if !args.yes && is_looked_at() && !is_meant(out)? {
            writeln!(out, "nothing was approved")?;
            return Ok(Exit::No);
        }
        body["digest"] = Value::from(approval.digest.to_string());
    }
    if let (Some(next), Some(lasts)) = (args.next, args.lasts) {
        body["next"] = Value::from(next);
        body["for"] = Value::from(lasts.to_string());
    }
    post(&client, &["api", "v1", "incidents", id, "approve"], &body, out)
}

/// Whether a person sits there who can be asked.
fn is_looked_at() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

fn is_meant(out: &mut dyn Write) -> io::Result<bool> {
    write!(out, "approve this? [y/N] ")?;
    out.flush()?;
    let mut said = String::new();
    io::stdin().read_line(&mut said)?;
    Ok(["y", "yes"].contains(&said.trim().to_ascii_lowercase().as_str()))
}

/// What each guard that would hold the run now says, as far as that is known without asking anybody.
fn holding(client: &Client, incident: &IncidentView) -> Vec<String> {
    let Some(alert) = incident.alerts.first() else { return Vec::new() };
    let pair =
        |kind: &'static str| move |(name, value): (&str, &str)| (kind, format!("{name}={value}"));
    let mut query: Vec<(&str, String)> = alert.labels.iter().map(pair("label")).collect();
    query.extend(alert.annotations.iter().map(pair("annotation")));
    // Whoever may approve may still not be allowed to ask this; then it is not said.
    let Ok(explained) = client.get::<Value>(&["api", "v1", "explain"], &query) else {
        return Vec::new();
    };
    let taken = explained["taken"].as_array().into_iter().flatten();
    let ours = taken.filter(|taken| taken["policy"] == incident.policy.as_str());
    let opinions = ours.flat_map(|taken| {
        taken["account"]["ledgers"]["opinions"].as_array().cloned().unwrap_or_default()
    });
    let holds = opinions.filter(|opinion| opinion["verdict"] == "hold");
    holds
        .filter_map(|opinion| {
            Some(format!("{}: {}", opinion["guard"].as_str()?, opinion["reason"].as_str()?))
        })
        .collect()
}
