//! The defects: where each stands, the text that it takes the place of, and what it says instead.

/// One defect.
pub(crate) struct Mutation {
    /// What goes wrong.
    pub(crate) name: &'static str,
    /// In which file of the core's `src`.
    pub(crate) file: &'static str,
    /// The text, which stands there exactly once.
    pub(crate) find: &'static str,
    /// What takes its place, `{M}` being whether the defect is switched on.
    pub(crate) replace: &'static str,
    /// The world to begin with: one in which a rare defect was seen.
    pub(crate) start: u64,
}

impl Mutation {
    /// Says in which world it was seen.
    const fn seen_in(self, start: u64) -> Self {
        Self { start, ..self }
    }
}

const fn mutation(
    name: &'static str,
    file: &'static str,
    find: &'static str,
    replace: &'static str,
) -> Mutation {
    Mutation { name, file, find, replace, start: 1 }
}

/// A guard that always clears.
macro_rules! skipped {
    ($name:literal, $find:literal) => {
        mutation(
            concat!("guard ", $name, " is skipped"),
            "guard/mod.rs",
            $find,
            concat!("if {M} { Ruling::Clear(\"skipped\".into()) } else { ", $find, " }"),
        )
    };
}

/// A statement that is left out.
macro_rules! left_out {
    ($name:literal, $file:literal, $find:literal) => {
        mutation($name, $file, $find, concat!("if {M} { } else { ", $find, "; }"))
    };
}

/// An expression with another in its place.
macro_rules! swapped {
    ($name:literal, $file:literal, $find:literal, $replace:literal) => {
        mutation($name, $file, $find, concat!("(if {M} { ", $replace, " } else { ", $find, " })"))
    };
}

