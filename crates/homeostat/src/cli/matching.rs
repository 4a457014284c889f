//! `homeostat match`: do these matchers mean these labels?

use std::io::Write;

use homeostat_core::label::Matchers;

use super::labels::{self, Pair};
use super::{Exit, answered};
use homeostat_config::{Problem, Report};

/// Tell whether matchers match labels
///
/// Prints the matchers in canonical form, one a line, and exits with 0 if the labels match, with
/// 1 if they do not, and with 2 if the matchers cannot be read. On standard error it says yes, or no
/// and the first matcher that does not hold. Matchers are Alertmanager's, in
/// both of its grammars; a label that is not given compares as the empty text.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  homeostat match 'job=\"web\"' job=web
  homeostat match '{alertname=~\"Disk.*\", env!=\"test\"}' alertname=DiskFull env=prod
  homeostat match 'severity=\"\"'              # matches where there is no severity")]
pub(crate) struct Args {
    /// Matchers as in Alertmanager, in quotes: the shell would eat theirs
    #[arg(value_name = "MATCHERS", allow_hyphen_values = true)]
    matchers: String,
    /// Labels of an alert; none given: the empty set
    #[arg(value_name = "name=value")]
    labels: Vec<Pair>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let parsed = match Matchers::parse(&args.matchers) {
        Ok(parsed) => parsed,
        Err(error) => {
            let problem = Problem::error(error.span, error.message);
            let problem = match error.hint {
                Some(hint) => problem.help(hint),
                None => problem,
            };
            let report = Report::new("MATCHERS", &args.matchers, vec![problem]);
            return answered(&writeln!(err, "{report}"), Exit::Cannot);
        }
    };
    if let Some(disagreement) = &parsed.disagreement
        && writeln!(err, "warning: {disagreement}").is_err()
    {
        return Exit::Cannot;
    }
    let labels = labels::set(&args.labels);
    let failing = parsed.matchers.iter().find(|matcher| !matcher.matches(&labels));
    let written = parsed.matchers.iter().try_for_each(|matcher| writeln!(out, "{matcher}"));
    let told = match failing {
        None => writeln!(err, "yes"),
        Some(matcher) => {
            let value = labels.get(matcher.name()).unwrap_or_default();
            writeln!(err, "no: {matcher} is not true of {value:?}")
        }
    };
    answered(&written.and(told), if failing.is_none() { Exit::Fine } else { Exit::No })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(matchers: &str, labels: &[&str]) -> (Exit, String, String) {
        let labels = labels.iter().map(|label| label.parse().unwrap()).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let args = Args { matchers: matchers.into(), labels };
        let exit = run(&args, &mut out, &mut err);
        (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn matchers_are_printed_and_the_exit_code_answers() {
        for (matchers, labels, exit, printed) in [
            ("job=\"web\"", &["job=web"][..], Exit::Fine, "job = \"web\"\n"),
            ("job=web", &["job=db"], Exit::No, "job = \"web\"\n"),
            (
                "{job=~\"w.*\",env!=\"test\"}",
                &["job=web"],
                Exit::Fine,
                "job =~ \"w.*\"\nenv != \"test\"\n",
            ),
            ("job!~\"w.*\"", &["job=web"], Exit::No, "job !~ \"w.*\"\n"),
            ("\"dot.ted\"=\"a\\\"b\"", &["dot.ted=a\"b"], Exit::Fine, "\"dot.ted\" = \"a\\\"b\"\n"),
            ("job=\"\"", &[], Exit::Fine, "job = \"\"\n"),
            ("job=web", &[], Exit::No, "job = \"web\"\n"),
            ("", &[], Exit::Fine, ""),
            ("{}", &["job=web"], Exit::Fine, ""),
        ] {
            let (found, out, err) = ask(matchers, labels);
            assert_eq!((found, out.as_str()), (exit, printed), "{matchers}");
            assert_eq!(err == "yes\n", exit == Exit::Fine, "{matchers}: {err}");
        }
    }

    #[test]
    fn a_no_names_the_matcher_that_does_not_hold() {
        let (_, _, err) = ask("job=web,env!=test,dc=~\"e.*\"", &["job=web", "env=prod", "dc=us"]);
        assert_eq!(err, "no: dc =~ \"e.*\" is not true of \"us\"\n");
        assert_eq!(ask("job=web", &[]).2, "no: job = \"web\" is not true of \"\"\n");
    }

    #[test]
    fn what_cannot_be_read_is_shown_with_a_caret() {
        let (exit, out, err) = ask("job=~\"((\"", &["job=web"]);
        assert_eq!((exit, out.as_str()), (Exit::Cannot, ""));
        insta::assert_snapshot!(err, @r#"
        error: group is not closed
         --> MATCHERS:1:8
          |
        1 | job=~"(("
          |        ^
          |
          = help: to mean the parenthesis itself, write \(
        "#);
    }

    #[test]
    fn the_fallback_to_the_classic_grammar_is_told_aside() {
        let (exit, out, err) = ask("job='web", &["job='web"]);
        assert_eq!((exit, out.as_str()), (Exit::Fine, "job = \"'web\"\n"));
        let wanted = "warning: only the classic grammar reads these matchers (`'` stands for itself \
                      only inside double quotes): write {job = \"'web\"}\nyes\n";
        assert_eq!(err, wanted);
    }
}
