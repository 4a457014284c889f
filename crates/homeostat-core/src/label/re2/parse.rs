//! From the text of a regex to a tree without ambiguity.
//!
//! Duty: read the syntax of RE2 as Go does, in one pass with an explicit stack, and refuse what Go
//! refuses.
//!
//! ```text
//!   a(b|c*     enclosing: [ branches: [],  items: [a] ]
//!              frame:       branches: [b], items: [c*]       ◀ the innermost open group
//! ```
//!
//! A repetition applies to the last item of the open group, whatever stands between them in the
//! text: flags and empty quotes leave no item. That is Go's rule, and its reason is this stack.
//!
//! Source: `parse`, `repeat`, `parsePerlFlags` and `repeatIsValid` in `regexp/syntax/parse.go` of
//! Go.

use regex_syntax::hir::{Capture, Class, Dot, Hir, Look, Repetition};

use super::RegexError;
use super::class;
use super::cursor::Cursor;

/// How often a part may be repeated, nested repetitions multiplied.
const REPEAT_LIMIT: u32 = 1_000;

/// How deep repetitions and lists may nest; a group alone adds nothing.
///
/// Go's bound is 1000. The engine compiles by recursion, and one level here becomes two or three
/// of its own: this keeps it within the smallest stack that a thread of ours has.
const NESTING_LIMIT: u32 = 100;

/// Reads a whole regex of which only is asked whether it matches: its groups are forgotten.
pub(super) fn parse(text: &str) -> Result<Hir, RegexError> {
    Parser::new(text, None).read().map(|(tree, _)| tree)
}

/// Reads a whole regex and keeps its groups, each under the name that [`group`] gives its number.
/// Returns their own names, too, that of the whole match first.
pub(super) fn parse_groups(text: &str) -> Result<(Hir, Vec<Option<String>>), RegexError> {
    Parser::new(text, Some(vec![None])).read()
}

/// The name of a group in the tree. Its number there may be another: groups that can match nothing
/// are left out.
pub(super) fn group(number: usize) -> String {
    format!("g{number}")
}

#[expect(clippy::struct_excessive_bools, reason = "the four flags of RE2, each for itself")]
#[derive(Clone, Copy, Default)]
struct Flags {
    /// Whether a repetition prefers less, and one with `?` more.
    lazy: bool,
    fold: bool,
    multi_line: bool,
    dot_all: bool,
}

/// A part of the regex with what must be known about it to bound what is built from it.
struct Node {
    hir: Hir,
    /// The largest product of repetition counts, one within the other.
    repeats: u32,
    height: u32,
}

impl Node {
    fn leaf(hir: Hir) -> Self {
        Self { hir, repeats: 1, height: 1 }
    }

    fn join(nodes: Vec<Self>, join: impl Fn(Vec<Hir>) -> Hir) -> Self {
        let repeats = nodes.iter().map(|node| node.repeats).max().unwrap_or(1);
        let level = u32::from(nodes.len() > 1);
        let height = level + nodes.iter().map(|node| node.height).max().unwrap_or(1);
        let hir = join(nodes.into_iter().map(|node| node.hir).collect());
        Self { hir, repeats, height }
    }
}

/// A group that is open, or the whole regex.
#[derive(Default)]
struct Frame {
    /// Where its parenthesis stands.
    start: usize,
    /// The flags before it, which hold again after it.
    outer: Flags,
    /// Its number, where groups are kept and it is one that is counted.
    number: Option<usize>,
    branches: Vec<Node>,
    items: Vec<Node>,
}

impl Frame {
    fn end_branch(&mut self) {
        let items = std::mem::take(&mut self.items);
        self.branches.push(Node::join(items, Hir::concat));
    }

