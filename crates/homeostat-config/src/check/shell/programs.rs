//! Programs that read text as a program, and programs that start others.

use super::Reader;

/// Shells: they run the text after `-c`.
pub(super) const SHELLS: [&str; 14] = [
    "sh",
    "bash",
    "dash",
    "ash",
    "zsh",
    "ksh",
    "mksh",
    "fish",
    "csh",
    "tcsh",
    "rbash",
    "yash",
    "pwsh",
    "powershell",
];

/// Programs that run another program, whose name and arguments follow somewhere.
pub(super) const WRAPPERS: [&str; 52] = [
    "sudo",
    "doas",
    "env",
    "xargs",
    "nohup",
    "nice",
    "ionice",
    "timeout",
    "time",
    "setsid",
    "stdbuf",
    "chroot",
    "nsenter",
    "unshare",
    "docker",
    "podman",
    "nerdctl",
    "crictl",
    "kubectl",
    "oc",
    "lxc",
    "systemd-run",
    "runuser",
    "busybox",
    "toybox",
    "flock",
    "watch",
    "exec",
    "command",
    "pkexec",
    "sshpass",
    "unbuffer",
    "strace",
    "taskset",
    "chrt",
    "numactl",
    "setpriv",
    "setarch",
    "gosu",
    "su-exec",
    "tini",
    "dumb-init",
    "chronic",
    "faketime",
    "chpst",
    "setuidgid",
    "s6-setuidgid",
    "softlimit",
    "cgexec",
    "prlimit",
    "ip",
    "screen",
];

/// A language whose programs may stand in the command itself.
pub(super) struct Language {
    /// What its interpreters are called, without their versions.
    pub(super) names: &'static [&'static str],
    /// The options that are followed by text of it.
    pub(super) text: &'static [&'static str],
    /// The options that are followed by something else.
    pub(super) valued: &'static [&'static str],
}

/// Languages that are run with text.
pub(super) const LANGUAGES: [Language; 9] = [
    language(&["python", "pypy"], &["-c"], &["-W", "-X"]),
    language(&["perl"], &["-e", "-E"], &["-I"]),
    language(&["ruby"], &["-e"], &["-r", "-I", "-C"]),
    language(
        &["node", "nodejs", "bun"],
        &["-e", "-p", "-pe", "--eval", "--print"],
        &["-r", "--require", "--import"],
    ),
    language(&["php"], &["-r"], &["-d", "-c"]),
    language(&["lua", "luajit"], &["-e"], &["-l"]),
    language(&["R", "Rscript", "julia"], &["-e", "-E"], &[]),
    language(&["groovy", "osascript", "elixir"], &["-e"], &[]),
    language(&["expect"], &["-c"], &[]),
];

const fn language(
    names: &'static [&'static str],
    text: &'static [&'static str],
    valued: &'static [&'static str],
) -> Language {
    Language { names, text, valued }
}

type OptionTexts = (&'static [&'static str], &'static [&'static str], Reader);

/// Programs that read the text of some of their options, and by what it is read.
pub(super) const OPTIONS: [OptionTexts; 12] = [
    (&["script"], &["-c", "-qc", "-qec", "-ec", "--command"], Reader::Shell),
    (&["tar"], &["--to-command"], Reader::Shell),
    (&["vagrant"], &["-c", "--command"], Reader::Remote),
    (&["gcloud"], &["--command"], Reader::Remote),
    (&["rsync"], &["-e", "--rsh"], Reader::Splitter),
    (&["psql"], &["-c", "--command"], Reader::Interpreter),
    (&["mysql", "mariadb"], &["-e", "--execute"], Reader::Interpreter),
    (&["mongo", "mongosh"], &["--eval"], Reader::Interpreter),
    (&["cqlsh"], &["-e", "--execute"], Reader::Interpreter),
    (&["clickhouse-client"], &["-q", "--query"], Reader::Interpreter),
    // Their values are templates, which may run programs.
    (&["ansible"], &["-a", "--args", "-e", "--extra-vars"], Reader::Interpreter),
    (&["ansible-playbook"], &["-e", "--extra-vars"], Reader::Interpreter),
];
