//! `homeostat serve`: reads its options and runs the app until it is stopped.

use std::error::Error;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use axum::http::Uri;
use clap::{Args, Parser};
use homeostat_core::policy::Polling;
use homeostat_core::time::Span;
use tracing::{Level, info};

use super::Exit;
use crate::app::{self, App, AtStop, Build, ListenAddress, Running, Shutdown, StartError};
use crate::runner;
use crate::telemetry::logging::{self, Format};
use crate::web::listening::ListeningError;

/// Run the engine
///
/// Without --config.file every alert is taken in, recorded and logged, and nothing is done.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  homeostat serve --config.file homeostat.yml\n\n\
                  In alertmanager.yml:\n  receivers:\n    - name: homeostat\n      \
                  webhook_configs: [{ url: \"http://127.0.0.1:9999/hooks\" }]")]
pub(super) struct Options {
    /// The configuration, a file or a directory of them; may be given more than once; without it
    /// nothing is done and everything is recorded
    #[arg(long = "config.file", value_name = "FILE")]
    pub(super) config_files: Vec<PathBuf>,

    /// Read the configuration again when its files change, looking at them this often
    ///
    /// Without it, it is read again at a SIGHUP or a POST to /-/reload.
    #[arg(
        long = "config.auto-reload-interval",
        value_name = "DURATION",
        value_parser = some_time
    )]
    pub(super) auto_reload: Option<Span>,

    /// Where the journal and the output of remedies are kept; one engine a directory
    #[arg(long = "storage.path", value_name = "DIR", default_value = "./data")]
    pub(super) storage_path: PathBuf,

    /// How long closed incidents and their output are kept
    #[arg(
        long = "storage.retention",
        value_name = "DURATION",
        default_value_t = app::RETENTION,
        value_parser = some_time
    )]
    pub(super) retention: Span,

    /// Address to serve, or `unix:` and the path of a socket; may be given more than once
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:9999",
        value_parser = listen_address
    )]
    pub(super) listen_addresses: Vec<ListenAddress>,

    /// How addresses are served: TLS, basic auth, headers and limits
    ///
    /// The file of Prometheus' exporter-toolkit. Read again when it changes, or what it names.
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub(super) web_config_file: Option<PathBuf>,

    /// The URL by which people reach this server, for links in what they are told
    #[arg(long = "web.external-url", value_name = "URL", value_parser = external_url)]
    pub(super) external_url: Option<String>,

    /// The path below which everything is served
    ///
    /// The `path_prefix` of this server in Prometheus, the prefix of a proxy that leaves it in.
    #[arg(
        long = "web.route-prefix",
        value_name = "PATH",
        default_value = "/",
        value_parser = route_prefix
    )]
    pub(super) route_prefix: String,

    /// A further name by which this server is called; may be given more than once
    #[arg(long = "web.allowed-host", value_name = "HOST")]
    pub(super) allowed_hosts: Vec<String>,

    /// Ask every request for the token in this file (Authorization: Bearer …)
    ///
    /// Open without it are only /-/healthy, /-/ready and the page at /, which holds no data.
    #[arg(long = "web.bearer-token-file", value_name = "FILE")]
    pub(super) bearer_token_file: Option<PathBuf>,

    /// Serve addresses that are not loopback without a token: who can post here can start actions
    #[arg(long = "web.allow-anonymous")]
    pub(super) allow_anonymous: bool,

    /// The largest notification that is read
    #[arg(
        long = "web.max-body",
        value_name = "SIZE",
        default_value = "32MiB",
        value_parser = Size::from_str
    )]
    pub(super) max_body: Size,

    /// How often sources are asked for all of their alerts, for tests that do not want to wait
    #[arg(
        long = "reconcile.every",
        value_name = "DURATION",
        default_value_t = Polling::default().every,
        value_parser = some_time,
        hide = true
    )]
    pub(super) reconcile_every: Span,

    /// How long an Alertmanager must run before what it does not list counts as absent, for tests
    #[arg(
        long = "reconcile.young",
        value_name = "DURATION",
        default_value_t = Polling::default().young,
        hide = true
    )]
    pub(super) reconcile_young: Span,

    /// What is done with running actions when the engine stops: wait, leave or kill
    ///
    /// wait: for --shutdown.timeout; what takes longer goes on, and the next engine takes it over.
    /// leave: they go on at once. kill: they are ended, and their ends are written down.
    #[arg(
        long = "shutdown.actions",
        value_name = "WHAT",
        default_value = "wait",
        value_parser = at_stop
    )]
    pub(super) shutdown_actions: AtStop,

    /// How long running actions are waited for when the engine stops
    #[arg(
        long = "shutdown.timeout",
        value_name = "DURATION",
        default_value_t = Span::from_secs(app::DRAIN.as_secs())
    )]
    pub(super) shutdown_timeout: Span,

    /// The least severe log lines to show: error, warn, info, debug or trace
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info", value_parser = level)]
    pub(super) log_level: Level,

    /// How log lines look: logfmt or json
    #[arg(
        long = "log.format",
        value_name = "FORMAT",
        default_value = "logfmt",
        value_parser = Format::from_str
    )]
    pub(super) log_format: Format,
}

