//! Everything that the demo starts, in the order in which it has to end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::engine::{Engine, POLICY};
use super::fleet::Fleet;
use super::narrate::Narrator;
use super::service::{Instance, ServiceCommand};
use super::stack::{self, Alertmanager, Prometheus, Sandbox, StackError, Timings};

/// The alert that the service raises.
pub(super) const ALERT: &str = "ServiceDown";

/// How long Prometheus may take until it has scraped every instance.
const FIRST_SCRAPE_LIMIT: Duration = Duration::from_secs(30);

/// The parts. Fields are dropped in the order of their declaration: the engine first, so that it
/// sees nothing of the others' end; the directory last.
pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) prometheus: Prometheus,
    pub(super) alertmanager: Alertmanager,
    pub(super) fleet: Fleet,
    pub(super) sandbox: Sandbox,
}

impl World {
    /// Starts all parts and waits until every instance has been seen to be up.
    pub(super) async fn start(program: &Path, narrator: &Narrator) -> Result<Self, StackError> {
        // Asked first, so that a missing program is told before anything is started.
        stack::find(stack::Binary::Prometheus)?;
        stack::find(stack::Binary::Alertmanager)?;
        let sandbox = Sandbox::new()?;
        let engine_address = stack::free_address()?;
        let fleet = Fleet::start(program, sandbox.path()).await?;
        narrator.part("web", "a service of three processes: a, b and c");
        let alertmanager = Alertmanager::builder()
            .webhook(&format!("http://{engine_address}/hooks"))
            .timings(Timings::MISSION)
            .start(sandbox.path())
            .await?;
        let text = format!("{}  groups by alertname, waits 10 s", alertmanager.url());
        narrator.part("Alertmanager", &text);
        let mut prometheus =
            Prometheus::builder().rules(&rules()).alertmanager(alertmanager.address());
        for (instance, address) in fleet.addresses() {
            prometheus = prometheus.scrape("web", instance.name(), address);
        }
        let prometheus = prometheus.start(sandbox.path()).await?;
        let text = format!("{}  scrapes every second, fires {ALERT}", prometheus.url());
        narrator.part("Prometheus", &text);
        let text = config(program, sandbox.path(), &fleet, &alertmanager.url(), &prometheus.url());
        let config = sandbox.write("homeostat.yml", &text)?;
        let engine = Engine::start(program, &config, engine_address, sandbox.path()).await?;
        let text = format!("http://{engine_address}  restarts, then clears the cache");
        narrator.part("Homeostat", &text);
        let world = Self { engine, prometheus, alertmanager, fleet, sandbox };
        world.first_scrape().await?;
        Ok(world)
    }

    /// Says an error if one of the parts has ended by itself.
    pub(super) fn must_run(&mut self) -> Result<(), StackError> {
        self.engine.process().must_run()?;
        self.prometheus.process().must_run()?;
        self.alertmanager.process().must_run()
    }

    /// Where the configuration of the engine is.
    pub(super) fn config_file(&self) -> PathBuf {
        self.sandbox.path().join("homeostat.yml")
    }

    /// Ends all parts; gives the processes that are left, which are then killed.
    pub(super) fn end(self) -> Vec<u32> {
        let Self { engine, prometheus, alertmanager, fleet, sandbox } = self;
        drop((engine, prometheus, alertmanager, fleet));
        sandbox.leftovers()
    }

    async fn first_scrape(&self) -> Result<(), StackError> {
        let began = Instant::now();
        while self.prometheus.query(r#"up{job="web"} == 1"#).await?.len() < Instance::ALL.len() {
            if began.elapsed() > FIRST_SCRAPE_LIMIT {
                return Err(StackError::NotReady {
                    name: "the web service, as Prometheus sees it,".to_owned(),
                    waited: FIRST_SCRAPE_LIMIT,
                    log: String::new(),
                });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

fn rules() -> String {
    format!(
        r#"groups:
  - name: web
    rules:
      - alert: {ALERT}
        expr: up{{job="web"}} == 0
        for: 1s
        labels:
          selfhealing: "true"
        annotations:
          summary: "{{{{ $labels.instance }}}} of {{{{ $labels.job }}}} is down"
"#
    )
}

/// The engine's configuration: one policy, guards as they are by default.
fn config(
    program: &Path,
    sandbox: &Path,
    fleet: &Fleet,
    alertmanager: &str,
    prometheus: &str,
) -> String {
    // The instance is the template's to fill in, whichever stands here.
    let instance = Instance::A;
    let restart = ServiceCommand::Restart { instance, supervisor: fleet.supervisor() };
    let clear_cache = ServiceCommand::ClearCache { instance, sandbox: sandbox.to_owned() };
    let [restart, clear_cache] = [restart, clear_cache].map(|command| {
        let mut argv = vec![program.display().to_string()];
        argv.extend(command.arguments("{{ labels.instance }}"));
        serde_json::Value::from(argv)
    });
    format!(
        r#"sources:
  alertmanagers:
    - name: main
      urls: ["{alertmanager}"]
  prometheuses:
    - name: main
      url: "{prometheus}"

policies:
  - name: {POLICY}
    matchers: ['alertname="{ALERT}"', 'job="web"', 'selfhealing="true"']
    target: [instance]
    mode: auto
    remedies:
      - name: restart
        exec: {restart}
        timeout: 15s
      - name: clear-cache
        exec: {clear_cache}
        timeout: 15s
    verify:
      within: 6s
      query: 'up{{job="web", instance="{{{{ labels.instance }}}}"}} == 1'
      every: 1s
      times: 2
    escalate: {{ after: 10m, severity: critical }}
"#
    )
}
