//! Which keys there are, which are still to come, and which habits people bring along.
//!
//! Duty: one table for each kind of map in the file. Not its duty: what a key's value means.

mod access;
mod collect;
mod guard;
mod kubernetes;
mod notify;
mod source;
mod web;

pub(crate) use access::{ACCESS, ACCESS_OIDC, ACCESS_PROXY, ACCESS_TOKEN, GRANT};
pub(crate) use collect::{COLLECTED_CLUSTER, COLLECTED_UNIT, COLLECTOR, LOGS};
pub(crate) use guard::{
    BLAST_RADIUS, BREAKER, DEFAULT_GUARD, FLAP, FRESH, GUARD, RATE, STORM, WATCHDOG,
};
pub(crate) use kubernetes::{DRAIN, JOB, KUBERNETES, NODE, OWNER_OF, POD, ROLLOUT, SCALE};
pub(crate) use notify::{CHANNEL, WEBHOOK};
use source::BEARER_HELP;
pub(crate) use source::{
    ALERTMANAGER, AUTHORIZATION, BASIC_AUTH, HMAC, HOOK, HTTP, HTTP_FILE, HTTP_HEADER, OAUTH2,
    PROMETHEUS, SOURCES, TLS,
};

pub(crate) use web::{WEB_FILE, WEB_HTTP, WEB_RATE, WEB_TLS};

/// The keys of one kind of map.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Which map, for a person: `a remedy`.
    pub(crate) of: &'static str,
    /// Keys that are read.
    pub(crate) known: &'static [&'static str],
    /// Keys that are known but not built yet: errors, because an engine that ignored them would
    /// be less careful than the writer asked for.
    pub(crate) later: &'static [&'static str],
    /// Keys that mean something elsewhere: the key, ours that it stands for, and help.
    pub(crate) habits: &'static [Habit],
}

/// A key that people know from elsewhere.
#[derive(Debug)]
pub(crate) struct Habit {
    pub(crate) key: &'static str,
    /// Our key that was probably meant; empty where there is none.
    pub(crate) meant: &'static str,
    pub(crate) help: &'static str,
}

const fn habit(key: &'static str, meant: &'static str, help: &'static str) -> Habit {
    Habit { key, meant, help }
}

impl Keys {
    /// Our key that a foreign one stands for, and help.
    pub(crate) fn habit(&self, key: &str) -> Option<&'static Habit> {
        self.habits.iter().find(|habit| habit.key == key)
    }
}

/// Finds where a key belongs that stands in the wrong map.
pub(crate) fn home(key: &str) -> Option<&'static str> {
    let homes = HOMES.iter().filter(|(_, keys)| keys.known.contains(&key));
    let mut homes = homes.chain(HOMES.iter().filter(|(_, keys)| keys.later.contains(&key)));
    homes.next().map(|(home, _)| *home)
}

const HOMES: [(&str, &Keys); 33] = [
    ("the top level of the file", &FILE),
    ("`sources`", &SOURCES),
    ("`guard`", &GUARD),
    ("`guard.fresh`", &FRESH),
    ("`guard.blast_radius`", &BLAST_RADIUS),
    ("`guard.storm`", &STORM),
    ("`verify`", &VERIFY),
    ("`escalate`", &ESCALATE),
    ("a policy", &POLICY),
    ("a remedy of the list `remedies`", &REMEDY),
    ("`http` of a remedy", &REQUEST),
    ("`ssh` of a remedy", &SSH),
    ("`systemd` of a remedy", &SYSTEMD),
    ("`kubernetes` of a remedy", &KUBERNETES),
    ("`scale` of `kubernetes`", &SCALE),
    ("`evict` of `kubernetes`", &POD),
    ("`drain` of `kubernetes`", &DRAIN),
    ("`owner_of` of a policy", &OWNER_OF),
    ("a collector of `collect`", &COLLECTOR),
    ("`logs` of `kubernetes`", &LOGS),
    ("`guard.watchdog`", &WATCHDOG),
    ("`guard.flap`", &FLAP),
    ("`guard.breaker`", &BREAKER),
    ("a part of a time interval", &INTERVAL_PART),
    ("a channel of `notify`", &CHANNEL),
    ("`approval`", &APPROVAL),
    ("`regression`", &REGRESSION),
    ("`undo` of a remedy", &UNDO),
    ("`access`", &ACCESS),
    ("a grant of `access`", &GRANT),
    ("a token of `access`", &ACCESS_TOKEN),
    ("`proxy` of `access`", &ACCESS_PROXY),
    ("`oidc` of `access`", &ACCESS_OIDC),
];

