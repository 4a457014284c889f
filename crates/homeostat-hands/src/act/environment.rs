//! The environment of an action: which variables it gets, and what cannot be carried.
//!
//! Labels decide what is done, so a label that cannot be carried refuses the order. Annotations are
//! prose: one that cannot be carried is left out here, and stands in the JSON on stdin.
//!
//! A name becomes part of a variable's name with each character outside `[A-Za-z0-9_]` as one `_`.
//! Where two labels of different values so become one variable the order is refused, because an
//! action that reads the wrong one acts on the wrong thing; two such annotations are both left out.
//!
//! Of many alerts only the first stand here one by one; `AMX_ALERT_LEN` and `HOMEOSTAT_ALERTS_TOTAL` say
//! how many there are, and the JSON has all.
//!
//! The rest of the environment is the engine's own, without its `HOMEOSTAT_*` and `AMX_*` and
//! without what a service manager addressed to the engine alone.
//!
//! Source of the `AMX_*` names: `amDataToEnv` in `server.go` of imgix/prometheus-am-executor.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::limits::{ALERTS_IN_ENVIRONMENT, ENVIRONMENT_MAX, STRING_MAX};
use super::{Execution, HAND, Program, Refusal, SubjectAlert};

/// The variable by which the processes of one run are recognised.
pub(super) const RUN: &str = "HOMEOSTAT_RUN";

/// The variables that an action gets besides the inherited ones. All of them can be carried.
#[derive(Debug)]
pub(super) struct Environment {
    variables: BTreeMap<String, String>,
    bytes: usize,
}

impl Environment {
    /// The variables of an execution, and the check that its argv can be carried with them.
    pub(super) fn of(execution: &Execution, run: &str) -> Result<Self, Refusal> {
        let mut environment =
            Self { variables: BTreeMap::new(), bytes: argument_bytes(&execution.program)? };
        if let Program::Hand(hand) = &execution.program
            && hand.program().is_none()
        {
            // It is told by its errand, and nothing that it starts is told by variables.
            environment.set(RUN.into(), run)?;
            return Ok(environment);
        }
        environment.set_homeostat(execution, run)?;
        environment.set_executor(execution)?;
        if environment.bytes > ENVIRONMENT_MAX {
            return Err(Refusal::TooMuch { bytes: environment.bytes });
        }
        environment.offer_annotations(execution);
        Ok(environment)
    }

    /// All variables, in the order of their names.
    pub(super) fn into_pairs(self) -> Vec<(String, String)> {
        self.variables.into_iter().collect()
    }

    /// Our own names.
    fn set_homeostat(&mut self, execution: &Execution, run: &str) -> Result<(), Refusal> {
        let subject = &execution.subject;
        self.set(RUN.into(), run)?;
        self.set("HOMEOSTAT_INCIDENT".into(), &subject.incident)?;
        self.set("HOMEOSTAT_ORDER".into(), &execution.order)?;
        self.set("HOMEOSTAT_ATTEMPT".into(), &subject.attempt.to_string())?;
        self.set("HOMEOSTAT_POLICY".into(), &subject.policy)?;
        self.set("HOMEOSTAT_REMEDY".into(), &subject.remedy)?;
        self.set("HOMEOSTAT_ALERTS_TOTAL".into(), &subject.alerts.len().to_string())?;
        let Some(leading) = subject.alerts.first() else { return Ok(()) };
        let starts_at = leading.starts_at.map(|at| at.to_string()).unwrap_or_default();
        self.set("HOMEOSTAT_STATUS".into(), leading.status.as_str())?;
        self.set("HOMEOSTAT_FINGERPRINT".into(), &leading.fingerprint)?;
        self.set("HOMEOSTAT_STARTS_AT".into(), &starts_at)?;
        self.set("HOMEOSTAT_GENERATOR_URL".into(), &leading.generator_url)?;
        self.set_labels("HOMEOSTAT_LABEL_", leading.labels.iter())
    }

