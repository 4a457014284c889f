//! Who a user is on this machine: its numbers, and those of its groups.
//!
//! Only the files are read, `/etc/passwd` and `/etc/group`: what other places know of users is asked
//! of the C library, which may ask the network. Numbers need no file.

use std::fs;

use super::Refusal;
use super::spawn::Identity;

/// Looks up `USER` or `USER:GROUP`, each a name or a number. The user's own group counts where none is
/// named, and all groups that list the user are its other ones.
///
/// # Errors
///
/// There is no such user or group.
pub fn identity(run_as: &str) -> Result<Identity, Refusal> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    look_up(run_as, &read("/etc/passwd"), &read("/etc/group"))
}

fn look_up(run_as: &str, users: &str, groups: &str) -> Result<Identity, Refusal> {
    let none = |name: &str| Refusal::NoIdentity { name: name.to_owned() };
    let (user, group) = match run_as.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (run_as, None),
    };
    let entry = lines(users).find(|fields| is(fields, user));
    let number = entry.as_ref().and_then(|fields| fields.get(2)?.parse().ok());
    let number = number.or_else(|| user.parse().ok()).ok_or_else(|| none(user))?;
    let own = entry.as_ref().and_then(|fields| fields.get(3)?.parse().ok());
    let chosen = match group {
        Some(group) => {
            let entry = lines(groups).find(|fields| is(fields, group));
            let number = entry.and_then(|fields| fields.get(2)?.parse().ok());
            Some(number.or_else(|| group.parse().ok()).ok_or_else(|| none(group))?)
        }
        None => None,
    };
    let group = chosen.or(own).ok_or_else(|| none(user))?;
    let name = entry.as_ref().and_then(|fields| fields.first().copied()).unwrap_or(user);
    let lists = |fields: &Vec<&str>| {
        fields.get(3).is_some_and(|members| members.split(',').any(|member| member == name))
    };
    let others = lines(groups).filter(lists).filter_map(|fields| fields.get(2)?.parse().ok());
    let mut groups: Vec<u32> = others.chain([group]).collect();
    groups.sort_unstable();
    groups.dedup();
    Ok(Identity { user: number, group, groups })
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect())
}

/// Whether an entry is of this name or number.
fn is(fields: &[&str], name: &str) -> bool {
    fields.first() == Some(&name) || fields.get(2) == Some(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/sh\ndeploy:x:1001:1002::/home/deploy:/bin/sh\n";
    const GROUPS: &str = "root:x:0:\ndeploy:x:1002:\nweb:x:33:www,deploy\ndocker:x:900:deploy\n";

    #[test]
    fn a_user_has_its_own_group_and_those_that_list_it() {
        let found = |run_as| look_up(run_as, USERS, GROUPS);
        let deploy = Identity { user: 1001, group: 1002, groups: vec![33, 900, 1002] };
        assert_eq!(found("deploy"), Ok(deploy.clone()));
        assert_eq!(found("1001"), Ok(deploy));
        let web = Identity { user: 1001, group: 33, groups: vec![33, 900] };
        assert_eq!(found("deploy:web"), Ok(web));
        let numbers = Identity { user: 7, group: 8, groups: vec![8] };
        assert_eq!(found("7:8"), Ok(numbers));
    }

    #[test]
    fn who_is_not_there_is_nobody() {
        for (run_as, name) in [("deplyo", "deplyo"), ("deploy:wbe", "wbe"), ("7", "7"), ("", "")] {
            let refused = Refusal::NoIdentity { name: name.into() };
            assert_eq!(look_up(run_as, USERS, GROUPS), Err(refused), "{run_as}");
        }
    }
}
