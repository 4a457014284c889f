//! Every bound of the core in one place, each with its reason.
//!
//! What a person may set stands in the configuration; its defaults stand here.

use crate::time::Span;

/// Alerts that may fire at once. At about 1 KiB each this is 200 MiB; beyond it the door answers
/// 503 and Alertmanager keeps them.
pub const OPEN_EPISODES: usize = 200_000;

/// A wall clock that is off by more than this, against the time that has passed, has jumped. Below
/// it is what a clock that is steered does, and what nobody need hear of.
pub const CLOCK_JUMP: Span = Span::from_secs(60);

/// How long the end of an episode is remembered, to tell a late repeat from a new firing.
/// Alertmanager peers and retries deliver within minutes; an hour is what they are promised.
pub const ENDED_EPISODE_MEMORY: Span = Span::from_secs(2 * 3600);

/// How many ended episodes are remembered at most.
pub const ENDED_EPISODES: usize = 200_000;

/// How many remedies in shadow keep score; more than any book of policies has.
pub const SHADOW_SCORES: usize = 10_000;

/// How many (policy, target) pairs are remembered for cooldown and relapse.
pub const PAST_HEALINGS: usize = 100_000;

/// How long the last healing of a target is remembered; longer than any sane cooldown or relapse.
pub const PAST_HEALING_MEMORY: Span = Span::from_secs(400 * 86_400);

/// Alerts of one incident that are asked about in one question, and whose common labels a notice
/// carries. One trouble on one target seldom has more than a few. Those beyond it are never taken as
/// healed without their source's word, and of an instance that only resembles one of so many nobody can
/// tell whose it is.
pub const ASKED_ALERTS: usize = 128;

/// Alerts of one target that one witness lists for the policy's `regression`. A target has a few;
/// beyond this the matchers say nothing, and the fingerprints of these are stored with each order.
pub const LISTED_ALERTS: usize = 256;

/// Instances of a rule beside the one that is an alert, under the same target, that a sighting
/// remembers. Beyond it nobody can tell whether another one is new.
pub const BESIDE: usize = 64;

/// Series that a rule reads and that are looked for when its instance is gone: more than an alert's
/// expression names.
pub const INPUTS: usize = 32;

/// How soon after a resolve what it ended is late, and no news.
pub const STALE_FOR: Span = Span::from_secs(300);

/// How often a late repeat is ignored: what goes on being sent is no late repeat.
pub const STALE_TIMES: u32 = 3;

/// How much a source's clock may differ from ours where it is told whether an alert had ended before
/// an act began.
pub const CLOCK_TOLERANCE: Span = Span::from_secs(1);

/// How often it is looked after a closed incident of which something is still to be found out: whether
/// a rule fires on past its memory, or whether what became worse is over.
pub const AFTERMATH_LOOK: Span = Span::from_secs(60);

/// Alerts of the alerts API of which the engine remembers who saw them fire, so that their end is
/// found though nobody tells it. The others lapse when they are not mentioned any more.
pub const SIGHTED_BY_API: usize = 10_000;

/// How long an undo waits for its guards. Later a person, who was told at once, has long begun to
/// repair, and would be surprised.
pub const UNDO_PATIENCE: Span = Span::from_secs(3600);

/// Alerts that a sentence names; the rest are counted.
pub const NAMED_ALERTS: usize = 5;

/// How long an answer may take before it counts as none. Longer than the time-out of a probe.
pub const ANSWER_PATIENCE: Span = Span::from_secs(30);

/// How long whose an alert's thing is is asked for before a person has the alert. A control plane that is
/// upgraded is back by then, and it is sooner than a person is told of an incident that stays open.
pub const OWNER_PATIENCE: Span = Span::from_secs(600);

/// The pause before an owner is asked for again, doubled each time up to the cap.
pub const OWNER_AGAIN: Span = Span::from_secs(5);

/// The longest pause before an owner is asked for again.
pub const OWNER_AGAIN_CAP: Span = Span::from_secs(60);

/// Alerts whose owners are asked for at once: each takes a process for a moment. The others follow.
pub const OWNERS_ASKED: usize = 16;