const DEFAULTS_HELP: &str = "only `guard` has defaults; say this in each policy";
const MATCHERS_HELP: &str = "matchers are Alertmanager's, as a list: matchers: ['job=\"web\"']";
const NO_RECEIVERS: &str =
    "Homeostat acts instead of notifying: a policy names its actions under `remedies`";
const MUTE_HELP: &str =
    "write `time_intervals`, in the same form; a policy names them under `guard.freeze`";
const EXEC_HELP: &str = "a program and its arguments stand under `exec: [program, argument]`, \
     shell text under `script:`";

/// The whole file.
pub(crate) static FILE: Keys = Keys {
    of: "a configuration",
    known: &[
        "include",
        "sources",
        "time_intervals",
        "limits",
        "defaults",
        "notify",
        "access",
        "redact",
        "policies",
    ],
    later: &[],
    habits: &[
        habit("includes", "include", "write a list: include: [policies.d/*.yml]"),
        habit(
            "rule_files",
            "include",
            "rules stay in Prometheus; further files of policies: include",
        ),
        habit("policy", "policies", "policies stand in a list: policies: [{ name: … }]"),
        habit("rules", "policies", "what is done about an alert stands in the list `policies`"),
        habit("groups", "", "this looks like a file of alerting rules: those stay in Prometheus"),
        habit("notifiers", "notify", "write a list: notify: [{ name: …, exec: […] }]"),
        habit("notifications", "notify", "write a list: notify: [{ name: …, exec: […] }]"),
        habit("regression", "", "say in each policy what its remedies must not make worse"),
        habit("grants", "access", "write access: { grants: […] }"),
        habit("tokens", "access", "write access: { tokens: […] }"),
        habit("basic_auth_users", "", "people are named in the file of --web.config.file"),
        habit("tls_server_config", "", "it stands in the file of --web.config.file"),
        habit("route", "policies", "alerts find their policy by its `matchers`"),
        habit("receivers", "policies", NO_RECEIVERS),
        habit("receiver", "policies", NO_RECEIVERS),
        habit("global", "defaults", "what holds for all policies stands under `defaults`"),
        habit("mute_time_intervals", "time_intervals", MUTE_HELP),
        habit("alertmanagers", "sources", "alertmanagers stand under `sources`"),
        habit("prometheuses", "sources", "prometheuses stand under `sources`"),
        habit("alerting", "sources", "alertmanagers stand under `sources`"),
        habit("commands", "policies", "each command becomes a policy with a remedy"),
    ],
};

/// `limits`.
pub(crate) static LIMITS: Keys =
    Keys { of: "limits", known: &["concurrency", "rate", "teams"], later: &[], habits: &[] };

/// One of `limits.teams`.
pub(crate) static TEAM_LIMITS: Keys =
    Keys { of: "the limits of a team", known: &["concurrency", "rate"], later: &[], habits: &[] };

/// `defaults`.
pub(crate) static DEFAULTS: Keys = Keys {
    of: "defaults",
    known: &["guard"],
    later: &[],
    habits: &[
        habit("mode", "", "every policy says its own `mode`, so that nobody is surprised"),
        habit("verify", "", DEFAULTS_HELP),
        habit("escalate", "", DEFAULTS_HELP),
        habit("for", "", DEFAULTS_HELP),
        habit("relapse", "", DEFAULTS_HELP),
        habit("lapse", "", DEFAULTS_HELP),
        habit("timeout", "", DEFAULTS_HELP),
    ],
};

