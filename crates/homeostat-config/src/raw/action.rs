//! What a remedy does, how it is taken back, and what it must not make worse, as it was typed.

use std::ops::Range;

use homeostat_core::policy::Worse;

use super::errand::{self, Ssh, Systemd};
use super::kubernetes::{self, Kubernetes};
use super::setting::{self, Setting};
use super::{Length, Words, matchers, request};
use crate::keys;
use crate::read::{Field, Fields, Reader, Spanned, Text};
use crate::report::Problem;
use crate::yaml::{Kind, Node};

/// What a remedy or its undo does.
#[derive(Debug)]
pub(crate) struct Action {
    /// Where the remedy or the undo stands.
    pub(crate) span: Range<usize>,
    pub(crate) exec: Words,
    pub(crate) script: Field<Text>,
    pub(crate) http: Field<request::Request>,
    pub(crate) call: Field<Text>,
    pub(crate) ssh: Field<Ssh>,
    pub(crate) systemd: Field<Systemd>,
    pub(crate) kubernetes: Field<Kubernetes>,
    pub(crate) setting: Setting,
}

impl Action {
    /// What an action can do, by its key, and where it stands if it does that.
    pub(crate) fn kinds(&self) -> [(&'static str, Field<Range<usize>>); 7] {
        [
            ("exec", self.exec.as_ref().map(|argv| argv.span.clone())),
            ("script", self.script.as_ref().map(|text| text.span.clone())),
            ("http", self.http.as_ref().map(|request| request.span.clone())),
            ("call", self.call.as_ref().map(|text| text.span.clone())),
            ("ssh", self.ssh.as_ref().map(|ssh| ssh.span.clone())),
            ("systemd", self.systemd.as_ref().map(|systemd| systemd.span.clone())),
            ("kubernetes", self.kubernetes.as_ref().map(|kubernetes| kubernetes.span.clone())),
        ]
    }
}

/// `undo` of a remedy.
#[derive(Debug)]
pub(crate) struct Undo {
    pub(crate) span: Range<usize>,
    pub(crate) action: Action,
    pub(crate) timeout: Length,
}

/// `regression`.
#[derive(Debug)]
pub(crate) struct Regression {
    pub(crate) span: Range<usize>,
    pub(crate) matchers: Words,
    pub(crate) worse: Field<Spanned<Worse>>,
}

pub(super) fn action(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Action {
    Action {
        exec: fields.read(reader, "exec", exec),
        script: fields.read(reader, "script", Reader::text),
        http: fields.read(reader, "http", request::request),
        call: fields.read(reader, "call", Reader::text),
        ssh: fields.read(reader, "ssh", errand::ssh),
        systemd: fields.read(reader, "systemd", errand::systemd),
        kubernetes: fields.read(reader, "kubernetes", kubernetes::kubernetes),
        setting: setting::setting(reader, fields),
        span: fields.span.clone(),
    }
}

pub(super) fn undo(reader: &mut Reader<'_>, node: &Node) -> Option<Undo> {
    if !matches!(node.kind, Kind::Map(_)) {
        let help = "write undo: { exec: [program, argument] }";
        return reader.wrong(node, "an action", Some(help));
    }
    let fields = reader.fields(node, &keys::UNDO)?;
    Some(Undo {
        action: action(reader, &fields),
        timeout: fields.read(reader, "timeout", Reader::duration),
        span: fields.span,
    })
}

pub(super) fn regression(reader: &mut Reader<'_>, node: &Node) -> Option<Regression> {
    let fields = reader.fields(node, &keys::REGRESSION)?;
    Some(Regression {
        matchers: fields.read(reader, "matchers", matchers),
        worse: fields.read(reader, "worse", worse),
        span: fields.span,
    })
}

fn worse(reader: &mut Reader<'_>, node: &Node) -> Option<Spanned<Worse>> {
    let text = reader.text(node)?;
    let value = match text.value.as_str() {
        "tell" => Worse::Tell,
        "undo" => Worse::Undo,
        other => {
            let help = "write `worse: tell` or `worse: undo`; either way a person is told";
            let problem = Problem::error(text.span, format!("there is no `worse: {other}`"));
            reader.problems.report(problem.help(help));
            return None;
        }
    };
    Some(Spanned { value, span: text.span })
}

pub(super) fn exec(reader: &mut Reader<'_>, node: &Node) -> Option<Spanned<Vec<Text>>> {
    let help = |node: &Node| {
        let Kind::Scalar(scalar) = &node.kind else { return None };
        let words: Vec<&str> = scalar.text.split_whitespace().collect();
        Some(format!(
            "no shell splits it: write exec: [{}]; shell text stands under `script:`",
            words.join(", ")
        ))
    };
    reader.list(node, "a program and its arguments as a list", help, Reader::text)
}
