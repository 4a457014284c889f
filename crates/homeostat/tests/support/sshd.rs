//! A real SSH server of Debian's `openssh-server`, on loopback, with keys and configuration of its own.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use homeostat::demo::stack::{self, Process, Sandbox};

use super::PATIENCE;

/// The hosts that all are this server.
const HOSTS: &str = "a b c 1.2.3.4";

/// A server that runs until it is dropped.
pub(crate) struct Sshd {
    pub(crate) process: Process,
    directory: PathBuf,
    port: u16,
}

impl Sshd {
    /// Starts one; `None`, and why, where there is none.
    pub(crate) fn start(sandbox: &Sandbox) -> Option<Self> {
        Self::start_with(sandbox, "")
    }

    /// Starts one with these lines in its configuration.
    pub(crate) fn start_with(sandbox: &Sandbox, more: &str) -> Option<Self> {
        let Some(program) = server() else {
            eprintln!("skipped: there is no sshd here");
            return None;
        };
        let directory = sandbox.path().join("ssh");
        fs::create_dir(&directory).unwrap();
        for key in ["host_key", "key", "other_key"] {
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(directory.join(key));
            assert!(command.status().unwrap().success());
        }
        fs::copy(directory.join("key.pub"), directory.join("authorized_keys")).unwrap();
        let public = fs::read_to_string(directory.join("host_key.pub")).unwrap();
        fs::write(directory.join("known_hosts"), format!("server {public}")).unwrap();
        let port = stack::free_address().unwrap().port();
        let at = |name: &str| directory.join(name).display().to_string();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
             MaxStartups 200\nLogLevel VERBOSE\n{more}\n",
            at("host_key"),
            at("authorized_keys"),
        );
        fs::write(directory.join("sshd_config"), config).unwrap();
        // Where a server would put its helpers that have no rights.
        if rustix::process::geteuid().is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let mut command = Command::new(program);
        command.args(["-D", "-e", "-f", &at("sshd_config")]);
        let process = Process::spawn("sshd", &mut command, &directory).unwrap();
        let sshd = Self { process, directory, port };
        sshd.listens();
        Some(sshd)
    }

    fn listens(&self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "no sshd: {}", self.process.log_tail());
            std::thread::yield_now();
        }
    }

    /// A client's configuration by which the hosts are found here.
    pub(crate) fn client(&self) -> PathBuf {
        self.client_with("client", self.port, "key", "known_hosts")
    }

    /// One with a key that the server does not know.
    pub(crate) fn client_with_another_key(&self) -> PathBuf {
        self.client_with("stranger", self.port, "other_key", "known_hosts")
    }

    /// One that does not know the server's key.
    pub(crate) fn client_without_known_hosts(&self) -> PathBuf {
        self.client_with("careful", self.port, "key", "no_hosts")
    }

    /// One that looks for the server at another port.
    pub(crate) fn client_at(&self, port: u16) -> PathBuf {
        self.client_with("elsewhere", port, "key", "known_hosts")
    }

    fn client_with(&self, name: &str, port: u16, key: &str, known_hosts: &str) -> PathBuf {
        let at = |name: &str| self.directory.join(name).display().to_string();
        let config = format!(
            "Host {HOSTS}\n  HostName 127.0.0.1\n  HostKeyAlias server\nHost *\n  Port {port}\n  \
             IdentityFile {}\n  IdentitiesOnly yes\n  IdentityAgent none\n  \
             UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n",
            at(key),
            at(known_hosts),
        );
        let path = self.directory.join(name);
        fs::write(&path, config).unwrap();
        path
    }
}

/// The server must be named by its whole path.
fn server() -> Option<PathBuf> {
    let usual = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].map(PathBuf::from);
    usual.into_iter().find(|path| path.is_file())
}

/// The process of the server that serves the session of a process.
pub(crate) fn session_of(pid: i32) -> i32 {
    let leader = field(pid, 5);
    field(leader, 4)
}

/// A field of what the kernel says of a process, counted from 1.
pub(crate) fn field(pid: i32, number: usize) -> i32 {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.split(' ').nth(number - 3).unwrap().parse().unwrap()
}
