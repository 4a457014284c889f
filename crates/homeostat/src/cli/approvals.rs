//! `homeostat approvals`: what people have approved ahead.

use std::io::{self, Write};

use clap::Args as ClapArgs;
use comfy_table::{ContentArrangement, Table, presets};

use super::client::{Client, Server, Trouble};
use super::incidents::seconds;
use super::plain::{cut, plain};
use super::{Exit, Output, write_json};
use crate::web::api::approvals::ApprovalList;

/// Characters of an action in the table; the whole of it stands in the incident.
const ACTION: usize = 60;

/// List standing approvals: runs that start without a question
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  homeostat approvals\n  homeostat approvals --output json")]
pub(super) struct Args {
    /// Print text for a person, or JSON
    #[arg(long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    server: Server,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Trouble> {
    let list: ApprovalList = Client::new(&args.server)?.get(&["api", "v1", "approvals"], &[])?;
    match args.output {
        Output::Json => write_json(out, &list)?,
        Output::Text => table(&list, out)?,
    }
    Ok(Exit::Fine)
}

/// Prints a list as a table.
pub(super) fn table(list: &ApprovalList, out: &mut dyn Write) -> io::Result<()> {
    if list.approvals.is_empty() {
        return writeln!(out, "no standing approvals");
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["ID", "LEFT", "UNTIL", "POLICY", "REMEDY", "TARGET", "BY", "ACTION"]);
    for approval in &list.approvals {
        let by: Vec<&str> = approval.votes.iter().map(|vote| vote.by.as_str()).collect();
        table.add_row([
            approval.id.clone(),
            format!("{} of {}", approval.left, approval.uses),
            seconds(approval.until),
            plain(&approval.policy).into_owned(),
            plain(&approval.remedy).into_owned(),
            plain(&approval.target.to_string()).into_owned(),
            plain(&by.join(", ")).into_owned(),
            plain(&cut(&approval.action, ACTION)).into_owned(),
        ]);
    }
    for line in table.lines() {
        writeln!(out, "{}", line.strip_prefix(' ').unwrap_or(&line).trim_end())?;
    }
    Ok(())
}
