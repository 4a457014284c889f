//! Who could say that an alert is over, how well, and how soon.
//!
//! ```text
//!  labels ─> questions ─> a prober ─> Answers ─┬─> Case: as the engine opens it before an act ─> grade
//!                                              └─> texts of rules ─> what they remember and read
//! ```
//!
//! Duty: from answers of this moment to what a person should know before an action is needed, judged by
//! the code by which the engine fixes a proof. *Not* its duty: asking, and showing it.

use homeostat_core::alert::{Alert, Door};
use homeostat_core::evidence::{
    Ask, Evidence, Finding, Grade, Inputs, Knows, Memory, RuleSays, RuleWord, Trouble,
};
use homeostat_core::label::LabelSet;
use homeostat_core::name::{EpisodeId, SourceName};
use homeostat_core::policy::{Policy, Verify, Witnesses};
use homeostat_core::text::Text;
use homeostat_core::time::Span;
use homeostat_core::witness::Case;
use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::probe::RuleText;

/// Who could say that an alert is over, as they answer now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Prospect {
    /// Each that was asked, and what it says.
    pub(crate) witnesses: Vec<Candidate>,
    /// The best grade that the alert can be given as things stand; `None`: nothing can be proven.
    pub(crate) grade: Option<Grade>,
    /// Why it is not a better one.
    pub(crate) because: Vec<String>,
    /// The alert's rules, each on its Prometheus.
    pub(crate) rules: Vec<Remembering>,
    /// Whether what the rule remembers must be known by whoever sets `within`: nobody here does.
    pub(crate) memory_is_yours: bool,
}

/// Somebody who was asked about the alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Candidate {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// Whether it sees the alert fire.
    pub(crate) sees: bool,
    /// What it says, in words that follow its name.
    pub(crate) says: String,
}

/// What somebody is who was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Prometheus,
    Alertmanager,
}

/// A rule, how long it remembers, and what it reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembering {
    pub(crate) prometheus: String,
    pub(crate) rule: String,
    pub(crate) memory: Memory,
    pub(crate) interval: Span,
    /// What the memory means for this policy, in words.
    pub(crate) text: String,
    pub(crate) reads: Outcome<Vec<Series>>,
}

/// Series that a rule reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) selector: String,
    /// Whether there is data; `None` where the alert is not shown, so that it was not asked.
    pub(crate) has_data: Option<bool>,
}

/// What was answered about an alert of one policy.
#[derive(Debug)]
pub(crate) struct Answers {
    /// Answers of [`questions`].
    pub(crate) evidence: Evidence,
    /// The texts of the alert's rules, of each Prometheus that may be its witness.
    pub(crate) texts: Vec<(SourceName, Result<Vec<RuleText>, Trouble>)>,
}

/// How soon a rule alone can tell after an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Within the policy's window.
    InTime,
    /// After this: the window is prolonged.
    Prolonged(Span),
    /// Later than the policy has patience for.
    TooLong,
    /// Nobody knows.
    Unknown,
}

/// Tells how soon a rule with this memory can tell.
pub(crate) fn wait(memory: &Memory, interval: Span, verify: &Verify) -> Wait {
    match takes(memory, interval) {
        Some(takes) if takes <= verify.within => Wait::InTime,
        Some(takes) if takes <= verify.patience => Wait::Prolonged(takes),
        Some(_) => Wait::TooLong,
        None => Wait::Unknown,
    }
}

/// Says what the memory of a rule means for a policy.
pub(crate) fn sentence(rule: &str, memory: &Memory, interval: Span, verify: &Verify) -> String {
    let rule = format!("rule {rule} {memory}");
    if verify.query.is_some() {
        return format!("{rule}: the query tells sooner");
    }
    match (wait(memory, interval, verify), takes(memory, interval)) {
        (Wait::InTime | Wait::Prolonged(_), Some(takes)) => {
            format!("{rule}: without a query it takes up to {takes} after a cure to know")
        }
        (Wait::TooLong, Some(_)) => {
            let patience = verify.patience;
            format!(
                "{rule}, which with an evaluation is longer than `patience` ({patience}): while it \
                 fires, only a query can tell"
            )
        }
        (Wait::InTime | Wait::Prolonged(_) | Wait::TooLong | Wait::Unknown, _) => {
            format!("{rule}; while it fires, only a query can tell")
        }
    }
}

/// How long after a cure the rule is certainly evaluated without looking at what was before it.
fn takes(memory: &Memory, interval: Span) -> Option<Span> {
    match memory {
        Memory::Lasts(span) => Some(span.saturating_add(interval)),
        Memory::Unknown { .. } => None,
    }
}