/// One of `time_intervals`.
pub(crate) static TIME_INTERVAL: Keys = Keys {
    of: "a time interval",
    known: &["name", "time_intervals"],
    later: &[],
    habits: &[
        habit("times", "time_intervals", PARTS_HELP),
        habit("weekdays", "time_intervals", PARTS_HELP),
        habit("days_of_month", "time_intervals", PARTS_HELP),
        habit("months", "time_intervals", PARTS_HELP),
        habit("years", "time_intervals", PARTS_HELP),
        habit("location", "time_intervals", PARTS_HELP),
    ],
};

const PARTS_HELP: &str = "as in Alertmanager, it stands in a list of its own: time_intervals: \
     [{ weekdays: [\"monday:friday\"] }]";

/// One of the `time_intervals` of a time interval.
pub(crate) static INTERVAL_PART: Keys = Keys {
    of: "a part of a time interval",
    known: &["times", "weekdays", "days_of_month", "months", "years", "location"],
    later: &[],
    habits: &[
        habit("time_zone", "location", "write `location`"),
        habit("timezone", "location", "write `location`"),
        habit("days", "weekdays", "write `weekdays`"),
    ],
};

/// A range of times.
pub(crate) static TIME_RANGE: Keys = Keys {
    of: "a time range",
    known: &["start_time", "end_time"],
    later: &[],
    habits: &[
        habit("start", "start_time", "write `start_time`"),
        habit("end", "end_time", "write `end_time`"),
        habit("from", "start_time", "write `start_time`"),
        habit("to", "end_time", "write `end_time`"),
    ],
};

/// One of `policies`.
pub(crate) static POLICY: Keys = Keys {
    of: "a policy",
    known: &[
        "name",
        "team",
        "labels",
        "description",
        "runbook_url",
        "matchers",
        "target",
        "owner_of",
        "mode",
        "for",
        "remedies",
        "sources",
        "verify",
        "regression",
        "collect",
        "gitops",
        "guard",
        "escalate",
        "continue",
        "relapse",
        "on_resolve",
        "approval",
        "lapse",
    ],
    later: &[],
    habits: &[
        habit("notify", "escalate", "write escalate: { notify: [NAME] }"),
        habit("prometheus", "sources", "write a list: sources: [NAME]"),
        habit("prometheuses", "sources", "write a list: sources: [NAME]"),
        habit("source", "sources", "write a list: sources: [NAME]"),
        habit("match", "matchers", MATCHERS_HELP),
        habit("match_re", "matchers", "matchers are a list: matchers: ['job=~\"web|db\"']"),
        habit("matcher", "matchers", MATCHERS_HELP),
        habit("match_labels", "matchers", MATCHERS_HELP),
        habit("annotations", "escalate", "write escalate: { annotations: { NAME: text } }"),
        habit("owner", "team", "write team: NAME"),
        habit("runbook", "runbook_url", "write runbook_url: https://…"),
        habit("alert", "matchers", "write matchers: ['alertname=\"…\"']"),
        habit("alertname", "matchers", "write matchers: ['alertname=\"…\"']"),
        habit("expr", "", "rules stay in Prometheus: a policy takes their alerts by `matchers`"),
        habit("receiver", "remedies", NO_RECEIVERS),
        habit("group_by", "target", "which labels say what is healed stands under `target`"),
        habit("actions", "remedies", "the ladder of actions stands under `remedies`"),
        habit("action", "remedies", "the ladder of actions stands under `remedies`"),
        habit("remedy", "remedies", "write a list: remedies: [{ name: …, exec: […] }]"),
        habit("steps", "remedies", "the ladder of actions stands under `remedies`"),
        habit("command", "remedies", "write remedies: [{ name: …, exec: [program, argument] }]"),
        habit("cmd", "remedies", "write remedies: [{ name: …, exec: [program, argument] }]"),
        habit("shell", "remedies", "write remedies: [{ name: …, script: … }]"),
        habit("exec", "remedies", "write remedies: [{ name: …, exec: [program, argument] }]"),
        habit("script", "remedies", "write remedies: [{ name: …, script: … }]"),
        habit("dry_run", "mode", "write `mode: shadow`"),
        habit("collectors", "collect", "write `collect`, a list"),
        habit("enabled", "mode", "write `mode: shadow` to watch without acting"),
        habit("repeat_interval", "", "write guard: { cooldown: … }"),
    ],
};

