//! `homeostat status`: how an engine stands, and whether somebody is needed.

use std::io::{self, Write};

use clap::Args as ClapArgs;
use homeostat_core::time::{Span, Timestamp};
use serde::Serialize;

use super::client::{Client, Server, Trouble};
use super::incidents::seconds;
use super::plain::plain;
use super::{Exit, Output, counted, write_json};
use crate::web::api::Status;
use crate::web::api::view::{AlertStatus, IncidentList, IncidentView};

/// How far back is looked for what was handed over and still fires.
const LOOK_BACK: Span = Span::from_secs(7 * 86_400);

/// Show how an engine stands, and who is needed
///
/// Exits with 1 if somebody is needed: to approve a run, to take over what was escalated and still
/// fires, or because the engine is not ready or its configuration cannot be read.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  homeostat status")]
pub(super) struct Args {
    /// Print text for a person, or JSON
    #[arg(long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    server: Server,
}

/// What is told.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    status: Status,
    /// Why a person is needed.
    needed: Vec<Need>,
}

/// Why a person is needed.
#[derive(Debug, Serialize)]
struct Need {
    /// For which incident, where it is for one.
    incident: Option<String>,
    what: String,
    /// What to type.
    help: Option<String>,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Trouble> {
    let client = Client::new(&args.server)?;
    let status: Status = client.get(&["api", "v1", "status"], &[])?;
    let list = |query: &[(&str, String)]| -> Result<Vec<IncidentView>, Trouble> {
        let mut all = vec![("limit", "1000".to_owned())];
        all.extend(query.iter().cloned());
        client.get(&["api", "v1", "incidents"], &all).map(|list: IncidentList| list.incidents)
    };
    let asked = list(&[("state", "awaiting_approval".into())])?;
    let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
    let escalated =
        list(&[("outcome", "escalated".into()), ("since", (now - LOOK_BACK).to_string())])?;
    let told = tell(status, &asked, &escalated);
    match args.output {
        Output::Json => write_json(out, &told)?,
        Output::Text => write_text(out, &told)?,
    }
    Ok(if told.needed.is_empty() { Exit::Fine } else { Exit::No })
}

pub(super) fn tell(status: Status, asked: &[IncidentView], escalated: &[IncidentView]) -> Told {
    let mut needed = Vec::new();
    let engine = |what: String| Need { incident: None, what, help: None };
    needed.extend(status.not_ready.as_ref().map(|why| engine(format!("it is not ready: {why}"))));
    let error = status.config.last_error.as_ref();
    needed.extend(error.map(|_| {
        let what = "the configuration cannot be read; the one before is in force".to_owned();
        Need { help: Some("homeostat check".into()), ..engine(what) }
    }));
    for incident in asked {
        let Some(approval) = &incident.approval else { continue };
        let until = seconds(approval.expires_at);
        needed.push(Need {
            incident: Some(incident.id.clone()),
            what: format!(
                "{} waits for approval until {until}: {}",
                subject(incident),
                approval.action
            ),
            help: Some(format!("homeostat approve {}", incident.id)),
        });
    }
    let fires = |incident: &&IncidentView| {
        incident.alerts.iter().any(|alert| alert.status == AlertStatus::Firing)
    };
    for incident in escalated.iter().filter(fires) {
        needed.push(Need {
            incident: Some(incident.id.clone()),
            what: format!("{} fires on: {}", subject(incident), incident.reason),
            help: Some(format!("homeostat incidents {}", incident.id)),
        });
    }
    Told { status, needed }
}

/// The alert and the target of an incident.
fn subject(incident: &IncidentView) -> String {
    format!("{} {}", super::incidents::alert(incident), incident.target)
}

pub(super) fn write_text(out: &mut dyn Write, told: &Told) -> io::Result<()> {
    let Told { status, needed } = told;
    let mut line = |name: &str, text: &str| writeln!(out, "{name:<10} {}", plain(text));
    line("ready", status.not_ready.as_ref().map_or("yes", |_| "no"))?;
    match &status.paused {
        None => line("paused", "no")?,
        Some(pause) => line(
            "paused",
            &format!("by {} since {}: {}", pause.by, seconds(pause.since), pause.reason),
        )?,
    }
    let config = match (&status.config.file, status.config.loaded_at) {
        (None, _) => "none: everything is recorded, and nothing is done".to_owned(),
        (Some(file), None) => file.clone(),
        (Some(file), Some(at)) => format!("{file}, read {}", seconds(at)),
    };
    line("config", &config)?;
    if let Some(firing) = status.alerts_active {
        line("alerts", &format!("{firing} firing"))?;
    }
    let open = &status.incidents_open;
    let states: Vec<String> =
        open.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let states = if states.is_empty() { String::new() } else { format!(": {}", states.join(", ")) };
    line("incidents", &format!("{} open{states}", open.values().sum::<usize>()))?;
    if needed.is_empty() {
        return line("needed", "nobody");
    }
    line("needed", &counted(needed.len(), "time", "times"))?;
    for Need { incident, what, help } in needed {
        let number = incident.as_deref().unwrap_or("–");
        writeln!(out, "  {number:<6} {}", plain(what))?;
        if let Some(help) = help {
            writeln!(out, "  {:6} {}", "", plain(help))?;
        }
    }
    Ok(())
}
