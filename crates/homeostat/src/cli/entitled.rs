//! Who may view, operate and approve what, by a configuration.

use std::collections::BTreeMap;
use std::io::{self, Write};

use homeostat_config::{Access, Config, Permission};
use homeostat_core::name::PolicyName;
use homeostat_core::policy::{Approval, Mode, Remedy, Target};

use crate::access::{Subject, agreeing, granted, listed};
use crate::explanation::{Entitled, Explanation};

/// Policies that are named on one line.
const NAMED: usize = 5;

/// Adds to an explanation who may do what with the incidents of each policy that takes the alert.
pub(super) fn explain(access: &Access, explanation: &mut Explanation) {
    for taken in &mut explanation.taken {
        let policy = PolicyName::new(&taken.policy);
        let target: &Target = &taken.target;
        let subject = Subject::Incident { policy: &policy, target };
        taken.access = Some(of(access, &subject));
    }
}

fn of(access: &Access, subject: &Subject<'_>) -> Entitled {
    let to = |permission| granted(&access.grants, permission, subject);
    Entitled {
        view: to(Permission::View),
        operate: to(Permission::Operate),
        approve: to(Permission::Approve),
    }
}

/// Writes what an explanation says of it.
pub(super) fn lines(entitled: &Entitled) -> [String; 3] {
    let Entitled { view, operate, approve } = entitled;
    let line = |word, names: &[String]| format!("{word}: {}", listed(names));
    [line("view", view), line("operate", operate), line("approve", approve)]
}

/// Says who must agree to runs of a remedy, where that is not whoever may approve.
fn agreement(remedy: &Remedy) -> Option<String> {
    let Approval { by, count, .. } = &remedy.approval;
    let is_asked = remedy.mode == Mode::Approve && (by.is_some() || count.is_some());
    is_asked.then(|| format!("approve {}: {}", remedy.name, agreeing(*count, by.as_deref())))
}

/// Writes who may do what with all policies of a configuration: a line for all that are alike.
pub(super) fn write(out: &mut dyn Write, config: &Config) -> io::Result<()> {
    let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for policy in config.book.policies() {
        let entitled = config.access.as_ref().map(|a| of(a, &Subject::Policy(&policy.name)));
        let mut told: Vec<String> = entitled.iter().flat_map(lines).collect();
        told.extend(policy.remedies.iter().filter_map(agreement));
        if !told.is_empty() {
            alike.entry(told.join("; ")).or_default().push(policy.name.as_str());
        }
    }
    for (entitled, policies) in alike {
        let more = policies.len().saturating_sub(NAMED);
        let named = policies[..policies.len() - more].join(", ");
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        writeln!(out, "{named}{more}\n  {entitled}")?;
    }
    Ok(())
}
