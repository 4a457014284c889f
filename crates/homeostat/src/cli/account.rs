//! What the guards of a running engine have counted, as a person reads it.

use std::fmt::Write as _;
use std::io::{self, Write};

use homeostat_core::decide::{Account, Contents};
use homeostat_core::guard::account::{
    Breaking, Counts, Heard, IncidentNumber, Opinion, Position, RemedyAccount, Says,
};
use homeostat_core::hold::Guard;
use homeostat_core::ledger::{Mark, Trial};
use homeostat_core::name::RemedyName;
use homeostat_core::time::Timestamp;

use super::counted;
use super::plain::plain;

/// Writes the account of one policy, below what its configuration says.
pub(super) fn write(out: &mut dyn Write, at: Timestamp, account: &Account) -> io::Result<()> {
    writeln!(out, "  {:<10}{}", "now", headline(at, account))?;
    let Contents::Ledgers { next, counts, opinions, remedies } = &account.contents else {
        return Ok(());
    };
    for opinion in opinions {
        let counted = match (opinion.guard, &opinion.says) {
            // Who has locked it, its reason says then.
            (Guard::Lock, Says::Hold { .. }) => None,
            (guard, _) => counted_by(guard, counts),
        };
        line(out, opinion.guard.as_str(), said(opinion), counted.as_deref())?;
    }
    if let Some(storm) = counted_by(Guard::Storm, counts) {
        line(out, Guard::Storm.as_str(), ("", &storm), None)?;
    }
    for remedy in remedies {
        write_remedy(out, remedy, next.as_ref())?;
    }
    writeln!(out, "  {:<10}what needs evidence is asked when an order is due, and not now", "")
}

fn headline(at: Timestamp, account: &Account) -> String {
    let mut text = format!("at {at:.0}: ");
    match &account.incident {
        None => text.push_str("no incident of this target is open"),
        Some(told) if told.state == "closed" => {
            let IncidentNumber(id) = told.id;
            let _ = write!(text, "incident {id} is closed; nothing starts before its alerts end");
        }
        Some(told) => {
            let (IncidentNumber(id), state) = (told.id, &told.state);
            let _ = write!(text, "incident {id} is {state}, open since {:.0}", told.opened_at);
        }
    }
    if let Contents::Nothing(why) = &account.contents {
        let _ = write!(text, "; no guard is asked: {}", plain(why));
    }
    text
}

fn write_remedy(
    out: &mut dyn Write,
    account: &RemedyAccount,
    next: Option<&RemedyName>,
) -> io::Result<()> {
    let is_next = if next == Some(&account.remedy) { ", the next" } else { "" };
    writeln!(out, "  {:<10}remedy {}{is_next}", "", plain(account.remedy.as_str()))?;
    for opinion in &account.opinions {
        line(out, opinion.guard.as_str(), said(opinion), None)?;
    }
    for breaking in account.breakers.iter().filter(|b| !b.results.is_empty()) {
        writeln!(out, "  {:<31}{}", "", plain(&breaker(breaking)))?;
    }
    Ok(())
}

/// Writes one guard: its verdict with its reason, and what it has counted.
fn line(
    out: &mut dyn Write,
    guard: &str,
    said: (&str, &str),
    counted: Option<&str>,
) -> io::Result<()> {
    let (verdict, reason) = said;
    let counted = counted.map_or_else(String::new, |counted| format!(" ({counted})"));
    writeln!(out, "  {:<10}  {guard:<13}{verdict:<6}{}", "", plain(&format!("{reason}{counted}")))
}

fn said(opinion: &Opinion) -> (&str, &str) {
    match &opinion.says {
        Says::Clear { reason } => ("clear", reason),
        Says::Hold { reason, .. } => ("hold", reason),
        Says::Stop { reason } => ("stop", reason),
    }
}

/// What a guard has counted, where its reason does not say it.
fn counted_by(guard: Guard, counts: &Counts) -> Option<String> {
    match guard {
        Guard::Pause => counts.pause.as_ref().map(|pause| format!("since {:.0}", pause.since)),
        Guard::Watchdog => match counts.watchdog? {
            Heard::At(at) => Some(format!("at {at:.0}")),
            Heard::Silent | Heard::Unknown => None,
        },
        Guard::Lock => {
            let held = counts.locks.iter().filter_map(|lock| {
                let IncidentNumber(by) = lock.held_by?;
                Some(format!("{} is held by incident {by}", lock.key))
            });
            Some(held.collect::<Vec<_>>().join("; ")).filter(|held| !held.is_empty())
        }
        Guard::Rate => Some(rates(counts)),
        Guard::Concurrency => {
            let running = counts.running.iter();
            let running = running.map(|r| format!("{}: {} of {}", r.scope, r.running, r.max));
            Some(running.collect::<Vec<_>>().join("; "))
        }
        Guard::Flap => counts.flap.map(|flap| {
            let flaps = counted(flap.flaps as usize, "flap", "flaps");
            format!("{flaps}; suppressed above {}, until it is {}", flap.suppress, flap.reuse)
        }),
        Guard::Storm => counts.storm.as_ref().map(|firing| {
            let fire = counted(
                usize::try_from(firing.targets).unwrap_or(usize::MAX),
                "target fires",
                "targets fire",
            );
            match &firing.storm {
                None => format!("{fire}: no storm"),
                Some(storm) => {
                    let began =
                        format!("{fire}: a storm since {:.0}; {}", storm.began_at, storm.gauge);
                    let ends =
                        storm.ends_at().map(|end| format!("; over at {end:.0} if it stays calm"));
                    began + &ends.unwrap_or_default()
                }
            }
        }),
        // Their reasons say all that is counted.
        Guard::Freeze
        | Guard::Cooldown
        | Guard::Breaker
        | Guard::Attempts
        | Guard::BlastRadius
        | Guard::Stranger
        | Guard::Fresh
        | Guard::Silence
        | Guard::Regression
        | Guard::DryRun
        | Guard::Approval => None,
    }
}

fn rates(counts: &Counts) -> String {
    let buckets = counts.rates.iter().map(|bucket| {
        let mut text = format!("{}: {} of {} left", bucket.scope, bucket.tokens, bucket.max);
        if let Some(at) = bucket.next_at {
            let _ = write!(text, ", next at {at:.0}");
        }
        text
    });
    buckets.collect::<Vec<_>>().join("; ")
}

fn breaker(breaking: &Breaking) -> String {
    let position = match &breaking.position {
        Position::Closed => "closed".to_owned(),
        Position::Open { until, .. } => format!("open until {until:.0}"),
        Position::HalfOpen { tried_by: None, .. } => "half open: the next one tries".to_owned(),
        Position::HalfOpen { tried_by: Some(IncidentNumber(by)), .. } => {
            format!("half open: incident {by} tries")
        }
    };
    let results: Vec<String> = breaking.results.iter().map(result).collect();
    format!("{}: {position}; the last first: {}", breaking.circuit, results.join(", "))
}

fn result(mark: &Mark) -> String {
    let word = match mark.trial {
        Trial::Healed => "healed",
        Trial::Failed(_) => "failed",
        Trial::Worse(_) => "worse",
    };
    format!("{word} (incident {})", mark.incident)
}
