//! A file of policy tests.

use super::Default::{Flag, Nothing, Required, Text as Value, Told};
use super::Shape::{Duration, Either, List, Map, Text, Word};
use super::{Group, LABELS, Shape, TEXTS, Table, entry};
use crate::policy_test::{START, STATES, TOPICS, keys};

pub(super) static FILE: Table =
    Table { name: "file", keys: &keys::FILE, groups: &[&FILE_KEYS], one_of: &[] };

static FILE_KEYS: Group = Group {
    name: "a file of tests",
    entries: &[
        entry(
            "config_file",
            Either(&[Text, TEXTS]),
            Required,
            "the configuration, from the directory of the test file: a file, a directory, or a \
                 list of them",
        ),
        entry("tests", List(&Map(&TEST)), Required, "the tests"),
    ],
};

static TEST: Table = Table { name: "test", keys: &keys::TEST, groups: &[&TEST_KEYS], one_of: &[] };

static TEST_KEYS: Group = Group {
    name: "a test",
    entries: &[
        entry("name", Text, Required, "unique in the file"),
        entry("start", Text, Value(START), "when it begins (RFC 3339)"),
        entry("steps", List(&Map(&STEP)), Nothing, "what happens, sorted by `at`"),
        entry(
            "expect",
            List(&Map(&EXPECTATION)),
            Required,
            "what is expected, sorted by `eval_time`",
        ),
    ],
};

static STEP: Table = Table {
    name: "step",
    keys: &keys::STEP,
    groups: &[&AT, &INPUTS, &BESIDE],
    one_of: &keys::INPUTS,
};

static AT: Group = Group {
    name: "when",
    entries: &[entry("at", Duration, Required, "when, counted from `start`")],
};

static INPUTS: Group = Group {
    name: "a step",
    entries: &[
        entry(
            "fire",
            LABELS,
            Nothing,
            "the alert with these labels fires, and its source sends that",
        ),
        entry("resolve", LABELS, Nothing, "the alert ends, and its source sends that"),
        entry(
            "send",
            LABELS,
            Nothing,
            "a notification arrives that need not be true: late, or twice",
        ),
        entry("answer", Map(&ANSWER), Nothing, "a witness says [something else](#answer)"),
        entry("exit", Map(&EXIT), Nothing, "a run [ends](#exit)"),
        entry("progress", Map(&PROGRESS), Nothing, "a run of a handler says how far it is"),
        entry("pause", Map(&PAUSE), Nothing, "an operator pauses"),
        entry("resume", Map(&RESUME), Nothing, "an operator resumes"),
        entry("approve", Map(&COMMAND), Nothing, "an operator's [command](#commands)"),
        entry("reject", Map(&COMMAND), Nothing, "an operator's command"),
        entry("cancel", Map(&COMMAND), Nothing, "an operator's command"),
        entry("retry", Map(&COMMAND), Nothing, "an operator's command"),
        entry("reload", Text, Nothing, "the configuration of this file comes into force"),
        entry("crash", Map(&CRASH), Nothing, "the engine is killed and starts again"),
        entry(
            "jump",
            Map(&JUMP),
            Nothing,
            "the wall clock of the engine and its world is set, by more than a minute",
        ),
    ],
};

static BESIDE: Group = Group {
    name: "beside a step",
    entries: &[
        entry(
            "source",
            Text,
            Told("the first Alertmanager, else `alertmanager`"),
            "who sends it; `api` is the alerts API",
        ),
        entry("annotations", LABELS, Nothing, "its annotations"),
        entry(
            "lost",
            Shape::Flag,
            Flag(false),
            "it is true, and nobody hears of it (not with `send`)",
        ),
        entry("status", Word(&["firing", "resolved"]), Value("firing"), "of `send`"),
        entry("starts_at", Text, Nothing, "of `send`: a time in the notification (RFC 3339)"),
        entry("ends_at", Text, Nothing, "of `send`: a time in the notification"),
    ],
};

static ANSWER: Table =
    Table { name: "answer", keys: &keys::ANSWER, groups: &[&ASKED, &ANSWER_KEYS], one_of: &[] };

static ASKED: Group = Group {
    name: "whose answer",
    entries: &[
        entry(
            "probe",
            Word(&[
                "alertmanager",
                "prometheus",
                "rules",
                "query",
                "inventory",
                "dry_run",
                "owner",
            ]),
            Required,
            "who answers",
        ),
        entry("policy", Text, Told("any"), "only questions of this policy; not of `owner`"),
        entry(
            "labels",
            LABELS,
            Told("any"),
            "of `alertmanager`, `rules` and `owner`: only about alerts with these",
        ),
        entry(
            "query",
            Text,
            Told("any"),
            "of `query`, `inventory` and `prometheus`: only queries that have this in them",
        ),
    ],
};