/// One of a policy's `remedies`.
pub(crate) static REMEDY: Keys = Keys {
    of: "a remedy",
    known: &[
        "name",
        "mode",
        "exec",
        "script",
        "http",
        "call",
        "ssh",
        "systemd",
        "kubernetes",
        "timeout",
        "retries",
        "backoff",
        "idempotent",
        "approval",
        "undo",
        "collect",
        "run_as",
        "working_directory",
        "env",
        "secrets",
    ],
    later: &["when"],
    habits: &[
        habit("command", "exec", EXEC_HELP),
        habit("cmd", "exec", EXEC_HELP),
        habit("args", "exec", EXEC_HELP),
        habit("run", "exec", EXEC_HELP),
        habit("argv", "exec", EXEC_HELP),
        habit("shell", "script", "shell text stands under `script:`; /bin/sh runs it"),
        habit("sh", "script", "shell text stands under `script:`; /bin/sh runs it"),
        habit("bash", "script", "write exec: [bash, /path/to/script], or `script:` for /bin/sh"),
        habit("host", "ssh", "write ssh: { host: …, exec: [program, argument] }"),
        habit("remote", "ssh", "write ssh: { host: …, exec: [program, argument] }"),
        habit("k8s", "kubernetes", KUBERNETES_HELP),
        habit("kubectl", "kubernetes", KUBERNETES_HELP),
        habit("webhook", "http", "write http: { url: \"https://…\" }"),
        habit("url", "http", "write http: { url: \"https://…\" }"),
        habit("handler", "call", "write call: NAME"),
        habit("function", "call", "write call: NAME"),
        habit("environment", "env", "write env: { NAME: value }; labels come by themselves"),
        habit("user", "run_as", "write run_as: USER"),
        habit("become", "run_as", "write run_as: USER"),
        habit("cwd", "working_directory", "write working_directory: /PATH"),
        habit("chdir", "working_directory", "write working_directory: /PATH"),
        habit("workdir", "working_directory", "write working_directory: /PATH"),
        habit("secret", "secrets", "write secrets: { NAME: /PATH }"),
        habit("retry", "retries", "write `retries`"),
        habit("max_retries", "retries", "write `retries`"),
        habit("rollback", "undo", "write undo: { exec: [program, argument] }"),
        habit("revert", "undo", "write undo: { exec: [program, argument] }"),
        habit("worse", "", WORSE_HELP),
    ],
};

const KUBERNETES_HELP: &str =
    "write kubernetes: { rollout_restart: { namespace: …, deployment: … } }";

const WORSE_HELP: &str = "what a remedy must not make worse stands in its policy: \
     regression: { matchers: ['severity=\"critical\"'], worse: undo }";

/// `undo` of a remedy.
pub(crate) static UNDO: Keys = Keys {
    of: "an undo",
    known: &[
        "exec",
        "script",
        "http",
        "call",
        "ssh",
        "systemd",
        "kubernetes",
        "timeout",
        "run_as",
        "working_directory",
        "env",
        "secrets",
    ],
    later: &[],
    habits: &[
        habit("command", "exec", EXEC_HELP),
        habit("cmd", "exec", EXEC_HELP),
        habit("shell", "script", "shell text stands under `script:`; /bin/sh runs it"),
        habit("url", "http", "write http: { url: \"https://…\" }"),
        habit("retries", "", "an undo runs once: a person has the incident then"),
        habit("undo", "", "an undo is never undone"),
    ],
};

/// One of a remedy's `secrets`, where more than its file is said.
pub(crate) static HANDED_SECRET: Keys = Keys {
    of: "a secret",
    known: &["file", "variable"],
    later: &[],
    habits: &[
        habit("path", "file", "write `file`"),
        habit("env", "variable", "write `variable: true`"),
        habit("value", "", "secrets stand in files: secrets: { NAME: /PATH }"),
    ],
};

