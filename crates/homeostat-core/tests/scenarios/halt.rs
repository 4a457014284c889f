//! What an operator is told who lets nothing start, or lets it start again.

use crate::stage::*;
use homeostat_core::command::Reply;
use homeostat_core::event::Event;
use homeostat_core::fact::What;
use homeostat_core::scenario::Scenario;
use homeostat_core::time::Span;

fn pause(play: &mut Scenario, by: &str, reason: &str) -> Reply {
    play.give(Event::Pause { by: by.into(), reason: reason.to_owned() })
}

fn resume(play: &mut Scenario) -> Reply {
    play.give(Event::Resume { by: "bob".into(), reason: String::new() })
}

fn taken(message: &str) -> Reply {
    Reply::Taken(message.to_owned())
}

#[test]
fn a_second_pause_names_the_first_and_takes_its_place() {
    let mut play = alone(policy(vec![remedy("restart")]));
    let paused = "paused: no remedy starts until somebody resumes";
    assert_eq!(pause(&mut play, "ann", "deploy"), taken(paused));
    let since = play.now();
    play.advance(Span::from_secs(300));
    let again = format!("{paused}; it was paused before, by ann since {since:.0}: deploy");
    assert_eq!(pause(&mut play, "bob", "migration"), taken(&again));
    fire(&mut play, A);
    let held = play.journal().iter().rev().find_map(|fact| match &fact.what {
        What::OrderHeld { holds, .. } => Some(holds[0].to_string()),
        _ => None,
    });
    assert_eq!(held.as_deref(), Some("pause: paused by bob: migration"));
}

#[test]
fn what_was_not_paused_is_not_resumed() {
    let mut play = alone(policy(vec![remedy("restart")]));
    let facts = play.journal().len();
    assert_eq!(resume(&mut play), taken("nothing was paused"));
    assert_eq!(play.journal().len(), facts, "nothing was written");
    pause(&mut play, "ann", "deploy");
    assert_eq!(resume(&mut play), taken("resumed: what waits is judged anew"));
    fire(&mut play, A);
    assert_eq!(orders(&mut play), ["1.restart.1"]);
}
