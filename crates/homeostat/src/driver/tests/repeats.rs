//! Repeats that are answered without a turn.

use super::*;

/// Sends what the driver takes in its next turn.
async fn turn_with(driver: Driver, queue: &Queue, observation: Observation) -> (Driver, Remark) {
    let sent = send(queue, vec![observation]);
    while queue.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let driver = turn(driver).await;
    let remarks = sent.await.unwrap().unwrap();
    (driver, remarks[0])
}

fn ended(driver: &Driver) -> usize {
    let mut ended = 0;
    let count = |fact: &homeostat_core::fact::Fact| {
        ended += usize::from(matches!(fact.what, What::EpisodeEnded { .. }));
    };
    driver.journal.replay(count).unwrap();
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_answered_without_a_turn_and_keeps_its_alert_from_lapsing() {
    let (clock, hands) = set_by_hand();
    let (driver, queue, telling, _directory) = driver_by(clock, Book::observe(), None);
    let clock = driver.doors.clock.clone();
    let pass = |seconds| {
        for hand in hands.iter() {
            hand.fetch_add(seconds, Ordering::Relaxed);
        }
    };
    let known = [observation(1, 0)];
    let answered = || queue.recognise(&known, || clock.now()).is_some();
    assert!(!answered(), "nothing is known");
    let (driver, remark) = turn_with(driver, &queue, observation(1, 0)).await;
    assert_eq!((remark, answered()), (Remark::Began, false), "it was not repeated yet");
    let (mut driver, remark) = turn_with(driver, &queue, observation(1, 0)).await;
    assert_eq!((remark, answered()), (Remark::Repeated, true));
    assert!(queue.recognise(&[observation(1, 0), observation(2, 0)], || clock.now()).is_none());

    let state = driver.engine.state();
    let lapse = state.episode(state.all_firing().next().unwrap()).unwrap().lapse;
    let nearly = i64::try_from(lapse.as_millis() / 1000).unwrap() - 1;
    for _ in 0..3 {
        pass(nearly);
        assert!(answered());
        pass(nearly);
        assert!(answered(), "later in the same pause");
        driver = turn(driver).await;
        assert_eq!(ended(&driver), 0);
    }
    pass(nearly + 1);
    driver = turn(driver).await;
    assert_eq!((ended(&driver), answered()), (1, false), "what has lapsed does not rest");
    telling.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_before_a_jump_of_the_clock_is_heard_before_it() {
    let (clock, hands) = set_by_hand();
    let (driver, queue, telling, _directory) = driver_by(clock, Book::observe(), None);
    let clock = driver.doors.clock.clone();
    let (driver, _) = turn_with(driver, &queue, observation(1, 0)).await;
    let (driver, _) = turn_with(driver, &queue, observation(1, 0)).await;
    // A day forwards.
    hands[1].fetch_add(86_400, Ordering::Relaxed);
    assert!(queue.recognise(&[observation(1, 0)], || clock.now()).is_some());
    let driver = turn(driver).await;
    assert_eq!((jumps(&driver).len(), ended(&driver)), (1, 0), "its time has moved along");
    let driver = turn(driver).await;
    assert_eq!(ended(&driver), 0);
    telling.stop().await;
}

#[tokio::test]
async fn while_the_journal_cannot_be_written_nothing_is_answered_and_then_all_is_asked_anew() {
    let rig = rig(Some(60));
    for wanted in [Remark::Began, Remark::Repeated] {
        assert_eq!(rig.queue.observe(vec![observation(0, 0)]).await.unwrap(), [wanted]);
    }
    let clock = Clock::default();
    let now = || clock.now();
    let read = rig.queue.recognise(&[observation(0, 0)], now).unwrap();
    assert!(rig.queue.repeat(&read, now));
    let large = rig.queue.observe(vec![observation(1, 1_000_000)]).await;
    assert_eq!(large, Err(Busy::NotWritable));
    let deadline = Instant::now() + Duration::from_secs(20);
    let remarks = loop {
        assert!(!rig.queue.repeat(&read, now), "nothing is taken in, and then nobody rests");
        match rig.queue.observe(vec![observation(0, 0)]).await {
            Ok(remarks) => break remarks,
            Err(busy) => assert_eq!(busy, Busy::NotWritable),
        }
        assert!(Instant::now() < deadline, "the engine never recovered");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(remarks, [Remark::Repeated]);
    assert!(rig.queue.repeat(&read, now));
    rig.stop().await;
}