/// How long after an action the first look at its healing is, unless looks are closer still.
pub const FIRST_LOOK: Span = Span::from_secs(1);

/// Processes that are named of those that go on though their run was to end.
pub const PROCESSES_NAMED: usize = 5;

/// How old evidence may be when an order is issued on it.
pub const EVIDENCE_AGE: Span = Span::from_secs(10);

/// When a run looks again that stands behind one of its policy that a person approved.
pub const BEHIND_APPROVED: Span = Span::from_secs(10);

/// Which part of what all policies share is kept for those that took little of it.
pub const KEPT_PART: u32 = 4;

/// When a hold has no known end, look again after this, doubled each time up to the cap.
pub const LOOK_AGAIN: Span = Span::from_secs(5);

/// The longest time between two looks at a hold that has no known end. A look writes two facts, so
/// that a silence of a day writes some hundred; a notification makes us look sooner.
pub const LOOK_AGAIN_CAP: Span = Span::from_secs(900);

/// How soon after a look a notification of the same alert makes us look again.
pub const LOOK_ON_MENTION: Span = Span::from_secs(60);

/// The longest wait for a gate to wake an incident; the gate wakes the oldest first.
pub const GATE_PATIENCE: Span = Span::from_secs(60);

/// Incidents pursued in a turn that few events come in; the rest follow in the next, so that no turn
/// holds up intake.
pub const PURSUED_PER_TURN: usize = 256;

/// Incidents woken when a gate opens. The oldest go first; whoever loses the race waits on.
pub const WOKEN_PER_GATE: usize = 16;

/// How long a target that was acted on is remembered: the longest window of a blast radius.
pub const REACH_MEMORY: Span = Span::from_secs(7 * 86_400);

/// How many targets that were acted on are remembered for one policy: the largest blast radius.
pub const REACHED_TARGETS: usize = 10_000;

/// Up to so many targets, a storm stops all orders; among more it slows them. The same bound as
/// `large-cluster-size-threshold` of Kubernetes' node lifecycle controller.
pub const STORM_SMALL: u64 = 50;

/// How much slower orders are in a storm.
pub const STORM_SLOWDOWN: u64 = 10;

/// A cooldown grows no longer than this.
pub const COOLDOWN_CAP: Span = Span::from_secs(24 * 3600);

/// The pause between a failed run and its retry grows no longer than this.
pub const BACKOFF_CAP: Span = Span::from_secs(300);

/// A healed incident whose alert still fires after this is told to a person.
pub const LATCH_TOLD_AFTER: Span = Span::from_secs(86_400);

/// Different people whose word one run needs: more are not found in the time that a trouble has.
pub const APPROVING_PEOPLE: u32 = 16;

/// How long what is approved ahead counts at the most: a week on call. Whoever agreed then has seen the
/// trouble.
pub const STANDING_LASTS: Span = Span::from_secs(7 * 86_400);

/// Runs that one word may let start ahead. What is needed more often is `mode: auto`, or no remedy.
pub const STANDING_USES: u32 = 100;

/// What may be approved ahead at once. Each of them is looked at where a person would be asked.
pub const STANDING_APPROVALS: usize = 1_000;

/// Topics about which a person is owed a notice. So many alerts of ours are a few dozen requests a
/// minute, and nobody reads more; what is beyond stands in the incidents and in the log.
pub const OPEN_NOTICES: usize = 10_000;

/// Targets that one notice lists: what fits a screen, and a message on a phone.
pub const NOTICE_TARGETS: usize = 20;

/// Labels of an alert that a notice carries, the first in the order of their names: an alert has one
/// or two dozen. They are written with each notice.
pub const CARRIED_LABELS: usize = 64;

/// Remedies that the reasons of a choice name: a ladder has two or three.
pub const TOLD_CANDIDATES: usize = 16;

/// Policies of which an account of the guards' ledgers is given: an alert is seldom taken by more than
/// two. It is computed where turns are, so that it must not take long.
pub const ACCOUNTS: usize = 16;

