//! The keys of `collect`: what is looked at before an act and after it.

use super::{EXEC_HELP, Keys, habit};

/// One of `collect`.
pub(crate) static COLLECTOR: Keys = Keys {
    of: "a collector",
    known: &["name", "when", "exec", "query", "ssh", "systemd", "kubernetes"],
    later: &[],
    habits: &[
        habit("command", "exec", EXEC_HELP),
        habit("cmd", "exec", EXEC_HELP),
        habit("run", "exec", EXEC_HELP),
        habit("script", "exec", "write exec: [sh, -c, 'text', sh, argument]"),
        habit("promql", "query", "write `query`"),
        habit("expr", "query", "write `query`"),
        habit("logs", "kubernetes", "write kubernetes: { logs: { namespace: …, pod: … } }"),
        habit("moment", "when", "write `when: before`, or `when: after`"),
        habit("timeout", "", "a collector that takes longer than five seconds is left out"),
        habit("run_as", "", "it runs as the remedy does"),
    ],
};

/// `systemd` of a collector.
pub(crate) static COLLECTED_UNIT: Keys = Keys {
    of: "`systemd` of a collector",
    known: &["status"],
    later: &[],
    habits: &[
        habit("unit", "status", "write systemd: { status: UNIT }"),
        habit("restart", "", READ_ONLY),
        habit("start", "", READ_ONLY),
        habit("stop", "", READ_ONLY),
    ],
};

/// `kubernetes` of a collector.
pub(crate) static COLLECTED_CLUSTER: Keys = Keys {
    of: "`kubernetes` of a collector",
    known: &["logs", "context", "kubeconfig"],
    later: &[],
    habits: &[
        habit("log", "logs", "write logs: { namespace: …, pod: … }"),
        habit("rollout_restart", "", READ_ONLY),
        habit("evict", "", READ_ONLY),
        habit("scale", "", READ_ONLY),
    ],
};

const READ_ONLY: &str = "a collector only looks: what changes something is a remedy";

/// `logs` of `kubernetes`.
pub(crate) static LOGS: Keys = Keys {
    of: "`logs`",
    known: &["namespace", "pod", "container", "previous", "tail"],
    later: &[],
    habits: &[
        habit("lines", "tail", "write `tail`"),
        habit("tailLines", "tail", "write `tail`"),
        habit("name", "pod", "write `pod`"),
        habit("deployment", "", "logs are those of one pod: pod: \"{{ labels.pod }}\""),
    ],
};
