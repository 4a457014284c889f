//! YAML as a tree that remembers where everything stands.
//!
//! Duty: the only room that knows the YAML library. It keeps scalars as they are written: whether
//! `5` is a number or a text is for the reader to say, who knows what is wanted there. Not its
//! duty: keys, and what they mean.
//!
//! A derived decoder was rejected: it stops at the first wrong key, and it loses the places of
//! whatever is untagged or flattened. Here all problems of a file are found at once.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, ScanError};

use crate::limits;
use crate::report::Problem;

/// One value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Range<usize>,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// A text as YAML reads it.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Not quoted and no block: it may also be a number, a truth value or nothing.
    pub(crate) plain: bool,
}

impl Scalar {
    /// Whether it says that there is no value.
    pub(crate) fn is_nothing(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// Whether other programs that read YAML take it for a number or a truth value.
    pub(crate) fn is_number_or_truth(&self) -> bool {
        self.plain && (is_number(&self.text) || matches!(self.text.as_str(), "true" | "false"))
    }
}

impl Node {
    /// What stands here, for a person.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar(scalar) if scalar.is_nothing() => "nothing",
            Kind::Scalar(scalar) if scalar.plain && is_number(&scalar.text) => "a number",
            Kind::Scalar(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok()
}

/// Reads a text that holds one document; `None` for an empty one.
///
/// # Errors
///
/// The text is not YAML, or it is larger than we read.
pub(crate) fn parse(text: &str) -> Result<Option<Node>, Problem> {
    parse_part(text, 0, &mut 0)
}

/// Reads a text that stands at this place of a larger one, and counts its nodes to those of the others.
///
/// # Errors
///
/// As [`parse`].
pub(crate) fn parse_part(
    text: &str,
    at: usize,
    nodes: &mut usize,
) -> Result<Option<Node>, Problem> {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: limits::DEPTH,
        block_nesting_limit: limits::DEPTH,
    };
    let mut builder = Builder { nodes: *nodes, ..Builder::default() };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| explain(text, at, &error))?;
        // The parser gives byte offsets for all texts in memory.
        let span = span.byte_range().unwrap_or(0..0);
        builder.take(event, at + span.start..at + span.end)?;
    }
    *nodes = builder.nodes;
    Ok(builder.document)
}

/// A list or a map whose end has not come yet.
struct Open {
    kind: Kind,
    /// A key that waits for its value.
    key: Option<Node>,
    start: usize,
    anchor: usize,
    /// Nodes before this one, to know its size at the end.
    nodes_before: usize,
    /// How deep what stands in it goes.
    depth: usize,
}

/// A node that can be repeated by its alias.
struct Anchored {
    node: Node,
    nodes: usize,
    depth: usize,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: BTreeMap<usize, Anchored>,
    document: Option<Node>,
    nodes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Range<usize>) -> Result<(), Problem> {
        if event.tag().is_some() {
            return Err(Problem::error(span, "a YAML tag has no meaning here")
                .help("remove the word that begins with `!`"));
        }
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = matches!(style, ScalarStyle::Plain);
                let kind = Kind::Scalar(Scalar { text: text.into_owned(), plain });
                self.count(1, &span)?;
                self.close(Node { kind, span }, anchor, 1, 0);
                Ok(())
            }
            Event::SequenceStart(_, anchor, _) => self.begin(Kind::List(Vec::new()), anchor, &span),
            Event::MappingStart(_, anchor, _) => self.begin(Kind::Map(Vec::new()), anchor, &span),
            Event::SequenceEnd | Event::MappingEnd => {
                self.end(&span);
                Ok(())
            }
            Event::Alias(anchor) => self.repeat(anchor, span),
            Event::DocumentStart(..) if self.document.is_some() => {
                Err(Problem::error(span, "a second document begins here")
                    .help("a configuration is one document: remove the `---`"))
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, kind: Kind, anchor: usize, span: &Range<usize>) -> Result<(), Problem> {
        let nodes_before = self.nodes;
        self.count(1, span)?;
        self.open.push(Open { kind, key: None, start: span.start, anchor, nodes_before, depth: 0 });
        self.bound_depth(0, span)
    }

    fn end(&mut self, span: &Range<usize>) {
        let Some(done) = self.open.pop() else { return };
        let node = Node { kind: done.kind, span: done.start..span.end.max(done.start) };
        self.close(node, done.anchor, self.nodes - done.nodes_before, done.depth + 1);
    }

    fn repeat(&mut self, anchor: usize, span: Range<usize>) -> Result<(), Problem> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(Problem::error(span, "the alias stands within what it repeats"));
        };
        let (nodes, depth) = (anchored.nodes, anchored.depth);
        self.count(nodes, &span)?;
        self.bound_depth(depth, &span)?;
        let node = self.anchors[&anchor].node.clone();
        self.close(node, 0, nodes, depth);
        Ok(())
    }

    /// Puts a node that is complete where it belongs.
    fn close(&mut self, node: Node, anchor: usize, nodes: usize, depth: usize) {
        if anchor != 0 {
            // The copy counts: anchors within anchors copy the innermost once for each.
            self.nodes = self.nodes.saturating_add(nodes);
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes, depth });
        }
        let Some(parent) = self.open.last_mut() else {
            self.document = Some(node);
            return;
        };
        parent.depth = parent.depth.max(depth);
        match &mut parent.kind {
            Kind::List(items) => items.push(node),
            Kind::Map(entries) => match parent.key.take() {
                None => parent.key = Some(node),
                Some(key) => entries.push((key, node)),
            },
            Kind::Scalar(_) => {}
        }
    }

    fn count(&mut self, nodes: usize, span: &Range<usize>) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= limits::NODES {
            return Ok(());
        }
        let message = format!("more than {} values, aliases written out", limits::NODES);
        Err(Problem::error(span.clone(), message))
    }

    fn bound_depth(&self, inner: usize, span: &Range<usize>) -> Result<(), Problem> {
        if self.open.len() + inner <= limits::DEPTH {
            return Ok(());
        }
        let message = format!("nested more than {} levels deep", limits::DEPTH);
        Err(Problem::error(span.clone(), message))
    }
}

