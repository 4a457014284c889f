//! A policy, its remedies, and how they are proven.

use homeostat_core::limits::defaults;

use super::Default::{Count, Flag, Nothing, Required, Span, Text as Value, Told};
use super::Shape::{Anything, Duration, Either, List, Map, Named, Text, Word};
use super::kubernetes::{KUBERNETES, OWNER_OF};
use super::{Group, LABELS, Shape, TEXTS, Table, collect, entry, guard, server};
use crate::keys;

pub(super) static POLICY: Table =
    Table { name: "policy", keys: &keys::POLICY, groups: &[&POLICY_KEYS], one_of: &[] };

const MODES: Shape = Word(&["shadow", "approve", "auto"]);

static POLICY_KEYS: Group = Group {
    name: "a policy",
    entries: &[
        entry("name", Text, Required, "unique"),
        entry(
            "matchers",
            TEXTS,
            Required,
            "a list in Alertmanager's grammar; `[]` takes every alert",
        ),
        entry("target", TEXTS, Told("all labels"), "names of the labels that say what is healed"),
        entry(
            "owner_of",
            Map(&OWNER_OF),
            Nothing,
            "[whose a pod is](hands.md#whose-a-pod-is): labels for target, locks and templates",
        ),
        entry(
            "mode",
            MODES,
            Required,
            "`shadow` records, `approve` asks a person first, `auto` acts",
        ),
        entry(
            "remedies",
            List(&Map(&REMEDY)),
            Required,
            "what is done, in this order; may be empty in shadow",
        ),
        entry("verify", Map(&VERIFY), Told("below"), "how a healing is proven"),
        entry("guard", Map(&guard::GUARD), Told("`defaults.guard`"), "the limits of its guards"),
        entry(
            "escalate",
            Either(&[Word(&["none"]), Map(&ESCALATE)]),
            Told("below"),
            "when a person is told, and how; or `none`",
        ),
        entry("for", Duration, Value("0s"), "how long the alert must fire before anything is done"),
        entry(
            "approval",
            Map(&APPROVAL),
            Told("below"),
            "[who must approve](access.md#approvals) a run, how many, and in which time",
        ),
        entry(
            "sources",
            TEXTS,
            Told("all"),
            "names of the Prometheuses that may be witnesses of its alerts, and answer its queries",
        ),
        entry("regression", Map(&REGRESSION), Nothing, "what its remedies must not make worse"),
        entry(
            "collect",
            List(&Map(&collect::COLLECTOR)),
            Nothing,
            "[what is looked at](hands.md#before-and-after) before the first act and after the last",
        ),
        entry(
            "gitops",
            Word(&["approve", "act"]),
            Value("approve"),
            "where Git says how a cluster's object is: `approve` asks a person before it is changed",
        ),
        entry("team", Text, Nothing, "whose it is, a name"),
        entry("labels", LABELS, Nothing, "labels of its notices, at most 32"),
        entry("description", Text, Nothing, "what it is for, for people"),
        entry("runbook_url", Text, Nothing, "where people read what to do"),
        entry(
            "continue",
            Shape::Flag,
            Flag(false),
            "whether policies after this one may take the alert, too",
        ),
        entry(
            "relapse",
            Duration,
            Span(defaults::RELAPSE),
            "the same trouble again within this goes on with the next remedy",
        ),
        entry(
            "lapse",
            Duration,
            Span(defaults::LAPSE),
            "a webhook alert neither mentioned nor listed for this long has ended; at least `1s`",
        ),
        entry(
            "on_resolve",
            Word(&["finish", "signal"]),
            Value("finish"),
            "once all alerts resolved: what runs may `finish`, or gets a `signal`",
        ),
    ],
};

static REMEDY: Table = Table {
    name: "remedy",
    keys: &keys::REMEDY,
    groups: &[&REMEDY_KEYS, &ACTION_KEYS],
    one_of: ACTIONS,
};

const ACTIONS: &[&str] = &["exec", "script", "http", "call", "ssh", "systemd", "kubernetes"];

static REMEDY_KEYS: Group = Group {
    name: "a remedy",
    entries: &[
        entry("name", Text, Required, "unique in the policy"),
        entry("mode", MODES, Told("the policy's"), "may be stricter than the policy's"),
        entry(
            "timeout",
            Duration,
            Span(defaults::TIMEOUT),
            "a run that takes longer is ended, with all of its processes; at least `1s`",
        ),
        entry("retries", Shape::Count, Count(0), "further runs after a known failure; at most 100"),
        entry(
            "backoff",
            Duration,
            Span(defaults::BACKOFF),
            "the pause before the first retry; doubled up to five minutes",
        ),
        entry(
            "idempotent",
            Shape::Flag,
            Flag(false),
            "whether a run of unknown outcome, after a crash, may be run again",
        ),
        entry(
            "approval",
            Map(&APPROVAL),
            Told("the policy's, key by key"),
            "who must approve, where the mode is `approve`",
        ),
        entry(
            "undo",
            Map(&UNDO),
            Nothing,
            "an action that takes the remedy back: [`regression`](#regression)",
        ),
        entry(
            "collect",
            List(&Map(&collect::COLLECTOR)),
            Nothing,
            "[what is looked at](hands.md#before-and-after), beside the policy's",
        ),
    ],
};

