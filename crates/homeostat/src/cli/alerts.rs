//! `homeostat alerts`: what fires now, by policy; first what no policy takes.

use std::io::{self, Write};

use clap::Args as ClapArgs;

use super::client::{Client, Server, Trouble};
use super::incidents::seconds;
use super::plain::plain;
use super::{Exit, Output, write_json};
use crate::web::api::alerts::{AlertGroup, AlertList};

/// List what fires, by policy
///
/// What no policy takes stands first: nothing is done about it.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  homeostat alerts")]
pub(super) struct Args {
    /// Print text for a person, or JSON
    #[arg(long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    server: Server,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Trouble> {
    let list: AlertList = Client::new(&args.server)?.get(&["api", "v1", "alerts"], &[])?;
    match args.output {
        Output::Json => write_json(out, &list)?,
        Output::Text => write_text(out, &list)?,
    }
    Ok(Exit::Fine)
}

fn write_text(out: &mut dyn Write, list: &AlertList) -> io::Result<()> {
    if list.groups.is_empty() {
        return writeln!(out, "nothing fires");
    }
    for AlertGroup { policy, alerts } in &list.groups {
        let policy = policy.as_deref().map(|policy| format!("policy {}", plain(policy)));
        writeln!(out, "{}", policy.as_deref().unwrap_or("no policy takes these"))?;
        for alert in alerts {
            let (since, labels) = (seconds(alert.since), alert.labels.to_string());
            let incidents = match alert.incidents.as_slice() {
                [] => String::new(),
                some => format!("  incident {}", some.join(", ")),
            };
            let owner = alert.owner.as_ref().map(|owner| format!("  owner: {owner}"));
            let owner = owner.unwrap_or_default();
            writeln!(out, "  {since}  {}{}{}", plain(&labels), plain(&owner), plain(&incidents))?;
        }
    }
    if list.more > 0 {
        writeln!(out, "and {} more", list.more)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use homeostat_core::label::LabelSet;

    use super::*;
    use crate::web::api::alerts::FiringAlert;

    #[test]
    fn what_no_policy_takes_stands_first() {
        let at = "2026-01-05T09:00:00Z".parse().unwrap();
        let alert = |name: &str, owner: Option<&str>, incidents: &[&str]| FiringAlert {
            fingerprint: "58baa3ad1d4c2660".into(),
            source: "main".into(),
            labels: LabelSet::from_pairs([("alertname", name)]),
            owner: owner.map(str::to_owned),
            annotations: LabelSet::default(),
            starts_at: None,
            since: at,
            generator_url: String::new(),
            incidents: incidents.iter().map(|&id| id.to_owned()).collect(),
        };
        let groups = vec![
            AlertGroup { policy: None, alerts: vec![alert("Odd", None, &[])] },
            AlertGroup {
                policy: Some("web".into()),
                alerts: vec![
                    alert("Down", Some("Deployment web"), &["17"]),
                    alert("Slow", Some("being asked"), &[]),
                ],
            },
        ];
        let mut out = Vec::new();
        write_text(&mut out, &AlertList { at, groups, more: 2 }).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
        no policy takes these
          2026-01-05T09:00:00Z  {alertname="Odd"}
        policy web
          2026-01-05T09:00:00Z  {alertname="Down"}  owner: Deployment web  incident 17
          2026-01-05T09:00:00Z  {alertname="Slow"}  owner: being asked
        and 2 more
        "#);
    }
}
