//! Why a connection was not made, from what `ssh` says in its log.
//!
//! The log holds what the client itself says; nothing that the other machine sends stands there as it
//! was sent. OpenSSH says it in English whatever the locale.

use super::super::Lasting;

/// What is known to fail the next time too, by what the client says of it, and how a person is told.
const LASTING: [(&str, &str); 13] = [
    ("Permission denied", "it let nobody in: no key or agent of ours is accepted"),
    ("Too many authentication failures", "it let nobody in: too many keys were offered"),
    (
        "No supported authentication methods",
        "it let nobody in: no key or agent of ours is accepted",
    ),
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "its host key is not the one that is known"),
    ("host key is known for", "its host key is not known"),
    ("Host key verification failed", "its host key is not known"),
    ("revoked host key", "its host key is revoked"),
    ("Unable to negotiate", "the two sides share no method"),
    ("Bad configuration option", "the configuration of ssh cannot be read"),
    ("Bad owner or permissions", "the configuration of ssh is not trusted"),
    ("Can't open user config file", "the configuration of ssh is not there"),
    ("bad configuration options", "the configuration of ssh cannot be read"),
    ("invalid characters", "the name is refused"),
];

/// Says why there is no connection to a host.
pub(super) fn why(host: &str, log: &str) -> (String, Lasting) {
    let lines = || log.lines().map(str::trim).filter(|line| !line.is_empty());
    for (sign, meaning) in LASTING {
        if let Some(line) = lines().find(|line| line.contains(sign)) {
            let line = line.trim_matches(['@', ' ']);
            return (format!("no connection to {host}: {meaning}: {line}"), Lasting::Yes);
        }
    }
    let last = lines().next_back().unwrap_or("it was closed before the command began");
    (format!("no connection to {host}: {last}"), Lasting::No)
}

/// The last thing that the client said.
pub(super) fn last(log: &str) -> Option<&str> {
    log.lines().map(str::trim).rfind(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_person_is_told_from_what_passes() {
        let table = [
            ("root@web1: Permission denied (publickey).\r\n", Lasting::Yes),
            (
                "Received disconnect from ::1 port 22:2: Too many authentication failures",
                Lasting::Yes,
            ),
            (
                "No ED25519 host key is known for web1 and you have requested strict checking.\r\n\
                 Host key verification failed.\r\n",
                Lasting::Yes,
            ),
            (
                "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.",
                Lasting::Yes,
            ),
            ("Unable to negotiate with 1.2.3.4 port 22: no matching host key type", Lasting::Yes),
            ("/x: line 1: Bad configuration option: foo", Lasting::Yes),
            ("ssh: connect to host web1 port 22: Connection refused\r\n", Lasting::No),
            ("ssh: connect to host web1 port 22: No route to host", Lasting::No),
            ("ssh: Could not resolve hostname web1: Name or service not known", Lasting::No),
            ("kex_exchange_identification: Connection closed by remote host", Lasting::No),
            ("", Lasting::No),
        ];
        for (log, expected) in table {
            let (reason, lasting) = why("web1", log);
            assert_eq!(lasting, expected, "{log}");
            assert!(reason.starts_with("no connection to web1: "), "{reason}");
        }
        let (reason, _) = why("web1", table[3].0);
        assert!(reason.contains("not the one that is known"), "{reason}");
        assert!(reason.ends_with("WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!"), "{reason}");
    }
}
