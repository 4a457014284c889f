//! Names of sources: a bounded number, whatever paths are posted to.
//!
//! A source's name is part of an alert's identity and of metrics, so that it must neither change
//! between two notifications nor multiply without end.

use std::sync::Arc;

use homeostat_core::name::SourceName;
use homeostat_core::policy::Witnesses;
use parking_lot::RwLock;
use reqwest::Url;

/// Names beyond the configured ones; a person who has more should configure them.
pub const OTHER_NAMES: usize = 16;

/// The characters of a name in a path: what a label value of a metric shows without escapes, and
/// longer than any sensible name.
const NAME_CHARS: usize = 64;

/// The source of `/hooks` where none is configured.
const BARE: &str = SourceName::BARE;

/// The source that all further names share.
const OTHER: &str = "other";

/// Who is configured.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// Alertmanagers and their peers, in the order of the configuration.
    pub alertmanagers: Vec<(SourceName, Vec<Url>)>,
    /// Who else has a hook by a name.
    pub webhooks: Vec<SourceName>,
    /// Who may be asked, by whom core tells strangers.
    pub witnesses: Witnesses,
}

/// Which names there are. Cheap to clone; clones share the names.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    names: Arc<RwLock<Names>>,
}

#[derive(Debug, Default)]
struct Names {
    configured: Named,
    others: Vec<SourceName>,
}

impl Sources {
    /// Knows the configured sources.
    pub fn new(configured: Named) -> Self {
        let sources = Self::default();
        sources.configure(configured);
        sources
    }

    /// Puts other configured sources in force, after a reload.
    pub fn configure(&self, configured: Named) {
        self.names.write().configured = configured;
    }

    /// Gives known names their places again, after a restart: alerts that still fire under one of
    /// them would otherwise never be resolved, were its place taken.
    pub fn recall<'a>(&self, names: impl IntoIterator<Item = &'a SourceName>) {
        for name in names {
            self.named(name.as_str());
        }
    }

    /// Returns the source of `/hooks`.
    pub fn bare(&self) -> SourceName {
        let names = self.names.read();
        let first = names.configured.alertmanagers.first();
        first.map_or_else(|| SourceName::new(BARE), |(name, _)| name.clone())
    }

    /// Tells whether nobody has named this source although somebody is named.
    pub(super) fn is_unnamed(&self, source: &SourceName) -> bool {
        self.names.read().configured.witnesses.is_unnamed(source)
    }

    /// Returns the peers of an Alertmanager that is configured.
    pub(super) fn peers(&self, source: &SourceName) -> Option<Vec<Url>> {
        let names = self.names.read();
        let mut alertmanagers = names.configured.alertmanagers.iter();
        alertmanagers.find(|(name, _)| name == source).map(|(_, peers)| peers.clone())
    }

    /// Returns the source that all share who have no name of their own.
    pub fn other(&self) -> SourceName {
        SourceName::new(OTHER)
    }

    /// Returns the source of `/hooks/NAME`, if that name is known.
    pub(super) fn find(&self, name: &str) -> Option<SourceName> {
        self.names.read().find(name)
    }

    /// Returns the source of `/hooks/NAME`.
    pub fn named(&self, name: &str) -> SourceName {
        if let Some(known) = self.names.read().find(name) {
            return known;
        }
        if name == BARE {
            return SourceName::new(BARE);
        }
        let mut names = self.names.write();
        // Somebody else may have been faster.
        if let Some(known) = names.find(name) {
            return known;
        }
        if !is_sensible(name) || names.others.len() >= OTHER_NAMES {
            return self.other();
        }
        let new = SourceName::new(name);
        names.others.push(new.clone());
        new
    }
}

impl Names {
    fn find(&self, name: &str) -> Option<SourceName> {
        let Named { alertmanagers, webhooks, .. } = &self.configured;
        let known = alertmanagers.iter().map(|(name, _)| name).chain(webhooks);
        let mut known = known.chain(&self.others);
        known.find(|known| known.as_str() == name).cloned()
    }
}

/// Names with a meaning of their own are nobody's: `api` is the alerts API.
fn is_sensible(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=NAME_CHARS).contains(&name.len())
        && name.bytes().all(plain)
        && name != OTHER
        && name != SourceName::API
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(alertmanagers: &[&str], webhooks: &[&str]) -> Named {
        let names = |names: &[&str]| -> Vec<SourceName> {
            names.iter().map(|name| SourceName::new(*name)).collect()
        };
        let (alertmanagers, webhooks) = (names(alertmanagers), names(webhooks));
        let witnesses = Witnesses {
            alertmanagers: alertmanagers.iter().cloned().collect(),
            webhooks: webhooks.iter().cloned().collect(),
            prometheuses: Vec::new(),
        };
        let alertmanagers = alertmanagers.into_iter().map(|name| (name, Vec::new())).collect();
        Named { alertmanagers, webhooks, witnesses }
    }

    fn sources(alertmanagers: &[&str]) -> Sources {
        Sources::new(named(alertmanagers, &[]))
    }

    #[test]
    fn the_bare_path_is_the_first_configured_source() {
        assert_eq!(sources(&["main", "second"]).bare().as_str(), "main");
        assert_eq!(sources(&[]).bare().as_str(), "alertmanager");
        assert_eq!(sources(&["main"]).named("alertmanager").as_str(), "alertmanager");
    }

    #[test]
    fn sixteen_other_names_are_told_apart_and_the_rest_share_one() {
        let sources = sources(&["main"]);
        for number in 0..16 {
            let name = format!("grafana-{number}");
            assert_eq!(sources.named(&name).as_str(), name);
        }
        assert_eq!(sources.named("one-more").as_str(), "other");
        assert_eq!(sources.named("grafana-3").as_str(), "grafana-3");
        assert_eq!(sources.named("main").as_str(), "main");
        assert_eq!(sources.named("alertmanager").as_str(), "alertmanager");
    }

    #[test]
    fn a_name_that_is_not_one_shares_too_and_takes_no_place() {
        let sources = sources(&[]);
        let long = "x".repeat(65);
        for name in ["", "api", "other", "a b", "a/b", "é", "a\nb", &long] {
            assert_eq!(sources.named(name).as_str(), "other", "{name:?}");
        }
        for number in 0..16 {
            assert_ne!(sources.named(&number.to_string()).as_str(), "other");
        }
    }

    #[test]
    fn recalled_names_keep_their_places() {
        let sources = sources(&[]);
        sources.recall(&[SourceName::new("grafana"), SourceName::new("other")]);
        for number in 0..16 {
            sources.named(&number.to_string());
        }
        assert_eq!(sources.named("grafana").as_str(), "grafana");
        assert_eq!(sources.named("15").as_str(), "other");
    }

    #[test]
    fn a_reload_changes_the_configured_sources() {
        let sources = sources(&["old"]);
        sources.configure(named(&["new"], &["grafana"]));
        assert_eq!(sources.bare().as_str(), "new");
        assert!(sources.is_unnamed(&SourceName::new("old")));
        assert!(!sources.is_unnamed(&SourceName::new("grafana")));
    }

    #[test]
    fn a_named_webhook_takes_no_place_of_the_others() {
        let sources = Sources::new(named(&[], &["one-more"]));
        for number in 0..16 {
            sources.named(&number.to_string());
        }
        assert_eq!(sources.named("one-more").as_str(), "one-more");
        assert_eq!(sources.bare().as_str(), "alertmanager");
        assert!(!sources.is_unnamed(&sources.bare()));
        assert!(sources.is_unnamed(&sources.other()));
    }
}