    /// The names of prometheus-am-executor.
    fn set_executor(&mut self, execution: &Execution) -> Result<(), Refusal> {
        let subject = &execution.subject;
        self.set("AMX_RECEIVER".into(), &subject.receiver)?;
        self.set("AMX_STATUS".into(), subject.status().as_str())?;
        self.set("AMX_EXTERNAL_URL".into(), &subject.external_url)?;
        self.set("AMX_ALERT_LEN".into(), &subject.alerts.len().to_string())?;
        self.set_labels("AMX_LABEL_", subject.common_labels().into_iter())?;
        self.set_labels("AMX_GLABEL_", subject.group_labels.iter())?;
        for (alert, prefix) in numbered(&subject.alerts) {
            self.set(format!("{prefix}STATUS"), alert.status.as_str())?;
            self.set(format!("{prefix}START"), &unix_seconds(alert.starts_at))?;
            self.set(format!("{prefix}END"), &unix_seconds(alert.ends_at))?;
            self.set(format!("{prefix}URL"), &alert.generator_url)?;
            self.set(format!("{prefix}FINGERPRINT"), &alert.fingerprint)?;
            self.set_labels(&format!("{prefix}LABEL_"), alert.labels.iter())?;
        }
        Ok(())
    }

    /// The annotations that fit, the leading alert's first.
    fn offer_annotations(&mut self, execution: &Execution) {
        let subject = &execution.subject;
        if let Some(leading) = subject.alerts.first() {
            self.offer("HOMEOSTAT_ANNOTATION_", leading.annotations.iter());
        }
        self.offer("AMX_ANNOTATION_", subject.common_annotations().into_iter());
        for (alert, prefix) in numbered(&subject.alerts) {
            self.offer(&format!("{prefix}ANNOTATION_"), alert.annotations.iter());
        }
    }

    fn set_labels<'a>(
        &mut self,
        prefix: &str,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), Refusal> {
        let mut origins = BTreeMap::new();
        for (label, value) in labels {
            let variable = format!("{prefix}{}", variable_part(label));
            match origins.get(&variable) {
                None => {
                    self.set(variable.clone(), value)?;
                    origins.insert(variable, (label, value));
                }
                Some((_, former)) if *former == value => {}
                Some((first, _)) => {
                    let (first, second) = ((*first).into(), label.into());
                    return Err(Refusal::Collision { variable, first, second });
                }
            }
        }
        Ok(())
    }

    fn offer<'a>(&mut self, prefix: &str, annotations: impl Iterator<Item = (&'a str, &'a str)>) {
        let mut seen = BTreeSet::new();
        let mut ambiguous = BTreeSet::new();
        let named: Vec<_> = annotations.map(|(name, value)| (variable_part(name), value)).collect();
        for (part, _) in &named {
            if !seen.insert(part) {
                ambiguous.insert(part);
            }
        }
        for (part, value) in &named {
            let variable = format!("{prefix}{part}");
            let bytes = variable_bytes(&variable, value);
            let fits = bytes <= STRING_MAX && self.bytes + bytes <= ENVIRONMENT_MAX;
            if fits && !ambiguous.contains(part) && !value.contains('\0') {
                self.insert(variable, value);
            }
        }
    }

    fn set(&mut self, variable: String, value: &str) -> Result<(), Refusal> {
        check_string(|| variable.clone(), value, variable_bytes(&variable, value))?;
        self.insert(variable, value);
        Ok(())
    }

    fn insert(&mut self, variable: String, value: &str) {
        self.bytes += variable_bytes(&variable, value);
        let former = self.variables.insert(variable, value.into());
        assert!(former.is_none(), "prefixes keep variables of different kinds apart");
    }
}

/// The variables by which this process was told of an alert, for one that somebody else starts: it is
/// none of the run's own processes.
pub fn told() -> impl Iterator<Item = (String, String)> {
    let variables = std::env::vars_os();
    let texts = variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    texts.filter(|(name, _)| {
        let is_ours = name.starts_with("HOMEOSTAT_") || name.starts_with("AMX_");
        is_ours && name != RUN && name != HAND
    })
}

