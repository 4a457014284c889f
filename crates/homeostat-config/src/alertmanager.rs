//! What an Alertmanager's own configuration says about routes: which alert goes to whom, how long a
//! new group waits, and when a route is mute.
//!
//! Duty: read what `/api/v2/status` shows, which Alertmanager has accepted and written anew. Keys
//! that say nothing about routes are passed over, so that a newer Alertmanager is read, too. What
//! cannot be read of routes is an error: half a tree of routes would send alerts astray.
//! *Not* its duty: what follows for one alert (`intake`).
//!
//! Source: `config/config.go` and `dispatch/route.go` of Alertmanager.

use std::collections::BTreeMap;
use std::sync::Arc;

use homeostat_core::interval::TimeInterval;
use homeostat_core::label::{Matcher, Matchers, Op};
use homeostat_core::time::Span;
use jiff::tz::TimeZoneDatabase;

use crate::check::interval;
use crate::limits;
use crate::raw;
use crate::read::{Problems, Reader};
use crate::yaml::{self, Kind, Node};

/// How long a group waits where no route says.
///
/// Source: `DefaultRouteOpts` in `dispatch/route.go` of Alertmanager.
const GROUP_WAIT: Span = Span::from_secs(30);

/// One route, with what it has of those above it.
#[derive(Debug, Clone)]
pub struct Route {
    /// Which alerts it takes of those that come to it.
    pub matchers: Matchers,
    /// To whom it leads.
    pub receiver: String,
    /// How long a new group waits for more alerts.
    pub group_wait: Span,
    /// When it is mute.
    pub mute: Vec<Arc<TimeInterval>>,
    /// When it is not, if there are any.
    pub active: Vec<Arc<TimeInterval>>,
    /// Whether what it takes goes on to the routes after it.
    pub continues: bool,
    /// Where what it takes goes first.
    pub routes: Vec<Self>,
}

impl Route {
    /// Reads the tree of routes of a configuration.
    ///
    /// # Errors
    ///
    /// The text or something about its routes cannot be read: why, for a person.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > limits::FILE_BYTES {
            return Err(format!("it is larger than {} MiB", limits::FILE_BYTES / (1024 * 1024)));
        }
        let document = yaml::parse(text).map_err(|problem| problem.message)?;
        let document = document.ok_or("it is empty")?;
        let root = child(&document, "route").ok_or("it has no route")?;
        let intervals = intervals(text, &document)?;
        route(root, &Above { receiver: "", group_wait: GROUP_WAIT }, &intervals)
    }
}

type Intervals = BTreeMap<String, Arc<TimeInterval>>;

/// What a route has of the one above it. Mute times are no part of it.
struct Above<'a> {
    receiver: &'a str,
    group_wait: Span,
}

fn route(node: &Node, above: &Above<'_>, intervals: &Intervals) -> Result<Route, String> {
    let receiver = match child(node, "receiver") {
        Some(node) => text(node).ok_or("a receiver is no text")?,
        None => above.receiver,
    };
    let group_wait = match child(node, "group_wait") {
        Some(node) => {
            let wait = text(node).unwrap_or_default();
            wait.parse().map_err(|_| format!("the group_wait {wait:?} is no duration"))?
        }
        None => above.group_wait,
    };
    let below = Above { receiver, group_wait };
    let routes = list(node, "routes")?.iter().map(|node| route(node, &below, intervals));
    Ok(Route {
        matchers: matchers(node)?,
        receiver: receiver.to_owned(),
        group_wait,
        mute: named(node, "mute_time_intervals", intervals)?,
        active: named(node, "active_time_intervals", intervals)?,
        continues: child(node, "continue").and_then(text) == Some("true"),
        routes: routes.collect::<Result<_, _>>()?,
    })
}

/// All conditions of a route: those in the present form, and those in the two older ones.
fn matchers(node: &Node) -> Result<Matchers, String> {
    let mut matchers = Matchers::default();
    for (key, op) in [("match", Op::Equal), ("match_re", Op::Regex)] {
        for (name, value) in entries(node, key)? {
            let (name, value) = text(name).zip(text(value)).ok_or(format!("{key} has no text"))?;
            let matcher = Matcher::new(name, op, value).map_err(|error| error.to_string())?;
            matchers.extend([matcher]);
        }
    }
    for item in list(node, "matchers")? {
        let written = text(item).ok_or("a matcher is no text")?;
        let parsed = Matchers::parse(written).map_err(|error| {
            format!("the matcher {written:?} cannot be read: {}", error.message)
        })?;
        matchers.extend(parsed.matchers);
    }
    Ok(matchers)
}

fn named(node: &Node, key: &str, intervals: &Intervals) -> Result<Vec<Arc<TimeInterval>>, String> {
    let find = |node: &Node| {
        let name = text(node).unwrap_or_default();
        intervals.get(name).cloned().ok_or(format!("there is no time interval {name:?}"))
    };
    list(node, key)?.iter().map(find).collect()
}

