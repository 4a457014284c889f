//! An engine that hangs: whoever started it must see that, though its server answers.

use std::time::Duration;

use homeostat::demo::stack::Sandbox;

use crate::support::manager::{ALIVE, Manager};
use crate::support::{Engine, Start, notification};

#[tokio::test]
async fn a_driver_that_hangs_is_not_said_to_be_alive() {
    let watchdog = Duration::from_secs(4);
    let sandbox = Sandbox::new().unwrap();
    let (manager, before) = Manager::new(&sandbox, watchdog);
    let start =
        Start { failpoints: "driver.taken=sleep(600000)", before: &before, ..Start::default() };
    let engine = Engine::broken(&sandbox, &start);
    assert_eq!(manager.hears_news(), "READY=1\nSTATUS=\n");
    assert_eq!(manager.hears(), ALIVE);
    assert_eq!(manager.hears(), ALIVE);

    let body = notification(&[&[("alertname", "Down"), ("instance", "a")]]);
    let request = engine.client().post(engine.url("/hooks")).body(body);
    let posted = tokio::spawn(request.timeout(Duration::from_secs(1)).send());
    assert!(posted.await.unwrap().is_err(), "it answers what it cannot have written");
    // What it said until then, and one look that was not yet told of.
    let words = (0..4).take_while(|_| manager.hears_within(watchdog / 2).is_some()).count();
    assert!(words < 4, "it says on that it is alive");
    assert_eq!(manager.hears_within(watchdog), None);
    let answer = engine.client().get(engine.url("/-/healthy")).send().await.unwrap();
    assert!(answer.status().is_success(), "its server answers");
}
