//! Incidents as a table: as wide as the terminal, and coloured where somebody looks at one.

use std::io::{self, IsTerminal as _, Write};

use comfy_table::{ContentArrangement, Table, presets};
use homeostat_core::time::{Span, Timestamp};
use rustix::termios::tcgetwinsize;

use super::incidents::{alert, standing};
use super::plain::{cut, plain};
use crate::web::api::view::{AlertStatus, IncidentList, IncidentView};

/// Characters of a reason, where no terminal says how much room there is.
const REASON: usize = 60;

/// Characters to which a reason, and then a target, are cut at most.
const LEAST: usize = 10;

/// How a table looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// How many characters a line may have; `None` where it goes to no terminal.
    width: Option<usize>,
    is_coloured: bool,
    now: Timestamp,
}

impl Look {
    /// As standard output wants it: what is no terminal gets whole lines without colour, and `NO_COLOR`
    /// is heeded (<https://no-color.org>).
    pub(super) fn of_standard_output() -> Self {
        let out = io::stdout();
        let size = out.is_terminal().then(|| tcgetwinsize(&out).ok()).flatten();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            width: size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0),
            is_coloured: out.is_terminal() && !no_colour,
            now: Timestamp::from_micros(jiff::Timestamp::now().as_microsecond()),
        }
    }

    /// Tells whether somebody looks at a terminal.
    pub(super) fn is_of_terminal(self) -> bool {
        self.width.is_some()
    }
}

/// Prints a list as a table.
pub(super) fn table(list: &IncidentList, look: Look, out: &mut dyn Write) -> io::Result<()> {
    if list.incidents.is_empty() {
        return writeln!(out, "no incidents");
    }
    let mut rows: Vec<[String; 8]> = list.incidents.iter().map(|one| row(one, look)).collect();
    fit(&mut rows, look.width);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(HEADER);
    table.add_rows(&rows);
    for (number, line) in table.lines().enumerate() {
        let line = line.strip_prefix(' ').unwrap_or(&line).trim_end();
        let incident = number.checked_sub(1).and_then(|row| list.incidents.get(row));
        match incident.filter(|_| look.is_coloured) {
            Some(incident) => {
                let state = standing(incident);
                // Before it there is nothing but a number.
                let painted = line.replacen(state, &paint(state), 1);
                writeln!(out, "{painted}")?;
            }
            None => writeln!(out, "{line}")?,
        }
    }
    if let Some(cursor) = &list.next_cursor {
        writeln!(out, "\nmore: homeostat incidents --cursor {}", plain(cursor))?;
    }
    Ok(())
}

const HEADER: [&str; 8] = ["ID", "STATE", "ALERT", "NOW", "POLICY", "TARGET", "AGE", "REASON"];

fn row(incident: &IncidentView, look: Look) -> [String; 8] {
    [
        incident.id.clone(),
        standing(incident).to_owned(),
        plain(alert(incident)).into_owned(),
        incident.alert_status().map_or("–", AlertStatus::as_str).to_owned(),
        plain(&incident.policy).into_owned(),
        plain(&incident.target.to_string()).into_owned(),
        age(incident.opened_at, look.now),
        plain(&cut(&incident.reason, if look.width.is_some() { usize::MAX } else { REASON }))
            .into_owned(),
    ]
}

/// Cuts what is long, so that a row is a line.
fn fit(rows: &mut [[String; 8]], width: Option<usize>) {
    let Some(width) = width else { return };
    for column in [7, 5, 2, 4] {
        let widest = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or_default().max(HEADER[column].len())
        };
        // Two characters stand between columns.
        let all: usize = (0..HEADER.len()).map(|column| widest(column) + 2).sum::<usize>() - 2;
        let Some(beyond) = all.checked_sub(width).filter(|beyond| *beyond > 0) else { return };
        let room = widest(column).saturating_sub(beyond).max(LEAST);
        for row in rows.iter_mut() {
            row[column] = cut(&row[column], room).into_owned();
        }
    }
}

/// How long something is ago, in one unit or two.
fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = Span::as_millis(now.since(since)) / 1000;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (0, hours, minutes, _) => format!("{hours}h{minutes}m"),
        (days, hours, ..) => format!("{days}d{hours}h"),
    }
}

/// Colour is how it stands: what waits for a person, what was handed over, what was healed.
fn paint(state: &str) -> String {
    let colour = match state {
        "awaiting_approval" => "1;35",
        "escalated" => "1;31",
        "acting" | "verifying" => "34",
        "healed" | "recovered" => "32",
        "waiting" => "33",
        _ => return state.to_owned(),
    };
    format!("\u{1b}[{colour}m{state}\u{1b}[0m")
}

#[cfg(test)]
mod tests {
    use homeostat_core::name::IncidentId;

    use super::*;
    use crate::web::api::{fixture, fold};

    fn list() -> IncidentList {
        let healed = fold(IncidentId(1), &fixture::healed_by_the_second().facts).unwrap();
        let mut odd = fold(IncidentId(1), &fixture::held().facts).unwrap();
        (odd.id, odd.policy) = ("2".into(), "evil\u{1b}[2J".into());
        IncidentList { incidents: vec![odd, healed], next_cursor: Some("1".into()) }
    }

    fn printed(list: &IncidentList, width: Option<usize>, is_coloured: bool) -> String {
        let now = "2026-01-05T10:02:03Z".parse().unwrap();
        let mut out = Vec::new();
        table(list, Look { width, is_coloured, now }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn incidents_are_a_table() {
        insta::assert_snapshot!(printed(&list(), None, false), @r#"
        ID  STATE    ALERT        NOW       POLICY         TARGET             AGE   REASON
        2   waiting  ServiceDown  firing    evil\u{1b}[2J  {instance="a:80"}  1h2m  remedy restart is held: pause: paused by ann: migration
        1   healed   ServiceDown  resolved  web-down       {instance="a:80"}  1h2m  confirmed by remedy reboot: rule ServiceDown is inactive

        more: homeostat incidents --cursor 1
        "#);
        let empty = IncidentList { incidents: Vec::new(), next_cursor: None };
        assert_eq!(printed(&empty, None, false), "no incidents\n");
    }

    #[test]
    fn a_row_is_a_line_of_the_terminal() {
        for width in [100, 90, 80] {
            let text = printed(&list(), Some(width), false);
            for line in text.lines().take(3) {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
        let wide = printed(&list(), Some(200), false);
        assert!(wide.contains("rule ServiceDown is inactive\n"), "{wide}");
    }

    #[test]
    fn how_it_stands_is_coloured() {
        let text = printed(&list(), None, true);
        assert!(text.contains("\u{1b}[33mwaiting\u{1b}[0m  ServiceDown"), "{text}");
        assert!(text.contains("\u{1b}[32mhealed\u{1b}[0m"), "{text}");
        assert!(!printed(&list(), None, false).contains('\u{1b}'));
    }

    #[test]
    fn an_age_has_one_unit_or_two() {
        let now = Timestamp::from_seconds(1_000_000);
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (61, "1m1s"), (7260, "2h1m"), (180_000, "2d2h")]
        {
            assert_eq!(age(now - Span::from_secs(seconds), now), text);
        }
    }
}