/// The time intervals of both keys, which mean the same.
fn intervals(source: &str, document: &Node) -> Result<Intervals, String> {
    let zones = TimeZoneDatabase::bundled();
    let mut reader = Reader::new(source);
    let mut problems = Problems::default();
    let mut intervals = Intervals::new();
    for key in ["time_intervals", "mute_time_intervals"] {
        let Some(node) = child(document, key) else { continue };
        let read = raw::interval::time_intervals(&mut reader, node);
        for raw in read.iter().flat_map(|list| &list.value) {
            let name = raw.name.given().map_or("", |name| name.value.as_str());
            let parts = interval::parts(raw, &zones, &mut problems);
            let interval = TimeInterval { name: name.into(), parts };
            intervals.insert(name.to_owned(), Arc::new(interval));
        }
    }
    let wrong = reader.problems.into_vec().into_iter().chain(problems.into_vec());
    match wrong.into_iter().next() {
        Some(problem) => Err(format!("a time interval cannot be read: {}", problem.message)),
        None => Ok(intervals),
    }
}

fn child<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Kind::Map(entries) = &node.kind else { return None };
    let mut found = entries.iter().filter(|(name, _)| text(name) == Some(key));
    let (_, value) = found.next()?;
    let is_nothing = matches!(&value.kind, Kind::Scalar(scalar) if scalar.is_nothing());
    (!is_nothing).then_some(value)
}

fn text(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar(scalar) => Some(&scalar.text),
        Kind::List(_) | Kind::Map(_) => None,
    }
}

fn list<'a>(node: &'a Node, key: &str) -> Result<&'a [Node], String> {
    match child(node, key).map(|node| &node.kind) {
        None => Ok(&[]),
        Some(Kind::List(items)) => Ok(items),
        Some(Kind::Scalar(_) | Kind::Map(_)) => Err(format!("`{key}` is no list")),
    }
}

fn entries<'a>(node: &'a Node, key: &str) -> Result<&'a [(Node, Node)], String> {
    match child(node, key).map(|node| &node.kind) {
        None => Ok(&[]),
        Some(Kind::Map(entries)) => Ok(entries),
        Some(Kind::Scalar(_) | Kind::List(_)) => Err(format!("`{key}` is no map")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_have_what_those_above_them_have_but_not_when_they_are_mute() {
        let root = Route::read(
            "global: { smtp_auth_password: <secret>, new_key: [1] }
route:
  receiver: all
  group_wait: 1m
  mute_time_intervals: [night]
  routes:
  - matchers: ['severity=~\"warn|info\"', team!=db]
    match: { job: web }
    match_re: { instance: a.* }
    continue: true
    active_time_intervals: [night, 'at work']
  - receiver: db
    group_wait: 0s
receivers: [{ name: all }, { name: db }]
time_intervals:
- name: night
  time_intervals: [{ times: [{ start_time: '22:00', end_time: '24:00' }] }]
mute_time_intervals:
- name: at work
  time_intervals: [{ weekdays: ['monday:friday'], location: Europe/Berlin }]
",
        )
        .unwrap();
        let [first, second] = root.routes.as_slice() else { panic!("two routes") };
        assert_eq!((root.mute.len(), first.mute.len(), first.active.len()), (1, 0, 2));
        assert_eq!((first.receiver.as_str(), second.receiver.as_str()), ("all", "db"));
        assert_eq!((first.group_wait, second.group_wait), (Span::from_secs(60), Span::ZERO));
        assert_eq!((first.continues, second.continues), (true, false));
        let matchers = first.matchers.to_string();
        let written = r#"{job = "web", instance =~ "a.*", severity =~ "warn|info", team != "db"}"#;
        assert_eq!(matchers, written);
        assert!(second.matchers.is_empty());
        let plain = Route::read("route: { receiver: x }").unwrap();
        assert_eq!(plain.group_wait, Span::from_secs(30));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (text, reason) in [
            ("", "it is empty"),
            ("a: [", "not valid YAML"),
            ("receivers: []", "it has no route"),
            ("route: { group_wait: soon }", "the group_wait \"soon\" is no duration"),
            ("route: { routes: x }", "`routes` is no list"),
            ("route: { match: [x] }", "`match` is no map"),
            ("route: { match_re: { a: '(' } }", "group is not closed"),
            ("route: { matchers: ['a=~\"(\"'] }", "the matcher \"a=~\\\"(\\\"\" cannot be read"),
            ("route: { mute_time_intervals: [x] }", "there is no time interval \"x\""),
            (
                "route: { receiver: x }\ntime_intervals: [{ name: x, time_intervals: [{ a: b }] }]",
                "a time interval cannot be read",
            ),
        ] {
            let error = Route::read(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