const YES: Shape = Shape::Flag;

static ANSWER_KEYS: Group = Group {
    name: "an answer",
    entries: &[
        entry(
            "truth",
            YES,
            Nothing,
            "of `alertmanager`, `prometheus`, `rules`, `dry_run`: what is true, again",
        ),
        entry("error", Text, Nothing, "of all: no answer, and why"),
        entry(
            "empty",
            YES,
            Nothing,
            "`alertmanager` lists nothing; `rules` has no such rule; `query` does not hold; \
                 `inventory` counts nothing",
        ),
        entry("unlisted", YES, Nothing, "of `alertmanager`: it lists others only"),
        entry("silenced", Text, Nothing, "of `alertmanager`: the alert is silenced, and by whom"),
        entry("unhealthy", Text, Nothing, "of `rules`: the rule errs, and why"),
        entry("stuck", YES, Nothing, "of `rules`: it is not evaluated any more"),
        entry("firing", Shape::Flag, Nothing, "of `rules`: it fires, or not"),
        entry("pending", YES, Nothing, "of `rules`: it is pending"),
        entry(
            "kept_firing",
            Duration,
            Nothing,
            "of `rules`: it fires by a `keep_firing_for` of so long",
        ),
        entry("looks_back", Duration, Nothing, "of `rules`: how far its expression looks back"),
        entry("looks_back_unknown", Text, Nothing, "of `rules`: why nobody knows that"),
        entry(
            "inputs",
            Shape::Flag,
            Nothing,
            "of `rules`: whether the series that it reads have data",
        ),
        entry("holds", Shape::Flag, Nothing, "of `query`: it holds, or not"),
        entry("value", Shape::Count, Nothing, "of `inventory`: how many targets there are"),
        entry("nan", YES, Nothing, "of `inventory`: it is no number"),
        entry("managed_by", Text, Nothing, "of `dry_run`: who else manages what would be changed"),
        entry("not_now", Text, Nothing, "of `dry_run`: it could not be done now, and why"),
        entry("refused", Text, Nothing, "of `dry_run`: it would be refused, and why"),
        entry("owner", Text, Nothing, "of `owner`: whose it is, as `Deployment/web`"),
        entry("nobody", Text, Nothing, "of `owner`: it is nobody's, in the hand's words"),
    ],
};

static EXIT: Table =
    Table { name: "exit", keys: &keys::EXIT, groups: &[&RUN, &ENDINGS, &OUTPUT], one_of: ENDS };

const ENDS: &[&str] = &[
    "code",
    "signal",
    "http_status",
    "done",
    "failed",
    "timed_out",
    "not_started",
    "refused",
    "unknown",
];

static RUN: Group = Group {
    name: "which run",
    entries: &[
        entry("remedy", Text, Required, "the remedy whose run is meant: the oldest that fits"),
        entry("policy", Text, Told("any"), "of this policy"),
        entry("target", LABELS, Told("any"), "on a target with these labels"),
    ],
};

static ENDINGS: Group = Group {
    name: "how a run ends",
    entries: &[
        entry("code", Shape::Count, Nothing, "it exits with this code"),
        entry("signal", Shape::Count, Nothing, "this signal ends it"),
        entry("http_status", Shape::Count, Nothing, "a service answers"),
        entry(
            "expected",
            Shape::Flag,
            Told("2xx is expected"),
            "beside `http_status`: whether that is a success",
        ),
        entry("done", YES, Nothing, "a handler did it"),
        entry("failed", Text, Nothing, "a handler says why not"),
        entry("timed_out", YES, Nothing, "it is ended before its time is over"),
        entry("not_started", Text, Nothing, "it certainly did not start, and why"),
        entry("refused", Text, Nothing, "the alert's data cannot be carried to it, and why"),
        entry("unknown", Text, Nothing, "nobody knows, and why"),
    ],
};

static OUTPUT: Group = Group {
    name: "what it wrote",
    entries: &[entry("output", Text, Nothing, "what it wrote last")],
};

static PROGRESS: Table =
    Table { name: "progress", keys: &keys::PROGRESS, groups: &[&RUN, &PROGRESS_KEYS], one_of: &[] };

static PROGRESS_KEYS: Group =
    Group { name: "a progress", entries: &[entry("text", Text, Required, "what it says")] };

static PAUSE: Table =
    Table { name: "pause", keys: &keys::PAUSE, groups: &[&BY, &PAUSE_KEYS], one_of: &[] };

static BY: Group = Group {
    name: "by whom",
    entries: &[entry(
        "by",
        Text,
        Told("somebody"),
        "who; with a kind before it, as in `user:ann`, grants count",
    )],
};

