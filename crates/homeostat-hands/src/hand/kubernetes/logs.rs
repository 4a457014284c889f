//! Reads what a container has said last. Changes nothing.

use std::io::Write as _;

use homeostat_core::errand::{Errand, Form};

use super::end::{End, of_form};
use super::object::{Kind, Object, Target};
use super::{Cluster, Look, say};

/// Lines that are shown, where the errand does not say how many.
const LINES: u32 = 100;

/// The longest log that is asked for: the server leaves out what comes after so much.
const ASKED: usize = 1 << 20;

/// How much of it is shown, from its end.
const SHOWN: usize = 64 << 10;

/// Which container of a pod is meant where nobody says so; kubectl heeds it, too.
const DEFAULT: &str = "kubectl.kubernetes.io/default-container";

/// Shows the end of a log.
pub(super) async fn read(cluster: &Cluster<'_>) -> Result<(), End> {
    let errand = &cluster.doing.errand;
    let target = Target::of(errand, &[Kind::POD])?;
    let Look::There(pod) = cluster.look(&target).await? else {
        return Err(End::Gone(format!("there is no {target}")));
    };
    let container = container(errand, &pod)?;
    let lines = errand.text("tail").map_or(Ok(LINES), str::parse);
    let lines = lines.map_err(|_| End::Refused("tail is no number of lines".into()))?.to_string();
    let bytes = ASKED.to_string();
    let mut query = vec![("container", container), ("tailLines", &lines), ("limitBytes", &bytes)];
    let is_previous = errand.text("previous") == Some("true");
    query.extend(is_previous.then_some(("previous", "true")));
    let when = if is_previous { ", as it ran before" } else { "" };
    say(&format!("{target}: uid {}, container {container}{when}", pod.uid()));
    let path = format!("{}/log", target.path());
    let log = cluster.answered(async || cluster.api.text(&path, &query, ASKED).await).await?;
    match log {
        Ok(log) => show(log.as_str().unwrap_or_default()),
        // It has not begun, or there was none before: not yet.
        Err(no) if no.code == 400 => return Err(End::NotNow(no.message)),
        Err(no) => return Err(no.end()),
    }
    Ok(())
}

/// The container that is meant; else the pod's own choice, or its first one.
fn container<'a>(errand: &'a Errand, pod: &'a Object) -> Result<&'a str, End> {
    let named = errand.text("container");
    let meant = named.or_else(|| pod.annotation(DEFAULT));
    let first = pod.at("/spec/containers/0/name").as_str();
    of_form(meant.or(first), &Form::OBJECT)
}

fn show(log: &str) {
    // Nobody is helped where it cannot be written.
    let _ = std::io::stdout().write_all(last(log).as_bytes());
}

/// The end of a log, in whole lines where there are any.
fn last(log: &str) -> &str {
    let end = &log[log.ceil_char_boundary(log.len().saturating_sub(SHOWN))..];
    match end.split_once('\n') {
        Some((_, lines)) if end.len() < log.len() && !lines.is_empty() => lines,
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_log_the_last_lines_are_shown() {
        assert_eq!((last(""), last("a\nb\n")), ("", "a\nb\n"));
        let long = format!("{}\nthe end\n", "é".repeat(SHOWN));
        assert_eq!(last(&long), "the end\n");
        let one = "é".repeat(SHOWN);
        assert_eq!(last(&one).len(), SHOWN);
        let lines = "0123456789abcde\n".repeat(2 * SHOWN / 16);
        assert_eq!(last(&format!("{lines}x")).len(), SHOWN - 15);
    }
}