/// The bytes of an argv, if each of its elements can be carried.
fn argument_bytes(program: &Program) -> Result<usize, Refusal> {
    let argv = match program {
        Program::Script(text) if text.contains('\0') => {
            return Err(Refusal::Nul { place: "the script".into() });
        }
        Program::Script(_) => return Ok(0),
        Program::Argv(argv) => argv,
        Program::Hand(hand) => match hand.program() {
            Some(argv) => argv,
            None => return Ok(0),
        },
    };
    if argv.first().is_none_or(String::is_empty) {
        return Err(Refusal::NoProgram);
    }
    let mut total = 0;
    for (number, element) in argv.iter().enumerate() {
        let bytes = element.len() + 1;
        check_string(|| format!("argument {number}"), element, bytes)?;
        total += bytes;
    }
    Ok(total)
}

fn check_string(place: impl Fn() -> String, value: &str, bytes: usize) -> Result<(), Refusal> {
    if value.contains('\0') {
        return Err(Refusal::Nul { place: place() });
    }
    if bytes > STRING_MAX {
        return Err(Refusal::TooLong { place: place(), bytes });
    }
    Ok(())
}

/// `NAME=value` and the closing NUL.
fn variable_bytes(variable: &str, value: &str) -> usize {
    variable.len() + 1 + value.len() + 1
}

fn variable_part(name: &str) -> String {
    let part = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.chars().map(part).collect()
}

fn unix_seconds(at: Option<Timestamp>) -> String {
    at.map_or(0, Timestamp::as_second).to_string()
}