/// Runs the engine until it is stopped.
pub(crate) fn run(options: Options, err: &mut dyn Write) -> Exit {
    logging::start(options.log_level, options.log_format);
    let result = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(until_stopped(options)),
        Err(error) => Err(format!("the runtime cannot be started: {error}").into()),
    };
    let Err(error) = result else { return Exit::Fine };
    // Nobody is left to tell when standard error is gone.
    let start = error.downcast_ref();
    if let Some(StartError::Config(report) | StartError::Web(ListeningError::Config(report))) =
        start
    {
        let _ = writeln!(err, "{report}");
        return Exit::No;
    }
    let _ = writeln!(err, "error: {}", app::describe(&*error));
    Exit::Cannot
}

/// The command line of a program that is built with this crate.
#[derive(Debug, Parser)]
#[command(version = super::VERSION, about = "Run the engine, with handlers of its own")]
struct CommandLine {
    #[command(flatten)]
    options: Options,
}

impl App {
    /// Takes the options of `homeostat serve` from the program's command line, so that it is
    /// deployed as the stock binary is: `--config.file`, `--storage.path`, `--web.listen-address`
    /// and so on. Where they are wrong it prints why, or help where that is asked for, and ends
    /// the process.
    ///
    /// # Errors
    ///
    /// [`StartError::Config`]: the configuration has errors.
    pub fn from_args() -> Result<Self, StartError> {
        app::become_runner_if_asked();
        let options = CommandLine::parse().options;
        let (level, format) = (options.log_level, options.log_format);
        Self::with(options.into(), level, format)
    }
}

impl From<Options> for app::Options {
    fn from(options: Options) -> Self {
        Self {
            config_files: options.config_files,
            auto_reload: options.auto_reload,
            storage_path: options.storage_path,
            retention: options.retention,
            listen_addresses: options.listen_addresses,
            web_config_file: options.web_config_file,
            external_url: options.external_url,
            route_prefix: options.route_prefix,
            allowed_hosts: options.allowed_hosts,
            bearer_token_file: options.bearer_token_file,
            allow_anonymous: options.allow_anonymous,
            max_body: options.max_body.0,
            polling: Polling { every: options.reconcile_every, young: options.reconcile_young },
            build: Build::THIS,
            handlers: Arc::default(),
            runner: None,
            shutdown: Shutdown {
                actions: options.shutdown_actions,
                timeout: options.shutdown_timeout.into(),
            },
        }
    }
}

async fn until_stopped(options: Options) -> Result<(), Box<dyn Error + Send + Sync>> {
    app::survive_hangup();
    let mut options = app::Options::from(options);
    options.runner = Some(runner::Program::stock());
    // Before anybody is served: whoever is told to stop then has something to finish.
    let told_to_stop = app::until_signalled();
    let greeting = Greeting::of(&options);
    let running = Running::start(options).await?;
    greeting.say(running.addresses());
    running.reload_on_hangup();
    running.report_to_the_manager();
    running.run(told_to_stop).await?;
    Ok(())
}

/// What a person wants to know first who has just started it.
struct Greeting {
    external_url: Option<String>,
    /// Whether it is served as a file says: by TLS, perhaps.
    is_configured: bool,
    prefix: String,
    has_config: bool,
}

impl Greeting {
    fn of(options: &app::Options) -> Self {
        Self {
            external_url: options.external_url.clone(),
            is_configured: options.web_config_file.is_some(),
            prefix: options.route_prefix.clone(),
            has_config: !options.config_files.is_empty(),
        }
    }

    fn say(self, addresses: &[SocketAddr]) {
        if let Some(page) = self.page(addresses) {
            info!(page, "what happens is shown there");
        }
        if !self.has_config {
            info!("no configuration: everything is recorded, and nothing is done");
        }
    }

    /// Where people find the page, where that is known.
    fn page(&self, addresses: &[SocketAddr]) -> Option<String> {
        if self.external_url.is_some() || self.is_configured {
            return self.external_url.clone();
        }
        let address = addresses.first()?;
        let ip = match address.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        Some(format!("http://{}{}/", SocketAddr::new(ip, address.port()), self.prefix))
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(usize);

impl FromStr for Size {
    type Err = String;

    /// Reads `512KiB`, `32MiB`, `1GiB`. As elsewhere in this ecosystem `MB` means the same as
    /// `MiB`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected a size as in 512KiB, 32MiB or 1GiB".to_owned();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let shift = match unit {
            "B" => 0,
            "KiB" | "KB" => 10,
            "MiB" | "MB" => 20,
            "GiB" | "GB" => 30,
            _ => return Err(wrong()),
        };
        let number: usize = number.parse().map_err(|_| wrong())?;
        let bytes = number.checked_mul(1 << shift).filter(|bytes| *bytes > 0);
        bytes.map(Self).ok_or_else(wrong)
    }
}

