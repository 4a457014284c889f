//! Every bound of this room, each with its reason.

/// Bytes of an expression. The longest of the common mixins have about two thousand.
pub(super) const EXPRESSION_BYTES: usize = 32 * 1024;

/// Operators and brackets of an expression. Each may be one level deeper, and what is deep is walked,
/// and freed, by recursion on the stack of any thread.
pub(super) const LEVELS: usize = 1_000;

/// How many recording rules are followed one after the other.
pub(super) const RULE_DEPTH: usize = 8;

/// How many recording rules are read for one expression: each may read many others.
pub(super) const RULES_READ: usize = 256;

/// How many selectors are kept of one expression; each may become a question.
pub(super) const SELECTORS: usize = 64;
