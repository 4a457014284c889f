//! Keeps the house in order: the rooms' order, the walls between them, and what the documents say
//! about paths.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The crates whose rooms are read in order, and how many rooms each has at least.
const CRATES: [(&str, usize); 4] =
    [("homeostat-core", 15), ("homeostat-config", 11), ("homeostat-hands", 4), ("homeostat", 11)];

/// Doors that never use each other.
const DOORS: [&str; 5] = ["intake", "probe", "journal", "notice", "web"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

pub(super) fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The rooms of a crate, in the order of `lib.rs`.
fn rooms(crate_src: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(crate_src.join("lib.rs")).unwrap();
    let rooms = text.lines().filter_map(|line| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    rooms.filter(|room| *room != "tests").map(str::to_owned).collect()
}

/// The room that a file belongs to.
fn room_of(crate_src: &Path, file: &Path) -> String {
    let first = file.strip_prefix(crate_src).unwrap().components().next().unwrap();
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The rooms that a file's code names as `crate::room` or `crate::{room, …}`.
fn used(file: &Path) -> BTreeSet<String> {
    used_from("crate::", file)
}

/// What a file's code names as `from::name` or `from::{name, …}`.
fn used_from(from: &str, file: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut used = BTreeSet::new();
    for rest in code.collect::<Vec<_>>().join("\n").split(from).skip(1) {
        let list = rest.strip_prefix('{').map_or("", |list| list.split("};").next().unwrap());
        let mut depth = 0;
        let parts = list.split(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        });
        used.extend(parts.chain([rest]).map(|part| {
            let part = part.trim_start().chars();
            part.take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>()
        }));
    }
    used
}

/// A room's tests may use the harness of the demo, which starts real programs.
fn may_use_the_harness(file: &Path) -> bool {
    file.iter().any(|part| part == "tests" || part == "tests.rs")
}

#[test]
fn a_room_uses_only_rooms_above_it() {
    for (name, fewest) in CRATES {
        let src = root().join("crates").join(name).join("src");
        let rooms = rooms(&src);
        assert!(rooms.len() >= fewest, "the list of rooms of {name} was not found");
        for file in files(&src, ".rs") {
            let room = room_of(&src, &file);
            let Some(position) = rooms.iter().position(|r| *r == room) else {
                let is_root = ["lib", "main", "tests"].contains(&room.as_str());
                assert!(is_root, "{} belongs to no room", file.display());
                continue;
            };
            for used in used(&file) {
                let above = rooms[..=position].contains(&used) || !rooms.contains(&used);
                let is_harness = used == "demo" && may_use_the_harness(&file);
                assert!(
                    above || is_harness,
                    "{} uses {used}, which stands below {room}",
                    file.display()
                );
            }
        }
    }
}

/// Deciding has an order of its own: its leaves know neither those below them nor the root.
#[test]
fn a_file_of_decide_uses_only_files_above_it() {
    let room = root().join("crates/homeostat-core/src/decide");
    let text = std::fs::read_to_string(room.join("mod.rs")).unwrap();
    let order = text.lines().filter_map(|line| {
        line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod ")?.strip_suffix(';')
    });
    let order: Vec<String> = order.map(str::to_owned).collect();
    assert!(order.len() >= 15, "the list of files was not found");
    for file in files(&room, ".rs").into_iter().filter(|file| !file.ends_with("mod.rs")) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let position = order.iter().position(|other| *other == name).unwrap();
        for used in used_from("super::", &file).into_iter().filter(|used| !used.is_empty()) {
            let above = order[..position].contains(&used);
            assert!(above, "{} uses {used}, which is not above it", file.display());
        }
    }
}

/// Core's lint configuration bans what is known to read the world; this bans whole modules.
#[test]
fn core_names_no_module_that_reaches_the_world() {
    let src = root().join("crates/homeostat-core/src");
    for file in files(&src, ".rs") {
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for module in ["fs", "net", "env", "process", "thread", "os", "io", "sync::Mutex"] {
                let reaches = line.contains(&format!("std::{module}"));
                assert!(!reaches, "{} names std::{module}: {line}", file.display());
            }
        }
    }
}

#[test]
fn doors_never_use_each_other() {
    let src = root().join("crates/homeostat/src");
    for door in DOORS {
        let inside = files(&src.join(door), ".rs");
        assert!(!inside.is_empty(), "there is no door {door}");
        for file in inside {
            for used in used(&file) {
                let wall = DOORS.contains(&used.as_str()) && used != door;
                assert!(!wall, "{} uses {used}", file.display());
            }
            let text = std::fs::read_to_string(&file).unwrap();
            for rest in text.split("homeostat_hands::").skip(1) {
                let shared = ["failpoint", "inherited"].iter().any(|room| rest.starts_with(room));
                assert!(shared, "{} uses the hands: {}", file.display(), &rest[..20]);
            }
        }
    }
}