static ACTION_KEYS: Group = Group {
    name: "an action",
    entries: &[
        entry("exec", TEXTS, Nothing, "a program and its arguments, as a list; no shell"),
        entry(
            "script",
            Text,
            Nothing,
            "text for what its first line names (`#!/usr/bin/env python3`), else for `/bin/sh`",
        ),
        entry("http", Map(&REQUEST), Nothing, "[a request](handlers.md#requests)"),
        entry("call", Text, Nothing, "[a handler in Rust](handlers.md), by name"),
        entry("ssh", Map(&SSH), Nothing, "[a command on another machine](hands.md#ssh)"),
        entry("systemd", Map(&SYSTEMD), Nothing, "[a unit of this machine](hands.md#systemd)"),
        entry(
            "kubernetes",
            Map(&KUBERNETES),
            Nothing,
            "[an object of a cluster](hands.md#kubernetes)",
        ),
        entry(
            "run_as",
            Text,
            Told("the engine's user"),
            "as whom a program runs: `USER` or `USER:GROUP`, names or numbers",
        ),
        entry(
            "working_directory",
            Text,
            Told("a directory of its own"),
            "where a program runs, from `/` on",
        ),
        entry("env", LABELS, Nothing, "variables, a map of constants"),
        entry(
            "secrets",
            Named(&Either(&[Text, Map(&HANDED_SECRET)])),
            Nothing,
            "files that a program is handed: `NAME: FILE`, or `NAME: { file: FILE, variable: \
                 true }`",
        ),
    ],
};

pub(super) static SSH: Table =
    Table { name: "ssh", keys: &keys::SSH, groups: &[&SSH_KEYS], one_of: &[] };

static SSH_KEYS: Group = Group {
    name: "ssh",
    entries: &[
        entry(
            "host",
            Text,
            Required,
            "a name, an address, or a `Host` of the client's configuration; no user in it",
        ),
        entry("user", Text, Told("that of the client"), "as whom the command runs there"),
        entry("port", Shape::Count, Told("that of the client"), "a number"),
        entry("exec", TEXTS, Required, "a program and its arguments, as a list; no shell"),
        entry(
            "config_file",
            Text,
            Told("`~/.ssh/config` and `/etc/ssh/ssh_config`"),
            "another configuration of the client, from `/` on",
        ),
    ],
};

static SYSTEMD: Table = Table {
    name: "systemd",
    keys: &keys::SYSTEMD,
    groups: &[&SYSTEMD_KEYS],
    one_of: &["start", "stop", "restart", "reload", "reset_failed", "run"],
};

static SYSTEMD_KEYS: Group = Group {
    name: "systemd",
    entries: &[
        entry("restart", Text, Nothing, "the unit that is restarted, as `web.service`"),
        entry("start", Text, Nothing, "the unit that is started"),
        entry("stop", Text, Nothing, "the unit that is stopped"),
        entry("reload", Text, Nothing, "the unit that reads its configuration again"),
        entry("reset_failed", Text, Nothing, "the unit whose failures are forgotten"),
        entry(
            "run",
            TEXTS,
            Nothing,
            "a program and its arguments, as a list: as a unit of its own",
        ),
        entry("user", Text, Told("that of the engine"), "as whom the program of `run` runs"),
        entry("working_directory", Text, Told("`/`"), "where it runs, a path from `/` on"),
        entry("memory_max", Text, Nothing, "how much memory all of it may have, as `512M`"),
        entry("tasks_max", Text, Nothing, "how many processes and threads it may have"),
        entry("cpu_quota", Text, Nothing, "how much of the processors it may have; `200%` is two"),
    ],
};

static UNDO: Table =
    Table { name: "undo", keys: &keys::UNDO, groups: &[&UNDO_KEYS, &ACTION_KEYS], one_of: ACTIONS };

static UNDO_KEYS: Group = Group {
    name: "an undo",
    entries: &[entry(
        "timeout",
        Duration,
        Span(defaults::TIMEOUT),
        "a run that takes longer is ended; at least `1s`",
    )],
};

static HANDED_SECRET: Table = Table {
    name: "handed_secret",
    keys: &keys::HANDED_SECRET,
    groups: &[&SECRET_KEYS],
    one_of: &[],
};