/// Lists what is asked about an alert with these labels: of each Prometheus that may be its witness, and
/// of each Alertmanager that may have sent it.
pub(crate) fn questions(policy: &Policy, witnesses: &Witnesses, labels: &LabelSet) -> Vec<Ask> {
    let by = witnesses.of_alert(policy, labels);
    let nobody = SourceName::new(SourceName::API);
    let rules =
        (!by.is_empty()).then(|| Ask::rule(&alert(&nobody, labels), &policy.own_target(), by));
    let listed = witnesses.alertmanagers.iter().map(|name| Ask::listed(&alert(name, labels)));
    rules.into_iter().chain(listed).collect()
}

/// The alert, as this source would send it.
fn alert(source: &SourceName, labels: &LabelSet) -> Alert {
    let nothing = Text::new("");
    Alert {
        source: source.clone(),
        door: Door::Webhook,
        fingerprint: labels.fingerprint(),
        labels: labels.clone(),
        annotations: LabelSet::default(),
        starts_at: None,
        generator_url: nothing.clone(),
        receiver: nothing.clone(),
        external_url: nothing,
        group_labels: LabelSet::default(),
    }
}

/// Puts together what was answered about an alert that this policy takes. `query` is the policy's, as it
/// would be asked.
pub(crate) fn of(
    policy: &Policy,
    witnesses: &Witnesses,
    labels: &LabelSet,
    query: Option<&Outcome<String>>,
    answers: &Answers,
) -> Prospect {
    let evidence = &answers.evidence;
    let lists = |name: &&SourceName| matches!(evidence.listing(&alert(name, labels)), Some(Ok(listing)) if listing.alert.is_some());
    let senders = &witnesses.alertmanagers;
    let sender = senders.iter().find(lists).or_else(|| senders.first());
    let alert = alert(sender.unwrap_or(&SourceName::new(SourceName::API)), labels);
    let case = Case::open(EpisodeId::default(), &alert, evidence);
    let words = evidence.words(&alert);
    let (grade, because) = match query {
        Some(query) => by_query(policy, witnesses, labels, query, &case),
        None => without_query(&alert, witnesses, words, &case),
    };
    let memory_is_yours = policy.verify.query.is_none()
        && !senders.is_empty()
        && case.rules().next().is_none()
        && !case.is_awaited();
    Prospect {
        witnesses: candidates(evidence),
        grade,
        because,
        rules: rules(words, answers, &policy.verify),
        memory_is_yours,
    }
}

fn by_query(
    policy: &Policy,
    witnesses: &Witnesses,
    labels: &LabelSet,
    query: &Outcome<String>,
    case: &Case,
) -> (Option<Grade>, Vec<String>) {
    if let Outcome::Refused(why) = query {
        return (None, vec![format!("the query cannot be asked: {why}")]);
    }
    if witnesses.of_alert(policy, labels).is_empty() {
        return (None, vec![format!("no Prometheus may be asked the query: {NOT_THEIRS}")]);
    }
    (Some(Grade::Proven), awaited(case).collect())
}

const NOT_THEIRS: &str = "the alert lacks the `labels` of each";

fn without_query(
    alert: &Alert,
    witnesses: &Witnesses,
    words: &[RuleWord],
    case: &Case,
) -> (Option<Grade>, Vec<String>) {
    if case.required > Grade::Reported {
        let proven = "`proven` needs a `verify.query`".to_owned();
        return (Some(case.required), awaited(case).chain([proven]).collect());
    }
    let name = alert.name();
    let is_pending = |word: &RuleWord| !word.shown().is_empty();
    let needs = "`confirmed` needs a Prometheus to show it firing when the remedy starts";
    let because = if witnesses.prometheuses.is_empty() {
        let word = "no Prometheus is configured";
        if witnesses.alertmanagers.is_empty() {
            vec![format!("{word}, and no Alertmanager: only its source's word counts")]
        } else {
            vec![word.to_owned()]
        }
    } else if words.is_empty() {
        vec![format!("no Prometheus may be its witness: {NOT_THEIRS}")]
    } else if words.iter().any(is_pending) {
        vec![format!("rule {name} does not fire yet"), needs.to_owned()]
    } else if let Some(shortfall) = case.shortfall(name) {
        vec![shortfall, needs.to_owned()]
    } else {
        vec![format!("no Prometheus has a rule {name}")]
    };
    (Some(Grade::Reported), because)
}

fn awaited(case: &Case) -> impl Iterator<Item = String> {
    case.awaited.iter().map(|name| {
        format!(
            "Prometheus {name} gives no answer: while that is so when the remedy starts, its \
                 word is awaited"
        )
    })
}

fn candidates(evidence: &Evidence) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for (ask, finding) in &evidence.found {
        match (ask, finding) {
            (Ask::Rule { .. }, Finding::Rule(words)) => {
                candidates.extend(words.iter().map(|word| {
                    let one = Finding::Rule(vec![word.clone()]);
                    let told = one.told(evidence.gathered_at).to_string();
                    let name = word.prometheus.to_string();
                    let says = told.strip_prefix(&format!("{name} ")).unwrap_or(&told).to_owned();
                    Candidate { kind: Kind::Prometheus, name, sees: word.fires(), says }
                }));
            }
            (Ask::Listed { source, .. }, Finding::Listed(listing)) => {
                let sees = listing.as_ref().is_ok_and(|listing| listing.alert.is_some());
                let says = match listing {
                    Ok(_) => finding.told(evidence.gathered_at).to_string(),
                    Err(Trouble(trouble)) => format!("gave no answer: {trouble}"),
                };
                let name = source.to_string();
                candidates.push(Candidate { kind: Kind::Alertmanager, name, sees, says });
            }
            (_, _) => {}
        }
    }
    candidates
}