/// Reads an address as `127.0.0.1:9999`, `[::1]:9999`, `localhost:9999`, or `:9999` for all IPv4
/// addresses of the machine; or a socket as `unix:/run/homeostat/homeostat.sock`.
fn listen_address(text: &str) -> Result<ListenAddress, String> {
    let wrong =
        || "expected an IP address and a port as in 127.0.0.1:9999, [::1]:9999 or :9999".to_owned();
    if let Some(path) = text.strip_prefix("unix:") {
        let expected = "expected the path of a socket as in unix:/run/homeostat/homeostat.sock";
        let path = PathBuf::from(path);
        return if path.is_absolute() { Ok(path.into()) } else { Err(expected.to_owned()) };
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address.into());
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let ip = match host {
        "localhost" => Ipv4Addr::LOCALHOST,
        "" => Ipv4Addr::UNSPECIFIED,
        _ => return Err(wrong()),
    };
    Ok(SocketAddr::from((ip, port.parse().map_err(|_| wrong())?)).into())
}

fn some_time(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error| format!("{error}"))?;
    if span.is_zero() {
        Err("expected more than no time at all, as in 90d".into())
    } else {
        Ok(span)
    }
}

fn at_stop(text: &str) -> Result<AtStop, String> {
    match text {
        "wait" => Ok(AtStop::Wait),
        "leave" => Ok(AtStop::Leave),
        "kill" => Ok(AtStop::Kill),
        _ => Err("expected wait, leave or kill".into()),
    }
}

fn external_url(text: &str) -> Result<String, String> {
    let wrong = || "expected a URL as in https://homeostat.example/".to_owned();
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let is_web = uri.scheme_str().is_some_and(|scheme| ["http", "https"].contains(&scheme));
    if is_web && uri.authority().is_some() { Ok(text.to_owned()) } else { Err(wrong()) }
}

/// Reads a path as `/homeostat`; the slash alone is none.
fn route_prefix(text: &str) -> Result<String, String> {
    let path = text.trim_end_matches('/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    if path.is_empty() || (path.starts_with('/') && path.bytes().all(plain) && !path.contains("//"))
    {
        Ok(path.to_owned())
    } else {
        Err("expected a path as in /homeostat".to_owned())
    }
}

fn level(text: &str) -> Result<Level, String> {
    text.parse().map_err(|_| "expected error, warn, info, debug or trace".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_two() {
        assert_eq!("32MiB".parse(), Ok(Size(32 << 20)));
        assert_eq!("512KB".parse(), Ok(Size(512 << 10)));
        assert_eq!("7B".parse(), Ok(Size(7)));
        for wrong in ["", "32", "MiB", "0B", "-1B", "1.5MiB", "32 MiB", "99999999999999GiB"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_page_is_where_a_browser_of_this_machine_finds_it() {
        let page = |address: &str, prefix: &str, external: Option<&str>, is_configured| {
            let external_url = external.map(str::to_owned);
            let prefix = prefix.to_owned();
            let greeting = Greeting { external_url, is_configured, prefix, has_config: false };
            greeting.page(&[address.parse().unwrap()])
        };
        let at = |page: &str| Some(page.to_owned());
        assert_eq!(page("127.0.0.1:9999", "", None, false), at("http://127.0.0.1:9999/"));
        assert_eq!(page("0.0.0.0:1", "/heal", None, false), at("http://127.0.0.1:1/heal/"));
        assert_eq!(page("[::]:1", "", None, false), at("http://[::1]:1/"));
        let external = Some("https://heal.example/");
        assert_eq!(page("[::]:1", "", external, true), at("https://heal.example/"));
        assert_eq!(page("[::]:1", "", None, true), None);
    }

    #[test]
    fn a_route_prefix_is_a_plain_path() {
        for (text, meant) in [("/", ""), ("", ""), ("/a", "/a"), ("/a/b/", "/a/b")] {
            assert_eq!(route_prefix(text).as_deref(), Ok(meant), "{text}");
        }
        for wrong in ["a", "/a//b", "/{a}", "/a b", "/a?b"] {
            assert!(route_prefix(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn listen_addresses_are_read_as_in_prometheus() {
        for (text, meant) in [
            ("127.0.0.1:9999", "127.0.0.1:9999"),
            ("localhost:1", "127.0.0.1:1"),
            (":9999", "0.0.0.0:9999"),
            ("[::]:9999", "[::]:9999"),
        ] {
            let meant: SocketAddr = meant.parse().unwrap();
            assert_eq!(listen_address(text), Ok(meant.into()), "{text}");
        }
        for wrong in
            ["9999", "host.example:80", "127.0.0.1", ":", ":99999", "::1:80x", "unix:", "unix:x"]
        {
            assert!(listen_address(wrong).is_err(), "{wrong}");
        }
        let socket = ListenAddress::Unix("/run/homeostat.sock".into());
        assert_eq!(listen_address("unix:/run/homeostat.sock"), Ok(socket));
    }
}
