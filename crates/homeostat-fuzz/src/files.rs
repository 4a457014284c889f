//! Files that people write: configurations, and tests of policies.

use homeostat_config::{self as config, Report};
use homeostat_core::label::LabelSet;

/// Files that a test names are meant from here.
const BESIDE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/service-restart/homeostat.test.yml");

/// Reads and checks a configuration. A report can be shown in every form.
pub fn config(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match config::parse("homeostat.yml", text) {
        Ok(config) => {
            show(&config.warnings);
            let labels = LabelSet::from_pairs([("alertname", "ServiceDown"), ("job", "web")]);
            config.book.taking(&labels);
        }
        Err(report) => {
            assert!(report.errors() > 0, "it is refused without a reason: {text:?}");
            show(&report);
        }
    }
}

/// Reads and checks a file of policy tests.
pub fn policy_test(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Err(reports) = config::policy_test::parse(BESIDE, text.to_owned()) {
        assert!(!reports.is_empty(), "it is refused without a reason: {text:?}");
        reports.iter().for_each(show);
    }
}

fn show(report: &Report) {
    drop((report.to_string(), report.styled(), report.rows()));
}