/// All defects.
pub(crate) const MUTATIONS: &[Mutation] = &[
    skipped!("pause", "pause::judge(bench.ledgers)"),
    skipped!("lock", "lock::judge(deed.incident, deed.locks, bench.ledgers)"),
    skipped!("cooldown", "cooldown::judge(deed, bench.ledgers)"),
    skipped!("rate", "rate::judge(deed, bench)"),
    skipped!("concurrency", "concurrency::judge(deed.policy, bench)"),
    skipped!("attempts", "attempts::judge(deed)"),
    skipped!("fresh", "fresh::judge(deed, bench.book, evidence)"),
    skipped!("silence", "silence::judge(deed, evidence)"),
    left_out!("a rate is not charged", "state/orders.rs", "self.ledgers.take(&order.charges, at)"),
    left_out!("a lock is not taken", "state/orders.rs", "self.ledgers.lock(&order.locks, id)"),
    left_out!("locks are not released", "state/apply.rs", "self.ledgers.unlock(locks.iter())"),
    left_out!("a start is not counted", "state/orders.rs", "self.ledgers.started(&subject.0)"),
    left_out!("an end is not counted", "state/orders.rs", "self.ledgers.ended(&policy)"),
    swapped!(
        "a healing is not remembered",
        "state/apply.rs",
        "self.ledgers.closed(&subject, at, past)",
        "drop(past)"
    ),
    left_out!("attempts are not counted", "state/orders.rs", "incident.ladder.orders += 1"),
    mutation(
        "an order runs without being committed",
        "decide/mod.rs",
        "self.decision.facts.push(Fact { at: self.now, what })",
        "if !({M} && matches!(what, What::OrderIssued { .. })) {
            self.decision.facts.push(Fact { at: self.now, what })
        }",
    ),
    left_out!(
        "an order is committed and never run",
        "decide/pursue.rs",
        "desk.want(Effect::Run(Box::new(run)))"
    ),
    left_out!(
        "a question is asked without being committed",
        "decide/pursue.rs",
        "desk.note(What::EvidenceAsked { incident: incident.id, step })"
    ),
    mutation(
        "a fact is committed and not applied",
        "engine.rs",
        "self.state.apply(fact);",
        "if !({M} && matches!(fact.what, What::EpisodeAttached { .. })) {
            self.state.apply(fact);
        }",
    ),
    swapped!("a stale firing is believed", "decide/observe.rs", "starts_at <= ended_at", "false"),
    swapped!(
        "unknown climbs the ladder",
        "verdict.rs",
        "self.last.as_ref().is_some_and(|reading| reading.firing == Firing::Yes)",
        "self.last.as_ref().is_none_or(|reading| reading.firing != Firing::No)"
    ),
    swapped!(
        "a latch is forgotten",
        "decide/observe.rs",
        "desk.state.incident_of(&subject).filter(|i| !released.contains(&i.id))",
        "desk.state.incident_of(&subject).filter(|i| !i.is_closed())"
    ),
    swapped!("a time-out is tried again", "order.rs", "Result::Uncertain", "Result::Failed"),
    mutation(
        "what was not run to its end recovered by itself",
        "decide/pursue.rs",
        "Some(order) if incident.has_acted() => {",
        "Some(order) if incident.has_acted() && !{M} => {",
    ),
    mutation(
        "an order that may have run is issued again after a crash",
        "decide/mod.rs",
        "    match found {",
        "    match if {M} && matches!(found, Found::Unknown(_)) { Found::NotStarted } else { found } {",
    ),
    mutation(
        "an unknown outcome is run again blindly",
        "decide/pursue.rs",
        "if after_crash && order.idempotent && attempts_left && incident.cancelled.is_none() =>",
        "if after_crash
                && (order.idempotent || {M})
                && attempts_left
                && incident.cancelled.is_none() =>",
    ),
    swapped!(
        "the age of evidence is ignored",
        "decide/pursue.rs",
        "desk.now.since(evidence.gathered_at) <= limits::EVIDENCE_AGE",
        "true"
    ),
    swapped!(
        "a query need not hold often enough",
        "verdict.rs",
        "self.held >= proof.times",
        "self.held >= 1"
    ),
    swapped!(
        "rules are not asked for the proof",
        "verdict.rs",
        "proof.rules.is_empty() || firing == Firing::No",
        "true"
    ),
    swapped!(
        "one absence is enough",
        "verdict.rs",
        "self.absent >= limits::ABSENT_TIMES",
        "self.absent >= 1"
    ),
    swapped!(
        "retries have no end",
        "decide/pursue.rs",
        "incident.ladder.failures < remedy.retries",
        "true"
    ),
    swapped!("a shadow acts", "decide/pursue.rs", "concrete.remedy.mode == Mode::Shadow", "false"),
    swapped!(
        "nothing settles",
        "decide/observe.rs",
        "(!policy.settle.is_zero()).then(|| now + policy.settle)",
        "None"
    ),
    left_out!(
        "nobody is told of a handing over",
        "decide/closing.rs",
        "telling::escalate(desk, incident, &policy.escalate, reason.clone())"
    ),
    swapped!(
        "a relapse begins at the first remedy",
        "decide/observe.rs",
        "recent.map_or_else(Ladder::default, |past| past.ladder.clone())",
        "Ladder::default()"
    ),
    mutation(
        "healings that did not hold are not counted",
        "decide/observe.rs",
        "(Some(past), _) => past.unheld + 1,",
        "(Some(past), _) => if {M} { 0 } else { past.unheld + 1 },",
    ),
    left_out!("alarms are not set", "state/index.rs", "self.alarms.insert((at, id))"),
    left_out!(
        "a resume wakes nobody",
        "state/apply.rs",
        "self.open_gate(&Gate::Resume, usize::MAX)"
    ),
    swapped!(
        "an action that may still run is joined by the next",
        "decide/pursue.rs",
        "(incident.ordered_at + order.timeout).max(desk.now)",
        "desk.now"
    ),
    mutation(
        "a lapse is taken for a resolve",
        "state/episodes.rs",
        "Ending::Lapsed => Standing::Lapsed,",
        "Ending::Lapsed => if {M} { Standing::Resolved } else { Standing::Lapsed },",
    ),
    swapped!(
        "what was mentioned before a restart counts as mentioned",
        "engine.rs",
        "known.unwrap_or(Presence::unknown(now))",
        "known.unwrap_or(Presence { known: true, ..Presence::unknown(now) })"
    ),
    swapped!(
        "an answer to an earlier question counts",
        "decide/mod.rs",
        "i.step == step",
        "i.step >= step"
    )
    .seen_in(317),
    left_out!(
        "absences are counted on when an alert fires again",
        "state/episodes.rs",
        "verification.absent = 0"
    )
    .seen_in(6113),
    swapped!(
        "guard blast radius is skipped",
        "reach.rs",
        "self.others.all() < self.allowed()",
        "true"
    ),
    left_out!(
        "a target that was acted on is not counted",
        "state/orders.rs",
        "self.ledgers.acted(&subject, at)"
    ),
    skipped!("storm", "storm::judge(deed, bench, &weather)"),
    skipped!("watchdog", "watchdog::judge(deed)"),
    mutation(
        "nobody need agree",
        "decide/pursue.rs",
        "match concrete.remedy.mode {",
        "match if {M} { Mode::Auto } else { concrete.remedy.mode } {",
    ),
    mutation(
        "a further remedy follows what made something worse",
        "decide/pursue.rs",
        "if let Some(worse) = &incident.worse {\n        return undo::pursue(",
        "if let Some(worse) = incident.worse.as_ref().filter(|_| !{M}) {\n        return undo::pursue(",
    ),
    mutation(
        "a snapshot forgets how alerts ended",
        "state/recall.rs",
        "self.ended.insert(key, (at, ends_at));",
        "if !{M} { self.ended.insert(key, (at, ends_at)); }",
    ),
];