    fn into_node(mut self) -> Node {
        self.end_branch();
        let mut node = Node::join(self.branches, Hir::alternation);
        if let Some(number) = self.number {
            let index = u32::try_from(number).unwrap_or(u32::MAX);
            let name = Some(group(number).into());
            node.hir = Hir::capture(Capture { index, name, sub: Box::new(node.hir) });
        }
        node
    }
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    flags: Flags,
    /// The innermost open group, or the whole regex.
    frame: Frame,
    /// What is open around it, the whole regex first.
    enclosing: Vec<Frame>,
    /// Whether the last step was a repetition.
    repeats: bool,
    /// The names of the groups so far, where they are kept.
    groups: Option<Vec<Option<String>>>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, groups: Option<Vec<Option<String>>>) -> Self {
        Self {
            cursor: Cursor::new(text),
            flags: Flags::default(),
            frame: Frame::default(),
            enclosing: Vec::new(),
            repeats: false,
            groups,
        }
    }

    fn read(mut self) -> Result<(Hir, Vec<Option<String>>), RegexError> {
        while !self.cursor.is_at_end() {
            self.step()?;
        }
        let groups = self.groups.take().unwrap_or_default();
        Ok((self.finish()?, groups))
    }

    fn step(&mut self) -> Result<(), RegexError> {
        let start = self.cursor.position();
        let repeated = std::mem::take(&mut self.repeats);
        let Some(c) = self.cursor.peek() else { return Ok(()) };
        match c {
            '[' => {
                let class = class::bracketed(&mut self.cursor, self.flags.fold)?;
                self.push(Hir::class(Class::Unicode(class)));
                return Ok(());
            }
            '\\' => return self.escape(),
            '{' => return self.count(repeated),
            _ => self.cursor.bump(),
        };
        let multi_line = self.flags.multi_line;
        match c {
            '(' => return self.open(start),
            ')' => return self.close(start),
            '|' => self.frame.end_branch(),
            '*' => return self.repeat(start, 0, None, repeated),
            '+' => return self.repeat(start, 1, None, repeated),
            '?' => return self.repeat(start, 0, Some(1), repeated),
            '^' => self.push(Hir::look(if multi_line { Look::StartLF } else { Look::Start })),
            '$' => self.push(Hir::look(if multi_line { Look::EndLF } else { Look::End })),
            '.' if self.flags.dot_all => self.push(Hir::dot(Dot::AnyChar)),
            '.' => self.push(Hir::dot(Dot::AnyCharExceptLF)),
            literal => self.literal(literal),
        }
        Ok(())
    }

    fn finish(self) -> Result<Hir, RegexError> {
        if self.enclosing.is_empty() {
            return Ok(self.frame.into_node().hir);
        }
        Err(RegexError::new(self.cursor.span_from(self.frame.start), "group is not closed")
            .hint("to mean the parenthesis itself, write \\("))
    }

    fn push(&mut self, hir: Hir) {
        self.frame.items.push(Node::leaf(hir));
    }

    fn literal(&mut self, c: char) {
        let hir = if self.flags.fold {
            Hir::class(Class::Unicode(class::character(c, true)))
        } else {
            Hir::literal(c.encode_utf8(&mut [0; 4]).as_bytes())
        };
        self.push(hir);
    }

    /// Reads what a backslash begins.
    fn escape(&mut self) -> Result<(), RegexError> {
        for (written, look) in [
            ("\\A", Look::Start),
            ("\\z", Look::End),
            ("\\b", Look::WordAscii),
            ("\\B", Look::WordAsciiNegate),
        ] {
            if self.cursor.eat(written) {
                self.push(Hir::look(look));
                return Ok(());
            }
        }
        if self.cursor.eat("\\Q") {
            let quoted = self.cursor.eat_until("\\E").unwrap_or_else(|| self.cursor.eat_rest());
            quoted.chars().for_each(|c| self.literal(c));
            return Ok(());
        }
        if let Some(class) = class::escaped(&mut self.cursor, self.flags.fold)? {
            self.push(Hir::class(Class::Unicode(class)));
            return Ok(());
        }
        match char::from_u32(self.cursor.escape()?) {
            Some(c) => self.literal(c),
            // A surrogate: RE2 accepts it, and no text has one.
            None => self.push(Hir::fail()),
        }
        Ok(())
    }

    /// Opens a group or sets flags; the parenthesis is read.
    fn open(&mut self, start: usize) -> Result<(), RegexError> {
        let outer = self.flags;
        let mut number = None;
        if !self.cursor.eat("?") {
            number = self.number_group(None);
        } else if self.cursor.eat("P<") || self.cursor.eat("<") {
            let name = self.group_name(start)?;
            number = self.number_group(Some(name));
        } else if !self.set_flags(start)? {
            return Ok(());
        }
        let inner = Frame { start, outer, number, ..Frame::default() };
        self.enclosing.push(std::mem::replace(&mut self.frame, inner));
        Ok(())
    }

    fn number_group(&mut self, name: Option<String>) -> Option<usize> {
        let groups = self.groups.as_mut()?;
        groups.push(name);
        Some(groups.len() - 1)
    }

    fn group_name(&mut self, start: usize) -> Result<String, RegexError> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let looks_behind = self.cursor.rest().starts_with(['=', '!']);
        let name = self.cursor.eat_until(">").unwrap_or_default();
        if !name.is_empty() && name.bytes().all(is_word) {
            return Ok(name.to_owned());
        }
        let error = RegexError::new(self.cursor.span_from(start), "invalid group name");
        Err(if looks_behind {
            error.hint("RE2 cannot look behind")
        } else {
            error.hint("group names are letters, digits and underscores: (?P<name>…)")
        })
    }

    /// Reads flags; whether they open a group.
    fn set_flags(&mut self, start: usize) -> Result<bool, RegexError> {
        let mut flags = self.flags;
        let mut on = true;
        let mut complete = true;
        loop {
            match self.cursor.bump() {
                Some('i') => flags.fold = on,
                Some('m') => flags.multi_line = on,
                Some('s') => flags.dot_all = on,
                Some('U') => flags.lazy = on,
                Some('-') if on => {
                    on = false;
                    complete = false;
                    continue;
                }
                Some(end @ (':' | ')')) if complete => {
                    self.flags = flags;
                    return Ok(end == ':');
                }
                other => {
                    let written = self.cursor.text_from(start);
                    let message = format!("`{written}` does not begin a group of RE2");
                    let error = RegexError::new(self.cursor.span_from(start), message);
                    return Err(match other {
                        Some('=' | '!') => error.hint("RE2 cannot look ahead"),
                        _ => error.hint("the flags are i, m, s and U, as in (?i) or (?i:…)"),
                    });
                }
            }
            complete = true;
        }
    }

    fn close(&mut self, start: usize) -> Result<(), RegexError> {
        let Some(around) = self.enclosing.pop() else {
            return Err(RegexError::new(start..start + 1, "closing parenthesis without a group")
                .hint("to mean the parenthesis itself, write \\)"));
        };
        let closed = std::mem::replace(&mut self.frame, around);
        self.flags = closed.outer;
        let node = closed.into_node();
        self.within_nesting_limit(start, &node)?;
        self.frame.items.push(node);
        Ok(())
    }

    /// Reads `{2}`, `{2,}` or `{2,3}`; anything else makes the brace a character.
    fn count(&mut self, repeated: bool) -> Result<(), RegexError> {
        let start = self.cursor.position();
        let Some((least, most, length)) = counts(self.cursor.rest()) else {
            self.cursor.bump();
            self.literal('{');
            return Ok(());
        };
        (0..length).for_each(|_| _ = self.cursor.bump());
        if least > REPEAT_LIMIT || most.is_some_and(|most| most > REPEAT_LIMIT) {
            return Err(self.too_often(start));
        }
        if most.is_some_and(|most| most < least) {
            let message = format!("`{}` allows no number", self.cursor.text_from(start));
            return Err(RegexError::new(self.cursor.span_from(start), message)
                .hint("write the smaller number first"));
        }
        self.repeat(start, least, most, repeated)
    }

    /// Repeats the last item; the operator is read.
    fn repeat(
        &mut self,
        start: usize,
        least: u32,
        most: Option<u32>,
        repeated: bool,
    ) -> Result<(), RegexError> {
        let greedy = self.cursor.eat("?") == self.flags.lazy;
        let span = self.cursor.span_from(start);
        if repeated {
            let message = format!("`{}` repeats a repetition", self.cursor.text_from(start));
            return Err(RegexError::new(span, message)
                .hint("group the inner repetition; RE2 has no possessive ones"));
        }
        let Some(node) = self.frame.items.pop() else {
            let message = format!("`{}` repeats nothing", self.cursor.text_from(start));
            return Err(RegexError::new(span, message)
                .hint("to mean the character itself, write a backslash before it"));
        };
        let counted = least.max(most.unwrap_or(0));
        let repeats = match most {
            Some(0) => 1,
            _ => node.repeats.saturating_mul(most.unwrap_or(least).max(1)),
        };
        if counted > 1 && repeats > REPEAT_LIMIT {
            return Err(self.too_often(start));
        }
        let sub = Box::new(node.hir);
        let hir = Hir::repetition(Repetition { min: least, max: most, greedy, sub });
        let node = Node { hir, repeats, height: node.height + 1 };
        self.within_nesting_limit(start, &node)?;
        self.frame.items.push(node);
        self.repeats = true;
        Ok(())
    }

    fn too_often(&self, start: usize) -> RegexError {
        let message = format!("`{}` repeats too often", self.cursor.text_from(start));
        RegexError::new(self.cursor.span_from(start), message)
            .hint("RE2 counts to 1000 at most, nested repetitions multiplied")
    }

    fn within_nesting_limit(&self, start: usize, node: &Node) -> Result<(), RegexError> {
        if node.height <= NESTING_LIMIT {
            return Ok(());
        }
        Err(RegexError::new(self.cursor.span_from(start), "the regex nests too deeply"))
    }
}

/// The numbers of `{least,most}` and its length; numbers without bound are read as `u32::MAX`.
fn counts(text: &str) -> Option<(u32, Option<u32>, usize)> {
    let (least, rest) = number(text.strip_prefix('{')?)?;
    let (most, rest) = match rest.strip_prefix(',') {
        None => (Some(least), rest),
        Some(rest) if rest.starts_with('}') => (None, rest),
        Some(rest) => {
            let (most, rest) = number(rest)?;
            (Some(most), rest)
        }
    };
    let rest = rest.strip_prefix('}')?;
    Some((least, most, text.len() - rest.len()))
}

/// A number at the start of a text; one with a leading zero is none.
fn number(text: &str) -> Option<(u32, &str)> {
    let length = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(length);
    let padded = digits.len() > 1 && digits.starts_with('0');
    if digits.is_empty() || padded {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), rest))
}
