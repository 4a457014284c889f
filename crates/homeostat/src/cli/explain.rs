//! `homeostat explain`: what would be done about this alert?

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;

use homeostat_core::limits::defaults;
use homeostat_core::owner::Owner;
use homeostat_core::policy::{Extent, Worse};

use super::account;
use super::client::{Client, Place, Server, Trouble, place};
use super::incidents::of_team;
use super::labels::{self, Pair};
use super::plain::plain;
use super::{Exit, Output, answered, counted, entitled, prospect, witnesses, write_json};
use crate::access::agreeing;
use crate::explanation::{
    self, Agreement, Break, Bystander, Damped, Explanation, Guards, Harm, Meant, Outcome,
    Ownership, Proof, Reversal, Rung, Storm, Taken,
};
use homeostat_config as config;

/// Show what would be done about an alert
///
/// Shows which policies take an alert with these labels, what it heals, the remedies with their
/// arguments filled in, the limits of the guards and how the healing is proven; and the policies
/// that nearly take it, with what is missing. The Prometheuses and Alertmanagers of the configuration
/// are asked who sees the alert fire, how well its end can be known, and what its rule remembers; each
/// gets 20 seconds. With --url a running engine is asked instead, which tells what its guards have
/// counted and what each of them says now. Nothing is run. Exits with 1 if no policy takes it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  homeostat explain alertname=ServiceDown job=web instance=a:80
  homeostat explain --url http://127.0.0.1:9999 alertname=ServiceDown instance=a:80
  homeostat explain --config.file homeostat.yml --output json alertname=DiskFull")]
pub(crate) struct Args {
    /// The configuration, a file or a directory of them; may be given more than once
    #[arg(long = "config.file", value_name = "FILE", default_value = "homeostat.yml")]
    config_files: Vec<PathBuf>,
    /// Ask the engine that runs there, instead of reading a file; a URL, or `unix:` and a path
    #[arg(long, value_name = "URL", value_parser = place, conflicts_with = "config_files")]
    url: Option<Place>,
    /// Show it the token in this file
    #[arg(long, value_name = "FILE", requires = "url")]
    token_file: Option<PathBuf>,
    /// Whose certificates (PEM) it may have; else those that the system knows
    #[arg(long, value_name = "FILE", requires = "url")]
    ca_file: Option<PathBuf>,
    /// Talk to it as this file says: that of promtool and amtool
    #[arg(
        long = "http.config.file",
        value_name = "FILE",
        requires = "url",
        conflicts_with_all = ["token_file", "ca_file"]
    )]
    http_config_file: Option<PathBuf>,
    /// Ask nobody
    #[arg(long, conflicts_with = "url")]
    offline: bool,
    /// Labels of the alert
    #[arg(value_name = "name=value", required = true)]
    labels: Vec<Pair>,
    /// An annotation of the alert; may be repeated
    #[arg(long = "annotation", value_name = "name=value")]
    annotations: Vec<Pair>,
    /// Whose it is what the alert is about, where a policy asks that first
    #[arg(long, value_name = "KIND/NAME", value_parser = owner, conflicts_with = "url")]
    owner: Option<Owner>,
    /// The form of the answer
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    output: Output,
}

/// Reads an owner as kubectl would name it.
fn owner(text: &str) -> Result<Owner, String> {
    match text.split_once('/') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => {
            let uid = format!("uid-of-{kind}-{name}");
            Ok(Owner { kind: kind.into(), name: name.into(), uid: uid.as_str().into() })
        }
        Some(_) | None => Err("expected KIND/NAME, as Deployment/web".into()),
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let explained = match &args.url {
        Some(url) => ask(url, args).map_err(|trouble| trouble.to_string()),
        None => read(args),
    };
    let explanation = match explained {
        Ok(explanation) => explanation,
        Err(why) => {
            return answered(&writeln!(err, "{}", why.trim_end_matches('\n')), Exit::Cannot);
        }
    };
    let written = match args.output {
        Output::Json => write_json(out, &explanation),
        Output::Text => write_text(out, &explanation),
    };
    answered(&written, if explanation.taken.is_empty() { Exit::No } else { Exit::Fine })
}

