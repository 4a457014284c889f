//! `homeostat whoami`: who somebody is to an engine, and what they may do there.

use std::io::Write;

use clap::Args as ClapArgs;
use serde::{Deserialize, Serialize};

use super::client::{Client, Server, Trouble};
use super::plain::plain;
use super::{Exit, Output, write_json};

/// Show who you are to an engine, and what you may do
///
/// The engine says by what it knows you: a token, a certificate, a password, or the user of this
/// machine. The name that commands are given in (--by) is only written down beside it.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  homeostat whoami --url https://homeostat.example:9999 \
                        --token-file ~/.homeostat.token")]
pub(super) struct Args {
    /// Print text for a person, or JSON
    #[arg(long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    server: Server,
}

/// What the engine says.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    identity: String,
    groups: Vec<String>,
    way: String,
    address: String,
    may: Vec<Allowed>,
}

/// One thing that is allowed, and what it is narrowed to.
#[derive(Debug, Serialize, Deserialize)]
struct Allowed {
    permission: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sources: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policies: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    targets: Option<Vec<String>>,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Trouble> {
    let known: Known = Client::new(&args.server)?.get(&["api", "v1", "whoami"], &[])?;
    match args.output {
        Output::Json => write_json(out, &known)?,
        Output::Text => write_text(out, &known)?,
    }
    Ok(Exit::Fine)
}

fn write_text(out: &mut dyn Write, known: &Known) -> std::io::Result<()> {
    let mut line = |name: &str, text: &str| writeln!(out, "{name:<9}{}", plain(text));
    line("identity", &known.identity)?;
    if !known.groups.is_empty() {
        line("groups", &known.groups.join(", "))?;
    }
    line("known by", &format!("{}, from {}", known.way, known.address))?;
    if known.may.is_empty() {
        line("may", "nothing")?;
    }
    for (position, allowed) in known.may.iter().enumerate() {
        line(if position == 0 { "may" } else { "" }, &allowed_text(allowed))?;
    }
    Ok(())
}

fn allowed_text(allowed: &Allowed) -> String {
    let mut text = allowed.permission.clone();
    for (what, names) in [
        ("to source", &allowed.sources),
        ("on policy", &allowed.policies),
        ("on targets with", &allowed.targets),
    ] {
        if let Some(names) = names {
            text = format!("{text} {what} {}", names.join(", "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_told_with_what_it_is_narrowed_to() {
        let known: Known = serde_json::from_value(serde_json::json!({
            "identity": "user:ann",
            "groups": ["group:dba"],
            "way": "password",
            "address": "10.0.0.7:51234",
            "may": [
                { "permission": "view" },
                { "permission": "approve", "policies": ["db-*"], "targets": ["env!=\"prod\""] },
            ],
        }))
        .unwrap();
        let mut out = Vec::new();
        write_text(&mut out, &known).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
        identity user:ann
        groups   group:dba
        known by password, from 10.0.0.7:51234
        may      view
                 approve on policy db-* on targets with env!="prod"
        "#);
    }
}