static PAUSE_KEYS: Group =
    Group { name: "a pause", entries: &[entry("reason", Text, Required, "why")] };

static RESUME: Table = Table { name: "resume", keys: &keys::RESUME, groups: &[&BY], one_of: &[] };

static COMMAND: Table =
    Table { name: "command", keys: &keys::COMMAND, groups: &[&BY, &COMMAND_KEYS], one_of: &[] };

static COMMAND_KEYS: Group = Group {
    name: "a command",
    entries: &[
        entry("groups", TEXTS, Nothing, "the groups that they are of"),
        entry("reason", Text, Nothing, "why"),
        entry(
            "target",
            LABELS,
            Told("the newest incident"),
            "the newest incident whose target has these labels",
        ),
        entry(
            "next",
            Shape::Count,
            Nothing,
            "of `approve`, with `for`: so many runs [ahead](access.md#standing-approvals)",
        ),
        entry("for", Duration, Nothing, "of `approve`, with `next`: for so long"),
    ],
};

static CRASH: Table =
    Table { name: "crash", keys: &keys::CRASH, groups: &[&CRASH_KEYS], one_of: &[] };

static CRASH_KEYS: Group = Group {
    name: "a crash",
    entries: &[entry(
        "found",
        Either(&[Word(&["not_started", "unknown"]), Map(&FOUND)]),
        Value("unknown"),
        "what is found of all runs: `not_started`, `unknown`, or how they ended",
    )],
};

static FOUND: Table =
    Table { name: "found", keys: &keys::FOUND, groups: &[&ENDINGS], one_of: ENDS };

static JUMP: Table =
    Table { name: "jump", keys: &keys::JUMP, groups: &[&JUMP_KEYS], one_of: &["forwards", "back"] };

static JUMP_KEYS: Group = Group {
    name: "a jump",
    entries: &[
        entry("forwards", Duration, Nothing, "by so much forwards"),
        entry("back", Duration, Nothing, "by so much back"),
    ],
};

static EXPECTATION: Table = Table {
    name: "expectation",
    keys: &keys::EXPECTATION,
    groups: &[&EXPECTATION_KEYS],
    one_of: &[],
};

static EXPECTATION_KEYS: Group = Group {
    name: "an expectation",
    entries: &[
        entry("eval_time", Duration, Required, "when, counted from `start`"),
        entry("policy", Text, Told("any"), "which incidents, orders and notices are meant"),
        entry("target", LABELS, Told("any"), "likewise: those on a target with these labels"),
        entry("exp_state", Word(&STATES), Nothing, "the incident's state"),
        entry(
            "exp_outcome",
            Word(&["healed", "recovered", "escalated", "shadowed", "rejected", "cancelled"]),
            Nothing,
            "how it closed",
        ),
        entry(
            "exp_grade",
            Word(&["reported", "confirmed", "proven"]),
            Nothing,
            "how well its healing is known",
        ),
        entry("exp_reason", Text, Nothing, "a part of the incident's reason, letter by letter"),
        entry(
            "exp_holds",
            TEXTS,
            Nothing,
            "exactly the guards that hold its next order: `[lock, cooldown]`; `[]`: none",
        ),
        entry(
            "exp_orders",
            List(&Map(&ORDER)),
            Nothing,
            "exactly the orders since the expectation before, in order",
        ),
        entry(
            "exp_notices",
            List(&Map(&NOTICE)),
            Nothing,
            "exactly what people are told at this moment",
        ),
        entry(
            "exp_incidents",
            Shape::Count,
            Nothing,
            "how many incidents have opened since the beginning",
        ),
    ],
};

static ORDER: Table =
    Table { name: "order", keys: &keys::ORDER, groups: &[&ORDER_KEYS], one_of: &[] };

static ORDER_KEYS: Group = Group {
    name: "an expected order",
    entries: &[
        entry("remedy", Text, Told("any"), "its remedy"),
        entry("policy", Text, Told("any"), "its policy"),
        entry("target", LABELS, Told("any"), "labels of its target"),
        entry("attempt", Shape::Count, Told("any"), "which run of its remedy, from 1 on"),
        entry("action", Text, Told("any"), "the whole command, rendered"),
    ],
};

static NOTICE: Table =
    Table { name: "notice", keys: &keys::NOTICE, groups: &[&NOTICE_KEYS], one_of: &[] };

static NOTICE_KEYS: Group = Group {
    name: "an expected notice",
    entries: &[
        entry("topic", Word(&TOPICS), Told("any"), "what it is about"),
        entry("policy", Text, Told("any"), "its policy"),
        entry("target", LABELS, Told("any"), "labels of its target"),
        entry("reason", Text, Told("any"), "a part of its reason"),
        entry("severity", Text, Told("any"), "its severity"),
    ],
};
