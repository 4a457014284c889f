//! Remedies that call a handler or send a request, on real engines: those with handlers run in the
//! test itself or are the examples of the crate, those with requests are the stock binary.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::{
    Engine, PATIENCE, notification, order_directory, policy_of, ran, resolution, until,
};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use homeostat::demo::stack::{self, Process, Sandbox};
use homeostat::{Action, App, Cancelled, HandlerError, Outcome, Running, StartError};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::oneshot;

const A: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "a:80")];

const CALL: &str = "        call: handle";

/// An engine in this process, and its HTTP.
struct Served {
    url: String,
    client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
    sandbox: Sandbox,
}

fn app(sandbox: &Sandbox, remedy: &str) -> App {
    let file = sandbox.path().join("homeostat.yml");
    std::fs::write(&file, policy_of(sandbox.path(), remedy, "")).unwrap();
    App::from_file(file).unwrap().storage(sandbox.path().join("data")).listen(([127, 0, 0, 1], 0))
}

impl Served {
    /// Starts an engine with this handler, named `handle`.
    async fn start<F, Fut>(remedy: &str, handler: F) -> Self
    where
        F: Fn(Action) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Outcome, HandlerError>> + Send + 'static,
    {
        let sandbox = Sandbox::new().unwrap();
        let running = app(&sandbox, remedy).action("handle", handler).start().await.unwrap();
        Self::of(sandbox, running)
    }

    fn of(sandbox: Sandbox, running: Running) -> Self {
        let url = format!("http://{}", running.addresses()[0]);
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            running.run(async { drop(stopped.await) }).await.unwrap();
        });
        Self { url, client: stack::client(), stop: Some(stop), task, sandbox }
    }

    async fn fire(&self, body: String) {
        let request = self.client.post(format!("{}/hooks/main", self.url)).body(body);
        let request = request.header("content-type", "application/json");
        assert_eq!(request.send().await.unwrap().status(), 200);
    }

    async fn incidents(&self) -> Vec<Value> {
        let url = format!("{}/api/v1/incidents?fields=all", self.url);
        let list: Value = self.client.get(url).send().await.unwrap().json().await.unwrap();
        list["incidents"].as_array().unwrap().clone()
    }

    async fn incident(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        until(what, || async { self.incidents().await.into_iter().find(&is) }).await
    }

    /// Fires the alert and waits until its first order is over.
    async fn first_order(&self) -> Value {
        self.fire(notification(&[A])).await;
        let ended = |incident: &Value| incident["orders"][0]["state"] == "ended";
        self.incident("the end of the order", ended).await["orders"][0].clone()
    }

    async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        (&mut self.task).await.unwrap();
    }

    fn order_file(&self, name: &str) -> PathBuf {
        order_directory(&self.sandbox.path().join("data"), "1.first.1").join(name)
    }
}

fn kinds(incident: &Value) -> Vec<&str> {
    let timeline = incident["timeline"].as_array().unwrap();
    timeline.iter().map(|entry| entry["kind"].as_str().unwrap()).collect()
}

