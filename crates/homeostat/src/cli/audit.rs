//! `homeostat audit`: what people did, as a table or as lines of JSON; and whether the journal that
//! tells it is what was written.

mod verify;

use std::io::{self, Write};
use std::time::SystemTime;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use homeostat_core::operator::{Known, Operator, Way};
use homeostat_core::time::{Span, Timestamp};

use super::client::{Client, Server, Trouble};
use super::labels::Pair;
use super::plain::{cut, plain};
use super::{Exit, write_json};
use crate::web::api::audit::{AuditEntry, AuditList};

/// Characters of a reason in the table.
const REASON: usize = 60;

/// Digits of a SHA-256 in the table.
const DIGITS: usize = 12;

/// Deeds that are asked for at once, where all are wanted.
const PAGE: usize = 1000;

/// Deeds of a table.
const LIMIT: usize = 50;

/// List what people did, or verify the journal that tells it
///
/// Commands about incidents, pauses, and configurations that came into force, the last one first, as
/// far back as the journal goes (--storage.retention). You see what was done about incidents that you
/// may view; what concerns the whole engine is for who may view everything.
#[derive(Debug, ClapArgs)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  \
                  homeostat audit --who user:ann --since 24h\n  \
                  homeostat audit --what approve --policy 'db-primary'\n  \
                  homeostat audit --output jsonl > audit.jsonl\n  \
                  homeostat audit verify --storage.path /var/lib/homeostat"
)]
pub(super) struct Args {
    #[command(subcommand)]
    part: Option<Part>,

    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Part {
    Verify(verify::Args),
}

/// Which deeds to list, and how.
#[derive(Debug, ClapArgs)]
struct List {
    /// Only by this identity, as in `user:ann` or `token:ci`
    #[arg(long)]
    who: Option<String>,

    /// Only these: `approve`, `reject`, `cancel`, `retry`, `revoke`, `pause`, `resume`, `start` or
    /// `reload`
    #[arg(long)]
    what: Option<String>,

    /// Only on this incident
    #[arg(long, value_name = "ID")]
    incident: Option<String>,

    /// Only on incidents of this policy
    #[arg(long)]
    policy: Option<String>,

    /// Only on incidents with this target label; may be given more than once
    #[arg(long, value_name = "NAME=VALUE")]
    target: Vec<Pair>,

    /// Only then or later: a time as in 2026-01-05T09:00:00Z, or how long ago, as in 24h
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    since: Option<Timestamp>,

    /// Only before then
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    until: Option<Timestamp>,

    /// At most so many [default: 50; with --output jsonl, all]
    #[arg(long)]
    limit: Option<usize>,

    /// Go on from where an earlier list ended
    #[arg(long)]
    cursor: Option<String>,

