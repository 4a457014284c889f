//! What all commands about one incident share: who, why, which, and what came of it.

use std::io::Write;

use clap::Args;
use serde_json::{Value, json};

use super::Exit;
use super::client::{Client, Server, Trouble};
use super::plain::plain;

/// What every command about an incident takes.
#[derive(Debug, Args)]
pub(super) struct About {
    /// The incident's number
    pub(super) id: String,

    #[command(flatten)]
    pub(super) said: Said,
}

/// Who commands, and why.
#[derive(Debug, Args)]
pub(super) struct Said {
    /// Why, for whoever reads it later
    #[arg(long, default_value = "")]
    reason: String,

    /// Who says so; the login name where it is left out
    #[arg(long, value_name = "NAME")]
    by: Option<String>,

    #[command(flatten)]
    pub(super) server: Server,
}

impl Said {
    /// The body of a command that says nothing else.
    pub(super) fn body(&self) -> Value {
        json!({ "by": who(self.by.as_ref()), "reason": self.reason })
    }
}

/// Gives a command about an incident, and tells what follows from it.
pub(super) fn give(
    client: &Client,
    command: &str,
    about: &About,
    out: &mut dyn Write,
) -> Result<Exit, Trouble> {
    post(client, &["api", "v1", "incidents", &about.id, command], &about.said.body(), out)
}

/// Posts a command, and tells what follows from it. A refusal is the answer no.
pub(super) fn post(
    client: &Client,
    segments: &[&str],
    body: &Value,
    out: &mut dyn Write,
) -> Result<Exit, Trouble> {
    let (exit, message) = match client.command(segments, body)? {
        Ok(taken) => (Exit::Fine, taken),
        Err(refused) => (Exit::No, format!("refused: {refused}")),
    };
    writeln!(out, "{}", plain(&message))?;
    Ok(exit)
}

/// Who gives a command.
pub(super) fn who(by: Option<&String>) -> String {
    by.cloned().or_else(login).unwrap_or_else(|| "somebody".to_owned())
}

fn login() -> Option<String> {
    ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.trim().is_empty())
        .or_else(|| {
            let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
            name_of(rustix::process::getuid().as_raw(), &users)
        })
}

/// The name of a user by their number: services and containers often have no `USER`.
fn name_of(id: u32, users: &str) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == id && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name_by_their_number() {
        let users = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbroken\n";
        assert_eq!(name_of(1000, users).as_deref(), Some("ann"));
        assert_eq!((name_of(7, users), name_of(0, "")), (None, None));
    }
}
