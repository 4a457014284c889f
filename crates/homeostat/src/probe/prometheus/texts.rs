//! What the rules of one name remember and read, as their texts say it: whether they fire or not.

use std::sync::Arc;

use homeostat_core::evidence::{Memory, RuleId, Trouble};
use homeostat_core::label::LabelSet;
use homeostat_core::time::{Span, Timestamp};
use tokio::sync::Semaphore;

use super::super::Found;
use super::{Prometheus, inputs};

/// A rule as its text says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleText {
    /// Which rule.
    pub rule: RuleId,
    /// How often it is evaluated.
    pub interval: Span,
    /// How long it may fire about what is over.
    pub memory: Memory,
    /// The series that it reads, of all its instances; or why these are not known.
    pub reads: Result<Vec<Arc<str>>, String>,
}

impl Prometheus {
    /// Reads the texts of the alerting rules of this name.
    pub(in super::super) async fn texts(
        &self,
        alertname: &Arc<str>,
        places: &Semaphore,
        now: &impl Fn() -> Timestamp,
    ) -> Found<Vec<RuleText>> {
        let (rules, at) = self.rules(alertname, places, now).await;
        let rules = match rules {
            Ok(rules) => rules,
            Err(trouble) => return (Err(trouble), at),
        };
        let mut texts = Vec::new();
        for rule in rules.iter().filter(|rule| *rule.name == **alertname) {
            let recorded = match self.recorded(rule, places, now).await {
                Ok(recorded) => recorded,
                Err(trouble) => return (Err::<_, Trouble>(trouble), at),
            };
            let read = inputs::read(rule, &LabelSet::default(), &recorded);
            texts.push(RuleText {
                rule: rule.id(),
                interval: rule.interval,
                memory: read.memory,
                reads: read.selectors,
            });
        }
        (Ok(texts), at)
    }
}
