use homeostat_core::fact::Fact;
use homeostat_core::label::LabelSet;

use super::super::fixture::{Facts, World, healed_by_the_second, held, policy};
use super::super::fold;
use super::super::message::Ear;
use super::super::view::Entry as Told;
use super::*;
use crate::access::Caller;

/// A board over facts that are committed one by one.
struct Desk {
    facts: Arc<Facts>,
    committed: watch::Sender<i64>,
    board: Board,
}

impl Desk {
    fn new() -> Self {
        let facts = Arc::new(Facts::default());
        let committed = watch::Sender::new(0);
        let book = Arc::new(Book::observe());
        let book: Arc<dyn Fn() -> Arc<Book> + Send + Sync> = Arc::new(move || book.clone());
        let board = Board::new(facts.clone(), book, committed.subscribe());
        Self { facts, committed, board }
    }

    fn commit(&self, facts: &[Fact]) {
        self.facts.0.lock().extend_from_slice(facts);
        self.committed.send_replace(self.facts.last().unwrap());
    }

    /// What is open, as the whole story of each tells it.
    fn read(&self) -> Vec<IncidentView> {
        let open = self.facts.all_open(usize::MAX).unwrap();
        let views = open.stories.iter().map(|(id, story)| {
            let mut view = fold(*id, &story.facts).unwrap();
            view.timeline.drain(..view.timeline.len() - 1);
            view.orders.iter_mut().for_each(|order| order.output = String::new());
            view
        });
        views.collect()
    }

    fn shown(&self) -> Vec<IncidentView> {
        self.board.open().unwrap().incidents.iter().map(|view| (**view).clone()).collect()
    }
}

/// Several incidents at once, with alerts that join, an approval, a relapse and what follows an end.
fn busy() -> Vec<Fact> {
    let mut world = World::new(policy());
    world.notify(true, "a:80");
    world.notify(true, "b:80");
    world.pass(3);
    world.exit(0, "done\n");
    world.firing = false;
    world.pass(40);
    world.notify(false, "a:80");
    world.notify(true, "c:80");
    world.pass(60);
    world.notify(false, "b:80");
    world.notify(false, "c:80");
    world.pass(5);
    world.facts
}

fn worlds() -> Vec<Vec<Fact>> {
    vec![busy(), healed_by_the_second().facts, held().facts]
}

fn entries(messages: &[Arc<Message>]) -> Vec<(i64, String)> {
    let ear = Ear { caller: Caller::anyone("here".into()), incident: None };
    let heard = messages.iter().filter_map(|message| {
        let bytes = message.heard_by(&ear)?;
        Some((message.number(), String::from_utf8(bytes.to_vec()).unwrap()))
    });
    heard.collect()
}

fn received(told: &mut broadcast::Receiver<Arc<Message>>) -> Vec<Arc<Message>> {
    std::iter::from_fn(|| told.try_recv().ok()).collect()
}

#[test]
fn the_board_shows_after_each_fact_what_the_whole_story_tells() {
    for facts in worlds() {
        let desk = Desk::new();
        for fact in &facts {
            desk.commit(std::slice::from_ref(fact));
            assert_eq!(desk.shown(), desk.read(), "after {fact:?}");
        }
        // One that was made at the end, too.
        let late = Desk::new();
        late.commit(&facts);
        assert_eq!(late.shown(), late.read());
    }
}

#[test]
fn who_looks_twice_is_shown_the_same_and_not_another_copy() {
    let desk = Desk::new();
    desk.commit(&held().facts);
    let (first, second) = (desk.board.open().unwrap(), desk.board.open().unwrap());
    assert_eq!(first.incidents.len(), 1);
    assert!(Arc::ptr_eq(&first.incidents[0], &second.incidents[0]));
}

#[test]
fn who_comes_back_hears_what_was_missed_once_and_in_order() {
    for facts in worlds() {
        let desk = Desk::new();
        let mut told = desk.board.listen(None).unwrap().told;
        for fact in &facts {
            desk.commit(std::slice::from_ref(fact));
            assert!(desk.board.tell().unwrap());
        }
        let whole = entries(&received(&mut told));
        assert!(whole.len() > 1);
        // From the board's memory, and from the journal where nobody listened.
        let forgetful = Desk::new();
        forgetful.commit(&facts);
        forgetful.board.open().unwrap();
        for from in 0..=i64::try_from(facts.len()).unwrap() {
            let expected: Vec<_> =
                whole.iter().filter(|(number, _)| *number > from).cloned().collect();
            for desk in [&desk, &forgetful] {
                let place = desk.board.listen(Some(from)).unwrap();
                assert_eq!((place.gap, entries(&place.missed)), (None, expected.clone()), "{from}");
            }
        }
    }
}

