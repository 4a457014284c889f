//! The walk from an expression down to its selectors.

use std::time::Duration;

use homeostat_core::evidence::Memory;
use homeostat_core::time::Span;
use promql_parser::parser::token::{
    T_BOTTOMK, T_COUNT_VALUES, T_LAND, T_LIMIT_RATIO, T_LIMITK, T_LOR, T_LUNLESS, T_TOPK,
};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{
    AggregateExpr, AtModifier, BinModifier, BinaryExpr, Call, Expr, LabelModifier, Offset,
    VectorMatchCardinality, VectorSelector,
};

use super::kept::Kept;
use super::selector::{Role, Selector};
use super::{Lookup, Reading, RecordingRule, limits, parse};

/// What is known on the way to a place.
#[derive(Clone)]
struct Way {
    /// How far back what stands here is looked at.
    memory: Memory,
    role: Role,
    kept: Kept,
}

impl Way {
    fn keeping(&self, kept: Kept) -> Self {
        Self { kept, ..self.clone() }
    }

    /// Where the presence of data means the opposite.
    fn turned(&self) -> Self {
        let role = match self.role {
            Role::Feeds => Role::Hides,
            Role::Hides => Role::Feeds,
        };
        Self { role, ..self.clone() }
    }

    fn back(&self, memory: Memory) -> Self {
        let memory = match (self.memory.clone(), memory) {
            (so_far, Memory::Lasts(span)) => so_far.plus(span),
            (unknown @ Memory::Unknown { .. }, _) | (_, unknown) => unknown,
        };
        Self { memory, ..self.clone() }
    }
}

struct Walk<'a> {
    lookup: Lookup<'a>,
    /// The recording rules that lead to where we are.
    names: Vec<String>,
    rules_read: usize,
    reading: Reading,
}

pub(super) fn read(expression: &str, lookup: Lookup<'_>) -> Reading {
    let reading = Reading { memory: Memory::NONE, selectors: Vec::new(), incomplete: None };
    let mut walk = Walk { lookup, names: Vec::new(), rules_read: 0, reading };
    let way = Way { memory: Memory::NONE, role: Role::Feeds, kept: Kept::all() };
    walk.text(expression, &way);
    walk.reading
}

