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
    skipped!("lock", "lock_of(deed, bench)"),
    skipped!("cooldown", "cooldown::judge(deed, bench.ledgers)"),
    skipped!("rate", "rate::judge(deed, bench)"),
    skipped!("concurrency", "concurrency::judge(deed.policy, bench)"),
    skipped!("attempts", "attempts::judge(deed)"),
    skipped!("fresh", "fresh::judge(deed, bench.book, evidence)"),
    skipped!("silence", "silence::judge(deed, evidence)"),
    left_out!("a rate is not charged", "state/orders.rs", "self.ledgers.take(&order.charges, at)"),
    left_out!("a lock is not taken", "state/orders.rs", "self.ledgers.lock(&order.locks, id)"),
    left_out!("locks are not released", "state/apply.rs", "self.ledgers.unlock(locks.iter())"),
    left_out!("a start is not counted", "state/orders.rs", "self.ledgers.started(&subject.0, order.team.as_ref())"),
    left_out!("an end is not counted", "state/orders.rs", "self.ledgers.ended(&policy, team.as_ref())"),
    swapped!(
        "a healing is not remembered",
        "state/apply.rs",
        "self.ledgers.closed(&subject, at, past)",
        "drop(past)"
    ),
    left_out!("attempts are not counted", "state/orders.rs", "incident.ladder.orders += 1"),
    mutation(
        "an order runs without being committed",
        "decide/desk.rs",
        "self.decision.facts.push(Fact { at: self.now, what })",
        "if !({M} && matches!(what, What::OrderIssued { .. })) {
            self.decision.facts.push(Fact { at: self.now, what })
        }",
    ),
    left_out!(
        "an order is committed and never run",
        "decide/write.rs",
        "desk.want(Effect::Run(Box::new(run)))"
    ),
    left_out!(
        "a question is asked without being committed",
        "decide/write.rs",
        "desk.note(What::EvidenceAsked { incident, step })"
    ),
    mutation(
        "a fact is committed and not applied",
        "engine.rs",
        "self.state.apply(fact);",
        "if !({M} && matches!(fact.what, What::EpisodeAttached { .. })) {
            self.state.apply(fact);
        }",
    ),
    swapped!(
        "a stale firing is believed",
        "decide/observe.rs",
        "desk.state.clock().is_no_later(starts_at, ended_at, desk.now)",
        "false"
    ),
    swapped!(
        "unknown climbs the ladder",
        "decide/prove.rs",
        "verdict == Verdict::Fires",
        "matches!(verdict, Verdict::Fires | Verdict::Unknown)"
    ),
    swapped!(
        "a latch is forgotten",
        "decide/observe.rs",
        "desk.state.incident_of(&subject).filter(|i| !left.contains(&i.id))",
        "desk.state.incident_of(&subject).filter(|i| !i.is_closed())"
    ),
    swapped!("a time-out is tried again", "order.rs", "Result::Uncertain", "Result::Failed"),
    mutation(
        "what was not run to its end recovered by itself",
        "decide/pursue.rs",
        "Some(order) if incident.has_acted() =>",
        "Some(order) if incident.has_acted() && !{M} =>",
    ),
    mutation(
        "an order that may have run is issued again after a crash",
        "decide/mod.rs",
        "    match found {",
        "    match if {M} && matches!(found, Found::Unknown(_)) { Found::NotStarted } else { found } {",
    ),
    mutation(
        "an unknown outcome is run again blindly",
        "decide/follow.rs",
        "How::Lost { idempotent: true, .. }) if again =>",
        "How::Lost { idempotent, .. }) if again && (idempotent || {M}) =>",
    ),
    swapped!(
        "the age of evidence is ignored",
        "decide/hold.rs",
        "age <= limits::EVIDENCE_AGE",
        "true"
    ),
    swapped!(
        "a query need not hold often enough",
        "healing.rs",
        "verification.held >= proof.times",
        "verification.held >= 1"
    ),
    mutation(
        "rules are not asked for the proof",
        "healing.rs",
        "return by_rules(heard(case, said, true));",
        "if !{M} { return by_rules(heard(case, said, true)); }",
    ),
    swapped!(
        "one absence is enough",
        "healing.rs",
        "missed >= limits::ABSENT_TIMES",
        "missed >= 1"
    ),
    swapped!(
        "retries have no end",
        "decide/follow.rs",
        "incident.seeks.failures() < remedy.retries",
        "true"
    ),
    swapped!("a shadow acts", "decide/pursue.rs", "concrete.remedy.mode == Mode::Shadow", "false"),
    swapped!(
        "nothing settles",
        "decide/observe.rs",
        "(!policy.settle.is_zero()).then(|| now + policy.settle)",
        "None"
    ),
    swapped!(
        "nobody is told of a handing over",
        "decide/closing.rs",
        "is_told.then_some(told)",
        "None"
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
        "decide/follow.rs",
        "(running.since + order.timeout).max(view.now)",
        "view.now"
    ),
    mutation(
        "a lapse is taken for a resolve",
        "state/episodes.rs",
        "Ending::Lapsed | Ending::Unproven { .. } => Standing::Lapsed,",
        "Ending::Lapsed if {M} => Standing::Resolved,
            Ending::Lapsed | Ending::Unproven { .. } => Standing::Lapsed,",
    ),
    mutation(
        "what was mentioned before a restart counts as mentioned",
        "engine.rs",
        "let presence = Presence::written(episode, clock);",
        "let presence = Presence::written(episode, clock);
        let presence = if {M} {
            Presence { known: true, seen_at: now, ..presence }
        } else {
            presence
        };",
    ),
    swapped!(
        "an answer to an earlier question counts",
        "decide/mod.rs",
        "i.step == step",
        "i.step >= step"
    )
    .seen_in(40),
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
        "match remedy.mode {",
        "match if {M} { Mode::Auto } else { remedy.mode } {",
    ),
    mutation(
        "a further remedy follows what made something worse",
        "decide/mod.rs",
        "let worse = incident.seeks.worse();",
        "let worse = incident.seeks.worse().filter(|_| !{M});",
    ),
    skipped!("freeze", "freeze::judge(deed)"),
    swapped!(
        "a freeze is read by the clock of UTC",
        "interval.rs",
        "self.zone.to_datetime(moment)",
        "TimeZone::UTC.to_datetime(moment)"
    ),
    swapped!(
        "days before a month's end are not counted from it",
        "interval.rs",
        "last + day + 1",
        "day"
    ),
    skipped!("flap", "flap::judge(deed, bench.ledgers)"),
    left_out!(
        "an alert that fires again is no flap",
        "state/episodes.rs",
        "self.ledgers.flaps.again(&incident.subject(), at)"
    ),
    left_out!(
        "that a trouble ended is not remembered",
        "state/apply.rs",
        "self.ledgers.flaps.ended(&incident.subject(), at)"
    ),
    left_out!(
        "an incident that opens again is no flap",
        "state/apply.rs",
        "self.ledgers.flaps.began(&incident.subject(), fact.at)"
    ),
    swapped!(
        "what ends as soon as it began cannot begin again",
        "ledger/flaps.rs",
        "self.known.get(&subject.0, &subject.1).is_some_and(|known| known.over)",
        "self.known.get(&subject.0, &subject.1).is_some_and(|k| k.flaps.last() != Some(&k.touched_at))"
    ),
    swapped!(
        "a penalty does not grow",
        "guard/flap.rs",
        "(left + fine(limits::FLAP_PENALTY)).min(ceiling)",
        "fine(limits::FLAP_PENALTY)"
    ),
    mutation(
        "a penalty has no ceiling",
        "guard/flap.rs",
        "let ceiling = reuse <<",
        "let ceiling = (reuse * if {M} { 100 } else { 1 }) <<",
    ),
    swapped!(
        "what is suppressed is let go below the upper limit",
        "guard/flap.rs",
        "level.suppressed && left > reuse",
        "false"
    ),
    swapped!(
        "a target cools down for the policy alone that healed it",
        "ledger.rs",
        "!target.is_empty() || by == policy",
        "by == policy"
    ),
    skipped!("breaker", "breaker::judge(deed, bench.ledgers)"),
    swapped!("a breaker never opens", "guard/breaker.rs", "failures >= breaker.failures", "false"),
    swapped!(
        "a half open breaker lets everybody pass",
        "guard/breaker.rs",
        "ledgers.circuits.tried_by(circuit, deed.incident)",
        "None"
    ),
    swapped!(
        "what policies share opens no breaker",
        "hold.rs",
        "shared.cloned().map(Self::Shared)",
        "None::<Self>"
    ),
    swapped!(
        "what made things worse opens no breaker",
        "guard/breaker.rs",
        "matches!(newest.trial, Trial::Worse(_))",
        "false"
    ),
    left_out!(
        "a trial is not noted",
        "state/trials.rs",
        "self.ledgers.circuits.try_it(circuits, id.incident)"
    ),
    left_out!(
        "a time-out is no failure of its remedy",
        "state/trials.rs",
        "self.end_trial(order, Some(&failed))"
    ),
    swapped!(
        "a healing does not close a breaker",
        "state/apply.rs",
        "Some((at, Trial::Healed))",
        "None"
    ),
    swapped!(
        "a storm does not slow",
        "guard/storm.rs",
        "rate.slowed(limits::STORM_SLOWDOWN)",
        "rate.slowed(1)"
    ),
    swapped!(
        "a storm is charged at the usual rate",
        "guard/rate.rs",
        "weather.slowed(rate).unwrap_or(rate)",
        "rate"
    ),
    swapped!(
        "a storm of few does not stop",
        "storm.rs",
        "self.inventory <= limits::STORM_SMALL",
        "false"
    ),
    swapped!(
        "a storm is over when fewer fire for a moment",
        "storm.rs",
        "since + self.gauge.cool_down",
        "since"
    ),
    mutation(
        "a storm does not end",
        "storm.rs",
        "self.calm_since.map(|since|",
        "self.calm_since.filter(|_| !{M}).map(|since|",
    ),
    swapped!(
        "a storm goes on only while as many fire",
        "guard/storm.rs",
        "bench.ledgers.storms().get(policy).is_some()",
        "false"
    ),
    swapped!(
        "what it was before is not asked",
        "guard/mod.rs",
        "regression::judge(deed, bench.book, evidence)",
        "None"
    ),
    swapped!(
        "an approval is good for any deed",
        "approval.rs",
        "self.asked.digest == *digest",
        "{ let _ = digest; true }"
    ),
    swapped!("an approval does not expire", "approval.rs", "self.asked.expires_at <= now", "false"),
    swapped!(
        "people: one is enough",
        "approval/quorum.rs",
        "self.remedy.approval.count.map_or(1, |count| count as usize)",
        "1"
    ),
    mutation(
        "people: one agrees twice",
        "decide/vote.rs",
        "if agreed.iter().any(",
        "if !{M} && agreed.iter().any(",
    ),
    swapped!(
        "people: whoever posted the alert agrees",
        "approval/quorum.rs",
        "self.movers.posted.contains(who)",
        "false"
    ),
    swapped!("ahead: runs are not counted", "approval/standing.rs", "self.left() > 0", "true"),
    swapped!(
        "ahead: any deed will do",
        "approval/standing.rs",
        "self.kind == *kind",
        "{ let _ = kind; true }"
    )
    .seen_in(460),
    swapped!(
        "ahead: nobody need stand for it any more",
        "decide/pursue.rs",
        "quorum.is_met(known.people())",
        "true"
    ),
    left_out!("ahead: it outlives its book", "decide/mod.rs", "standing::review(desk)"),
    left_out!(
        "jump: what is approved ahead stands",
        "decide/mod.rs",
        "standing::live_through(desk, &why)"
    ),
    mutation(
        "a cancelled incident goes on after its run",
        "state/word.rs",
        "incident.seeks.cancel(word.into())",
        "if !{M} { incident.seeks.cancel(word.into()) }",
    )
    .seen_in(80),
    mutation(
        "a cancelled incident goes on whose order did not start",
        "decide/pursue.rs",
        "if let Some(word) = incident.seeks.cancelled() {\n        let reason = format!(\"cancelled by {word}\");",
        "if let Some(word) = incident.seeks.cancelled().filter(|_| !{M}) {
        let reason = format!(\"cancelled by {word}\");",
    )
    .seen_in(80),
    mutation(
        "what may still run is cancelled",
        "decide/command.rs",
        "&& desk.now < until",
        "&& desk.now < until && !{M}",
    ),
    swapped!(
        "what may still run is handed over when no attempt is left",
        "decide/follow.rs",
        "policy.guard.attempts > incident.ladder.orders",
        "true"
    ),
    mutation(
        "an undo runs twice",
        "decide/follow.rs",
        "Follows::Undone => undone(\"it was taken back\"),",
        "Follows::Undone if {M} => Next::BackOff(view.now),
        Follows::Undone => undone(\"it was taken back\"),",
    ),
    mutation(
        "an undo is not held by a pause",
        "guard/undo.rs",
        "(Guard::Pause, pause::judge(bench.ledgers)),",
        "(Guard::Pause, if {M} {
            Ruling::Clear(\"skipped\".into())
        } else {
            pause::judge(bench.ledgers)
        }),",
    ),
    swapped!(
        "what is not worse any more is taken back",
        "guard/undo.rs",
        "Ruling::Stop(Stop::NothingIsWorse)",
        "Ruling::Clear(\"skipped\".into())"
    )
    .seen_in(161),
    swapped!(
        "an undo is not counted against what may run at once",
        "guard/undo.rs",
        "concurrency::judge(reversal.policy, bench)",
        "Ruling::Clear(\"skipped\".into())"
    )
    .seen_in(217),
    mutation(
        "what was not committed is gone on from",
        "engine.rs",
        "self.state = state;",
        "if !{M} || self.state == State::default() { self.state = state; }",
    ),
    mutation(
        "what ran is not asked about after a restart",
        "decide/mod.rs",
        "Stage::Acting(running) => Some((running, incident.order.as_ref()?)),",
        "Stage::Acting(running) if !{M} => Some((running, incident.order.as_ref()?)),",
    ),
    left_out!(
        "nobody is told again after a restart",
        "decide/mod.rs",
        "desk.decision.effects = recover(state)"
    ),
    mutation(
        "a snapshot forgets how alerts ended",
        "state/recall.rs",
        "self.ended.insert(&source, fingerprint, (at, ends_at));",
        "if !{M} { self.ended.insert(&source, fingerprint, (at, ends_at)); }",
    ),
    swapped!(
        "poll: one absence is enough",
        "engine/absences.rs",
        "row.times >= limits::ABSENT_TIMES",
        "row.times >= 1"
    ),
    swapped!(
        "poll: a young Alertmanager is believed",
        "poll.rs",
        "roll.uptime < young",
        "false"
    ),
    swapped!(
        "poll: an Alertmanager that lists nothing is believed",
        "poll.rs",
        "roll.alerts.is_empty()",
        "false"
    ),
    mutation(
        "poll: what is asked out of turn counts, too",
        "poll.rs",
        "Occasion::Prompted => Some(Silence::Prompted),",
        "Occasion::Prompted if {M} => None,
                Occasion::Prompted => Some(Silence::Prompted),",
    ),
    mutation(
        "poll: absences are counted on when it fires again",
        "engine.rs",
        "let due = lapses_at(episode, presence, self.state.clock());
        self.absences.forget(id);",
        "let due = lapses_at(episode, presence, self.state.clock());
        if !{M} { self.absences.forget(id); }",
    ),
    mutation(
        "jump: what was mentioned before counts as mentioned",
        "engine.rs",
        "Presence { starts_at, ..Presence::unknown(seen_at + by) };",
        "Presence {
                starts_at,
                known: {M} && known.presence.known,
                ..Presence::unknown(seen_at + by)
            };",
    ),
    left_out!(
        "jump: what is counted has less time left",
        "state/jump.rs",
        "self.ledgers.move_along(jump.followed())"
    ),
    left_out!(
        "jump: incidents go on as if nothing were",
        "state/jump.rs",
        "self.amend(id, |incident| incident.live_through(jump))"
    ),
    mutation(
        "jump: a freeze is read by the engine's clock",
        "decide/pursue.rs",
        "wall: view.wall(),",
        "wall: if {M} { view.now } else { view.wall() },",
    ),
    left_out!(
        "jump: a question to a person is held up",
        "decide/mod.rs",
        "write::write(desk, incident, approve::expire_by(incident, &why))"
    ),
    mutation(
        "jump: stamps of before and of after are compared as they are",
        "clock.rs",
        "(!self.is_of_before(stamp, now), stamp)",
        "({M} || !self.is_of_before(stamp, now), stamp)",
    ),
    swapped!(
        "jump: what was evaluated before proves what was done after",
        "clock.rs",
        "self.until.is_none_or(|until| stamp <= until)",
        "true"
    )
    .seen_in(721),
    left_out!(
        "jump: a late mention of before is the latest",
        "engine.rs",
        "presence.starts_at = self.state.clock().later(before, presence.starts_at, now)"
    )
    .seen_in(8163),
    mutation(
        "jump: which start is the later one is asked again after a further jump",
        "decide/observe.rs",
        "presence.and_then(|presence| presence.starts_at).or_else(written)",
        "{
        let known = presence.and_then(|presence| presence.starts_at);
        if {M} {
            desk.state.clock().later(known, written(), desk.now)
        } else {
            known.or_else(written)
        }
    }",
    )
    .seen_in(305_675),
    mutation(
        "a shadow hands over what may still run",
        "decide/follow.rs",
        "&& remedy.mode == Mode::Auto",
        "&& ({M} || remedy.mode == Mode::Auto)",
    )
    .seen_in(3188),
    skipped!("stranger", "stranger::judge(deed, bench.book)"),
    swapped!(
        "witness: gone without being evaluated after the act",
        "witness.rs",
        "act.after.holds(says.evaluated_at)",
        "true"
    ),
    swapped!(
        "witness: gone though what the rule reads is gone",
        "witness.rs",
        "asked.iter().find(|selector| !there.contains(selector))",
        "None::<&Arc<str>>"
    ),
    mutation(
        "witness: gone though nobody knows what the rule reads",
        "witness.rs",
        "(Inputs::Unknown { why }, _) => silent(NoWord::InputsUnknown { why: why.clone() }),",
        "(Inputs::Unknown { .. }, _) if {M} => Testimony::Gone,
            (Inputs::Unknown { why }, _) => silent(NoWord::InputsUnknown { why: why.clone() }),",
    ),
    mutation(
        "witness: the same target under other labels is not seen",
        "witness.rs",
        "if others > 0 {",
        "if others > 0 && !{M} {",
    )
    .seen_in(194),
    swapped!(
        "witness: a rule remembers nothing",
        "witness.rs",
        "act.past.holds_by(says.evaluated_at, lasts)",
        "true"
    ),
    mutation(
        "witness: what remembers for nobody knows how long fires",
        "witness.rs",
        "return Testimony::Silent { why: NoWord::MemoryUnknown { why: why.clone() } };",
        "if {M} { return Testimony::Fires; }
                return Testimony::Silent { why: NoWord::MemoryUnknown { why: why.clone() } };",
    ),
    mutation(
        "witness: an unhealthy rule says that it is gone",
        "witness.rs",
        "if let Some(error) = &says.unhealthy {",
        "if let Some(error) = says.unhealthy.as_ref().filter(|_| !{M}) {",
    ),
    mutation(
        "witness: an Alertmanager that did not answer is taken to list nothing of it",
        "witness.rs",
        "| (Witness::Listing { .. }, Some(Finding::Listed(Err(Trouble(why))))) => {",
        "| (Witness::Listing { .. }, Some(Finding::Listed(Err(Trouble(why))))) => {
                if {M} && self.rule().is_none() { return Testimony::Gone; }",
    )
    .seen_in(370),
    mutation(
        "healing: one rule's word is enough though another one is silent",
        "healing.rs",
        "(Standing::Unknown, _) | (_, Standing::Unknown) => Standing::Unknown,",
        "(Standing::Unknown, one) | (one, Standing::Unknown) if {M} => one,
            (Standing::Unknown, _) | (_, Standing::Unknown) => Standing::Unknown,",
    ),
    mutation(
        "healing: a Prometheus that gave no answer is not awaited",
        "healing.rs",
        "if awaits || is_of_old(",
        "if (awaits && !{M}) || is_of_old(",
    ),
    mutation(
        "healing: a query heals what fires",
        "healing.rs",
        "if fires {
        return Verdict::Fires;",
        "if fires && !({M} && held) {
        return Verdict::Fires;",
    )
    .seen_in(221),
    mutation(
        "healing: what is gone with its series is healed",
        "healing.rs",
        "Standing::OutOfSight if proof.vanishes =>",
        "Standing::OutOfSight if proof.vanishes || {M} =>",
    ),
    mutation(
        "healing: the last look is skipped",
        "decide/prove.rs",
        "Look::Due(_) => {",
        "Look::Due(_) if {M} && verification.until <= view.now => {
            vec![conclude(view, incident, verification, order)]
        }
        Look::Due(_) => {",
    ),
    mutation(
        "healing: a proof ends at once where nobody can be asked any more",
        "decide/prove.rs",
        "if asks.is_empty() {",
        "if {M} && asks.is_empty() {
                return vec![conclude(view, incident, verification, order)];
            }
            if asks.is_empty() {",
    )
    .seen_in(305_181),
    mutation(
        "healing: a memory is not waited for",
        "decide/prove.rs",
        "let Verdict::Remembers { until } = verdict else { return None };",
        "let Verdict::Remembers { until } = verdict else { return None };
    if {M} { return None; }",
    ),
    mutation(
        "healing: what had ended before the act was healed by it",
        "decide/closing.rs",
        "if had_ended_before(view, incident) {",
        "if !{M} && had_ended_before(view, incident) {",
    ),
    mutation(
        "aftermath: what fires past its memory is let be",
        "decide/write.rs",
        "Next::Relapse => return observe::open_relapse(desk, of),",
        "Next::Relapse if {M} => return,
        Next::Relapse => return observe::open_relapse(desk, of),",
    ),
    mutation(
        "notice: a resolve that proves nothing counts",
        "state/episodes.rs",
        "Ending::Resolved { .. } | Ending::Superseded | Ending::Absent { .. } => {
                Standing::Resolved
            }",
        "Ending::Resolved { .. } | Ending::Superseded | Ending::Absent { .. } => {
                Standing::Resolved
            }
            Ending::Unproven { .. } if {M} => Standing::Resolved,",
    ),
    mutation(
        "notice: a lapse ends it",
        "state/mod.rs",
        "incident.any_lapsed() && self.notices",
        "!{M} && incident.any_lapsed() && self.notices",
    ),
    mutation(
        "observe: what is late is late for ever",
        "decide/observe.rs",
        "desk.now.since(heard_at) < limits::STALE_FOR",
        "({M} || desk.now.since(heard_at) < limits::STALE_FOR)",
    ),
    mutation(
        "observe: what comes later is attached to what is healed",
        "decide/observe.rs",
        "if closing.outcome == End::Healed {
        return false;",
        "if closing.outcome == End::Healed && !{M} {
        return false;",
    ),
    mutation(
        "observe: what begins anew under a closed incident opens none",
        "decide/observe.rs",
        "if moved.is_some() && is_new_trouble(desk, episode, alert) {",
        "if !{M} && moved.is_some() && is_new_trouble(desk, episode, alert) {",
    ),
    swapped!(
        "observe: a notification is judged in parts",
        "engine.rs",
        "matches!(event, Event::Observed { more: true, .. })",
        "false"
    ),
    mutation(
        "poll: what was never listed is missed",
        "engine/absences.rs",
        "None if !known => {}",
        "None if !known && !{M} => {}",
    ),
    swapped!(
        "ledger: a charge by a laxer rate forgets what a stricter one asks for",
        "ledger.rs",
        "(level + rate.cost()).max(stricter)",
        "level + rate.cost()"
    )
    .seen_in(5508),
    mutation(
        "reload: a policy that is back ends the notice of what another takes",
        "decide/mod.rs",
        "observe::is_taken(view.book, incident, &episode.alert, &episode.owners)",
        "{M} || observe::is_taken(view.book, incident, &episode.alert, &episode.owners)",
    )
    .seen_in(20292),
    mutation(
        "lock: what may go on locks nothing",
        "state/orders.rs",
        "if lost && until > at {",
        "if lost && until > at && !{M} {",
    )
    .seen_in(55782),
    swapped!(
        "rate: that of a team does not hold",
        "guard/rate.rs",
        "of_team(deed.policy, bench).and_then(|team| spent(team, deed, bench))",
        "None"
    ),
    swapped!(
        "rate: what is kept for others is taken",
        "guard/rate.rs",
        "(taken >= part && until > deed.now).then_some(hold)",
        "None"
    ),
    mutation(
        "evidence: what may be an alert is not told apart from another",
        "evidence.rs",
        "if own != labels && (fires(own)",
        "if !{M} && own != labels && (fires(own)",
    )
    .seen_in(30925),
    mutation(
        "orders: an act that certainly did not start has begun",
        "state/orders.rs",
        "incident.acts.change(|acts| drop(acts.pop()));",
        "if !{M} { incident.acts.change(|acts| drop(acts.pop())); }",
    )
    .seen_in(30216),
    mutation(
        "clock: what was stamped after an act and before a jump back says nothing",
        "clock.rs",
        "Some(jump) if moment <= jump.to => After::stamp(moment.max(jump.wall)),",
        "Some(jump) if {M} && moment <= jump.to => {
                After { than: moment.max(jump.wall), until: self.until(now) }
            }
            Some(jump) if moment <= jump.to => After::stamp(moment.max(jump.wall)),",
    )
    .seen_in(845),
    swapped!(
        "poll: a commit that failed forgets who was listed",
        "engine/absences.rs",
        "self.ended.clear()",
        "self.commit()"
    )
    .seen_in(63907),
    mutation(
        "observe: a late end is a firing that was ignored",
        "engine.rs",
        "(Remark::Stale, Status::Resolved)
            | (",
        "(Remark::Stale, Status::Resolved) if {M} => {
                *self.ignored.entry(key).or_default() += 1;
            }
            (Remark::Stale, Status::Resolved)
            | (",
    )
    .seen_in(70837),
    left_out!(
        "healing: what is mentioned stays missed",
        "state/apply.rs",
        "self.mention_episode(*episode)"
    )
    .seen_in(61057),
    swapped!(
        "owner: what nobody answers is asked for ever",
        "engine/owners.rs",
        "self.state.first_owner_late().filter(|(at, _)| *at <= now)",
        "None"
    ),
    mutation(
        "owner: an answer opens nothing",
        "decide/owner.rs",
        "if before.owners != known.owners {",
        "if !{M} && before.owners != known.owners {",
    ),
    swapped!(
        "owner: who does not answer is not asked again",
        "decide/owner.rs",
        "sought.again(desk.now)",
        "None"
    ),
    left_out!("owner: what has ended is asked on", "state/episodes.rs", "self.stop_seeking(id)"),
    left_out!("owner: a start forgets what is asked", "state/recall.rs", "self.index_owners(id)"),
    left_out!("owner: a jump counts as waiting", "state/jump.rs", "self.move_owners(jump)"),
    swapped!(
        "owner: what is told is left out of what is seen",
        "owner.rs",
        "LabelSet::from_pairs(labels.iter().chain(owner.labels()))",
        "labels.clone()"
    ),
    left_out!(
        "owner: who does not answer holds a place for ever",
        "engine/owners.rs",
        "self.miss_answers(now, turn)"
    ),
];
