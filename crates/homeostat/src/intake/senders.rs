//! What is told once of those who send: that nobody has named their hook, and that they call
//! themselves by a URL that no peer of their source has.
//!
//! Both are taken in like all others; what they may set off is for core to say. Here a person is told
//! once, with the way out: an alert that is not acted on should not be a riddle.

use std::collections::{BTreeMap, BTreeSet};

use homeostat_core::name::SourceName;
use parking_lot::Mutex;
use reqwest::Url;

use super::sources::Sources;
use super::value::start_of;

/// URLs of one source that are told apart; a cluster has fewer peers.
const URLS: usize = 16;

/// Bytes of a URL that are kept and shown.
const URL_BYTES: usize = 256;

/// Who was told of already. Bounded as the names of sources are ([`super::OTHER_NAMES`]).
#[derive(Debug, Default)]
pub(super) struct Senders {
    strangers: Mutex<BTreeSet<SourceName>>,
    urls: Mutex<BTreeMap<SourceName, BTreeSet<String>>>,
}

impl Senders {
    /// Tells of a hook that nobody has named although somebody is; `name` is how it was called.
    pub(super) fn meet(&self, sources: &Sources, source: &SourceName, name: &str) {
        if !sources.is_unnamed(source) || !self.strangers.lock().insert(source.clone()) {
            return;
        }
        let hook = start_of(name);
        let help = if hook == source.as_str() {
            format!("add sources.webhooks: [{{name: {hook}}}]")
        } else {
            "post to /hooks/NAME, with a name of letters and digits of its own, and add \
             sources.webhooks: [{name: NAME}]"
                .to_owned()
        };
        tracing::warn!(
            %source, ?hook, help,
            "a hook has a name that `sources` does not have: its alerts are recorded, and not acted on"
        );
    }

    /// Tells of a sender that calls itself by a URL which neither a configured peer of its source
    /// has, nor a notification of that source had before.
    pub(super) fn compare(&self, sources: &Sources, source: &SourceName, external_url: &str) {
        let Some(peers) = sources.peers(source).filter(|_| !external_url.is_empty()) else {
            return;
        };
        let end = external_url.floor_char_boundary(URL_BYTES);
        let told = &external_url[..end];
        let is_peer = peers.iter().any(|peer| plain(peer) == plainly(told));
        if is_peer || !self.is_new(source, told) {
            return;
        }
        tracing::warn!(
            %source, external_url = told,
            help = "start that Alertmanager with one of these `urls` as --web.external-url",
            "a sender calls itself by a URL that is not among the `urls` of its source: whether its \
             alerts are acted on is decided by whether the source's Alertmanager lists them"
        );
    }

    /// Whether a URL of a source is told for the first time, and there is room to know it by.
    fn is_new(&self, source: &SourceName, url: &str) -> bool {
        let mut urls = self.urls.lock();
        let known = urls.entry(source.clone()).or_default();
        known.len() < URLS && known.insert(url.to_owned())
    }
}

fn plainly(url: &str) -> String {
    url.parse().map_or_else(|_| url.to_owned(), |url| plain(&url))
}

/// A URL without the slash at its end that makes no difference.
fn plain(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_and_the_port_of_the_scheme_make_no_difference() {
        let peer: Url = "http://AM.example/am/".parse().unwrap();
        assert_eq!(plain(&peer), plainly("http://am.example:80/am"));
        assert_ne!(plain(&peer), plainly("http://am.example:9093/am"));
        assert_eq!(plainly("no url"), "no url");
    }

    #[test]
    fn urls_of_a_source_are_new_once_and_bounded() {
        let senders = Senders::default();
        let (main, second) = (SourceName::new("main"), SourceName::new("second"));
        assert!(senders.is_new(&main, "http://a"));
        assert!(!senders.is_new(&main, "http://a"));
        assert!(senders.is_new(&second, "http://a"));
        let new = (0..100).filter(|number| senders.is_new(&main, &number.to_string())).count();
        assert_eq!(new, URLS - 1);
    }
}