    /// Print text for a person, one page as JSON, or a line of JSON for each of all
    #[arg(long, value_enum, default_value_t)]
    output: Output,

    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Output {
    #[default]
    Text,
    Json,
    Jsonl,
}

/// A moment, or how long ago it was.
fn moment(text: &str) -> Result<Timestamp, String> {
    let Ok(ago) = text.parse::<Span>() else {
        return text.parse().map_err(|error| format!("{error}; or how long ago, as in 24h"));
    };
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    Ok(now - ago)
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Trouble> {
    match &args.part {
        Some(Part::Verify(args)) => verify::run(args, out),
        None => list(&args.list, out),
    }
}

fn list(args: &List, out: &mut dyn Write) -> Result<Exit, Trouble> {
    let client = Client::new(&args.server)?;
    if args.output == Output::Jsonl {
        export(&client, args, out)?;
        return Ok(Exit::Fine);
    }
    let list = page(&client, args, args.limit.unwrap_or(LIMIT), args.cursor.as_deref())?;
    match args.output {
        Output::Text => table(&list, out)?,
        Output::Json | Output::Jsonl => write_json(out, &list)?,
    }
    Ok(Exit::Fine)
}

/// Prints all that there are, page by page, or as many as are wanted.
fn export(client: &Client, args: &List, out: &mut dyn Write) -> Result<(), Trouble> {
    let mut left = args.limit.unwrap_or(usize::MAX);
    let mut cursor = args.cursor.clone();
    loop {
        let list = page(client, args, left.min(PAGE), cursor.as_deref())?;
        for entry in &list.entries {
            serde_json::to_writer(&mut *out, entry).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        left = left.saturating_sub(list.entries.len());
        cursor = list.next_cursor;
        if cursor.is_none() || left == 0 {
            return Ok(());
        }
    }
}

fn page(
    client: &Client,
    args: &List,
    limit: usize,
    cursor: Option<&str>,
) -> Result<AuditList, Trouble> {
    let mut query = vec![("limit", limit.to_string())];
    for (name, value) in [
        ("who", &args.who),
        ("what", &args.what),
        ("incident", &args.incident),
        ("policy", &args.policy),
    ] {
        query.extend(value.iter().map(|value| (name, value.clone())));
    }
    query.extend(args.target.iter().map(|p| ("target", format!("{}={}", p.name, p.value))));
    for (name, value) in [("since", args.since), ("until", args.until)] {
        query.extend(value.map(|value| (name, value.to_string())));
    }
    query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
    client.get(&["api", "v1", "audit"], &query)
}

fn table(list: &AuditList, out: &mut dyn Write) -> io::Result<()> {
    if list.entries.is_empty() {
        writeln!(out, "nothing was done")?;
    } else {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["AT", "WHO", "WAY", "FROM", "WHAT", "ON", "WHY"]);
        for entry in &list.entries {
            let column = |text: &Option<String>| plain(text.as_deref().unwrap_or("-")).into_owned();
            table.add_row([
                Timestamp::from_seconds(entry.at.seconds()).to_string(),
                plain(&who(entry)).into_owned(),
                column(&entry.way),
                column(&entry.address),
                plain(&entry.what).into_owned(),
                plain(&on(entry)).into_owned(),
                plain(&cut(&entry.reason, REASON)).into_owned(),
            ]);
        }
        for line in table.lines() {
            writeln!(out, "{}", line.strip_prefix(' ').unwrap_or(&line).trim_end())?;
        }
    }
    if let Some(cursor) = &list.next_cursor {
        writeln!(out, "\nmore: homeostat audit --cursor {}", plain(cursor))?;
    }
    Ok(())
}

/// Who it was, and as whom, where they said another name.
fn who(entry: &AuditEntry) -> String {
    let claimed = entry.claimed.clone().unwrap_or_default();
    match &entry.who {
        Some(who) => {
            let (who, way) = (who.clone(), Way::Unasked);
            let known = Known { who, way, groups: Vec::new(), address: String::new() };
            Operator { claimed, known: Some(known) }.to_string()
        }
        None if claimed.is_empty() => "-".to_owned(),
        None => Operator::from(claimed).to_string(),
    }
}

/// On what it was done.
fn on(entry: &AuditEntry) -> String {
    if let Some(incident) = &entry.incident {
        let policy = entry.policy.as_deref().unwrap_or_default();
        let target = entry.target.as_ref().map(ToString::to_string).unwrap_or_default();
        let ahead = entry.ahead.as_ref().map_or_else(String::new, |ahead| {
            format!(", and the next {} for {}", ahead.uses, ahead.lasts)
        });
        return format!("incident {incident} {policy} {target}").trim_end().to_owned() + &ahead;
    }
    if let Some(approval) = &entry.approval {
        let policy = entry.policy.as_deref().unwrap_or_default();
        let target = entry.target.as_ref().map(ToString::to_string).unwrap_or_default();
        return format!("standing approval {approval} {policy} {target}").trim_end().to_owned();
    }
    match entry.configuration.as_ref().map(|configuration| &*configuration.files) {
        None => "everything".to_owned(),
        Some([]) => "no configuration".to_owned(),
        Some([file, more @ ..]) => {
            let digits: String = file.sha256.chars().take(DIGITS).collect();
            let more = if more.is_empty() { "" } else { &format!(" and {} more", more.len()) };
            format!("{} (sha256 {digits}…){more}", file.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(mut fields: serde_json::Value) -> serde_json::Value {
        let nothing = json!({
            "id": "1", "at": "2026-01-05T09:00:00.123Z", "what": "pause", "who": null,
            "claimed": null, "way": null, "address": null, "incident": null, "policy": null,
            "target": null, "reason": "", "ahead": null, "approval": null,
            "configuration": null,
        });
        for (name, value) in nothing.as_object().unwrap() {
            fields.as_object_mut().unwrap().entry(name).or_insert_with(|| value.clone());
        }
        fields
    }

    #[test]
    fn the_table_tells_who_did_what_on_what_and_why() {
        let list: AuditList = serde_json::from_value(json!({ "next_cursor": "812", "entries": [
            entry(json!({
                "what": "approve", "who": "user:ann", "claimed": "the pope", "way": "proxy",
                "address": "10.0.0.5:1", "incident": "17", "policy": "web",
                "target": { "instance": "a\u{1b}:80" }, "reason": "looked\nat it",
            })),
            entry(json!({ "who": "anonymous", "claimed": "bob", "way": "unasked" })),
            entry(json!({ "claimed": "of old", "what": "resume" })),
            entry(json!({ "what": "start", "way": "start", "configuration": {
                "of": "engine", "files": [{ "name": "homeostat.yml", "sha256": "0123456789abcdef" }],
            }})),
            entry(json!({ "what": "start", "way": "start", "configuration": {
                "of": "engine", "files": [],
            }})),
        ]}))
        .unwrap();
        let mut out = Vec::new();
        table(&list, &mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
        AT                    WHO                       WAY      FROM        WHAT     ON                                     WHY
        2026-01-05T09:00:00Z  user:ann (as "the pope")  proxy    10.0.0.5:1  approve  incident 17 web {instance="a\x1b:80"}  looked\nat it
        2026-01-05T09:00:00Z  bob                       unasked  -           pause    everything
        2026-01-05T09:00:00Z  of old                    -        -           resume   everything
        2026-01-05T09:00:00Z  -                         start    -           start    homeostat.yml (sha256 0123456789ab…)
        2026-01-05T09:00:00Z  -                         start    -           start    no configuration

        more: homeostat audit --cursor 812
        "#);
    }

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        assert_eq!(moment("2026-01-05T09:00:00Z").unwrap().to_string(), "2026-01-05T09:00:00Z");
        let hour = moment("1h").unwrap().since(moment("2h").unwrap());
        assert!((3599.0..3601.0).contains(&hour.as_secs_f64()), "{hour}");
        assert!(moment("yesterday").unwrap_err().contains("or how long ago, as in 24h"));
    }
}