/// Answers that the reasons of a choice tell. One trouble on one target seldom has more than a few
/// alerts, each with two witnesses; the guards judge by all.
pub const TOLD_ANSWERS: usize = 16;

/// Bytes of one text among the reasons of a choice: a line or two. It is written with each order.
pub const TOLD_BYTES: usize = 240;

/// An Alertmanager younger than this may not have heard of every alert yet.
pub const YOUNG_ALERTMANAGER: Span = Span::from_secs(300);

/// How often sources are asked for all of their alerts. Prometheus tells an Alertmanager as often
/// about each, so that a closer look would mostly see the same.
pub const POLL_EVERY: Span = Span::from_secs(60);

/// Alerts of the alerts API whose rules are asked about together. They are those that were not
/// mentioned in their turn; the rest of a crowd is asked about the next time.
pub const RULES_POLLED: usize = 512;

/// How often in a row an alert must be absent from a healthy Alertmanager to count as resolved.
pub const ABSENT_TIMES: u32 = 2;

/// Steps in which the end of a freeze is looked for. A step goes to the end of a time range or of a
/// day, so that a freeze of a year is seen to its end; a longer one is looked at again there.
pub const FREEZE_STEPS: usize = 500;

/// Parts of time intervals that this search looks at, all steps together: some milliseconds.
pub const FREEZE_LOOKS: usize = 5_000;

/// Watchdogs of all policies together that have different matchers. Each new alert is compared with
/// all of them.
pub const WATCHDOGS: usize = 16;

/// Alerts that are known to be one watchdog. A watchdog is one alert, or one for each Prometheus;
/// further ones vouch for nothing.
pub const WATCHDOG_ALERTS: usize = 64;

/// How many flaps of one target are remembered. Twelve raise its penalty to the ceiling.
pub const FLAPS: usize = 16;

/// How long a flap is remembered: at the longest half-life it counts for a four-thousandth then.
pub const FLAP_MEMORY: Span = Span::from_secs(86_400);

/// The longest half-life of a flap's penalty.
pub const FLAP_HALF_LIFE_MAX: Span = Span::from_secs(2 * 3600);

/// Targets whose flaps are remembered; the one that was quiet for longest is forgotten first.
pub const FLAPPING_TARGETS: usize = 20_000;

/// What one flap adds to the penalty of its target.
pub const FLAP_PENALTY: u32 = 1000;

/// How many half-lives a quiet target stays suppressed at most.
pub const FLAP_HALF_LIVES: u32 = 4;

/// How many results of one remedy are remembered: the most that a breaker can count.
pub const CIRCUIT_MARKS: usize = 10;

/// How long the results of a remedy that is not run any more are remembered.
pub const CIRCUIT_MEMORY: Span = Span::from_secs(30 * 86_400);

/// Bytes of the reason of one failure that are remembered.
pub const CIRCUIT_REASON_BYTES: usize = 160;

/// Remedies whose results are remembered.
pub const CIRCUITS: usize = 50_000;

/// Instructions that one template may use; far more than any sane placeholder.
pub const TEMPLATE_FUEL: u64 = 20_000;

/// Bytes that one rendered template may have: the kernel's limit for one argument.
pub const RENDERED_BYTES: usize = 128 * 1024;

/// Bytes of a request's URL: what servers commonly take.
pub const REQUEST_URL_BYTES: usize = 8 * 1024;

/// Bytes of a request's body. It is written into the journal with its order.
pub const REQUEST_BODY_BYTES: usize = 128 * 1024;

/// Words about its progress that one order may have written down. A timeline is read by people.
pub const ORDER_PROGRESS: u32 = 50;

/// Bytes of one such word: a line or two.
pub const PROGRESS_BYTES: usize = 500;

/// Relabelling rules of one list. Each alert passes all of them; real lists have a few.
pub const RELABEL_RULES: usize = 1_000;

/// Labels that one relabelling rule joins.
pub const RELABEL_SOURCES: usize = 256;

/// Bytes of an alert's labels while they are relabelled. A rule can double them; whatever is longer
/// than this was never sent.
pub const RELABELLED_BYTES: usize = 256 * 1024;

