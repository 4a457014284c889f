//! Which of the incidents on the board a list asks for: the same as the journal would give.

use std::sync::Arc;

use super::Filter;
use super::incidents::read_id;
use super::view::{IncidentView, StateView};

/// A page of what is open.
#[derive(Debug)]
pub(super) struct Picked {
    /// Newest first.
    pub(super) incidents: Vec<Arc<IncidentView>>,
    /// From where the next page goes on.
    pub(super) next: Option<String>,
}

/// Tells whether a list asks only for what is open.
pub(super) fn is_of_open(filter: &Filter) -> bool {
    let closed = StateView::Closed.as_str();
    !filter.states.is_empty() && filter.states.iter().all(|state| state != closed)
}

/// Picks what is asked for.
pub(super) fn pick(open: &[Arc<IncidentView>], filter: &Filter) -> Picked {
    let mut asked = open.iter().filter(|incident| is_asked(incident, filter));
    let incidents: Vec<_> = asked.by_ref().take(filter.limit).cloned().collect();
    let last = incidents.last().map(|incident| incident.id.clone());
    Picked { next: last.filter(|_| asked.next().is_some()), incidents }
}

fn is_asked(incident: &IncidentView, filter: &Filter) -> bool {
    // What a caller may see, is asked for before.
    let Filter {
        states,
        outcomes,
        named,
        policies: _,
        target,
        text,
        since,
        until,
        limit: _,
        before,
    } = filter;
    let has = |(name, value): &(String, String)| incident.target.get(name) == Some(value.as_str());
    states.iter().any(|state| state == incident.state.as_str())
        && outcomes.is_empty()
        && named.as_ref().is_none_or(|named| named.contains(&incident.policy))
        && target.iter().all(has)
        && text.as_ref().is_none_or(|text| says(incident, text))
        && since.is_none_or(|since| incident.opened_at >= since)
        && until.is_none_or(|until| incident.opened_at < until)
        && before.is_none_or(|before| read_id(&incident.id).is_some_and(|id| id < before))
}

/// Whether a text stands where a person would look for it; as in SQL, the case of letters that ASCII has
/// does not count.
fn says(incident: &IncidentView, text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let has = |place: &str| place.to_ascii_lowercase().contains(&text);
    let names = incident.alerts.iter().filter_map(|alert| alert.labels.get("alertname"));
    incident.id == text
        || has(&incident.policy)
        || incident.target.iter().any(|(name, value)| has(name) || has(value))
        || names.into_iter().any(has)
}

#[cfg(test)]
mod tests {
    use homeostat_core::name::IncidentId;

    use super::super::{fixture, fold};
    use super::*;

    fn shown() -> Vec<Arc<IncidentView>> {
        let held = fold(IncidentId(1), &fixture::held().facts).unwrap();
        let numbered = |id: &str| Arc::new(IncidentView { id: id.into(), ..held.clone() });
        ["12", "7", "3"].map(numbered).into()
    }

    fn open() -> Filter {
        Filter { states: vec!["waiting".into()], limit: 10, ..Filter::default() }
    }

    fn ids(filter: &Filter) -> (Vec<String>, Option<String>) {
        let picked = pick(&shown(), filter);
        (picked.incidents.iter().map(|incident| incident.id.clone()).collect(), picked.next)
    }

    #[test]
    fn pages_follow_one_another() {
        let first = ids(&Filter { limit: 2, ..open() });
        assert_eq!(first, (vec!["12".into(), "7".into()], Some("7".into())));
        let second = ids(&Filter { limit: 2, before: Some(IncidentId(7)), ..open() });
        assert_eq!(second, (vec!["3".into()], None));
        assert_eq!(ids(&Filter { limit: 3, ..open() }).1, None);
    }

    #[test]
    fn each_condition_counts() {
        let count = |filter: Filter| ids(&filter).0.len();
        let text = |text: &str| count(Filter { text: Some(text.into()), ..open() });
        assert_eq!((text("SERVICEDOWN"), text("a:8"), text("WEB-d"), text("7")), (3, 3, 3, 1));
        assert_eq!((text("1"), text("nothing"), text("%")), (0, 0, 0));
        let named = |name: &str| count(Filter { named: Some(vec![name.into()]), ..open() });
        assert_eq!((named("web-down"), named("web")), (3, 0));
        let target = |value: &str| {
            count(Filter { target: vec![("instance".into(), value.into())], ..open() })
        };
        assert_eq!((target("a:80"), target("a")), (3, 0));
        assert_eq!(count(Filter { states: vec!["acting".into()], ..open() }), 0);
        let opened = shown()[0].opened_at;
        assert_eq!(count(Filter { since: Some(opened), ..open() }), 3);
        assert_eq!(count(Filter { until: Some(opened), ..open() }), 0);
        assert!(is_of_open(&open()) && !is_of_open(&Filter::default()));
    }
}
