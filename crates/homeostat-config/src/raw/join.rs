//! Several files as one: what is a list goes on from file to file, everything else stands in one of them.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{File, file};
use crate::read::{Field, Problems, Reader, Spanned, name_of};
use crate::report::Problem;
use crate::yaml::{Kind, Node};

/// The lists that files share, and what each file may say for itself.
const SHARED: [&str; 4] = ["include", "policies", "time_intervals", "notify"];

/// Reads documents, in order, as one file. `None` stands for one that cannot be read: what it may have
/// said is then not missed elsewhere.
pub(crate) fn join(reader: &mut Reader<'_>, documents: &[Option<Node>]) -> File {
    let known = || documents.iter().flatten();
    let mut torn = documents.iter().any(Option::is_none);
    let mut joined = File::default();
    for document in known() {
        match file(reader, document) {
            Some(file) => add(&mut joined, file),
            None => torn = true,
        }
    }
    refuse_twice(known(), &mut reader.problems);
    if torn {
        tear(&mut joined);
    }
    joined
}

fn add(joined: &mut File, file: File) {
    let File { sources, time_intervals, limits, defaults, notify, access, redact, policies } = file;
    list(&mut joined.policies, policies);
    names(&mut joined.time_intervals, time_intervals);
    names(&mut joined.notify, notify);
    one(&mut joined.sources, sources);
    one(&mut joined.limits, limits);
    one(&mut joined.defaults, defaults);
    one(&mut joined.access, access);
    one(&mut joined.redact, redact);
}

/// Where a part of a list is wrong, the other parts are still checked.
fn list<T>(joined: &mut Field<Spanned<Vec<T>>>, more: Field<Spanned<Vec<T>>>) {
    match (joined, more) {
        (_, Field::Absent) | (Field::Given(_), Field::Wrong) => {}
        (Field::Given(list), Field::Given(more)) => list.value.extend(more.value),
        (joined @ (Field::Absent | Field::Wrong), more) => *joined = more,
    }
}

/// Where a part of what others name is wrong, none of it is missed.
fn names<T>(joined: &mut Field<Spanned<Vec<T>>>, more: Field<Spanned<Vec<T>>>) {
    match (&joined, more) {
        (_, Field::Wrong) => *joined = Field::Wrong,
        (Field::Wrong, _) => {}
        (Field::Absent | Field::Given(_), more) => list(joined, more),
    }
}

fn one<T>(joined: &mut Field<T>, more: Field<T>) {
    if !matches!(joined, Field::Given(_)) && !more.is_absent() {
        *joined = more;
    }
}

/// Takes what is not there for wrong, and what names things of other files, too: they may stand in the
/// part that is not known.
fn tear(joined: &mut File) {
    fn missed<T>(field: &mut Field<T>) {
        if field.is_absent() {
            *field = Field::Wrong;
        }
    }
    missed(&mut joined.sources);
    missed(&mut joined.policies);
    joined.time_intervals = Field::Wrong;
    joined.notify = Field::Wrong;
    joined.access = Field::Wrong;
    joined.limits = Field::Wrong;
}

fn refuse_twice<'n>(documents: impl Iterator<Item = &'n Node>, problems: &mut Problems) {
    let mut firsts: BTreeMap<&str, Range<usize>> = BTreeMap::new();
    for document in documents {
        let Kind::Map(entries) = &document.kind else { continue };
        let mut own: BTreeMap<&str, Range<usize>> = BTreeMap::new();
        for (key, _) in entries {
            let Some(name) = name_of(key).filter(|name| !SHARED.contains(name)) else { continue };
            match firsts.get(name) {
                Some(first) => {
                    let message = format!("`{name}` stands in two files");
                    let problem = Problem::error(key.span.clone(), message);
                    let help = format!("write `{name}` in one of them");
                    problems.report(problem.help(help).first_at(first.clone()));
                }
                None => drop(own.entry(name).or_insert_with(|| key.span.clone())),
            }
        }
        firsts.extend(own);
    }
}