/// `regression` of a policy.
pub(crate) static REGRESSION: Keys = Keys {
    of: "regression",
    known: &["matchers", "worse"],
    later: &[],
    habits: &[
        habit("match", "matchers", MATCHERS_HELP),
        habit("alerts", "matchers", MATCHERS_HELP),
        habit(
            "undo",
            "worse",
            "write `worse: undo`; what is done stands in each remedy: undo: {…}",
        ),
        habit("target", "", "it is the policy's `target`: alerts that have all of its labels"),
    ],
};

/// `approval` of a policy or of a remedy.
pub(crate) static APPROVAL: Keys = Keys {
    of: "approval",
    known: &["by", "count", "expires"],
    later: &[],
    habits: &[
        habit("timeout", "expires", "write `expires`"),
        habit("within", "expires", "write `expires`"),
        habit("who", "by", "write by: [\"group:dba\"]"),
        habit("approvers", "by", "write by: [\"group:dba\"]"),
        habit("groups", "by", "write by: [\"group:dba\"]"),
        habit("min", "count", "write `count`"),
        habit("approvals", "count", "write `count`"),
        habit("people", "count", "write `count`"),
        habit(
            "required",
            "count",
            "a person is asked where the mode is `approve`; `count` says how many",
        ),
    ],
};

/// `ssh` of a remedy.
pub(crate) static SSH: Keys = Keys {
    of: "`ssh`",
    known: &["host", "user", "port", "exec", "config_file"],
    later: &[],
    habits: &[
        habit("hosts", "host", "a remedy acts on one host: host: \"{{ labels.instance | host }}\""),
        habit("hostname", "host", "write `host`"),
        habit("target", "host", "write `host`"),
        habit("username", "user", "write `user`"),
        habit("login", "user", "write `user`"),
        habit("command", "exec", EXEC_HELP),
        habit("cmd", "exec", EXEC_HELP),
        habit("args", "exec", EXEC_HELP),
        habit("run", "exec", EXEC_HELP),
        habit(
            "script",
            "exec",
            "write exec: [sh, -c, 'text', sh, argument]: labels come as arguments",
        ),
        habit("key", "", SSH_HELP),
        habit("identity_file", "", SSH_HELP),
        habit("private_key", "", SSH_HELP),
        habit("password", "", SSH_HELP),
        habit("proxy_jump", "", SSH_HELP),
        habit("options", "", SSH_HELP),
        habit("env", "", "write exec: [env, NAME=value, program]"),
    ],
};

/// `systemd` of a remedy.
pub(crate) static SYSTEMD: Keys = Keys {
    of: "`systemd`",
    known: &[
        "start",
        "stop",
        "restart",
        "reload",
        "reset_failed",
        "run",
        "user",
        "working_directory",
        "memory_max",
        "tasks_max",
        "cpu_quota",
    ],
    later: &[],
    habits: &[
        habit("exec", "run", UNIT_RUN_HELP),
        habit("command", "run", UNIT_RUN_HELP),
        habit("script", "run", "write run: [sh, -c, 'text']"),
        habit("run_as", "user", "write `user`"),
        habit("env", "", "write run: [env, NAME=value, program]"),
        habit("User", "user", "write `user`"),
        habit("WorkingDirectory", "working_directory", "write `working_directory`"),
        habit("MemoryMax", "memory_max", "write `memory_max`"),
        habit("TasksMax", "tasks_max", "write `tasks_max`"),
        habit("CPUQuota", "cpu_quota", "write `cpu_quota`"),
        habit("reset-failed", "reset_failed", "write `reset_failed`"),
        habit("unit", "", "the unit stands after what is done with it: systemd: { restart: UNIT }"),
        habit(
            "service",
            "",
            "the unit stands after what is done with it: systemd: { restart: UNIT }",
        ),
        habit("state", "", "say what is done: systemd: { restart: UNIT }"),
        habit("host", "", "on another machine: ssh: { host: …, exec: [systemctl, restart, UNIT] }"),
        habit("enable", "", SYSTEMCTL_HELP),
        habit("disable", "", SYSTEMCTL_HELP),
        habit("kill", "", SYSTEMCTL_HELP),
        habit("try_restart", "restart", SYSTEMCTL_HELP),
        habit("daemon_reload", "", SYSTEMCTL_HELP),
    ],
};