fn read(args: &Args) -> Result<Explanation, String> {
    let config = config::load(&args.config_files).map_err(|report| report.to_string())?;
    let (labels, annotations) = (labels::set(&args.labels), labels::set(&args.annotations));
    let owned = |owner| explanation::owned(&config.book, &labels, &annotations, owner);
    let known = args.owner.as_ref().map(owned).unwrap_or_default();
    let mut explanation = explanation::explain(&config.book, labels, &annotations, &known);
    if let Some(access) = &config.access {
        entitled::explain(access, &mut explanation);
    }
    if !args.offline {
        witnesses::explain(&config, &mut explanation);
    }
    Ok(explanation)
}

fn ask(url: &Place, args: &Args) -> Result<Explanation, Trouble> {
    let server = Server {
        url: Some(url.clone()),
        token_file: args.token_file.clone(),
        ca_file: args.ca_file.clone(),
        http_config_file: args.http_config_file.clone(),
        ..Server::default()
    };
    let query = |parameter: &'static str, pairs: &[Pair]| {
        let set = labels::set(pairs);
        let pairs: Vec<_> = set.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.into_iter().map(move |pair| (parameter, pair))
    };
    let labels = query("label", &args.labels);
    let query: Vec<_> = labels.chain(query("annotation", &args.annotations)).collect();
    Client::new(&server)?.get(&["api", "v1", "explain"], &query)
}

fn write_text(out: &mut dyn Write, explanation: &Explanation) -> io::Result<()> {
    if let Some(ignored) = &explanation.ignored {
        return writeln!(out, "{}", plain(ignored));
    }
    if explanation.taken.is_empty() {
        writeln!(out, "no policy takes {}", plain(&explanation.labels.to_string()))?;
    }
    if let Some(Meant { alertname, policy }) = &explanation.meant {
        let meant = format!("did you mean alertname={alertname:?}, as policy {policy} does?");
        writeln!(out, "  {}", plain(&meant))?;
    }
    for taken in &explanation.taken {
        write_taken(out, taken)?;
        if let (Some(at), Some(account)) = (explanation.at, &taken.account) {
            account::write(out, at, account)?;
        }
        writeln!(out)?;
    }
    if !explanation.passed.is_empty() {
        writeln!(out, "not taken by")?;
        for passed in &explanation.passed {
            writeln!(out, "  {}", plain(&format!("{}: {}", passed.policy, passed.because)))?;
        }
    }
    match (explanation.others, explanation.passed.is_empty()) {
        (0, _) => {}
        (others, true) => writeln!(out, "policies about other alerts: {others}")?,
        (others, false) => writeln!(out, "  … and {others} more")?,
    }
    if explanation.at.is_none() && !explanation.taken.is_empty() {
        writeln!(out, "\nwhat the guards have counted, a running engine knows: ask it with --url")?;
    }
    Ok(())
}