impl Walk<'_> {
    fn text(&mut self, expression: &str, way: &Way) {
        match parse(expression) {
            Ok(expression) => self.expression(&expression, way),
            Err(why) => self.lost(why),
        }
    }

    /// Something is read here, but nobody knows what.
    fn lost(&mut self, why: String) {
        self.remember(Memory::unknown(why.clone()));
        self.reading.incomplete.get_or_insert(why);
    }

    fn remember(&mut self, memory: Memory) {
        let so_far = std::mem::replace(&mut self.reading.memory, Memory::NONE);
        self.reading.memory = so_far.or_longer(memory);
    }

    fn expression(&mut self, expression: &Expr, way: &Way) {
        match expression {
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, way),
            Expr::Unary(unary) => self.expression(&unary.expr, way),
            Expr::Binary(binary) => self.binary(binary, way),
            Expr::Paren(paren) => self.expression(&paren.expr, way),
            Expr::Subquery(subquery) => {
                let way = way.back(Memory::Lasts(span(subquery.range)));
                let way = way.back(shift(subquery.offset.as_ref(), subquery.at.as_ref()));
                self.expression(&subquery.expr, &way);
            }
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) => {}
            Expr::VectorSelector(selector) => self.selector(selector, way),
            Expr::MatrixSelector(matrix) => {
                self.selector(&matrix.vs, &way.back(Memory::Lasts(span(matrix.range))));
            }
            Expr::Call(call) => self.call(call, way),
            Expr::Extension(_) => self.lost("its expression has a part that is not known".into()),
        }
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr, way: &Way) {
        let AggregateExpr { op, expr, param, modifier } = aggregate;
        let chooses = [T_TOPK, T_BOTTOMK, T_LIMITK, T_LIMIT_RATIO].contains(&op.id());
        let grouped = match modifier {
            _ if chooses => way.kept.clone(),
            Some(LabelModifier::Include(by)) => way.kept.among(&by.labels),
            Some(LabelModifier::Exclude(without)) => {
                way.kept.without(without.labels.iter().map(String::as_str))
            }
            None => Kept::none(),
        };
        let kept = match param.as_deref() {
            Some(Expr::StringLiteral(label)) if op.id() == T_COUNT_VALUES => {
                grouped.without([&*label.val])
            }
            _ => grouped,
        };
        self.expression(expr, &way.keeping(kept));
        if let Some(param) = param {
            self.expression(param, &way.keeping(Kept::none()));
        }
    }

    fn binary(&mut self, binary: &BinaryExpr, way: &Way) {
        let BinaryExpr { op, lhs, rhs, modifier } = binary;
        let is_vector = |side: &Expr| side.value_type() == ValueType::Vector;
        if !is_vector(lhs) || !is_vector(rhs) {
            for side in [lhs, rhs] {
                let kept = if is_vector(side) { way.kept.clone() } else { Kept::none() };
                self.expression(side, &way.keeping(kept));
            }
            return;
        }
        let matched = matched(&way.kept, modifier.as_ref());
        let (left, right) = match op.id() {
            T_LAND => (way.clone(), way.keeping(matched)),
            T_LUNLESS => (way.clone(), way.turned().keeping(matched)),
            T_LOR => (way.clone(), way.clone()),
            _ => {
                let (left, right) = sides(&way.kept, matched, modifier.as_ref());
                (way.keeping(left), way.keeping(right))
            }
        };
        self.expression(lhs, &left);
        self.expression(rhs, &right);
    }

    fn call(&mut self, call: &Call, way: &Way) {
        let arguments = &call.args.args;
        let way = match call.func.name {
            "absent" | "absent_over_time" => way.turned(),
            _ => way.clone(),
        };
        let kept = left_by(call, &way.kept);
        for argument in arguments {
            // Of several arguments, one gives its labels: the others are numbers and texts.
            let kept = match argument.value_type() {
                ValueType::Vector | ValueType::Matrix => kept.clone(),
                ValueType::Scalar | ValueType::String => Kept::none(),
            };
            self.expression(argument, &way.keeping(kept));
        }
    }

    fn selector(&mut self, selector: &VectorSelector, way: &Way) {
        let way = way.back(shift(selector.offset.as_ref(), selector.at.as_ref()));
        self.remember(way.memory.clone());
        if !selector.matchers.or_matchers.is_empty() {
            self.lost("it reads a selector with an `or`".into());
            return;
        }
        let found = Selector::new(selector, way.role, way.kept.clone());
        let Some(name) = found.metric() else {
            let why = format!("it reads {found}, which may be written by recording rules");
            self.remember(Memory::unknown(why));
            self.keep(found);
            return;
        };
        if matches!(name, "ALERTS" | "ALERTS_FOR_STATE") {
            self.lost(format!("it reads {name}, which lasts as long as another alert"));
            return;
        }
        let rules = (self.lookup)(name);
        if rules.is_empty() {
            self.keep(found);
        } else {
            self.follow(name, &rules, &way);
        }
    }

    fn follow(&mut self, name: &str, rules: &[RecordingRule], way: &Way) {
        if self.names.iter().any(|known| known == name) {
            return self.lost(format!("the recording rule {name} reads itself"));
        }
        if self.names.len() == limits::RULE_DEPTH {
            let depth = limits::RULE_DEPTH;
            return self.lost(format!("it reads {name} through {depth} other recording rules"));
        }
        self.names.push(name.to_owned());
        for rule in rules {
            self.rules_read += 1;
            if self.rules_read > limits::RULES_READ {
                let most = limits::RULES_READ;
                self.lost(format!("it reads more than {most} recording rules"));
                break;
            }
            let way = way.back(Memory::Lasts(rule.interval.saturating_mul(2)));
            let kept = way.kept.without(rule.labels.iter().map(|(name, _)| name));
            self.text(&rule.expression, &way.keeping(kept));
        }
        self.names.pop();
    }

    fn keep(&mut self, selector: Selector) {
        if self.reading.selectors.contains(&selector) {
            return;
        }
        if self.reading.selectors.len() == limits::SELECTORS {
            let most = limits::SELECTORS;
            self.reading.incomplete.get_or_insert(format!("it reads more than {most} selectors"));
            return;
        }
        self.reading.selectors.push(selector);
    }
}

