//! What a Prometheus makes of its alerts on the wire: it is asked, or our configuration says it.
//!
//! Its own answers show the instances of a rule as the rule has them. On the wire they carry external
//! labels, and are relabelled. So its configuration is asked for, and kept until it has loaded another
//! one. A server that has none to show is taken at our configuration's word; without that, an instance
//! is the alert only if nothing else could be.

use std::sync::Arc;

use homeostat_core::evidence::Trouble;
use homeostat_core::label::LabelSet;
use homeostat_core::relabel::{Dialect, Rules, Wire};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::answer::data;
use crate::client::Client;
use crate::relabelling;

/// What is known of the way onto the wire.
#[derive(Debug, Clone)]
pub(super) enum Mapping {
    /// This is done to the labels.
    Known(Arc<Wire>),
    /// The server does not tell.
    Untold,
    /// It tells something that we cannot apply.
    Inapplicable(String),
}

/// Keeps the mapping of one Prometheus while its configuration is the same.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: parking_lot::Mutex<Option<(Version, Mapping)>>,
}

/// Which configuration a Prometheus has loaded, as far as it tells.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    #[serde(default)]
    start_time: Value,
    #[serde(default)]
    last_config_time: Value,
}

#[derive(Deserialize)]
struct Built {
    version: String,
}

#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    yaml: Option<String>,
}

impl Memory {
    /// Asks what is put on the wire.
    pub(super) async fn mapping(
        &self,
        client: &Client,
        said: Option<&LabelSet>,
    ) -> Result<Mapping, Trouble> {
        let version: Option<Version> = get(client, "/api/v1/status/runtimeinfo").await?;
        if let (Some(version), Some((known, mapping))) = (&version, &*self.known.lock())
            && version == known
        {
            return Ok(mapping.clone());
        }
        let mapping = ask(client, said).await?;
        if let Some(version) = version {
            *self.known.lock() = Some((version, mapping.clone()));
        }
        Ok(mapping)
    }
}

async fn ask(client: &Client, said: Option<&LabelSet>) -> Result<Mapping, Trouble> {
    let shown: Option<Shown> = get(client, "/api/v1/status/config").await?;
    let Some(yaml) = shown.and_then(|shown| shown.yaml) else {
        // Where it cannot be asked, our configuration may say what it adds.
        let said = said.map(|labels| Wire::new(labels.clone(), Rules::default()));
        return Ok(said.map_or(Mapping::Untold, |wire| Mapping::Known(Arc::new(wire))));
    };
    let built: Option<Built> = get(client, "/api/v1/status/buildinfo").await?;
    let dialect = built.and_then(|built| Dialect::of_version(&built.version)).unwrap_or_default();
    Ok(match relabelling::read(&yaml, dialect) {
        Ok(wire) => Mapping::Known(Arc::new(wire)),
        Err(error) => Mapping::Inapplicable(format!("{}: {error}", client.server())),
    })
}

/// Asks for what not every server has: `None` where this one has not, or does not let us see it.
async fn get<T: for<'de> Deserialize<'de> + Send + 'static>(
    client: &Client,
    path: &str,
) -> Result<Option<T>, Trouble> {
    let reply = client.get(path, &[]).await.map_err(|error| Trouble(error.line()))?;
    match reply.status {
        StatusCode::NOT_FOUND
        | StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_IMPLEMENTED
        | StatusCode::BAD_REQUEST
        | StatusCode::GONE => return Ok(None),
        _ => {}
    }
    // Some servers answer every path, with a page.
    if reply.status.is_success() && serde_json::from_slice::<Value>(&reply.body).is_err() {
        return Ok(None);
    }
    data(client, reply).await.map(Some)
}