#[test]
fn the_hands_know_no_engine_and_nobody_else_is_unsafe() {
    let root = root();
    let manifest = std::fs::read_to_string(root.join("crates/homeostat-hands/Cargo.toml")).unwrap();
    for stranger in ["homeostat.workspace", "homeostat-config", "rusqlite", "axum"] {
        assert!(!manifest.contains(stranger), "the hands know {stranger}");
    }
    // One hand talks to an API, which is told where it is by a file of YAML.
    let talks = root.join("crates/homeostat-hands/src/hand/kubernetes");
    for file in files(&root.join("crates/homeostat-hands/src"), ".rs") {
        let text = std::fs::read_to_string(&file).unwrap();
        for stranger in ["reqwest::", "serde_saphyr::"] {
            let may = file.starts_with(&talks) || !text.contains(stranger);
            assert!(may, "{} uses {stranger}", file.display());
        }
    }
    let word = "uns".to_owned() + "afe";
    let marks = ["fn", "impl", "extern", "{"].map(|what| format!("{word} {what}"));
    let hands = root.join("crates/homeostat-hands");
    for file in files(&root.join("crates"), ".rs") {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let is_unsafe = code.any(|line| marks.iter().any(|mark| line.contains(mark)));
        assert!(file.starts_with(&hands) || !is_unsafe, "{} is {word}", file.display());
    }
}

#[test]
fn routes_are_made_where_they_name_what_they_ask_for() {
    let src = root().join("crates/homeostat/src");
    for file in files(&src, ".rs") {
        let is_the_place = file.ends_with("access/routes.rs");
        // The demo breaks and heals a small service of its own.
        if is_the_place || room_of(&src, &file) == "demo" || may_use_the_harness(&file) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for way in [".route(", ".route_service(", "axum::routing"] {
            assert!(!text.contains(way), "{} makes a route by {way}", file.display());
        }
    }
}

#[test]
fn sql_stays_in_the_journal() {
    let src = root().join("crates/homeostat/src");
    for file in files(&src, ".rs") {
        let text = std::fs::read_to_string(&file).unwrap();
        let in_journal = room_of(&src, &file) == "journal";
        assert!(in_journal || !text.contains("rusqlite"), "{} knows SQL", file.display());
    }
}

#[test]
fn every_path_in_the_documents_exists() {
    let root = root();
    let mut seen = 0;
    for document in files(&root, ".md") {
        let text = std::fs::read_to_string(&document).unwrap();
        for path in paths(&text) {
            seen += 1;
            assert!(
                root.join(&path).exists(),
                "{} names {path}, which does not exist",
                document.display()
            );
        }
    }
    assert!(seen > 20, "the documents' paths were not found");
}

#[test]
fn the_architecture_names_every_room() {
    let root = root();
    let page = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    for (name, _) in CRATES {
        for room in rooms(&root.join("crates").join(name).join("src")) {
            assert!(
                page.contains(&format!("| `{room}` |")),
                "{name}: room {room} is not described"
            );
        }
    }
}

/// Code spans that begin with a folder of the tree.
fn paths(text: &str) -> Vec<String> {
    let spans = text.split('`').skip(1).step_by(2).filter(|span| {
        let folder = ["crates/", "docs/", "examples/", "scripts/", "contrib/"];
        folder.iter().any(|f| span.starts_with(f)) && !span.contains([' ', '*', '<', '\n'])
    });
    spans.map(str::to_owned).collect()
}

#[test]
fn nothing_is_left_undone_in_the_code() {
    let marks = ["TO".to_owned() + "DO", "FIX".to_owned() + "ME", "XX".to_owned() + "X"];
    for file in files(&root().join("crates"), ".rs") {
        let text = std::fs::read_to_string(&file).unwrap();
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{} has a {mark}", file.display());
        }
    }
}

#[test]
fn failpoints_are_in_no_program_that_is_not_asked_to_have_them() {
    let root = root();
    let hands = root.join("crates/homeostat-hands/Cargo.toml");
    let hands = std::fs::read_to_string(hands).unwrap();
    assert!(hands.contains("fail = { workspace = true, optional = true }"));
    let engine = std::fs::read_to_string(root.join("crates/homeostat/Cargo.toml")).unwrap();
    for manifest in [hands, engine] {
        let default = manifest.lines().find(|line| line.starts_with("default ="));
        let harmless = default.is_none_or(|line| line == "default = [\"kubernetes\", \"systemd\"]");
        assert!(harmless, "a default feature could bring them in");
    }
    let makefile = std::fs::read_to_string(root.join("Makefile")).unwrap();
    let release = |line: &&str| line.contains("--release") && line.contains("failpoints");
    assert_eq!(makefile.lines().find(release), None, "a release has none");
    // The crate `fail` is named in one file, and there only where the feature is on.
    for file in files(&root.join("crates"), ".rs") {
        let text = std::fs::read_to_string(&file).unwrap();
        let names = text.contains(&("fail".to_owned() + "::"));
        assert!(!names || file.ends_with("failpoint.rs"), "{}", file.display());
    }
    // This very program: as it was built, so it is.
    let program = std::fs::read(env!("CARGO_BIN_EXE_homeostat")).unwrap();
    let name = ["act", "prepared"].join(".");
    let has_them = program.windows(name.len()).any(|bytes| bytes == name.as_bytes());
    assert_eq!(has_them, cfg!(feature = "failpoints"));
}