fn write_taken(out: &mut dyn Write, taken: &Taken) -> io::Result<()> {
    let mut line = |name: &str, text: &str| writeln!(out, "  {name:<10}{}", plain(text));
    let policy = of_team(&taken.policy, taken.team.as_deref());
    line("policy", &format!("{policy} ({})", taken.mode.as_str()))?;
    for (name, text) in [("about", &taken.description), ("runbook", &taken.runbook_url)] {
        text.iter().try_for_each(|text| line(name, text))?;
    }
    if let Some(owner) = &taken.owner {
        line("owner", &owner_text(owner))?;
    }
    if taken.missing.is_empty() {
        line("target", &taken.target.to_string())?;
    } else {
        let missing = taken.missing.join(", ");
        line("target", &format!("cannot be told, nothing is done: there is no label {missing}"))?;
    }
    line("for", &taken.settle.to_string())?;
    for (position, rung) in taken.remedies.iter().enumerate() {
        let name = if position == 0 { "remedies" } else { "" };
        line(name, &format!("{}. {}", position + 1, rung_text(rung)))?;
        if let Some(approval) = &rung.approval {
            line("", &format!("   {}", approval_text(approval)))?;
        }
        if let Some(undo) = &rung.undo {
            line("", &format!("   {}", undo_text(undo)))?;
        }
    }
    line("locks", &outcome_text(&taken.locks, |locks| locks.join(", ")))?;
    line("guards", &own_guards(&taken.guards))?;
    for restraint in restraints(&taken.guards) {
        line("", &restraint)?;
    }
    for text in target_guards(&taken.guards) {
        line("", &text)?;
    }
    team_guards(&taken.guards).iter().try_for_each(|text| line("", text))?;
    line("", &book_guards(&taken.guards))?;
    for (position, text) in source_texts(taken).iter().enumerate() {
        line(if position == 0 { "sources" } else { "" }, text)?;
    }
    line("verify", &proof_text(&taken.verify))?;
    for text in memory_texts(&taken.verify) {
        line("", text.as_str())?;
    }
    for (name, text) in taken.prospect.iter().flat_map(prospect::lines) {
        line(name, &text)?;
    }
    if let Some(harm) = &taken.regression {
        line("worse if", &harm_text(harm))?;
    }
    line("relapse", &format!("within {} the ladder goes on where it stood", taken.relapse))?;
    line(
        "escalate",
        &match &taken.escalate {
            Some(person) => format!("after {}, as {}", person.after, person.severity),
            None => "nobody is told".to_owned(),
        },
    )?;
    for (position, text) in taken.access.iter().flat_map(entitled::lines).enumerate() {
        line(if position == 0 { "access" } else { "" }, &text)?;
    }
    if taken.continues {
        line("continue", "later policies may take it too")?;
    }
    Ok(())
}

fn owner_text(owner: &Ownership) -> String {
    match owner {
        Ownership::Asked(of) => {
            format!("asked when it fires: {of}; see what follows with --owner KIND/NAME")
        }
        Ownership::Of(owner) => owner.clone(),
        Ownership::Unknown(why) => format!("cannot be told, nothing is done: {why}"),
    }
}

fn outcome_text<T>(outcome: &Outcome<T>, show: impl FnOnce(&T) -> String) -> String {
    match outcome {
        Outcome::Is(value) => show(value),
        Outcome::Refused(why) => format!("refused: {why}"),
    }
}

fn rung_text(rung: &Rung) -> String {
    let mut text = format!("{} ({}", rung.name, rung.mode.as_str());
    if rung.retries > 0 {
        let retries = counted(rung.retries as usize, "retry", "retries");
        let _ = write!(text, ", {retries} after {}", rung.backoff);
    }
    if rung.idempotent {
        text.push_str(", idempotent");
    }
    let action = outcome_text(&rung.action, ToString::to_string);
    format!("{text}, at most {}): {action}", rung.timeout)
}

fn approval_text(approval: &Agreement) -> String {
    let Agreement { by, count, expires } = approval;
    let but = if count.is_some() { ", not who set it going" } else { "" };
    format!("approved within {expires} by {}{but}", agreeing(*count, by.as_deref()))
}

fn undo_text(undo: &Reversal) -> String {
    let action = outcome_text(&undo.action, ToString::to_string);
    format!("undo (at most {}): {action}", undo.timeout)
}

fn harm_text(harm: &Harm) -> String {
    let matchers = match harm.matchers.as_slice() {
        [] => "any alert".to_owned(),
        matchers => format!("an alert with {}", matchers.join(", ")),
    };
    let then = match harm.worse {
        Worse::Tell => "a person is told",
        Worse::Undo => "a person is told, and the remedy is taken back",
    };
    format!("{matchers} begins to fire on this target: {then}")
}

fn own_guards(guards: &Guards) -> String {
    format!(
        "cooldown {}; {} per {}, {} at once; {}; alert at most {} old",
        guards.cooldown,
        counted(guards.rate.max as usize, "order", "orders"),
        guards.rate.per,
        guards.concurrency,
        counted(guards.attempts as usize, "attempt", "attempts"),
        guards.fresh_max_age,
    )
}