/// Which labels both sides of an operator have in common, of those that are kept.
fn matched(kept: &Kept, modifier: Option<&BinModifier>) -> Kept {
    match modifier.and_then(|modifier| modifier.matching.as_ref()) {
        None => kept.clone(),
        Some(LabelModifier::Include(on)) => kept.among(&on.labels),
        Some(LabelModifier::Exclude(ignored)) => {
            kept.without(ignored.labels.iter().map(String::as_str))
        }
    }
}

/// What an arithmetic or a comparison leaves to its two sides.
fn sides(kept: &Kept, matched: Kept, modifier: Option<&BinModifier>) -> (Kept, Kept) {
    let Some(modifier) = modifier else { return (matched.clone(), matched) };
    if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
        return (Kept::none(), Kept::none());
    }
    // Labels that the side with one series gives to those of the other.
    let given = |labels: &[String]| {
        let many = kept.without(labels.iter().map(String::as_str));
        let one = match &matched {
            Kept::Except(gone) => {
                let gone = gone.iter().filter(|name| !(labels.contains(name) && kept.has(name)));
                Kept::Except(gone.cloned().collect())
            }
            Kept::Only(names) => {
                let given = labels.iter().filter(|name| kept.has(name));
                Kept::Only(names.iter().chain(given).cloned().collect())
            }
        };
        (many, one)
    };
    match &modifier.card {
        VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => {
            (matched.clone(), matched)
        }
        VectorMatchCardinality::ManyToOne(labels) => given(&labels.labels),
        VectorMatchCardinality::OneToMany(labels) => {
            let (many, one) = given(&labels.labels);
            (one, many)
        }
    }
}

/// Which labels a function leaves, of those that are kept.
fn left_by(call: &Call, kept: &Kept) -> Kept {
    let label = |position: usize| match call.args.args.get(position).map(|argument| &**argument) {
        Some(Expr::StringLiteral(literal)) => kept.without([&*literal.val]),
        _ => Kept::none(),
    };
    match call.func.name {
        "label_replace" | "label_join" => label(1),
        "histogram_quantile" => kept.without(["le"]),
        "histogram_quantiles" => label(1).without(["le"]),
        name if name.starts_with("absent") => Kept::none(),
        name if KEEPS.contains(&name) || name.ends_with("_over_time") => kept.clone(),
        _ => Kept::none(),
    }
}

/// Functions that change values, the order or the number of series, but no label.
const KEEPS: [&str; 66] = [
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "ceil",
    "changes",
    "clamp",
    "clamp_max",
    "clamp_min",
    "cos",
    "cosh",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "deg",
    "delta",
    "deriv",
    "double_exponential_smoothing",
    "exp",
    "floor",
    "histogram_avg",
    "histogram_count",
    "histogram_fraction",
    "histogram_stddev",
    "histogram_stdvar",
    "histogram_sum",
    "hour",
    "idelta",
    "increase",
    "integral",
    "irate",
    "ln",
    "log10",
    "log2",
    "minute",
    "month",
    "predict_linear",
    "rad",
    "rate",
    "resets",
    "round",
    "sgn",
    "sin",
    "sinh",
    "sort",
    "sort_by_label",
    "sort_by_label_desc",
    "sort_desc",
    "sqrt",
    "start_timestamp",
    "tan",
    "tanh",
    "timestamp",
    "xdelta",
    "xincrease",
    "xrate",
    "year",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
    "mad_over_time",
];

fn span(length: Duration) -> Span {
    Span::from(length)
}

/// How far back an offset and an `@` move a place.
fn shift(offset: Option<&Offset>, at: Option<&AtModifier>) -> Memory {
    if at.is_some() {
        return Memory::unknown("its expression has an `@`");
    }
    match offset {
        None => Memory::NONE,
        Some(Offset::Pos(offset)) => Memory::Lasts(span(*offset)),
        Some(Offset::Neg(offset)) if offset.is_zero() => Memory::NONE,
        Some(Offset::Neg(_)) => Memory::unknown("its expression has an offset into the future"),
    }
}
