//! From `OpenMetrics` text to the classic text format.
//!
//! `prometheus-client` writes `OpenMetrics`, where a counter's family is named without `_total`.
//! Every Prometheus reads the classic format, and `promtool check metrics` reads nothing else, so
//! this is the one format that is served.
//!
//! Source: `docs/instrumenting/exposition_formats.md` of prometheus/docs.

/// The content type of the classic format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Rewrites `OpenMetrics` text.
pub(super) fn from_open_metrics(text: &str) -> String {
    let mut classic = String::with_capacity(text.len() + text.len() / 16);
    let mut help = None;
    for line in text.lines() {
        if line.starts_with("# HELP ") {
            help = Some(line);
            continue;
        }
        if let Some((name, kind)) = read_type(line) {
            let suffix = if kind == "counter" { "_total" } else { "" };
            let help = help.take().and_then(|help| help.strip_prefix("# HELP "));
            if let Some(text) = help.and_then(|help| help.strip_prefix(name)) {
                push(&mut classic, &["# HELP ", name, suffix, text]);
            }
            let kind = if kind == "unknown" { "untyped" } else { kind };
            push(&mut classic, &["# TYPE ", name, suffix, " ", kind]);
        } else if !line.starts_with('#') {
            push(&mut classic, &[line]);
        }
    }
    classic
}

fn read_type(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("# TYPE ")?.split_once(' ')
}

fn push(text: &mut String, parts: &[&str]) {
    text.extend(parts.iter().copied());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_named_with_total_and_comments_that_the_format_lacks_are_dropped() {
        let open = "# HELP a Alerts.\n# TYPE a counter\n# UNIT a alerts\na_total{x=\"y\"} 1\n\
                    # HELP b Depth.\n# TYPE b gauge\nb 2\n# EOF\n";
        let classic = "# HELP a_total Alerts.\n# TYPE a_total counter\na_total{x=\"y\"} 1\n\
                       # HELP b Depth.\n# TYPE b gauge\nb 2\n";
        assert_eq!(from_open_metrics(open), classic);
    }
}
