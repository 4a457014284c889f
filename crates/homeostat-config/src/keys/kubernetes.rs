//! The keys of `kubernetes`: its verbs, and what each of them takes.

use super::{Habit, Keys, habit};

/// `kubernetes` of a remedy.
pub(crate) static KUBERNETES: Keys = Keys {
    of: "`kubernetes`",
    known: &[
        "rollout_restart",
        "rollout_undo",
        "scale",
        "evict",
        "delete_pod",
        "cordon",
        "uncordon",
        "drain",
        "run_job",
        "context",
        "kubeconfig",
    ],
    later: &[],
    habits: &[
        habit("restart", "rollout_restart", "write `rollout_restart`"),
        habit("rollback", "rollout_undo", "write `rollout_undo`"),
        habit("undo", "rollout_undo", "write `rollout_undo`"),
        habit("delete", "delete_pod", "write delete_pod: { namespace: …, pod: … }"),
        habit("eviction", "evict", "write evict: { namespace: …, pod: … }"),
        habit("job", "run_job", "write run_job: { namespace: …, cronjob: … }"),
        habit("create_job", "run_job", "write run_job: { namespace: …, cronjob: … }"),
        habit("cluster", "context", "write context: the name of a context of the kubeconfig"),
        habit("config_file", "kubeconfig", "write kubeconfig: /PATH"),
        habit("namespace", "", "it stands with what is acted on: evict: { namespace: …, pod: … }"),
        habit("apply", "", KUBECTL_HELP),
        habit("patch", "", KUBECTL_HELP),
        habit("exec", "", KUBECTL_HELP),
        habit("token", "", "who the engine is stands in the kubeconfig, or comes with its pod"),
    ],
};

const KUBECTL_HELP: &str = "write exec: [kubectl, …]";

/// What is rolled out anew, or back.
pub(crate) static ROLLOUT: Keys = Keys {
    of: "a rollout",
    known: &["namespace", "deployment", "statefulset", "daemonset", "timeout"],
    later: &[],
    habits: OBJECT_HABITS,
};

/// `scale` of `kubernetes`.
pub(crate) static SCALE: Keys = Keys {
    of: "`scale`",
    known: &["namespace", "deployment", "statefulset", "by", "to", "max", "min", "timeout"],
    later: &[],
    habits: &[
        habit("replicas", "to", "write `to: 3`, or `by: 1` with `max`"),
        habit("daemonset", "", "a DaemonSet has as many pods as there are nodes for it"),
        habit("name", "", NAME_HELP),
    ],
};

/// A pod that has to go.
pub(crate) static POD: Keys = Keys {
    of: "a pod",
    known: &["namespace", "pod", "uid", "timeout"],
    later: &[],
    habits: &[
        habit("name", "pod", "write `pod`"),
        habit("force", "", "a pod is never deleted by force: it may run on where it was"),
        habit("grace_period", "", "the pod has its own: terminationGracePeriodSeconds"),
    ],
};

/// `owner_of` of a policy.
pub(crate) static OWNER_OF: Keys = Keys {
    of: "`owner_of`",
    known: &["namespace", "pod", "context", "kubeconfig"],
    later: &[],
    habits: &[
        habit("name", "pod", "write `pod`"),
        habit("kubernetes", "", "write owner_of: { namespace: …, pod: … }"),
        habit("deployment", "", "it is asked whose a pod is: pod: \"{{ labels.pod }}\""),
        habit("cluster", "context", "write context: the name of a context of the kubeconfig"),
    ],
};

/// A node that takes no pods, or takes them again.
pub(crate) static NODE: Keys = Keys {
    of: "a node",
    known: &["node", "timeout"],
    later: &[],
    habits: &[habit("name", "node", "write `node`")],
};

/// `drain` of `kubernetes`.
pub(crate) static DRAIN: Keys = Keys {
    of: "`drain`",
    known: &["node", "max_unavailable", "force", "timeout"],
    later: &[],
    habits: &[
        habit("name", "node", "write `node`"),
        habit("ignore_daemonsets", "", "pods of DaemonSets are always left where they are"),
        habit("delete_emptydir_data", "", "what a pod keeps in an emptyDir always goes with it"),
        habit("concurrency", "max_unavailable", "write `max_unavailable`"),
    ],
};

/// `run_job` of `kubernetes`.
pub(crate) static JOB: Keys = Keys {
    of: "`run_job`",
    known: &["namespace", "cronjob", "timeout"],
    later: &[],
    habits: &[
        habit("name", "cronjob", "write `cronjob`"),
        habit("from", "cronjob", "write `cronjob`"),
        habit("image", "", "what is run stands in a CronJob, which may be suspended"),
    ],
};

const OBJECT_HABITS: &[Habit] = &[
    habit("name", "", NAME_HELP),
    habit("kind", "", NAME_HELP),
    habit("deploy", "deployment", "write `deployment`"),
    habit("sts", "statefulset", "write `statefulset`"),
    habit("ds", "daemonset", "write `daemonset`"),
    habit("pod", "", "one pod is ended by evict: { namespace: …, pod: … }"),
];

const NAME_HELP: &str = "the key says what it is: deployment: NAME";
