//! What it costs a repeat that its sender says who they are, and that it comes over TLS.

use anyhow::Result;
use rcgen::{CertificateParams, KeyPair};

use crate::alerts;
use crate::bench::Bench;
use crate::engine::Engine;
use crate::figure::{Figures, number, rate};
use crate::load;
use crate::row::{Row, Verdict};

/// How long each is loaded in a round.
const SECONDS: u32 = 2;

/// A token, and who may do what with it. Every one who may is looked at for a request.
const CONFIG: &str = "access:
  tokens: [{ name: am, sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b }]
  grants: [{ who: [\"token:am\", \"user:am\", anonymous], may: [send] }]
";

/// The password `secret`. It is compared with its hash once, and then known.
const USERS: &str =
    "basic_auth_users: { am: $2y$04$cDOV4OiDtLXgDqGkJr.wK.ZTkTVVO8TYOWLzQuL6I4Ct/fcl9cf4G }\n";

const TLS: &str = "tls_server_config: { cert_file: server.pem, key_file: server.key }\n";

/// What is shown.
const TOKEN: &str = "Bearer secret";
const PASSWORD: &str = "Basic YW06c2VjcmV0";

/// A way to come, how it is served, what is shown, and what its CPU time may be of that without.
type Way = (&'static str, &'static str, Option<&'static str>, f64);

const WAYS: [Way; 4] = [
    ("by a token", "", Some(TOKEN), 1.1),
    ("by a password", USERS, Some(PASSWORD), 1.1),
    ("over TLS", TLS, None, 2.0),
    ("over TLS, by a token", TLS, Some(TOKEN), 2.0),
];

/// What a server does for one load.
#[derive(Debug, Default)]
struct Served {
    rate: Figures,
    cpu_microseconds: Figures,
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let body = bench.write("access.json", &alerts::body("access", [1]))?;
    let plain = Engine::start(bench, None)?;
    let mut engines = Vec::new();
    for (_, web, ..) in WAYS {
        let directory = bench.directory()?;
        certify(&directory)?;
        engines.push(Engine::start_served(bench, &directory, CONFIG, web)?);
    }
    let mut without = Served::default();
    let mut served = <[Served; 4]>::default();
    load::wrk(bench, &plain.url("/hooks"), &body, 1)?;
    for ((_, web, shown, _), engine) in WAYS.iter().zip(&engines) {
        load::wrk_as(bench, &url(engine, web), &body, 1, *shown)?;
    }
    for _ in 0..bench.rounds {
        load(&mut without, bench, &plain, &plain.url("/hooks"), &body, None)?;
        for (((_, web, shown, _), engine), served) in WAYS.iter().zip(&engines).zip(&mut served) {
            load(served, bench, engine, &url(engine, web), &body, *shown)?;
        }
    }
    let row = |((what, _, _, most), served): (&Way, &Served)| {
        let ratio = served.cpu_microseconds.over(&without.cpu_microseconds);
        let told = |served: &Served| {
            let [cpu, rate] = [&served.cpu_microseconds, &served.rate].map(Figures::median);
            format!("{} µs, {} requests/s", number(cpu), number(rate))
        };
        Row {
            what: format!("CPU time of a repeat {what}"),
            ours: told(served),
            against: format!("without: {}", told(&without)),
            ratio: ratio.spread(),
            bar: format!("≤ {most}"),
            verdict: Verdict::of(ratio.median() <= *most),
        }
    };
    Ok(WAYS.iter().zip(&served).map(row).collect())
}

fn url(engine: &Engine, web: &str) -> String {
    let plain = engine.url("/hooks");
    if web == TLS { plain.replacen("http:", "https:", 1) } else { plain }
}

fn load(
    served: &mut Served,
    bench: &Bench,
    engine: &Engine,
    url: &str,
    body: &std::path::Path,
    shown: Option<&str>,
) -> Result<()> {
    let before = engine.cpu_seconds()?;
    let seen = load::wrk_as(bench, url, body, SECONDS, shown)?;
    let requests = rate(seen.requests, 1.0);
    served.rate.add(requests / seen.seconds);
    served.cpu_microseconds.add((engine.cpu_seconds()? - before) / requests * 1e6);
    Ok(())
}

fn certify(directory: &std::path::Path) -> Result<()> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
    std::fs::write(directory.join("server.pem"), certificate.pem())?;
    std::fs::write(directory.join("server.key"), key.serialize_pem())?;
    Ok(())
}
