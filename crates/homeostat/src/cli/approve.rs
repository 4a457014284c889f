//! `homeostat approve`: lets the run start that waits for a person's word, as it is shown here.

use std::io::Write;

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
/// where one holds it, the approval counts until it expires. Where the policy wants several people,
/// each of them approves.
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
        body["digest"] = Value::from(approval.digest.to_string());
    }
    if let (Some(next), Some(lasts)) = (args.next, args.lasts) {
        body["next"] = Value::from(next);
        body["for"] = Value::from(lasts.to_string());
    }
    post(&client, &["api", "v1", "incidents", id, "approve"], &body, out)
}
