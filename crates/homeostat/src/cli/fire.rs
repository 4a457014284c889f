//! `homeostat fire`: sends a test alert by the alerts API.

use std::io::Write;

use clap::Args as ClapArgs;
use homeostat_core::label::LabelSet;
use jiff::Timestamp;
use serde_json::json;

use super::client::{Client, Server, Trouble};
use super::labels::Pair;
use super::{Exit, plain::plain};

/// Send a test alert
///
/// It goes to Homeostat, or to an Alertmanager that --url names. It fires for five minutes, or
/// until it is resolved.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  \
                  homeostat fire alertname=ServiceDown job=web instance=a:80 \\\n      \
                  --annotation summary='a does not answer'\n  \
                  homeostat fire alertname=ServiceDown job=web instance=a:80 --resolve")]
pub(super) struct Args {
    /// The alert's labels
    #[arg(required = true, value_name = "NAME=VALUE")]
    labels: Vec<Pair>,

    /// An annotation; may be given more than once
    #[arg(long = "annotation", value_name = "NAME=VALUE")]
    annotations: Vec<Pair>,

    /// Say that the alert is over
    #[arg(long)]
    resolve: bool,

    #[command(flatten)]
    server: Server,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Trouble> {
    let now = Timestamp::now().to_string();
    let mut alert = json!({
        "labels": Pair::object(&args.labels),
        "annotations": Pair::object(&args.annotations),
    });
    let moment = if args.resolve { "endsAt" } else { "startsAt" };
    alert[moment] = json!(now);
    Client::new(&args.server)?.post(&["api", "v2", "alerts"], &json!([alert]))?;
    let labels: LabelSet =
        args.labels.iter().map(|pair| (pair.name.as_str(), pair.value.as_str())).collect();
    let what = if args.resolve { "resolved" } else { "fired" };
    writeln!(out, "{what} {} at {}", plain(&labels.to_string()), args.server.place()?)?;
    Ok(Exit::Fine)
}
