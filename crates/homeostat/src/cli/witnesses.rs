//! Asks those whom a configuration names: who fires an alert, and what rules remember.
//!
//! Everybody is asked at once, as a running engine asks before an action, and each gets 20 seconds.

use std::sync::Arc;

use homeostat_core::label::LabelSet;
use homeostat_core::name::SourceName;
use homeostat_core::policy::{Policy, Witnesses};
use homeostat_core::time::Timestamp;

use crate::app;
use crate::client;
use crate::explanation::prospect::{self, Answers, Wait};
use crate::explanation::{Explanation, Outcome, Taken};
use crate::probe::Prober;
use homeostat_config::{Config, Problem};

/// Asks who could say that an explained alert is over, for each policy that takes it.
pub(super) fn explain(config: &Config, explanation: &mut Explanation) {
    let (prober, runtime) = match start(config) {
        Ok(started) => started,
        Err(why) => {
            for taken in &mut explanation.taken {
                taken.prospect = Some(Outcome::Refused(why.clone()));
            }
            return;
        }
    };
    let Explanation { labels, taken, .. } = explanation;
    let asked = taken.iter_mut().map(|taken| look(config, &prober, labels, taken));
    runtime.block_on(client::all(asked));
}

async fn look(config: &Config, prober: &Prober, labels: &LabelSet, taken: &mut Taken) {
    let mut policies = config.book.policies().iter();
    let Some(policy) = policies.find(|policy| *policy.name.as_str() == *taken.policy) else {
        return;
    };
    let witnesses = &config.book.witnesses;
    let name: Arc<str> = labels.get("alertname").unwrap_or_default().into();
    let by = witnesses.of_alert(policy, labels);
    let asks = prospect::questions(policy, witnesses, labels);
    let (evidence, texts) = tokio::join!(prober.ask(asks, now), prober.texts(&name, &by, now));
    let answers = Answers { evidence, texts };
    let query = taken.verify.query.as_ref();
    let prospect = prospect::of(policy, witnesses, labels, query, &answers);
    taken.prospect = Some(Outcome::Is(prospect));
}

/// Tells what the rules behind the policies of a configuration mean for their proofs.
pub(super) fn check(config: &Config) -> Vec<Problem> {
    if config.book.witnesses.prometheuses.is_empty() {
        let note = "no Prometheus is configured: nobody knows what rules remember";
        let help = "`within` of each policy must be longer than its rules look back: what an \
                    Alertmanager was told after an action counts as firing";
        return vec![Problem::note_of_file(note).help(help)];
    }
    let (prober, runtime) = match start(config) {
        Ok(started) => started,
        Err(why) => {
            return vec![Problem::warning_of_file(format!("the sources cannot be asked: {why}"))];
        }
    };
    let policies = config.book.policies().iter();
    let named = policies.filter_map(|policy| Some((policy, policy.alertname()?)));
    let asked = named.map(|(policy, name)| remarks(config, &prober, policy, name));
    runtime.block_on(client::all(asked)).into_iter().flatten().collect()
}

async fn remarks(config: &Config, prober: &Prober, policy: &Policy, name: &str) -> Vec<Problem> {
    let by = may_see(&config.book.witnesses, policy);
    let mut remarks = Vec::new();
    let (mut found, mut silent) = (false, false);
    for (prometheus, texts) in prober.texts(&name.into(), &by, now).await {
        let texts = match texts {
            Ok(texts) => texts,
            Err(trouble) => {
                silent = true;
                let why = format!("Prometheus {prometheus} gave no answer: {}", trouble.0);
                remarks.push(Problem::warning_of_file(why));
                continue;
            }
        };
        found |= !texts.is_empty();
        for text in texts.iter().filter(|_| policy.verify.query.is_none()) {
            let wait = prospect::wait(&text.memory, text.interval, &policy.verify);
            let sentence = prospect::sentence(name, &text.memory, text.interval, &policy.verify);
            let message = format!("policy {}: on Prometheus {prometheus}, {sentence}", policy.name);
            remarks.extend(match wait {
                Wait::InTime => None,
                Wait::Prolonged(_) => {
                    let help = "a `verify.query` tells sooner";
                    Some(Problem::note_of_file(message).help(help))
                }
                Wait::TooLong => {
                    let help = "give the policy a `verify.query`, or more `patience`";
                    Some(Problem::warning_of_file(message).help(help))
                }
                Wait::Unknown => {
                    let help = "give the policy a `verify.query`";
                    Some(Problem::warning_of_file(message).help(help))
                }
            });
        }
    }
    if !found && !silent {
        let message = format!("policy {}: no Prometheus has a rule {name}", policy.name);
        let help = "a healing can only be reported, and neither confirmed nor known to have failed \
                    by a rule; see the name, and `sources`";
        remarks.push(Problem::warning_of_file(message).help(help));
    }
    remarks
}

/// The Prometheuses that may be witnesses of an alert of this policy, as far as its matchers say.
fn may_see(witnesses: &Witnesses, policy: &Policy) -> Vec<SourceName> {
    let able = witnesses.of_policy(policy).filter(|known| {
        known.labels.iter().all(|(name, value)| {
            let mut about = policy.matchers.iter().filter(|matcher| matcher.name() == name);
            about.all(|matcher| matcher.matches_value(value))
        })
    });
    able.map(|known| known.name.clone()).collect()
}

fn start(config: &Config) -> Result<(Prober, tokio::runtime::Runtime), String> {
    let prober = app::prober(config).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok((prober, runtime.map_err(|error| format!("cannot start: {error}"))?))
}

fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}
