//! `homeostat policies`: the policies in force.

use std::io::{self, Write};

use clap::Args as ClapArgs;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use super::client::{Client, Server, Trouble};
use super::plain::plain;
use super::{Exit, Output, write_json};

/// List the policies in force
///
/// With --output json, with every limit and default.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  homeostat policies")]
pub(super) struct Args {
    /// Print text for a person, or JSON
    #[arg(long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    server: Server,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Trouble> {
    let list: Value = Client::new(&args.server)?.get(&["api", "v1", "policies"], &[])?;
    match args.output {
        Output::Json => write_json(out, &list)?,
        Output::Text => write_text(out, &list)?,
    }
    Ok(Exit::Fine)
}

fn write_text(out: &mut dyn Write, list: &Value) -> io::Result<()> {
    let all = list["policies"].as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        return writeln!(out, "no policies");
    }
    let text = |value: &Value| plain(value.as_str().unwrap_or("–")).into_owned();
    let joined = |value: &Value, of: &dyn Fn(&Value) -> String| {
        let all: Vec<String> = value.as_array().into_iter().flatten().map(of).collect();
        if all.is_empty() { "–".to_owned() } else { all.join(", ") }
    };
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["NAME", "MODE", "TEAM", "REMEDIES", "MATCHERS"]);
    for policy in all {
        table.add_row([
            text(&policy["name"]),
            text(&policy["mode"]),
            text(&policy["team"]),
            joined(&policy["remedies"], &|remedy| text(&remedy["name"])),
            joined(&policy["matchers"], &text),
        ]);
    }
    for line in table.lines() {
        writeln!(out, "{}", line.strip_prefix(' ').unwrap_or(&line).trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn policies_are_a_table() {
        let policy = |name: &str, team: Option<&str>, remedies: &[&str]| {
            let remedies: Vec<Value> =
                remedies.iter().map(|name| json!({ "name": name })).collect();
            json!({
                "name": name, "mode": "auto", "team": team, "remedies": remedies,
                "matchers": ["job = \"web\""],
            })
        };
        let list = json!({ "policies": [policy("web", Some("shop"), &["restart", "reboot"]), policy("b", None, &[])] });
        let mut out = Vec::new();
        write_text(&mut out, &list).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
        NAME  MODE  TEAM  REMEDIES         MATCHERS
        web   auto  shop  restart, reboot  job = "web"
        b     auto  –     –                job = "web"
        "#);
    }
}
