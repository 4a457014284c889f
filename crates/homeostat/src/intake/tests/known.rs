//! What is answered for the engine, by an intake whose one alert rests.

use homeostat_core::name::EpisodeId;
use homeostat_core::repeats::{Resting, Woken};
use homeostat_core::time::Span;

use super::super::*;
use super::{NOW, main_source, time};
use crate::queue;

struct Uncounted;

impl Tally for Uncounted {
    fn notification(&self, _: &SourceName, _: NotificationResult) {}

    fn alerts(&self, _: &SourceName, _: Status, _: u64) {}

    fn polled(&self, _: &SourceName, _: &str) {}

    fn found(&self, _: u64) {}
}

#[tokio::test]
async fn a_notification_is_known_by_its_words_where_they_say_the_same_whenever_they_come() {
    for (body, is_lasting) in [
        (r#"{"alerts": [{"labels": {"alertname": "A"}, "status": "firing"}]}"#, true),
        (r#"{"alerts": [{"labels": {"alertname": "A"}}]}"#, true),
        // It has resolved once that day is there.
        (
            r#"{"alerts": [{"labels": {"alertname": "A"}, "endsAt": "2999-01-01T00:00:00Z"}]}"#,
            false,
        ),
        // What is wrong with it is told each time.
        (r#"{"alerts": [{"labels": {"alertname": "A"}}, {"labels": 7}]}"#, false),
        (r#"{"alerts": [{"labels": {"alertname": "A"}}], "truncatedAlerts": 1}"#, false),
    ] {
        let (queue, inbox) = queue::queue();
        let source = main_source();
        let intake = Intake::new(queue, Sources::default(), Arc::new(Uncounted), || time(NOW));
        let intake = intake.answering_repeats(|| time(NOW));
        let told = webhook::parse(body.as_bytes(), &source, time(NOW)).unwrap().observations;
        let alert = &told[0].alert;
        inbox.decided(Woken::All, Span::ZERO);
        inbox.rest([Resting {
            episode: EpisodeId(1),
            key: alert.key(),
            door: alert.door,
            labels: alert.labels.clone(),
            starts_at: alert.starts_at,
            ends_at: None,
        }]);
        let hash = intake.known.hash(&source, body.as_bytes());
        let sent = intake.reader.gather(Body::from(body)).await.unwrap();
        let answer = intake.take_notification(&source, None, sent).await;
        assert_eq!(answer.status(), StatusCode::OK, "{body}");
        assert_eq!(inbox.begin_turn().len(), 1, "the engine hears of it: {body}");
        assert_eq!(intake.known.find(hash).is_some(), is_lasting, "{body}");
        assert!(!intake.is_known(&source, hash), "a turn has begun: {body}");
    }
}

/// An intake of the source `main`, which signs or does not.
fn named(signs: bool) -> Intake {
    let named = Named { webhooks: vec![main_source()], ..Named::default() };
    let signatures = Arc::<Signatures>::default();
    if signs {
        let signing = signature::Signing::new(&[], vec!["X-Signature".to_owned()], None).unwrap();
        signatures.configure([(main_source(), signing)].into(), time(NOW));
    }
    let intake =
        Intake::new(queue::queue().0, Sources::new(named), Arc::new(Uncounted), || time(NOW));
    intake.signatures(signatures)
}

#[test]
fn a_hook_is_read_off_its_path_where_its_source_is_known_and_does_not_sign() {
    let (intake, signed) = (named(false), named(true));
    for (path, source) in [
        ("/hooks", Some("alertmanager")),
        ("/hooks/main", Some("main")),
        ("/hooks/", None),
        ("/hooks/main/", None),
        ("/hooks/m%61in", None),
        ("/hooks/strange", None),
        ("/hooksmain", None),
        ("/api/v2/alerts", None),
    ] {
        let found = intake.unsigned(path);
        assert_eq!(found.as_ref().map(SourceName::as_str), source, "{path}");
    }
    assert_eq!(signed.unsigned("/hooks/main"), None);
    assert!(intake.unsigned("/hooks/strange").is_none(), "asking takes no name's place");
}