static SECRET_KEYS: Group = Group {
    name: "a secret",
    entries: &[
        entry("file", Text, Required, "the file that holds it"),
        entry("variable", Shape::Flag, Flag(false), "whether it is a variable, too"),
    ],
};

static REQUEST: Table = Table {
    name: "request",
    keys: &keys::REQUEST,
    groups: &[&REQUEST_KEYS, &server::NESTED, &server::HTTP_KEYS],
    one_of: &[],
};

static REQUEST_KEYS: Group = Group {
    name: "a request",
    entries: &[
        entry("method", Text, Value("POST"), "the method"),
        entry("url", Text, Required, "scheme, host and port are constant"),
        entry(
            "headers",
            Named(&Either(&[Text, Map(&HEADER)])),
            Nothing,
            "names and values; a value may be `{ file: PATH }`",
        ),
        entry(
            "body",
            Anything,
            Nothing,
            "a map or list is sent as JSON, in which each text stays a text; a text is sent as \
                 it is",
        ),
        entry(
            "expected_status",
            Either(&[Text, TEXTS]),
            Value("2xx"),
            "what is a success: a status, a class, or a list of them",
        ),
        entry(
            "idempotency_key",
            Text,
            Value("false"),
            "`true` sends the header `Idempotency-Key`; a text names another header",
        ),
    ],
};

static HEADER: Table =
    Table { name: "header", keys: &keys::HEADER, groups: &[&HEADER_KEYS], one_of: &[] };

static HEADER_KEYS: Group = Group {
    name: "a header of a request",
    entries: &[entry("file", Text, Required, "the file that holds its value")],
};

static APPROVAL: Table =
    Table { name: "approval", keys: &keys::APPROVAL, groups: &[&APPROVAL_KEYS], one_of: &[] };

static APPROVAL_KEYS: Group = Group {
    name: "approval",
    entries: &[
        entry(
            "by",
            TEXTS,
            Told("all who may"),
            "names, as in a grant's `who`: narrows who approves",
        ),
        entry(
            "count",
            Shape::Count,
            Told("1, of anybody"),
            "so many different people; at most 16. Also 1 asks that they have names",
        ),
        entry("expires", Duration, Span(defaults::APPROVAL_EXPIRES), "how long they have"),
    ],
};

static VERIFY: Table =
    Table { name: "verify", keys: &keys::VERIFY, groups: &[&VERIFY_KEYS], one_of: &[] };

static VERIFY_KEYS: Group = Group {
    name: "verify",
    entries: &[
        entry(
            "within",
            Duration,
            Told("see below"),
            "how long to wait for the proof; at least `1s`",
        ),
        entry("query", Text, Nothing, "PromQL that returns something when the trouble is over"),
        entry(
            "every",
            Duration,
            Span(defaults::VERIFY_EVERY),
            "time between two looks; at least `1s`",
        ),
        entry(
            "times",
            Shape::Count,
            Count(defaults::VERIFY_TIMES),
            "how often in a row the query must hold; at least 1",
        ),
        entry(
            "vanishes",
            Shape::Flag,
            Flag(false),
            "whether a target whose series are gone is healed",
        ),
        entry(
            "patience",
            Duration,
            Span(defaults::VERIFY_PATIENCE),
            "how long a rule that looks back is waited for; at least `1s`",
        ),
    ],
};

static REGRESSION: Table =
    Table { name: "regression", keys: &keys::REGRESSION, groups: &[&REGRESSION_KEYS], one_of: &[] };

static REGRESSION_KEYS: Group = Group {
    name: "regression",
    entries: &[
        entry(
            "matchers",
            TEXTS,
            Required,
            "alerts of the same target that must not begin to fire; `[]` takes all",
        ),
        entry(
            "worse",
            Word(&["tell", "undo"]),
            Value("tell"),
            "what is done then: a person is told, or also the remedy is taken back",
        ),
    ],
};

static ESCALATE: Table =
    Table { name: "escalate", keys: &keys::ESCALATE, groups: &[&ESCALATE_KEYS], one_of: &[] };

static ESCALATE_KEYS: Group = Group {
    name: "escalate",
    entries: &[
        entry(
            "after",
            Duration,
            Span(defaults::ESCALATE_AFTER),
            "a person is told when an incident is open for so long; at least `1s`",
        ),
        entry(
            "severity",
            Text,
            Value(defaults::ESCALATE_SEVERITY),
            "the label `severity` of `HomeostatEscalation`",
        ),
        entry(
            "notify",
            TEXTS,
            Told("all"),
            "names of the channels that are told; `[]` for none of them",
        ),
        entry("labels", LABELS, Nothing, "labels of the notice, at most 32"),
        entry("annotations", LABELS, Nothing, "annotations of the notice, at most 32"),
    ],
};