/// Each of the first alerts with the beginning of its `AMX_*` names, counted from 1.
fn numbered(alerts: &[SubjectAlert]) -> impl Iterator<Item = (&SubjectAlert, String)> {
    (1..)
        .zip(alerts)
        .take(ALERTS_IN_ENVIRONMENT)
        .map(|(number, alert): (usize, _)| (alert, format!("AMX_ALERT_{number}_")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use homeostat_core::alert::Status;
    use homeostat_core::label::LabelSet;

    use super::super::Subject;
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> LabelSet {
        pairs.iter().copied().collect()
    }

    fn execution(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Execution {
        let alert = SubjectAlert {
            status: Status::Firing,
            fingerprint: "00f2".into(),
            labels: map(labels),
            annotations: map(annotations),
            starts_at: Some("2026-01-05T09:00:00Z".parse().unwrap()),
            ends_at: None,
            generator_url: "http://p/graph".into(),
        };
        Execution {
            order: "o1".into(),
            name: "o1-life".into(),
            program: Program::Argv(vec!["true".into()]),
            timeout: Duration::from_secs(1),
            grace: Duration::from_secs(1),
            subject: Subject {
                incident: "i1".into(),
                attempt: 1,
                policy: "web".into(),
                remedy: "restart".into(),
                alerts: vec![alert],
                ..Subject::default()
            },
            setting: super::super::Setting::default(),
        }
    }

    fn value<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
        environment.variables.get(name).map(String::as_str)
    }

    #[test]
    fn every_promised_variable_is_there() {
        let mut execution = execution(&[("job", "web"), ("instance", "a:80")], &[("summary", "s")]);
        execution.subject.receiver = "heal".into();
        execution.subject.external_url = "http://am".into();
        execution.subject.group_labels = map(&[("job", "web")]);
        let mut second = execution.subject.alerts[0].clone();
        second.status = Status::Resolved;
        second.labels = map(&[("job", "web"), ("instance", "b:80")]);
        second.starts_at = None;
        second.ends_at = Some("2026-01-05T09:00:01.9Z".parse().unwrap());
        execution.subject.alerts.push(second);
        let environment = Environment::of(&execution, "token").unwrap();
        let pairs = environment.into_pairs();
        let text: Vec<_> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
        insta::assert_snapshot!(text.join("\n"), @r"
        AMX_ALERT_1_ANNOTATION_summary=s
        AMX_ALERT_1_END=0
        AMX_ALERT_1_FINGERPRINT=00f2
        AMX_ALERT_1_LABEL_instance=a:80
        AMX_ALERT_1_LABEL_job=web
        AMX_ALERT_1_START=1767603600
        AMX_ALERT_1_STATUS=firing
        AMX_ALERT_1_URL=http://p/graph
        AMX_ALERT_2_ANNOTATION_summary=s
        AMX_ALERT_2_END=1767603601
        AMX_ALERT_2_FINGERPRINT=00f2
        AMX_ALERT_2_LABEL_instance=b:80
        AMX_ALERT_2_LABEL_job=web
        AMX_ALERT_2_START=0
        AMX_ALERT_2_STATUS=resolved
        AMX_ALERT_2_URL=http://p/graph
        AMX_ALERT_LEN=2
        AMX_ANNOTATION_summary=s
        AMX_EXTERNAL_URL=http://am
        AMX_GLABEL_job=web
        AMX_LABEL_job=web
        AMX_RECEIVER=heal
        AMX_STATUS=firing
        HOMEOSTAT_ALERTS_TOTAL=2
        HOMEOSTAT_ANNOTATION_summary=s
        HOMEOSTAT_ATTEMPT=1
        HOMEOSTAT_FINGERPRINT=00f2
        HOMEOSTAT_GENERATOR_URL=http://p/graph
        HOMEOSTAT_INCIDENT=i1
        HOMEOSTAT_LABEL_instance=a:80
        HOMEOSTAT_LABEL_job=web
        HOMEOSTAT_ORDER=o1
        HOMEOSTAT_POLICY=web
        HOMEOSTAT_REMEDY=restart
        HOMEOSTAT_RUN=token
        HOMEOSTAT_STARTS_AT=2026-01-05T09:00:00Z
        HOMEOSTAT_STATUS=firing
        ");
    }

    #[test]
    fn a_character_that_no_variable_can_have_becomes_an_underscore() {
        let execution = execution(&[("k8s.io/näme", "v")], &[]);
        let environment = Environment::of(&execution, "token").unwrap();
        assert_eq!(value(&environment, "HOMEOSTAT_LABEL_k8s_io_n_me"), Some("v"));
    }

    #[test]
    fn two_labels_that_become_one_variable_refuse() {
        let refusal = Environment::of(&execution(&[("a-b", "1"), ("a.b", "2")], &[]), "token");
        let expected = Refusal::Collision {
            variable: "HOMEOSTAT_LABEL_a_b".into(),
            first: "a-b".into(),
            second: "a.b".into(),
        };
        assert_eq!(refusal.unwrap_err(), expected);
    }

    #[test]
    fn labels_of_one_variable_and_one_value_are_carried_once() {
        let same = [("a.b", "1"), ("a_b", "1"), ("a-b", "1")];
        let environment = Environment::of(&execution(&same, &[]), "token").unwrap();
        for variable in ["HOMEOSTAT_LABEL_a_b", "AMX_LABEL_a_b", "AMX_ALERT_1_LABEL_a_b"] {
            assert_eq!(value(&environment, variable), Some("1"));
        }
        let once = Environment::of(&execution(&[("a_b", "1")], &[]), "token").unwrap();
        assert_eq!(environment.bytes, once.bytes);
        let other = [("a.b", "1"), ("a_b", "1"), ("a-b", "2")];
        let refusal = Environment::of(&execution(&other, &[]), "token").unwrap_err();
        assert!(matches!(refusal, Refusal::Collision { second, .. } if second == "a.b"));
    }

    #[test]
    fn a_collision_in_any_alert_refuses() {
        let mut execution = execution(&[("a", "1")], &[]);
        let mut second = execution.subject.alerts[0].clone();
        second.labels = map(&[("x y", "1"), ("x-y", "2")]);
        execution.subject.alerts.push(second);
        let refusal = Environment::of(&execution, "token").unwrap_err();
        assert!(matches!(refusal, Refusal::Collision { variable, .. }
            if variable == "AMX_ALERT_2_LABEL_x_y"));
    }

    #[test]
    fn of_many_alerts_the_first_are_carried_and_all_are_counted() {
        let mut execution = execution(&[("job", "web")], &[("summary", "s")]);
        let long = "x".repeat(10_000);
        for number in 1..1_000 {
            let mut further = execution.subject.alerts[0].clone();
            // Nothing of what is not carried can refuse the order.
            let other = if number < 64 { ("z", "1") } else { ("x.y", long.as_str()) };
            further.labels = map(&[("job", "web"), ("x-y", &number.to_string()), other]);
            execution.subject.alerts.push(further);
        }
        let environment = Environment::of(&execution, "token").unwrap();
        for total in ["AMX_ALERT_LEN", "HOMEOSTAT_ALERTS_TOTAL"] {
            assert_eq!(value(&environment, total), Some("1000"));
        }
        assert_eq!(value(&environment, "AMX_LABEL_job"), Some("web"), "all have it in common");
        assert_eq!(value(&environment, "AMX_ALERT_64_LABEL_x_y"), Some("63"));
        assert!(!environment.variables.keys().any(|name| name.starts_with("AMX_ALERT_65_")));
        let mut document = Vec::new();
        execution.subject.write("o1", None, &mut document).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(document["alerts"].as_array().map(Vec::len), Some(1_000));
    }

    #[test]
    fn a_nul_in_a_label_refuses_and_in_an_annotation_does_not() {
        let refusal = Environment::of(&execution(&[("a", "x\0y")], &[]), "token").unwrap_err();
        assert_eq!(refusal, Refusal::Nul { place: "HOMEOSTAT_LABEL_a".into() });
        let carried = Environment::of(&execution(&[("a", "x")], &[("n", "x\0y")]), "token");
        assert_eq!(value(&carried.unwrap(), "HOMEOSTAT_ANNOTATION_n"), None);
    }

    #[test]
    fn a_string_may_be_as_long_as_the_kernel_takes_and_no_longer() {
        // The `AMX_*` copy has the longest name, so that one is the first over the bound.
        let room = STRING_MAX - "AMX_ALERT_1_LABEL_a=".len() - 1;
        let label = |length| execution(&[("a", &"x".repeat(length))], &[]);
        assert!(Environment::of(&label(room), "token").is_ok());
        let refusal = Environment::of(&label(room + 1), "token").unwrap_err();
        let place = "AMX_ALERT_1_LABEL_a".into();
        assert_eq!(refusal, Refusal::TooLong { place, bytes: STRING_MAX + 1 });
    }

    #[test]
    fn annotations_that_do_not_fit_or_are_ambiguous_are_left_out() {
        let long = "x".repeat(STRING_MAX);
        let annotations = [("a-b", "1"), ("a_b", "2"), ("long", &long), ("short", "s")];
        let environment = Environment::of(&execution(&[("a", "1")], &annotations), "token");
        let environment = environment.unwrap();
        assert_eq!(value(&environment, "HOMEOSTAT_ANNOTATION_a_b"), None);
        assert_eq!(value(&environment, "HOMEOSTAT_ANNOTATION_long"), None);
        assert_eq!(value(&environment, "HOMEOSTAT_ANNOTATION_short"), Some("s"));
    }

    #[test]
    fn annotations_give_way_to_labels_and_too_many_labels_refuse() {
        let big = "x".repeat(100_000);
        let mut execution = execution(&[("a", &big)], &[("note", &big)]);
        let alert = execution.subject.alerts[0].clone();
        execution.subject.alerts = vec![alert.clone(); 5];
        let environment = Environment::of(&execution, "token").unwrap();
        assert!(environment.bytes <= ENVIRONMENT_MAX);
        assert!(value(&environment, "HOMEOSTAT_ANNOTATION_note").is_some());
        assert!(value(&environment, "AMX_ALERT_5_ANNOTATION_note").is_none());
        execution.subject.alerts = vec![alert; 12];
        let refusal = Environment::of(&execution, "token").unwrap_err();
        assert!(matches!(refusal, Refusal::TooMuch { bytes } if bytes > ENVIRONMENT_MAX));
    }

    #[test]
    fn an_argv_that_cannot_be_carried_refuses() {
        let refusal = |argv: &[&str]| {
            let mut execution = execution(&[], &[]);
            execution.program = Program::Argv(argv.iter().map(|a| (*a).into()).collect());
            Environment::of(&execution, "token").unwrap_err()
        };
        assert_eq!(refusal(&[]), Refusal::NoProgram);
        assert_eq!(refusal(&["", "x"]), Refusal::NoProgram);
        assert_eq!(refusal(&["true", "a\0b"]), Refusal::Nul { place: "argument 1".into() });
        let long = "x".repeat(STRING_MAX);
        let place = "argument 1".into();
        assert_eq!(refusal(&["true", &long]), Refusal::TooLong { place, bytes: STRING_MAX + 1 });
    }
}
