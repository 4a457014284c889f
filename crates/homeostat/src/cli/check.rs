//! `homeostat check`: is this configuration valid?

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Exit, Output, answered, counted, entitled, witnesses, write_json};
use crate::app::describe;
use crate::web::listening::{ListeningError, Served};
use homeostat_config::{self as config, Config, Report, Row};

/// Validate a configuration
///
/// Finds all errors at once and shows each with its place and how to put it right. Exits with 0
/// if the configuration is valid, with 1 if it is not, and with 2 if it cannot be read. Warnings
/// and notes do not change the exit code. Where the configuration has `access`, it is shown who may
/// view, operate and approve which policies.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  homeostat check
  homeostat check --ask-sources
  homeostat check --kubernetes
  homeostat check --config.file /etc/homeostat/homeostat.yml
  homeostat check --output json | jq -r '.problems[] | \"\\(.file):\\(.line): \\(.message)\"'")]
pub(crate) struct Args {
    /// The configuration, a file or a directory of them; may be given more than once
    #[arg(long = "config.file", value_name = "FILE", default_value = "homeostat.yml")]
    config_files: Vec<PathBuf>,
    /// A file of --web.config.file, which is checked, too, with the certificates that it names
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config_file: Option<PathBuf>,
    /// Ask the Prometheuses of the configuration about the rules behind its policies
    ///
    /// Tells which rules look back for longer than a policy waits, and which policies are about
    /// alerts that no rule fires. Takes 20 seconds at most.
    #[arg(long)]
    ask_sources: bool,
    /// Ask the clusters of Kubernetes in which remedies act whether they may
    ///
    /// As whoever runs this: run it as the engine. Tells each right that is missing; `homeostat rbac`
    /// prints all that are needed.
    #[cfg(feature = "kubernetes")]
    #[arg(long)]
    kubernetes: bool,
    /// The form of the answer
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    output: Output,
}

/// The answer for a machine.
#[derive(Debug, Serialize)]
struct Answer {
    valid: bool,
    errors: usize,
    warnings: usize,
    problems: Vec<Row>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let of_web = args.web_config_file.as_ref().map_or(Exit::Fine, |path| check_web(path, err));
    of_web.max(check(args, out, err))
}

/// Checks a web configuration, and says only what is wrong with it.
fn check_web(path: &Path, err: &mut dyn Write) -> Exit {
    let (text, exit) = match Served::read(path) {
        Ok(served) if served.config.warnings.problems().is_empty() => return Exit::Fine,
        Ok(served) => (served.config.warnings.to_string(), Exit::Fine),
        Err(ListeningError::Config(report)) if report.is_unreadable() => {
            (report.to_string(), Exit::Cannot)
        }
        Err(ListeningError::Config(report)) => (report.to_string(), Exit::No),
        Err(error) => (format!("error: {}: {}", path.display(), describe(&error)), Exit::No),
    };
    answered(&writeln!(err, "{text}\n"), exit)
}

fn check(args: &Args, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let loaded = config::load_with_care(&args.config_files);
    let exit = match &loaded {
        Ok(_) => Exit::Fine,
        Err(report) if report.is_unreadable() => Exit::Cannot,
        Err(_) => Exit::No,
    };
    let report = match &loaded {
        Ok(config) => &config.warnings,
        Err(report) => report,
    };
    let witnesses = match &loaded {
        Ok(config) if args.ask_sources => witnesses::check(config),
        Ok(_) | Err(_) => Vec::new(),
    };
    #[cfg(feature = "kubernetes")]
    let permitted = match &loaded {
        Ok(config) if args.kubernetes => super::permitted::check(config),
        Ok(_) | Err(_) => Vec::new(),
    };
    #[cfg(not(feature = "kubernetes"))]
    let permitted = Vec::new();
    let said = Report::new(report.name(), "", [witnesses, permitted].concat());
    let written = match args.output {
        Output::Json => write_json(out, &answer(report, &said)),
        Output::Text => {
            let shown = [report, &said].into_iter().try_for_each(|report| {
                if report.problems().is_empty() { Ok(()) } else { writeln!(err, "{report}\n") }
            });
            shown.and_then(|()| match &loaded {
                Ok(config) => {
                    writeln!(out, "{}", summary(config, &said))?;
                    entitled::write(out, config)
                }
                Err(report) => writeln!(err, "{}", count(report)),
            })
        }
    };
    answered(&written, exit)
}

fn answer(report: &Report, said: &Report) -> Answer {
    let (errors, warnings) = (report.errors(), report.warnings() + said.warnings());
    let problems = [report.rows(), said.rows()].concat();
    Answer { valid: errors == 0, errors, warnings, problems }
}

fn summary(config: &Config, said: &Report) -> String {
    let warnings = config.warnings.warnings() + said.warnings();
    let known = format!(
        "{}: valid, with {}",
        config.warnings.name(),
        counted(config.book.policies().len(), "policy", "policies"),
    );
    let teams: BTreeSet<&str> = config.book.teams().map(|(_, team)| team).collect();
    let known = if teams.is_empty() {
        known
    } else {
        format!("{known} of {}", counted(teams.len(), "team", "teams"))
    };
    if warnings == 0 {
        known
    } else {
        format!("{known} and {}", counted(warnings, "warning", "warnings"))
    }
}