fn texts<'a>(incident: &'a Value, kind: &str) -> Vec<&'a str> {
    let timeline = incident["timeline"].as_array().unwrap();
    let of_kind = timeline.iter().filter(|entry| entry["kind"] == kind);
    of_kind.map(|entry| entry["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_handler_heals_and_the_timeline_shows_what_it_did() {
    let served = Served::start(CALL, |order: Action| async move {
        order.progress("looking\nat the replicas");
        let facts = [order.order_id(), order.incident(), order.policy(), order.remedy()].join(" ");
        assert!(order.deadline() > tokio::time::Instant::now() && !order.is_cancelled());
        std::fs::write(order.directory().join("note"), "kept")?;
        order.progress("promoting db2");
        let all = order.alerts().len();
        let instance = order.label("instance")?;
        Ok(Outcome::done()
            .evidence("order", facts)
            .evidence("firing", all == 1 && order.alerts()[0].is_firing())
            .note(format!("attempt {} for {instance}", order.attempt())))
    })
    .await;
    let order = served.first_order().await;
    assert_eq!((&order["result"], &order["outcome"]), (&json!("succeeded"), &json!("is done")));
    assert_eq!(order["action"], "call handle");
    assert_eq!(order["output"], "order: 1.first.1 1 web first\nfiring: true\nattempt 1 for a:80\n");
    served.fire(resolution(&[A])).await;
    let incident = served.incident("a healed incident", |i| i["state"] == "closed").await;
    assert_eq!((&incident["outcome"], &incident["remedy"]), (&json!("healed"), &json!("first")));
    assert_eq!(
        texts(&incident, "order_progressed"),
        ["Remedy first says: looking at the replicas.", "Remedy first says: promoting db2."]
    );
    let kinds = kinds(&incident);
    let place = |kind| kinds.iter().position(|k| *k == kind).unwrap();
    assert!(place("order_issued") < place("order_progressed"));
    assert!(place("order_progressed") < place("order_ended"));
    for file in ["claim", "exit", "alert.json", "stdout"] {
        assert!(served.order_file(file).exists(), "{file}");
    }
    let records = served.order_file("");
    let work = served.sandbox.path().join("data/work").join(records.file_name().unwrap());
    assert!(work.join("note").exists(), "it works beside its records");
}

#[tokio::test]
async fn what_a_handler_fails_with_is_shown_with_its_causes_and_the_next_remedy_runs() {
    let served = Served::start(CALL, |order: Action| async move {
        order.label("cluster").map_err(|error| {
            let error: HandlerError = anyhow::Error::new(error).context("finding it").into();
            error
        })?;
        Ok(Outcome::done())
    })
    .await;
    let order = served.first_order().await;
    assert_eq!(order["result"], "failed");
    assert_eq!(order["outcome"], "failed: finding it");
    let cause = "the alert has no label \"cluster\"; it has alertname, instance";
    assert_eq!(order["output"], format!("finding it\ncaused by: {cause}\n"));
    until("the next remedy", || async {
        (ran(served.sandbox.path()) == ["1.second.1"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_missing_label_names_itself() {
    let served = Served::start(CALL, |order: Action| async move {
        order.label("cluster")?;
        Ok(Outcome::done())
    })
    .await;
    let order = served.first_order().await;
    let outcome = order["outcome"].as_str().unwrap();
    assert_eq!(outcome, "failed: the alert has no label \"cluster\"; it has alertname, instance");
}

#[tokio::test]
async fn a_panic_is_a_failed_order_and_the_engine_goes_on() {
    let served = Served::start(CALL, |order: Action| async move {
        assert_ne!(order.label("instance")?, "a:80", "cannot happen");
        Ok(Outcome::done())
    })
    .await;
    let order = served.first_order().await;
    assert_eq!(order["result"], "failed");
    let outcome = order["outcome"].as_str().unwrap();
    assert!(outcome.starts_with("failed: the handler panicked: assertion"), "{outcome}");
    assert!(outcome.contains("cannot happen"), "{outcome}");
    served.fire(notification(&[&[("alertname", "Down"), ("instance", "b:80")]])).await;
    let done = |i: &Value| i["orders"][0]["result"] == "succeeded";
    served.incident("the order of the next alert", done).await;
}

#[tokio::test]
async fn a_handler_that_is_too_slow_is_asked_to_stop_and_then_aborted() {
    let asked = Arc::new(Mutex::new(None));
    let seen = asked.clone();
    let dropped = Arc::new(AtomicU32::new(0));
    let counted = dropped.clone();
    let remedy = format!("{CALL}\n        timeout: 1s\n        retries: 3");
    let served = Served::start(&remedy, move |order: Action| {
        struct Counts(Arc<AtomicU32>);
        impl Drop for Counts {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (seen, counts) = (seen.clone(), Counts(counted.clone()));
        async move {
            let _counts = counts;
            let why = order.cancelled().await;
            *seen.lock() = Some(why);
            std::future::pending().await
        }
    })
    .await;
    let order = served.first_order().await;
    assert_eq!(*asked.lock(), Some(Cancelled::Overdue));
    assert_eq!(dropped.load(Ordering::Relaxed), 1, "it was aborted");
    assert_eq!(order["result"], "timed_out");
    let incident = served.incident("a verification", |i| i["state"] == "verifying").await;
    assert_eq!(incident["orders"].as_array().unwrap().len(), 1, "a time-out is never retried");
}

#[tokio::test]
async fn a_handler_is_told_when_the_engine_stops_and_what_it_answers_counts() {
    let mut served = Served::start(CALL, |order: Action| async move {
        order.progress("waiting");
        let why = order.cancelled().await;
        Ok(Outcome::failed(format!("{why:?}")))
    })
    .await;
    served.fire(notification(&[A])).await;
    served.incident("progress", |i| kinds(i).contains(&"order_progressed")).await;
    let incident = served.incident("acting", |i| i["state"] == "acting").await;
    assert_eq!(incident["reason"], "remedy first runs: waiting");
    served.stop().await;
    let record = std::fs::read_to_string(served.order_file("exit")).unwrap();
    assert!(record.contains("Stopping"), "{record}");
}

#[tokio::test]
async fn a_handler_that_there_is_not_keeps_the_engine_from_starting() {
    let sandbox = Sandbox::new().unwrap();
    let done = |_: Action| async { Ok(Outcome::done()) };
    let error = app(&sandbox, CALL).action("handel", done).start().await.unwrap_err();
    let StartError::Config(report) = &error else { panic!("{error}") };
    assert!(report.to_string().contains("did you mean \"handel\"?"), "{report}");

    let twice = app(&sandbox, CALL).action("handle", done).action("handle", done);
    assert!(twice.check().is_ok());
    let error = twice.start().await.unwrap_err();
    assert_eq!(error.to_string(), "two handlers are named \"handle\"");

    let stock = |command: &[&str]| {
        let mut process = Command::new(env!("CARGO_BIN_EXE_homeostat"));
        process.args(command).current_dir(sandbox.path()).output().unwrap()
    };
    let serve =
        stock(&["serve", "--config.file=homeostat.yml", "--web.listen-address=127.0.0.1:0"]);
    let said = String::from_utf8(serve.stderr).unwrap();
    assert_eq!(serve.status.code(), Some(1), "{said}");
    assert!(said.contains("no handler is named \"handle\": this program has none"), "{said}");
    assert!(said.contains("with the crate `homeostat`"), "{said}");
    let check = stock(&["check"]);
    let said = String::from_utf8(check.stderr).unwrap();
    assert_eq!(check.status.code(), Some(0), "{said}");
    assert!(said.contains("warning: no handler is named \"handle\" here"), "{said}");
}

/// The program of an example, built where the test runner has not done so.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().with_file_name("examples").join(name);
    if !program.exists() {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut build = Command::new(cargo);
        build.args(["build", "--package", "homeostat", "--example", name]);
        assert!(build.status().unwrap().success());
    }
    program
}

#[tokio::test]
async fn the_small_example_acts() {
    let sandbox = Sandbox::new().unwrap();
    let remedy = "        call: move-primary";
    let address = stack::free_address().unwrap();
    std::fs::write(sandbox.path().join("homeostat.yml"), policy_of(sandbox.path(), remedy, ""))
        .unwrap();
    let mut command = Command::new(example("handler"));
    command.env("LISTEN", address.to_string()).current_dir(sandbox.path());
    let mut process = Process::spawn("handler", &mut command, sandbox.path()).unwrap();
    let (client, url) = (stack::client(), format!("http://{address}"));
    process.ready(&client, &format!("{url}/-/ready"), PATIENCE).await.unwrap();
    let post = client.post(format!("{url}/hooks")).body(notification(&[A]));
    assert_eq!(post.send().await.unwrap().status(), 200);
    until("the handler's words", || async {
        process.log_tail().contains("moving the primary away from a:80").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_program_of_ones_own_has_a_runner_without_a_line_about_it() {
    let sandbox = Sandbox::new().unwrap();
    let (go, data) = (sandbox.path().join("go"), sandbox.path().join("data"));
    let remedy = format!(
        "        script: echo began >> {began}; while ! [ -e {go} ]; do sleep 0.05; done; exit 4",
        began = sandbox.path().join("began").display(),
        go = go.display()
    );
    let address = stack::free_address().unwrap();
    std::fs::write(sandbox.path().join("homeostat.yml"), policy_of(sandbox.path(), &remedy, ""))
        .unwrap();
    let mut command = Command::new(example("handler"));
    command.env("LISTEN", address.to_string()).current_dir(sandbox.path());
    let mut process = Process::spawn("handler", &mut command, sandbox.path()).unwrap();
    let (client, url) = (stack::client(), format!("http://{address}"));
    process.ready(&client, &format!("{url}/-/ready"), PATIENCE).await.unwrap();
    let post = client.post(format!("{url}/hooks")).body(notification(&[A]));
    assert_eq!(post.send().await.unwrap().status(), 200);
    until("the action", || async { sandbox.path().join("began").exists().then_some(()) }).await;
    process.signal(stack::Signal::KILL).unwrap();
    until("the death of the engine", || {
        let ended = process.exit_status().is_some();
        async move { ended.then_some(()) }
    })
    .await;
    std::fs::write(go, "").unwrap();
    until("a record that somebody else than the engine wrote", || async {
        let record =
            std::fs::read_to_string(order_directory(&data, "1.first.1").join("exit")).ok()?;
        record.contains(r#""code":4"#).then_some(())
    })
    .await;
    assert!(std::fs::read_to_string(data.join("runner.log")).unwrap().contains("runner ready"));
}

/// A cluster that is driven by a program: its files say who leads.
fn cluster(sandbox: &Sandbox, promotion: &str) -> PathBuf {
    let (program, state) = (sandbox.path().join("cluster-ctl"), sandbox.path().join("primary"));
    std::fs::write(&state, "db1").unwrap();
    let script = format!(
        "#!/bin/sh\n[ \"$1 $2 $3\" = \"--cluster main --\" ] || exit 3\ncase \"$4\" in\n\
         primary) cat {state} ;;\n\
         replicas) printf 'db3 7.5\\ndb2 0.2\\ndb4 900\\n' ;;\n\
         promote) echo \"$5\" >> {log}; {promotion} printf '%s' \"$5\" > {state} ;;\nesac\n",
        state = state.display(),
        log = sandbox.path().join("promoted").display(),
    );
    std::fs::write(&program, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    program
}

const PRIMARY: &[(&str, &str)] = &[("alertname", "Down"), ("instance", "db1"), ("cluster", "main")];

async fn cluster_engine(sandbox: &Sandbox, promotion: &str) -> Engine {
    let control = cluster(sandbox, promotion);
    let remedy = "        call: move-primary";
    let verify = "    verify: { within: 2s, every: 1s }";
    // By way of env, because the engine hands its environment on to nobody else.
    let program = PathBuf::from("/usr/bin/env");
    let control = format!("CLUSTER_CTL={}", control.display());
    let example = example("move_primary");
    let words = [&*control, example.to_str().unwrap()];
    Engine::run(program, &words, sandbox, &policy_of(sandbox.path(), remedy, verify), &[]).await
}

#[tokio::test]
async fn the_large_example_moves_the_primary() {
    let sandbox = Sandbox::new().unwrap();
    let engine = cluster_engine(&sandbox, "").await;
    engine.post("/hooks/main", notification(&[PRIMARY])).await;
    engine.incident_in("verifying").await;
    engine.post("/hooks/main", resolution(&[PRIMARY])).await;
    let incident = engine.incident_in("closed").await;
    assert_eq!(incident["outcome"], "healed", "{incident:#}");
    assert_eq!(incident["orders"][0]["output"], "primary was: db1\nprimary is: db2\n");
    assert_eq!(
        texts(&incident, "order_progressed"),
        [
            "Remedy first says: promoting db2, 0.2 s behind.",
            "Remedy first says: waiting until db2 leads."
        ]
    );
}

#[tokio::test]
async fn killed_while_a_handler_runs_its_outcome_is_unknown_and_it_is_not_called_again() {
    let sandbox = Sandbox::new().unwrap();
    let mut engine = cluster_engine(&sandbox, "sleep 5;").await;
    engine.post("/hooks/main", notification(&[PRIMARY])).await;
    let promoted = sandbox.path().join("promoted");
    until("the promotion", || async { promoted.exists().then_some(()) }).await;
    engine.kill();
    engine.restart().await;
    let incident = until("an end", || async {
        engine.post("/hooks/main", notification(&[PRIMARY])).await;
        engine.incidents().await.into_iter().find(|incident| incident["state"] == "closed")
    })
    .await;
    assert_eq!(incident["orders"][0]["result"], "unknown", "{incident:#}");
    assert!(kinds(&incident).contains(&"verification_began"));
    assert_eq!(incident["outcome"], "escalated");
    assert_eq!(std::fs::read_to_string(promoted).unwrap(), "db2\n");
    assert!(ran(sandbox.path()).is_empty(), "unknown never climbs the ladder");
}

/// What a web service was sent.
#[derive(Debug, Clone)]
struct Received {
    line: String,
    headers: axum::http::HeaderMap,
    body: String,
}

type Answering = Arc<dyn Fn(usize, &Received) -> Response + Send + Sync>;

/// A web service that answers as a test wants; the first request has number 0.
struct Service {
    url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Service {
    async fn start(answer: impl Fn(usize, &Received) -> Response + Send + Sync + 'static) -> Self {
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let answer: Answering = Arc::new(answer);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(handle).with_state((received.clone(), answer));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, received }
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().clone()
    }
}

async fn handle(
    State((received, answer)): State<(Arc<Mutex<Vec<Received>>>, Answering)>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let line = format!("{} {}", head.method, head.uri);
    let one = Received { line, headers: head.headers, body };
    let mut received = received.lock();
    received.push(one.clone());
    answer(received.len() - 1, &one)
}

fn remedy(http: &str, more: &str) -> String {
    format!("        http: {{ {http} }}\n{more}")
}

async fn engine(sandbox: &Sandbox, remedy: &str) -> Engine {
    let verify = "    verify: { within: 2s, every: 1s }\n    \
                  guard: { rate: { max: 100, per: 1h }, concurrency: 50 }";
    Engine::start(sandbox, &policy_of(sandbox.path(), remedy, verify), &[]).await
}

/// Fires the alert and waits until the incident has an order that is over.
async fn order_of(engine: &Engine, number: usize) -> Value {
    engine.post("/hooks", notification(&[A])).await;
    until("the end of an order", || async {
        let incident = engine.incidents().await.pop()?;
        let order = incident["orders"].get(number)?.clone();
        (order["state"] == "ended").then_some(order)
    })
    .await
}

#[tokio::test]
async fn hostile_labels_stay_data_in_a_request() {
    let sandbox = Sandbox::new().unwrap();
    let service = Service::start(|_, _| StatusCode::NO_CONTENT.into_response()).await;
    let http = r#"url: "URL/h/{{ labels.instance }}/x?q={{ labels.instance }}",
            headers: { X-Host: "{{ labels.instance }}" },
            body: { host: "{{ labels.instance }}", n: 1 }"#
        .replace("URL", &service.url);
    let engine = engine(&sandbox, &remedy(&http, "")).await;
    let carried =
        ["a b?c=d&e#f/%2e", "\"}, \"admin\": true, \"", "é\u{2028}", "{{ labels.x }}", "-x"];
    let refused = ["a\r\nX-Admin: 1", "../../admin", "a\0b", "..\\x"];
    for instance in carried.iter().chain(&refused) {
        let alert: &[(&str, &str)] = &[("alertname", "Down"), ("instance", instance)];
        assert_eq!(engine.post("/hooks", notification(&[alert])).await, 200);
    }
    let incidents = until("all orders", || async {
        let incidents = engine.incidents().await;
        let over = |i: &Value| i["state"] == "verifying" || i["state"] == "closed";
        incidents.iter().all(over).then_some(incidents)
    })
    .await;
    for incident in &incidents {
        let instance = incident["target"]["instance"].as_str().unwrap();
        let orders = incident["orders"].as_array().unwrap().len();
        assert_eq!(orders, usize::from(carried.contains(&instance)), "{instance}: {incident:#}");
    }
    let mut received = service.received();
    assert_eq!(received.len(), carried.len());
    for instance in carried {
        let place = received.iter().position(|one| one.headers["x-host"] == instance).unwrap();
        let one = received.remove(place);
        let body: Value = serde_json::from_str(&one.body).unwrap();
        assert_eq!(body, json!({ "host": instance, "n": 1 }));
        let mut line = reqwest::Url::parse("http://x/").unwrap();
        line.path_segments_mut().unwrap().pop_if_empty().extend(["h", instance, "x"]);
        let sent = reqwest::Url::parse(&one.line.replace("POST ", "http://x")).unwrap();
        assert_eq!(sent.path_segments().unwrap().count(), 3, "{}", one.line);
        assert_eq!(sent.query_pairs().next().unwrap().1, instance);
        assert_eq!(sent.query_pairs().count(), 1, "{}", one.line);
        assert_eq!(one.headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn an_answer_is_a_success_if_it_is_expected() {
    let sandbox = Sandbox::new().unwrap();
    let service =
        Service::start(|_, _| (StatusCode::NOT_FOUND, "gone already").into_response()).await;
    let http = format!("method: DELETE, url: \"{}/x\", expected_status: [2xx, 404]", service.url);
    let engine = engine(&sandbox, &remedy(&http, "")).await;
    let order = order_of(&engine, 0).await;
    assert_eq!((&order["result"], &order["http_status"]), (&json!("succeeded"), &json!(404)));
    assert_eq!(order["output"], "HTTP 404\ngone already");
    assert_eq!(order["action"], format!("DELETE {}/x", service.url));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_next_remedy_runs() {
    let sandbox = Sandbox::new().unwrap();
    let elsewhere = Service::start(|_, _| StatusCode::OK.into_response()).await;
    let place = format!("{}/y", elsewhere.url);
    let service = Service::start(move |_, _| {
        (StatusCode::TEMPORARY_REDIRECT, [("location", place.clone())]).into_response()
    })
    .await;
    let engine = engine(&sandbox, &remedy(&format!("url: \"{}/x\"", service.url), "")).await;
    let order = order_of(&engine, 0).await;
    assert_eq!((&order["result"], &order["http_status"]), (&json!("failed"), &json!(307)));
    let output = order["output"].as_str().unwrap();
    assert!(
        output.contains(&format!("redirects to {}/y: not followed", elsewhere.url)),
        "{output}"
    );
    assert!(elsewhere.received().is_empty());
    until("the next remedy", || async { (ran(sandbox.path()) == ["1.second.1"]).then_some(()) })
        .await;
}

#[tokio::test]
async fn a_retry_sends_the_same_key() {
    let sandbox = Sandbox::new().unwrap();
    let service = Service::start(|number, _| {
        let status = if number == 0 { StatusCode::BAD_GATEWAY } else { StatusCode::ACCEPTED };
        status.into_response()
    })
    .await;
    let http = format!("url: \"{}/x\", idempotency_key: true", service.url);
    let more = "        retries: 1\n        backoff: 1s";
    let engine = engine(&sandbox, &remedy(&http, more)).await;
    let order = order_of(&engine, 1).await;
    assert_eq!((&order["id"], &order["result"]), (&json!("1.first.2"), &json!("succeeded")));
    let received = service.received();
    let keys: Vec<_> = received.iter().map(|one| &one.headers["idempotency-key"]).collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
    assert!(keys[0].to_str().unwrap().starts_with("1.first."), "{keys:?}");
}

#[tokio::test]
async fn a_gateway_or_silence_leaves_it_unknown_and_it_is_not_sent_again() {
    let sandbox = Sandbox::new().unwrap();
    let service = Service::start(|_, _| StatusCode::GATEWAY_TIMEOUT.into_response()).await;
    let engine = engine(&sandbox, &remedy(&format!("url: \"{}/x\"", service.url), "")).await;
    let order = order_of(&engine, 0).await;
    assert_eq!(order["result"], "unknown", "{order:#}");
    engine.incident_in("verifying").await;
    assert_eq!(service.received().len(), 1);
}

#[tokio::test]
async fn a_time_out_is_verified_and_not_retried() {
    let sandbox = Sandbox::new().unwrap();
    // It accepts, and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let http = format!("method: PUT, url: \"http://{}/x\"", silent.local_addr().unwrap());
    let more = "        retries: 3\n        backoff: 1s\n        timeout: 1s";
    let engine = engine(&sandbox, &remedy(&http, more)).await;
    let order = order_of(&engine, 0).await;
    assert_eq!(order["result"], "timed_out");
    let incident = engine.incident_in("closed").await;
    assert_eq!(incident["outcome"], "escalated");
    assert_eq!(incident["orders"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_refused_connection_sent_nothing_and_is_retried() {
    let sandbox = Sandbox::new().unwrap();
    let nobody = stack::free_address().unwrap();
    let http = format!("method: PUT, url: \"http://{nobody}/x\"");
    let more = "        retries: 1\n        backoff: 1s";
    let engine = engine(&sandbox, &remedy(&http, more)).await;
    let order = order_of(&engine, 0).await;
    assert_eq!(order["result"], "not_started");
    let outcome = order["outcome"].as_str().unwrap();
    assert!(
        outcome.contains("the request was not sent") && outcome.contains("refused"),
        "{outcome}"
    );
    assert_eq!(order_of(&engine, 1).await["id"], "1.first.2");
}

/// Whether any file below a directory has this text.
fn is_written_down(directory: &Path, text: &str) -> bool {
    std::fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return is_written_down(&path, text);
        }
        // The runner's socket has no content.
        let content = if path.is_file() { std::fs::read(path).unwrap() } else { Vec::new() };
        content.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[tokio::test]
async fn the_answer_is_kept_and_no_secret_is_written_down() {
    let sandbox = Sandbox::new().unwrap();
    let service = Service::start(|_, received| {
        let echo = format!("{:?}\n{}", received.headers, "x".repeat(10_000));
        (StatusCode::OK, echo).into_response()
    })
    .await;
    let secrets = sandbox.path().join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    std::fs::write(secrets.join("token"), "t0ken-of-ours\n").unwrap();
    std::fs::write(secrets.join("key"), "key-0f-ours\n").unwrap();
    let http = format!(
        "url: \"{}/x\", headers: {{ X-Api-Key: {{ file: {key} }}, X-Plain: shown }}, \
         authorization: {{ credentials_file: {token} }}",
        service.url,
        key = secrets.join("key").display(),
        token = secrets.join("token").display(),
    );
    let engine = engine(&sandbox, &remedy(&http, "")).await;
    let order = order_of(&engine, 0).await;
    let received = &service.received()[0];
    assert_eq!(received.headers["authorization"], "Bearer t0ken-of-ours");
    assert_eq!(received.headers["x-api-key"], "key-0f-ours");
    let output = order["output"].as_str().unwrap();
    assert!(output.starts_with("HTTP 200\n") && output.contains("<redacted>"), "{output}");
    assert!(output.len() <= 4096 && output.ends_with("[the rest is in the file response]\n"));
    let orders = order_directory(&engine.directory.join("data"), "1.first.1");
    let response = std::fs::read_to_string(orders.join("response")).unwrap();
    assert!(response.ends_with("xxx") && response.len() > 10_000);
    assert!(orders.join("claim").exists() && orders.join("exit").exists());
    for secret in ["t0ken-of-ours", "key-0f-ours"] {
        assert!(!is_written_down(&engine.directory, secret), "{secret}");
        assert!(!engine.log().contains(secret));
    }
    let policies = engine.json("/api/v1/policies").await;
    let shown = &policies["policies"][0]["remedies"][0]["http"]["headers"];
    assert_eq!(*shown, json!({ "X-Api-Key": "<redacted>", "X-Plain": "shown" }));
}

#[tokio::test]
async fn a_reload_changes_where_requests_go() {
    let sandbox = Sandbox::new().unwrap();
    let old = Service::start(|_, _| StatusCode::OK.into_response()).await;
    let new = Service::start(|_, _| StatusCode::OK.into_response()).await;
    let engine = engine(&sandbox, &remedy(&format!("url: \"{}/x\"", old.url), "")).await;
    let file = engine.directory.join("homeostat.yml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(&old.url, &new.url)).unwrap();
    assert_eq!(engine.post("/-/reload", "").await, 200);
    let order = order_of(&engine, 0).await;
    assert_eq!(order["result"], "succeeded", "{order:#}");
    assert_eq!((old.received().len(), new.received().len()), (0, 1));
}