/// The keys of `systemd` that name a unit which is there.
pub(crate) const UNIT_VERBS: [&str; 5] = ["start", "stop", "restart", "reload", "reset_failed"];

/// The keys of `systemd` that say something of a unit which is run.
pub(crate) const UNIT_PROPERTIES: [&str; 5] =
    ["user", "working_directory", "memory_max", "tasks_max", "cpu_quota"];

const UNIT_RUN_HELP: &str = "write run: [program, argument]";

const SYSTEMCTL_HELP: &str = "write exec: [systemctl, …]";

const SSH_HELP: &str = "it stands where `ssh` itself looks for it: ~/.ssh/config of the user as whom it runs, \
     or the file of `config_file`";

/// `http` of a remedy.
pub(crate) static REQUEST: Keys = Keys {
    of: "a request",
    known: &[
        "method",
        "url",
        "headers",
        "body",
        "expected_status",
        "idempotency_key",
        "http_config",
        "basic_auth",
        "authorization",
        "oauth2",
        "tls_config",
        "proxy_url",
        "no_proxy",
        "http_headers",
    ],
    later: &["proxy_from_environment", "proxy_connect_header", "sigv4"],
    habits: &[
        habit("json", "body", "write `body`: a map is sent as JSON"),
        habit("data", "body", "write `body`: a map is sent as JSON"),
        habit("payload", "body", "write `body`: a map is sent as JSON"),
        habit("header", "headers", "write headers: { X-Name: value }"),
        habit("status", "expected_status", "write `expected_status`"),
        habit("valid_status_codes", "expected_status", "write `expected_status`"),
        habit("send_resolved", "", "a remedy runs when its policy says so"),
        habit("bearer_token", "", BEARER_HELP),
        habit("bearer_token_file", "", BEARER_HELP),
    ],
};

/// A header of a request, where it is a map.
pub(crate) static HEADER: Keys = Keys {
    of: "a header",
    known: &["file"],
    later: &[],
    habits: &[
        habit("files", "file", "write `file`"),
        habit("value", "", "write the value itself: headers: { X-Name: value }"),
        habit("values", "", "write the value itself: headers: { X-Name: value }"),
        habit("secrets", "", "write { file: … }"),
    ],
};

/// `verify` of a policy.
pub(crate) static VERIFY: Keys = Keys {
    of: "verify",
    known: &["within", "query", "every", "times", "patience", "vanishes"],
    later: &[],
    habits: &[
        habit("worse", "", WORSE_HELP),
        habit("regression", "", WORSE_HELP),
        habit("expr", "query", "write `query`"),
        habit("promql", "query", "write `query`"),
        habit("timeout", "within", "write `within`"),
        habit("interval", "every", "write `every`"),
        habit("for", "within", "write `within`"),
        habit("max_wait", "patience", "write `patience`"),
        habit("vanish", "vanishes", "write `vanishes: true`"),
        habit(
            "sources",
            "",
            "which Prometheuses are asked stands beside `verify`: sources: [NAME]",
        ),
    ],
};

/// `escalate` of a policy.
pub(crate) static ESCALATE: Keys = Keys {
    of: "escalate",
    known: &["after", "severity", "notify", "labels", "annotations"],
    later: &[],
    habits: &[
        habit("label", "labels", "write labels: { team: web }"),
        habit("annotation", "annotations", "write annotations: { runbook_url: \"https://…\" }"),
        habit("runbook_url", "annotations", "write annotations: { runbook_url: \"https://…\" }"),
        habit("runbook", "annotations", "write annotations: { runbook_url: \"https://…\" }"),
        habit("team", "labels", "write labels: { team: NAME }"),
    ],
};