/// What holds by time, by what is heard of, and by how it went before: each where it is set.
fn restraints(guards: &Guards) -> Vec<String> {
    let freeze =
        (!guards.freeze.is_empty()).then(|| format!("frozen in {}", guards.freeze.join(", ")));
    let watchdog = guards.watchdog.as_ref().map(|watchdog| {
        format!("only if {} was heard of in the last {}", watchdog.matchers, watchdog.max_age)
    });
    let flap = guards.flap.as_ref().map(|flap| {
        let Damped { half_life, suppress, reuse } = flap;
        format!("flapping above {suppress} waits to fall to {reuse}, half-life {half_life}")
    });
    let breaker = guards.breaker.as_ref().map(|breaker| {
        let Break { failures, of, after, shared } = breaker;
        let shared = shared.as_ref().map(|name| format!("; {name} is shared with others"));
        let shared = shared.unwrap_or_default();
        format!("breaker opens at {failures} failures of the last {of}, for {after}{shared}")
    });
    freeze.into_iter().chain(watchdog).chain(flap).chain(breaker).collect()
}

/// The guards that count targets, where there are any.
fn target_guards(guards: &Guards) -> impl Iterator<Item = String> {
    let radius = guards.blast_radius.as_ref().map(|radius| {
        let extent = match &radius.extent {
            Extent::Targets(max) => counted(*max as usize, "target", "targets"),
            Extent::Share { percent, inventory, max, min } => {
                let max = max.map_or_else(String::new, |max| format!(", at most {max}"));
                let min = if *min == 0 { String::new() } else { format!(", at least {min}") };
                format!("{percent} % of {inventory}{max}{min}")
            }
        };
        format!("blast radius: in {}, {extent}", radius.window)
    });
    let storm = guards.storm.as_ref().map(|storm| {
        let Storm { percent, min, cool_down, inventory } = storm;
        let least = counted(*min as usize, "target", "targets");
        format!("storm: from {percent} % of {inventory} and {least}, until calm for {cool_down}")
    });
    radius.into_iter().chain(storm)
}

fn team_guards(guards: &Guards) -> Option<String> {
    let rate = guards
        .team_rate
        .as_ref()
        .map(|rate| format!("{} per {}", counted(rate.max as usize, "order", "orders"), rate.per));
    let running = guards.team_concurrency.map(|orders| format!("{orders} at once"));
    let limits: Vec<String> = rate.into_iter().chain(running).collect();
    (!limits.is_empty()).then(|| format!("all of the team: {}", limits.join(", ")))
}

fn book_guards(guards: &Guards) -> String {
    format!(
        "all policies: {} per {}, {} at once",
        counted(guards.book_rate.max as usize, "order", "orders"),
        guards.book_rate.per,
        guards.book_concurrency,
    )
}

fn proof_text(proof: &Proof) -> String {
    let Some(query) = &proof.query else {
        return format!("within {}: the alert is resolved", proof.within);
    };
    let query = outcome_text(query, Clone::clone);
    format!("within {}: {} times, {} apart: {query}", proof.within, proof.times, proof.every)
}

/// Which Prometheuses are asked, where the policy or a source says so.
fn source_texts(taken: &Taken) -> Vec<String> {
    let named = taken.sources.as_ref().map(|names| format!("only {}", names.join(", ")));
    let bystanders = taken.not_asked.iter();
    let bystanders = bystanders
        .map(|Bystander { prometheus, because }| format!("{prometheus} is not asked: {because}"));
    named.into_iter().chain(bystanders).collect()
}

/// How a rule that remembers and a target that vanishes are read, where that is not as usual.
fn memory_texts(proof: &Proof) -> impl Iterator<Item = String> {
    let patience = proof.patience;
    let patience = (patience != defaults::VERIFY_PATIENCE)
        .then(|| format!("what a rule remembers is waited for up to {patience}"));
    let vanishes = proof.vanishes.then(|| "a target that is gone is healed".to_owned());
    patience.into_iter().chain(vanishes)
}

#[cfg(test)]
mod tests;
