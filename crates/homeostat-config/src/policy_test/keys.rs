//! The keys of a file of policy tests, and the habits that people bring along from promtool.

use crate::keys::{Habit, Keys};

const fn habit(key: &'static str, meant: &'static str, help: &'static str) -> Habit {
    Habit { key, meant, help }
}

const NO_INTERVAL: &str = "time runs from event to event here: leave it out";

/// The whole file.
pub(crate) static FILE: Keys = Keys {
    of: "a file of policy tests",
    known: &["config_file", "tests"],
    later: &[],
    habits: &[
        habit("rule_files", "config_file", "write config_file: homeostat.yml"),
        habit("config", "config_file", "write config_file: homeostat.yml"),
        habit("evaluation_interval", "", NO_INTERVAL),
        habit("group_eval_order", "", NO_INTERVAL),
        habit("policies", "", "policies stand in the file that `config_file` names"),
    ],
};

/// One of `tests`.
pub(crate) static TEST: Keys = Keys {
    of: "a test",
    known: &["name", "start", "steps", "expect"],
    later: &[],
    habits: &[
        habit("interval", "", NO_INTERVAL),
        habit("input_series", "steps", "what happens stands under `steps`"),
        habit("inputs", "steps", "what happens stands under `steps`"),
        habit("alert_rule_test", "expect", "what is expected stands under `expect`"),
        habit("promql_expr_test", "expect", "what is expected stands under `expect`"),
        habit("start_timestamp", "start", "write `start`"),
    ],
};

/// One of `steps`.
pub(crate) static STEP: Keys = Keys {
    of: "a step",
    known: &[
        "at",
        "fire",
        "resolve",
        "send",
        "answer",
        "exit",
        "progress",
        "pause",
        "resume",
        "approve",
        "reject",
        "cancel",
        "retry",
        "reload",
        "crash",
        "jump",
        "source",
        "annotations",
        "lost",
        "status",
        "starts_at",
        "ends_at",
    ],
    later: &[],
    habits: &[
        habit("time", "at", "write at: 5s"),
        habit("eval_time", "at", "a step happens `at` a time; `eval_time` is for expectations"),
        habit("labels", "", "labels stand under `fire`: fire: { alertname: … }"),
    ],
};

/// What makes a step.
pub(crate) const INPUTS: [&str; 15] = [
    "fire", "resolve", "send", "answer", "exit", "progress", "pause", "resume", "approve",
    "reject", "cancel", "retry", "reload", "crash", "jump",
];

/// `answer` of a step.
pub(crate) static ANSWER: Keys = Keys {
    of: "an answer",
    known: &[
        "probe",
        "policy",
        "labels",
        "query",
        "error",
        "empty",
        "truth",
        "unlisted",
        "silenced",
        "unhealthy",
        "stuck",
        "firing",
        "pending",
        "kept_firing",
        "looks_back",
        "looks_back_unknown",
        "inputs",
        "holds",
        "value",
        "nan",
        "managed_by",
        "not_now",
        "refused",
        "owner",
        "nobody",
    ],
    later: &[],
    habits: &[
        habit("samples", "holds", "write holds: true"),
        habit("silence", "silenced", "write `silenced`"),
    ],
};

/// `exit` of a step.
pub(crate) static EXIT: Keys = Keys {
    of: "an exit",
    known: &[
        "remedy",
        "policy",
        "target",
        "code",
        "signal",
        "http_status",
        "expected",
        "done",
        "failed",
        "timed_out",
        "not_started",
        "refused",
        "unknown",
        "output",
    ],
    later: &[],
    habits: &[
        habit("exit_code", "code", "write `code`"),
        habit("status", "http_status", "write `http_status`"),
        habit("timeout", "timed_out", "write timed_out: true"),
        habit("spawn_error", "not_started", "write `not_started`"),
    ],
};

/// `progress` of a step.
pub(crate) static PROGRESS: Keys = Keys {
    of: "a progress",
    known: &["remedy", "policy", "target", "text"],
    later: &[],
    habits: &[],
};

/// `pause` of a step.
pub(crate) static PAUSE: Keys =
    Keys { of: "a pause", known: &["by", "reason"], later: &[], habits: &[] };

/// `resume` of a step.
pub(crate) static RESUME: Keys = Keys { of: "a resume", known: &["by"], later: &[], habits: &[] };

/// `approve`, `reject`, `cancel` and `retry` of a step.
pub(crate) static COMMAND: Keys = Keys {
    of: "a command",
    known: &["by", "groups", "reason", "target", "next", "for"],
    later: &[],
    habits: &[
        habit("incident", "target", "name its target: target: { instance: \"a:80\" }"),
        habit("id", "target", "name its target: target: { instance: \"a:80\" }"),
    ],
};

/// `crash` of a step.
pub(crate) static CRASH: Keys = Keys { of: "a crash", known: &["found"], later: &[], habits: &[] };

/// `jump` of a step.
pub(crate) static JUMP: Keys = Keys {
    of: "a jump of the wall clock",
    known: &["forwards", "back"],
    later: &[],
    habits: &[
        habit("forward", "forwards", "write `forwards`"),
        habit("backwards", "back", "write `back`"),
    ],
};

/// `found` of a crash, where the run is over.
pub(crate) static FOUND: Keys = Keys {
    of: "what is found of a run",
    known: &[
        "code",
        "signal",
        "http_status",
        "expected",
        "done",
        "failed",
        "timed_out",
        "not_started",
        "refused",
        "unknown",
    ],
    later: &[],
    habits: &[habit("exit_code", "code", "write `code`")],
};

/// One of `expect`.
pub(crate) static EXPECTATION: Keys = Keys {
    of: "an expectation",
    known: &[
        "eval_time",
        "policy",
        "target",
        "exp_state",
        "exp_outcome",
        "exp_grade",
        "exp_reason",
        "exp_holds",
        "exp_orders",
        "exp_notices",
        "exp_incidents",
    ],
    later: &[],
    habits: &[
        habit("at", "eval_time", "write eval_time: 5s"),
        habit("state", "exp_state", "write `exp_state`"),
        habit("outcome", "exp_outcome", "write `exp_outcome`"),
        habit("orders", "exp_orders", "write `exp_orders`"),
        habit("exp_alerts", "exp_notices", "what people are told stands under `exp_notices`"),
    ],
};

/// One of `exp_orders`.
pub(crate) static ORDER: Keys = Keys {
    of: "an expected order",
    known: &["remedy", "policy", "target", "attempt", "action"],
    later: &[],
    habits: &[habit("exec", "action", "write `action`, the whole command as one text")],
};

/// One of `exp_notices`.
pub(crate) static NOTICE: Keys = Keys {
    of: "an expected notice",
    known: &["topic", "policy", "target", "reason", "severity"],
    later: &[],
    habits: &[],
};