/// What is heard is the timeline that is read.
#[test]
fn what_is_told_one_by_one_is_the_timeline() {
    for facts in worlds() {
        let desk = Desk::new();
        let mut told = desk.board.listen(None).unwrap().told;
        desk.commit(&facts);
        assert!(desk.board.tell().unwrap());
        let mut timelines: BTreeMap<String, Vec<Told>> = BTreeMap::new();
        for (_, text) in entries(&received(&mut told)) {
            let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
            let data: serde_json::Value = serde_json::from_str(data).unwrap();
            for line in data["entries"].as_array().unwrap() {
                let entry: Told = serde_json::from_value(line["entry"].clone()).unwrap();
                let timeline =
                    timelines.entry(line["incident"].as_str().unwrap().to_owned()).or_default();
                // An entry that repeats takes the place of the one before.
                if entry.count > 1 {
                    timeline.pop();
                }
                timeline.push(entry);
            }
        }
        assert!(!timelines.is_empty());
        for (id, timeline) in timelines {
            let id = IncidentId(id.parse().unwrap());
            let story = desk.facts.incident(id).unwrap().unwrap();
            assert_eq!(timeline, fold(id, &story.facts).unwrap().timeline);
        }
    }
}

#[test]
fn what_cannot_be_told_again_is_said() {
    let desk = Desk::new();
    desk.commit(&held().facts);
    let gap = desk.board.listen(Some(10_000)).unwrap().gap.unwrap();
    assert!(gap.starts_with("there is no fact 10000 yet"), "{gap}");
    let many = vec![Fact { at: held().now, what: What::BookChanged }; 6000];
    desk.commit(&many);
    let gap = desk.board.listen(Some(1)).unwrap().gap.unwrap();
    assert!(gap.contains("facts ago is too long"), "{gap}");
}

#[test]
fn nothing_is_written_while_nobody_listens() {
    let desk = Desk::new();
    desk.commit(&busy());
    assert!(!desk.board.tell().unwrap());
    assert!(desk.board.state.lock().is_none(), "nobody looked");
    desk.board.open().unwrap();
    assert!(desk.board.state.lock().as_ref().unwrap().messages.is_empty());
    drop(desk.board.listen(None).unwrap());
    desk.commit(&held().facts[..1]);
    assert!(!desk.board.tell().unwrap());
}

#[test]
fn a_reader_is_told_of_what_they_may_see() {
    let desk = Desk::new();
    let mut told = desk.board.listen(None).unwrap().told;
    desk.commit(&busy());
    desk.board.tell().unwrap();
    let messages = received(&mut told);
    let one = Ear { caller: Caller::anyone("here".into()), incident: Some("2".into()) };
    let heard: Vec<_> = messages.iter().filter_map(|message| message.heard_by(&one)).collect();
    assert!(!heard.is_empty() && heard.len() < messages.len());
    for bytes in heard {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(
            text.contains("{\"incident\":\"2\"") && !text.contains("{\"incident\":\"1\""),
            "{text}"
        );
    }
}

#[test]
fn of_very_many_the_newest_are_shown_and_the_others_counted() {
    let desk = Desk::new();
    let opened = |number: u64| {
        let target = LabelSet::from_pairs([("instance", format!("i{number}").as_str())]);
        Fact {
            at: held().now,
            what: serde_json::from_value(serde_json::json!({
                "kind": "incident_opened", "incident": number, "policy": "p", "target": target,
                "episode": number, "relapse_of": null, "ladder": { "climbed": null, "orders": 0 },
                "unheld": 0, "settles_at": null, "tell_at": null,
            }))
            .unwrap(),
        }
    };
    let all: Vec<Fact> = (1..=2600).map(opened).collect();
    desk.commit(&all);
    let shown = desk.board.open().unwrap();
    assert_eq!((shown.incidents.len(), shown.more), (MOST, 600));
    assert_eq!(shown.incidents[0].id, "2600");
    // Those that come while somebody looks are bounded, too.
    let more: Vec<Fact> = (2601..=3000).map(opened).collect();
    desk.commit(&more);
    let shown = desk.board.open().unwrap();
    assert_eq!((shown.incidents.len(), shown.incidents[0].id.as_str()), (MOST + ENDED, "3000"));
    assert_eq!(shown.more, 3000 - MOST - ENDED);
}
