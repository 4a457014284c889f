//! `homeostat approve`: lets the run start that waits for a person's word, as it is shown here.

use std::io::Write;

use clap::Args as ClapArgs;

use super::Exit;
use super::client::{Client, Trouble};
use super::command::{About, give};
use super::plain::plain;
use crate::web::api::view::IncidentView;

/// Let the remedy start that waits for approval
///
/// What is approved is the action that is printed, and no other. All guards judge it once more;
/// where one holds it, the approval counts until it expires.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  homeostat approve 17 --reason 'nobody is logged in there'")]
pub(super) struct Args {
    #[command(flatten)]
    about: About,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Trouble> {
    let client = Client::new(&args.about.server)?;
    let incident: IncidentView = client.get(&["api", "v1", "incidents", &args.about.id], &[])?;
    if let Some(approval) = &incident.approval {
        writeln!(out, "{}: {}", plain(&approval.remedy), plain(&approval.action))?;
    }
    let digest = incident.approval.map(|approval| approval.digest.to_string());
    give(&client, "approve", &args.about, digest, out)
}