/// How long an alert of the alerts API fires that names no end, as in Alertmanager.
pub const RESOLVE_TIMEOUT: Span = Span::from_secs(300);

/// Defaults of the configuration, each the value that is used where the file says nothing.
pub mod defaults {
    use super::Span;

    /// Time between healings of one target.
    pub const COOLDOWN: Span = Span::from_secs(300);
    /// Orders of one policy in [`POLICY_RATE_PER`].
    pub const POLICY_RATE_MAX: u32 = 6;
    /// The time over which a policy's rate counts.
    pub const POLICY_RATE_PER: Span = Span::from_secs(3600);
    /// Orders of one policy that run at once.
    pub const POLICY_CONCURRENCY: u32 = 4;
    /// Orders of the whole book in [`BOOK_RATE_PER`].
    pub const BOOK_RATE_MAX: u32 = 60;
    /// The time over which the book's rate counts.
    pub const BOOK_RATE_PER: Span = Span::from_secs(3600);
    /// Orders of the whole book that run at once.
    pub const BOOK_CONCURRENCY: u32 = 16;
    /// The share of targets that fire at once in a storm, in percent.
    pub const STORM_PERCENT: u32 = 55;
    /// Targets that fire at once in the smallest storm.
    pub const STORM_MIN: u32 = 3;
    /// How long fewer targets must fire before a storm is over.
    pub const STORM_COOL_DOWN: Span = Span::from_secs(300);
    /// How young a firing observation must be where nobody can be asked.
    pub const FRESH_MAX_AGE: Span = Span::from_secs(120);
    /// How long a watchdog may go unmentioned.
    pub const WATCHDOG_MAX_AGE: Span = Span::from_secs(300);
    /// The time in which a flap's penalty halves.
    pub const FLAP_HALF_LIFE: Span = Span::from_secs(900);
    /// A target whose penalty rises above this is suppressed.
    pub const FLAP_SUPPRESS: u32 = 2000;
    /// A suppressed target is let go when its penalty has fallen to this.
    pub const FLAP_REUSE: u32 = 750;
    /// A breaker opens at so many failures of the last [`BREAKER_OF`].
    pub const BREAKER_FAILURES: u32 = 3;
    /// How many results a breaker counts.
    pub const BREAKER_OF: u32 = 5;
    /// How long after the last failure an open breaker lets one trial pass.
    pub const BREAKER_AFTER: Span = Span::from_secs(900);
    /// A run longer than this is ended.
    pub const TIMEOUT: Span = Span::from_secs(60);
    /// The pause before a first retry.
    pub const BACKOFF: Span = Span::from_secs(5);
    /// Time between two looks of a verification.
    pub const VERIFY_EVERY: Span = Span::from_secs(10);
    /// How often in a row the query must hold.
    pub const VERIFY_TIMES: u32 = 3;
    /// What rules remember for longer than this is not waited for.
    pub const VERIFY_PATIENCE: Span = Span::from_secs(3600);
    /// The window of a verification where a Prometheus can be asked.
    pub const VERIFY_WITHIN_PROMETHEUS: Span = Span::from_secs(120);
    /// The window where only an Alertmanager can be asked.
    pub const VERIFY_WITHIN_ALERTMANAGER: Span = Span::from_secs(300);
    /// The window where nothing but webhooks tell.
    pub const VERIFY_WITHIN_WEBHOOK: Span = Span::from_secs(900);
    /// The same trouble again within this is a relapse.
    pub const RELAPSE: Span = Span::from_secs(1800);
    /// A webhook alert unseen for this long has lapsed.
    pub const LAPSE: Span = Span::from_secs(12 * 3600);
    /// A person is told when an incident is open for this long.
    pub const ESCALATE_AFTER: Span = Span::from_secs(900);
    /// How long a person has to approve a run; then a person is told that nobody did.
    pub const APPROVAL_EXPIRES: Span = Span::from_secs(1800);
    /// The severity of an escalation.
    pub const ESCALATE_SEVERITY: &str = "critical";
}