/// The rules that show the alert; and where a Prometheus shows none, those of its name.
fn rules(words: &[RuleWord], answers: &Answers, verify: &Verify) -> Vec<Remembering> {
    let mut rules = Vec::new();
    let mut add = |rule: Remembering| {
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    };
    for word @ RuleWord { prometheus, knows } in words {
        for says in word.shown() {
            add(of_instance(prometheus, says, verify));
        }
        match knows {
            Ok(Knows::NotShown { .. }) => {
                let texts = answers.texts.iter().filter(|(name, _)| name == prometheus);
                let texts = texts.filter_map(|(_, texts)| texts.as_ref().ok()).flatten();
                for text in texts {
                    add(of_text(prometheus, text, verify));
                }
            }
            Ok(Knows::Shows(_) | Knows::Resembles(_) | Knows::NoRule) | Err(_) => {}
        }
    }
    rules
}

fn of_instance(prometheus: &SourceName, says: &RuleSays, verify: &Verify) -> Remembering {
    let memory = says.memory.clone().unwrap_or_else(|| Memory::unknown("it was not asked"));
    let reads = match &says.inputs {
        Inputs::Known(inputs) => Outcome::Is(
            inputs
                .iter()
                .map(|input| Series {
                    selector: input.selector.to_string(),
                    has_data: Some(input.has_data),
                })
                .collect(),
        ),
        Inputs::Unknown { why } => Outcome::Refused(why.clone()),
    };
    Remembering {
        prometheus: prometheus.to_string(),
        rule: says.rule.name.to_string(),
        text: sentence(&says.rule.name, &memory, says.interval, verify),
        memory,
        interval: says.interval,
        reads,
    }
}

fn of_text(prometheus: &SourceName, text: &RuleText, verify: &Verify) -> Remembering {
    let series =
        |selector: &std::sync::Arc<str>| Series { selector: selector.to_string(), has_data: None };
    Remembering {
        prometheus: prometheus.to_string(),
        rule: text.rule.name.to_string(),
        text: sentence(&text.rule.name, &text.memory, text.interval, verify),
        memory: text.memory.clone(),
        interval: text.interval,
        reads: match &text.reads {
            Ok(selectors) => Outcome::Is(selectors.iter().map(series).collect()),
            Err(why) => Outcome::Refused(why.clone()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify(query: bool) -> Verify {
        let query = if query { "query: 'up == 1', " } else { "" };
        let text = format!(
            "sources: {{ prometheuses: [{{ name: main, url: \"http://127.0.0.1:9090\" }}] }}\n\
             policies: [{{ name: a, matchers: [a=b], mode: shadow, remedies: [], \
             verify: {{ {query}within: 2m, patience: 1h }} }}]"
        );
        homeostat_config::parse("homeostat.yml", &text).unwrap().book.policies()[0].verify.clone()
    }

    fn minutes(minutes: u64) -> Memory {
        Memory::Lasts(Span::from_secs(minutes * 60))
    }

    #[test]
    fn the_window_the_patience_and_a_query_decide_how_soon_a_rule_tells() {
        let unknown = Memory::unknown("it has an `@`");
        let interval = Span::from_secs(60);
        for (memory, wait_for, words) in [
            (
                minutes(1),
                Wait::InTime,
                "rule R looks back 1m: without a query it takes up to 2m after a cure to know",
            ),
            (
                minutes(2),
                Wait::Prolonged(Span::from_secs(180)),
                "rule R looks back 2m: without a query it takes up to 3m after a cure to know",
            ),
            (
                minutes(59),
                Wait::Prolonged(Span::from_secs(3600)),
                "rule R looks back 59m: without a query it takes up to 1h after a cure to know",
            ),
            (
                minutes(60),
                Wait::TooLong,
                "rule R looks back 1h, which with an evaluation is longer than `patience` (1h): while \
                 it fires, only a query can tell",
            ),
            (
                unknown,
                Wait::Unknown,
                "rule R looks back nobody knows how far: it has an `@`; while it fires, only a query \
                 can tell",
            ),
        ] {
            assert_eq!(wait(&memory, interval, &verify(false)), wait_for, "{memory}");
            assert_eq!(sentence("R", &memory, interval, &verify(false)), words);
            let asked = sentence("R", &memory, interval, &verify(true));
            assert_eq!(asked, format!("rule R {memory}: the query tells sooner"));
        }
    }
}