fn explain(text: &str, start: usize, error: &ScanError) -> Problem {
    let at = error.marker().byte_offset().unwrap_or(0).min(text.len());
    let at = text.floor_char_boundary(at);
    let end = text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
    let place = start + at..start + end;
    let problem = Problem::error(place, format!("not valid YAML: {}", error.info()));
    let line_start = text[..at].rfind('\n').map_or(0, |before| before + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    match hint(line) {
        Some(hint) => problem.help(hint),
        None => problem,
    }
}

/// What is most often wrong with a line that is not YAML.
fn hint(line: &str) -> Option<&'static str> {
    if line.trim_start_matches(' ').starts_with('\t') {
        Some("YAML is indented by spaces, never by tabs")
    } else if line.contains("{{") {
        Some("a text with a placeholder must be quoted: \"web@{{ labels.instance }}\"")
    } else if line.contains("=~") || line.contains("=\"") {
        Some("a matcher or a query with quotes in it must be quoted as a whole: 'job=\"web\"'")
    } else if line.matches(": ").count() > 1 {
        Some("a text with `: ` in it must be quoted")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn tree(text: &str) -> String {
        fn show(node: &Node) -> String {
            match &node.kind {
                Kind::Scalar(scalar) if scalar.plain => scalar.text.clone(),
                Kind::Scalar(scalar) => format!("{:?}", scalar.text),
                Kind::List(items) => {
                    format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" "))
                }
                Kind::Map(entries) => {
                    let pairs = entries.iter().map(|(k, v)| format!("{}:{}", show(k), show(v)));
                    format!("{{{}}}", pairs.collect::<Vec<_>>().join(" "))
                }
            }
        }
        match parse(text) {
            Ok(Some(node)) => show(&node),
            Ok(None) => "nothing".into(),
            Err(problem) => format!("{problem:?}"),
        }
    }

    #[test]
    fn scalars_stay_as_they_are_written() {
        assert_eq!(
            tree("a: [1.10, 0o17, yes, 'yes', null, ]"),
            r#"{a:[1.10 0o17 yes "yes" null]}"#
        );
        assert_eq!(tree("a: |\n  x\n  y\n"), r#"{a:"x\ny\n"}"#);
        assert_eq!(tree(""), "nothing");
        assert_eq!(tree("# only a comment\n"), "nothing");
        assert_eq!(tree("\u{feff}a: b"), "{a:b}");
    }

    #[test]
    fn spans_point_into_the_text() {
        let text = "é: [a, 'b c']\nf: {g: \"h\"}\n";
        let Some(Node { kind: Kind::Map(entries), .. }) = parse(text).unwrap() else { panic!() };
        assert_eq!(&text[entries[0].0.span.clone()], "é");
        let Kind::List(items) = &entries[0].1.kind else { panic!() };
        assert_eq!(&text[items[1].span.clone()], "'b c'");
        assert_eq!(&text[entries[1].1.span.clone()], "{g: \"h\"}");
    }

    #[test]
    fn aliases_repeat_within_bounds() {
        assert_eq!(tree("a: &x [1]\nb: *x\n"), "{a:[1] b:[1]}");
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..20 {
            let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
            writeln!(bomb, "a{n}: &a{n} [{aliases}]").unwrap();
        }
        assert!(tree(&bomb).contains("more than"), "{}", tree(&bomb));
        let mut deep = "a0: &a0 [x]\n".to_owned();
        for n in 1..100 {
            writeln!(deep, "a{n}: &a{n} [*a{}]", n - 1).unwrap();
        }
        assert!(tree(&deep).contains("levels deep"));
        assert!(tree("a: &x [*x]").contains("within what it repeats"));
    }

    #[test]
    fn a_bracket_that_stays_open_is_no_question_of_quotes() {
        let found = tree("policies: [\n");
        assert!(found.contains("not valid YAML") && !found.contains("quoted"), "{found}");
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for (text, wanted) in [
            ("a: b\n---\nc: d\n", "second document"),
            ("a: !secret b\n", "tag"),
            ("a: *gone\n", "not valid YAML"),
            ("a:\n\tb: c\n", "tabs"),
            ("a: [web@{{ labels.x }}.service]", "must be quoted"),
            ("a: b: c", "a text with `: ` in it must be quoted"),
            (&"[".repeat(5000), "not valid YAML"),
            (&"- ".repeat(5000), "not valid YAML"),
        ] {
            assert!(tree(text).contains(wanted), "{text:.40}: {}", tree(text));
        }
    }
}
