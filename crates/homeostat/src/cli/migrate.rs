//! `homeostat migrate`: another program's configuration as one of ours.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use homeostat_core::policy;

use super::plain::plain;
use super::{Exit, answered, counted};
use homeostat_config::migrate::{self, Translation, Wishes};
use homeostat_config::{self as config, Report};

/// Translate another program's configuration
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, clap::Subcommand)]
enum From {
    AmExecutor(AmExecutor),
    Webhook(Webhook),
}

/// From prometheus-am-executor
///
/// Prints a Homeostat configuration that is valid, with comments that say how each command was
/// translated. What has no equal is a warning with its place, on standard error. Exits with 0 if
/// it was translated, with 1 if the file is not valid or cannot be translated, and with 2 if it
/// cannot be read. Existing scripts keep working: they get the same AMX_* variables.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  homeostat migrate am-executor executor.yml > homeostat.yml
  homeostat migrate am-executor executor.yml --mode auto --target instance \\
      --alertmanager http://127.0.0.1:9093 > homeostat.yml
  homeostat migrate am-executor -- /usr/local/bin/reboot --now")]
struct AmExecutor {
    /// Its configuration (its option -f)
    #[arg(value_name = "FILE", required_unless_present = "script")]
    file: Option<PathBuf>,
    #[command(flatten)]
    wishes: WishArgs,
    /// The script and its arguments, if it was started with some
    #[arg(last = true, value_name = "SCRIPT")]
    script: Vec<String>,
}

/// From webhook (adnanh/webhook)
///
/// Prints a Homeostat configuration that is valid, with a policy for each hook that is about alerts.
/// What has no equal is a warning with its place, on standard error; a hook whose command needs what no
/// alert has is left out, and one of whose conditions some have no equal only records. Exits as from
/// am-executor.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  homeostat migrate webhook hooks.json > homeostat.yml
  homeostat migrate webhook /etc/webhook.conf --target instance \\
      --alertmanager http://127.0.0.1:9093 > homeostat.yml")]
struct Webhook {
    /// Its hooks (its option -hooks), in JSON or YAML
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    wishes: WishArgs,
}

/// What no file of others says.
#[derive(Debug, clap::Args)]
struct WishArgs {
    /// Whether the policies act; in shadow they only record what they would do
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    mode: Mode,
    /// The Alertmanager to ask whether an alert still fires, and to tell people by
    #[arg(long, value_name = "URL")]
    alertmanager: Option<String>,
    /// A label that says what is healed; may be given more than once
    ///
    /// Without it, each policy heals one alert after the other. With it, alerts that agree in
    /// these labels are one incident, and incidents are healed side by side.
    #[arg(long, value_name = "LABEL")]
    target: Vec<String>,
}

/// The mode of all policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Mode {
    /// Record what would be done
    #[default]
    Shadow,
    /// Act
    Auto,
}

/// Runs the command.
pub(crate) fn run(args: &Args, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let wishes = match &args.from {
        From::AmExecutor(args) => wishes(&args.wishes),
        From::Webhook(args) => wishes(&args.wishes),
    };
    if let Err(wrong) = wishes.check() {
        return answered(&writeln!(err, "error: {}", plain(&wrong)), Exit::Cannot);
    }
    let translated = match &args.from {
        From::AmExecutor(args) => am_executor(args.file.as_deref(), &args.script, &wishes),
        From::Webhook(args) => config::read_text(&args.file)
            .and_then(|text| migrate::webhook(&args.file.display().to_string(), &text, &wishes)),
    };
    let (exit, written) = match translated {
        Ok(new) => (Exit::Fine, print(&new, out, err)),
        Err(report) if report.is_unreadable() => (Exit::Cannot, writeln!(err, "{report}")),
        Err(report) => (Exit::No, writeln!(err, "{report}")),
    };
    answered(&written, exit)
}

fn wishes(args: &WishArgs) -> Wishes {
    Wishes {
        mode: match args.mode {
            Mode::Shadow => policy::Mode::Shadow,
            Mode::Auto => policy::Mode::Auto,
        },
        alertmanager: args.alertmanager.clone(),
        target: args.target.clone(),
    }
}

fn am_executor(
    file: Option<&Path>,
    script: &[String],
    wishes: &Wishes,
) -> Result<Translation, Report> {
    match file {
        Some(path) => {
            let text = config::read_text(path)?;
            migrate::am_executor(&path.display().to_string(), &text, script, wishes)
        }
        None => migrate::am_executor("am-executor", "", script, wishes),
    }
}

