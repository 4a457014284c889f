//! What an Alertmanager lists, asked once for all who want to know it at the same time.
//!
//! How the answers of peers are put together stands in [`crate::listing`].

use std::sync::Arc;

use homeostat_core::evidence::{Listing, Present, Sight, Trouble};
use homeostat_core::label::Fingerprint;
use homeostat_core::name::SourceName;
use homeostat_core::time::Timestamp;
use tokio::sync::Semaphore;

use super::flight::Flight;
use super::present::Wanted;
use super::{AlertmanagerSource, Found};
use crate::client::{self, Client};
use crate::listing::{self, Together, Told};

/// One cluster.
#[derive(Debug)]
pub(super) struct Alertmanager {
    pub(super) name: SourceName,
    peers: Vec<Peer>,
}

#[derive(Debug)]
struct Peer {
    client: Client,
    flight: Flight<(), Answer>,
}

/// What one peer said, and when it was asked.
type Answer = Arc<(Result<Told, Trouble>, Timestamp)>;

impl Alertmanager {
    pub(super) fn new(source: AlertmanagerSource) -> Self {
        let peer = |client| Peer { client, flight: Flight::default() };
        Self { name: source.name, peers: source.peers.into_iter().map(peer).collect() }
    }

    /// Asks whether the alert is listed.
    pub(super) async fn listing(
        &self,
        fingerprint: Fingerprint,
        places: &Semaphore,
        now: &impl Fn() -> Timestamp,
    ) -> Found<Listing> {
        let (answers, at) = self.answers(places, now).await;
        let listing = together(&answers).map(|together| Listing {
            uptime: together.uptime,
            total: together.total(),
            alert: together.alert(fingerprint),
        });
        (listing, at)
    }

    /// Asks which alerts of a target are listed.
    pub(super) async fn present(
        &self,
        wanted: &Wanted<'_>,
        places: &Semaphore,
        now: &impl Fn() -> Timestamp,
    ) -> Found<Present> {
        let (answers, at) = self.answers(places, now).await;
        let present = together(&answers).map(|together| {
            let alerts = together.labels().map(|labels| (labels, true));
            wanted.of(alerts, Sight::Alertmanager { uptime: together.uptime })
        });
        (present, at)
    }

    async fn answers(
        &self,
        places: &Semaphore,
        now: &impl Fn() -> Timestamp,
    ) -> (Vec<Answer>, Timestamp) {
        let answers = client::all(self.peers.iter().map(|peer| peer.answer(places, now))).await;
        let at = answers.iter().map(|answer| answer.1).min().unwrap_or_else(now);
        (answers, at)
    }
}

impl Peer {
    async fn answer(&self, places: &Semaphore, now: &impl Fn() -> Timestamp) -> Answer {
        let request = |()| async {
            let _place = places.acquire().await;
            let at = now();
            Arc::new((listing::ask(&self.client, at).await, at))
        };
        self.flight.join(|()| {}, request).await
    }
}

fn together(answers: &[Answer]) -> Result<Together<'_>, Trouble> {
    Together::of(answers.iter().map(|answer| &answer.0))
}