fn count(report: &Report) -> String {
    let errors = report.errors();
    let warnings = report.warnings();
    let errors = counted(errors, "error", "errors");
    let name = report.name();
    if warnings == 0 {
        format!("{name}: {errors}")
    } else {
        format!("{name}: {errors}, {}", counted(warnings, "warning", "warnings"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: Option<&str>, output: Output) -> (Exit, String, String) {
        let directory = tempfile::tempdir().unwrap();
        let config_file = directory.path().join("homeostat.yml");
        if let Some(text) = text {
            std::fs::write(&config_file, text).unwrap();
        }
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let config_files = vec![config_file];
        let args = Args {
            config_files,
            web_config_file: None,
            ask_sources: false,
            #[cfg(feature = "kubernetes")]
            kubernetes: false,
            output,
        };
        let exit = run(&args, &mut out, &mut err);
        let place = format!("{}/", directory.path().display());
        let read = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&place, "");
        (exit, read(out), read(err))
    }

    const VALID: &str = "policies: [{ name: a, matchers: [a=b], mode: shadow, remedies: [] }]";
    const WRONG: &str = "policies: [{ nam: a, matchers: [a=b], mode: shadow, remedies: [] }]";

    #[test]
    fn a_valid_configuration_says_so() {
        let (exit, out, err) = checked(Some(VALID), Output::Text);
        assert_eq!((exit, err.as_str()), (Exit::Fine, ""));
        assert_eq!(out, "homeostat.yml: valid, with 1 policy\n");
    }

    #[test]
    fn who_may_do_what_is_told_for_policies_that_are_alike() {
        let policies: Vec<String> = (0..7)
            .map(|n| {
                format!("- {{ name: web-{n}, matchers: [a=b{n}], mode: shadow, remedies: [] }}")
            })
            .collect();
        let text = format!(
            "access:
  grants:
  - {{ who: [\"group:everyone\"], may: [view] }}
  - {{ who: [\"token:admin\"], may: [send, administer] }}
  - {{ who: [\"group:dba\", \"user:ann\"], may: [approve, operate], policies: [\"db-*\"] }}
policies:
- {{ name: db-primary, matchers: [a=b], mode: shadow, remedies: [] }}
{}
",
            policies.join("\n")
        );
        let (exit, out, err) = checked(Some(&text), Output::Text);
        assert_eq!((exit, err.as_str()), (Exit::Fine, ""));
        insta::assert_snapshot!(out, @r#"
        homeostat.yml: valid, with 8 policies
        db-primary
          view: group:everyone; operate: group:dba, user:ann; approve: group:dba, user:ann
        web-0, web-1, web-2, web-3, web-4 and 2 more
          view: group:everyone; operate: nobody; approve: nobody
        "#);
    }

    #[test]
    fn who_must_agree_is_told_with_and_without_access() {
        let text = "sources: { alertmanagers: [{ name: main, urls: [\"http://127.0.0.1:9\"] }] }
policies:
- name: db
  matchers: [a=b]
  mode: approve
  approval: { by: [\"user:ann\", \"user:bob\"], count: 2 }
  remedies: [{ name: a, exec: [a] }, { name: b, exec: [b], approval: { count: 1 } }]
- { name: web, matchers: [a=c], mode: approve, remedies: [{ name: a, exec: [a] }] }
";
        let (exit, out, _) = checked(Some(text), Output::Text);
        assert_eq!(exit, Exit::Fine);
        insta::assert_snapshot!(out, @r#"
        homeostat.yml: valid, with 2 policies and 6 warnings
        db
          approve a: 2 different people of user:ann, user:bob; approve b: one of user:ann, user:bob
        "#);
        let access = "access:
  grants:
  - { who: [\"group:everyone\"], may: [view, send, operate] }
  - { who: [\"group:dba\"], may: [approve] }
";
        let (_, out, _) = checked(Some(&format!("{access}{text}")), Output::Text);
        insta::assert_snapshot!(out, @r#"
        homeostat.yml: valid, with 2 policies and 4 warnings
        web
          view: group:everyone; operate: group:everyone; approve: group:dba
        db
          view: group:everyone; operate: group:everyone; approve: group:dba; approve a: 2 different people of user:ann, user:bob; approve b: one of user:ann, user:bob
        "#);
    }

    #[test]
    fn an_invalid_configuration_is_a_no_with_its_reasons() {
        let (exit, out, err) = checked(Some(WRONG), Output::Text);
        assert_eq!((exit, out.as_str()), (Exit::No, ""));
        insta::assert_snapshot!(err, @r#"
        error: unknown key "nam" in a policy
         --> homeostat.yml:1:14
          |
        1 | policies: [{ nam: a, matchers: [a=b], mode: shadow, remedies: [] }]
          |              ^^^
          |
          = help: did you mean "name"?

        homeostat.yml: 1 error
        "#);
    }

    #[test]
    fn a_machine_gets_the_place_of_each_problem() {
        let (exit, out, err) = checked(Some(WRONG), Output::Json);
        assert_eq!((exit, err.as_str()), (Exit::No, ""));
        insta::assert_snapshot!(out, @r#"
        {
          "valid": false,
          "errors": 1,
          "warnings": 0,
          "problems": [
            {
              "severity": "error",
              "file": "homeostat.yml",
              "line": 1,
              "column": 14,
              "message": "unknown key \"nam\" in a policy",
              "help": "did you mean \"name\"?"
            }
          ]
        }
        "#);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_an_invalid_one() {
        let (exit, _, err) = checked(None, Output::Text);
        assert_eq!(exit, Exit::Cannot);
        assert!(err.starts_with("error: homeostat.yml: cannot be read: No such file"), "{err}");
    }
}
