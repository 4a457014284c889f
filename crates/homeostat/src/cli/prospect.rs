//! Who could say that an alert is over, as a person reads it.

use crate::explanation::Outcome;
use crate::explanation::prospect::{Candidate, Kind, Prospect, Remembering, Series};

/// Returns lines, each with its title; empty where it goes on from the one before.
pub(super) fn lines(prospect: &Outcome<Prospect>) -> Vec<(&'static str, String)> {
    let prospect = match prospect {
        Outcome::Is(prospect) => prospect,
        Outcome::Refused(why) => return vec![("witnesses", format!("nobody was asked: {why}"))],
    };
    let mut lines = Vec::new();
    titled(&mut lines, "witnesses", prospect.witnesses.iter().map(of_candidate));
    let several = prospect.rules.iter().any(|rule| rule.prometheus != prospect.rules[0].prometheus);
    let at = |rule: &Remembering| {
        if several { format!("on {}, ", rule.prometheus) } else { String::new() }
    };
    let memory = prospect.rules.iter().map(|rule| format!("{}{}", at(rule), rule.text));
    titled(
        &mut lines,
        "memory",
        memory.chain(prospect.memory_is_yours.then(|| yours(&prospect.rules))),
    );
    let reads = prospect.rules.iter().map(|rule| format!("{}{}", at(rule), of_reads(&rule.reads)));
    titled(&mut lines, "reads", reads);
    let grade = match prospect.grade {
        Some(grade) => format!("{grade} at best"),
        None => "nothing can be proven".to_owned(),
    };
    let colon = if prospect.because.is_empty() { "" } else { ": " };
    lines.push(("grade", format!("{grade}{colon}{}", prospect.because.join("; "))));
    lines
}

fn titled(
    lines: &mut Vec<(&'static str, String)>,
    title: &'static str,
    texts: impl Iterator<Item = String>,
) {
    let title = std::iter::once(title).chain(std::iter::repeat(""));
    lines.extend(title.zip(texts));
}

fn of_candidate(candidate: &Candidate) -> String {
    let kind = match candidate.kind {
        Kind::Prometheus => "Prometheus",
        Kind::Alertmanager => "Alertmanager",
    };
    format!("{kind} {} {}", candidate.name, candidate.says)
}

/// What an Alertmanager says while no Prometheus shows the alert is not news of after the rule's memory.
fn yours(rules: &[Remembering]) -> String {
    let within = if rules.is_empty() {
        "nobody knows what its rule remembers: `within` must be longer than it looks back"
    } else {
        "while no Prometheus shows the alert, `within` must be longer than that"
    };
    format!("{within}, for what an Alertmanager was told after an action counts as firing")
}

fn of_reads(reads: &Outcome<Vec<Series>>) -> String {
    match reads {
        Outcome::Is(series) if series.is_empty() => {
            "nothing whose absence would hide the alert".to_owned()
        }
        Outcome::Is(series) => {
            let texts: Vec<String> = series.iter().map(of_series).collect();
            texts.join(", ")
        }
        Outcome::Refused(why) => format!("what it reads is not known: {why}"),
    }
}

fn of_series(series: &Series) -> String {
    let data = match series.has_data {
        Some(true) => " (has data)",
        Some(false) => " (has no data)",
        None => "",
    };
    format!("{}{data}", series.selector)
}