fn print(new: &Translation, out: &mut dyn Write, err: &mut dyn Write) -> std::io::Result<()> {
    write!(out, "{}", new.text)?;
    out.flush()?;
    let warnings = new.warnings.problems().len();
    if warnings > 0 {
        writeln!(err, "{}\n", new.warnings)?;
    }
    writeln!(
        err,
        "{}: {}, {}",
        new.warnings.name(),
        counted(new.policies, "policy", "policies"),
        counted(warnings, "warning", "warnings"),
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn migrate(text: &str, more: &[&str]) -> (Exit, String, String) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("executor.yml");
        std::fs::write(&file, text).unwrap();
        let words = ["migrate", "am-executor", file.to_str().unwrap()];
        let line = Line::try_parse_from(words.iter().chain(more)).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = run(&line.args, &mut out, &mut err);
        let place = format!("{}/", directory.path().display());
        let read = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&place, "");
        (exit, read(out), read(err))
    }

    #[test]
    fn what_is_translated_is_printed_and_its_warnings_aside() {
        let text = "commands:\n- cmd: a\n  match_labels: { job: web }\n  resolved_signal: 15\n";
        let (exit, out, err) = migrate(text, &["--mode", "auto", "--", "b", "-c"]);
        assert_eq!(exit, Exit::Fine);
        assert!(out.starts_with("# Translated from \"executor.yml\""), "{out}");
        assert!(out.contains("mode: auto") && out.contains("exec: [\"b\", \"-c\"]"), "{out}");
        insta::assert_snapshot!(err, @r#"
        warning: executor.yml: "b" of the command line: this command runs for every alert that there is
         |
         = help: name the alerts that it can heal, under `matchers`

        warning: no equal: no signal of your choice is sent when an alert resolves
         --> executor.yml:4:20
          |
        4 |   resolved_signal: 15
          |                    ^^
          |
          = help: a running action finishes here; `on_resolve: signal` ends it when all alerts of its incident have resolved, by TERM, and by KILL 5 seconds later

        executor.yml: 2 policies, 2 warnings
        "#);
    }

    #[test]
    fn hooks_of_webhook_are_translated_with_what_was_wished() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("hooks.json");
        let hook = r#"[{ "id": "x", "execute-command": "/bin/true", "trigger-rule": { "match": {
            "type": "value", "value": "web",
            "parameter": { "source": "payload", "name": "commonLabels.job" } } } }]"#;
        std::fs::write(&file, hook).unwrap();
        let words = ["migrate", "webhook", file.to_str().unwrap(), "--mode", "auto"];
        let line = Line::try_parse_from(words).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        assert_eq!(run(&line.args, &mut out, &mut err), Exit::Fine);
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("matchers: ['job=\"web\"']") && out.contains("mode: auto"), "{out}");
        assert!(String::from_utf8(err).unwrap().ends_with("hooks.json: 1 policy, 0 warnings\n"));
    }

    #[test]
    fn what_cannot_be_translated_is_a_no_with_its_place() {
        let (exit, out, err) = migrate("commands:\n- cmd: a\n  match_label: { job: web }\n", &[]);
        assert_eq!((exit, out.as_str()), (Exit::No, ""));
        insta::assert_snapshot!(err, @r#"
        error: unknown key "match_label" in a command of am-executor
         --> executor.yml:3:3
          |
        3 |   match_label: { job: web }
          |   ^^^^^^^^^^^
          |
          = help: did you mean "match_labels"?
        "#);
    }

    #[test]
    fn what_cannot_be_read_or_wished_is_wrong_usage() {
        let (exit, out, err) = migrate("commands: [{ cmd: a }]", &["--alertmanager", "am"]);
        assert_eq!((exit, out.as_str()), (Exit::Cannot, ""));
        assert!(err.starts_with("error: not a URL"), "{err}");
        let line = Line::try_parse_from(["migrate", "am-executor", "/nowhere.yml"]).unwrap();
        let mut err = Vec::new();
        assert_eq!(run(&line.args, &mut Vec::new(), &mut err), Exit::Cannot);
        assert!(String::from_utf8(err).unwrap().contains("/nowhere.yml: cannot be read"));
        assert!(Line::try_parse_from(["migrate", "am-executor"]).is_err());
    }
}
