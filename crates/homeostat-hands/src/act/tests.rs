//! Runs real processes. Each test waits for events (files, ends), never for time to pass, and ends
//! by number whatever it left running.

use std::fs;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use homeostat_core::alert::Status;
use homeostat_core::label::LabelSet;

use super::*;

const ORDER: &str = "i1-restart-1";

/// Long enough that it is never reached on a slow machine, short enough to fail a test.
const PATIENCE: Duration = Duration::from_secs(20);

struct Bench {
    root: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    /// A file of the order: a record, or what the action left where it works.
    fn path(&self, name: &str) -> PathBuf {
        let records = ["alert.json", "script", "claim", "exit", "stdout", "stderr"];
        let kind = if records.contains(&name) { ORDERS } else { WORK };
        self.root.path().join(kind).join(ORDER).join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    async fn run(&self, execution: Execution) -> Ended {
        tokio::time::timeout(PATIENCE, perform(self.root.path(), execution, pending()))
            .await
            .expect("a run ends")
    }

    /// Runs it and cancels once the file is there.
    async fn run_until(&self, file: &str, execution: Execution) -> Ended {
        let path = self.path(file);
        let cancel = async move { eventually(|| path.exists()).await };
        tokio::time::timeout(PATIENCE, perform(self.root.path(), execution, cancel))
            .await
            .expect("a run ends")
    }

    fn found(&self) -> Found {
        inspect(self.root.path(), ORDER, &Life::begin().unwrap(), Word::Took)
    }

    /// The process whose number the action wrote to a file; ended with the test.
    fn process(&self, name: &str) -> Process {
        Process(Pid::from_raw(self.read(name).trim().parse().unwrap()).unwrap())
    }
}

struct Process(Pid);

impl Process {
    fn lives(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.as_raw_nonzero()));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

async fn eventually(mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "the awaited event does not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn map(pairs: &[(&str, &str)]) -> LabelSet {
    pairs.iter().copied().collect()
}

fn execution(program: Program) -> Execution {
    let alert = SubjectAlert {
        status: Status::Firing,
        fingerprint: "00f2".into(),
        labels: map(&[("alertname", "WebDown"), ("instance", "a:80")]),
        annotations: map(&[]),
        starts_at: None,
        ends_at: None,
        generator_url: String::new(),
    };
    Execution {
        order: ORDER.into(),
        name: ORDER.into(),
        program,
        timeout: PATIENCE * 2,
        grace: PATIENCE * 2,
        subject: Subject { alerts: vec![alert], ..Subject::default() },
        setting: Setting::default(),
    }
}

fn argv(argv: &[&str]) -> Execution {
    execution(Program::Argv(argv.iter().map(|element| (*element).into()).collect()))
}

fn script(text: &str) -> Execution {
    execution(Program::Script(text.into()))
}

fn labelled(mut execution: Execution, name: &str, value: &str) -> Execution {
    let leading = &mut execution.subject.alerts[0];
    leading.labels = leading.labels.iter().chain([(name, value)]).collect();
    execution
}

#[tokio::test]
async fn an_exit_code_is_told_and_recorded() {
    for code in [0, 1, 7, 255] {
        let bench = Bench::new();
        let ended = bench.run(script(&format!("echo out; echo err >&2; exit {code}"))).await;
        assert_eq!(ended.outcome, Outcome::Exited { code });
        assert_eq!((ended.tail.as_str(), ended.truncated, ended.left), ("out\nerr\n", false, 0));
        assert!(ended.started_at.is_some() && ended.duration > Duration::ZERO);
        let Found::Ended(found) = bench.found() else { panic!("{:?}", bench.found()) };
        assert_eq!(found, ended);
    }
}

#[tokio::test]
async fn a_script_is_run_by_what_its_first_line_names_or_else_by_the_shell() {
    for (text, output) in [
        (
            "#!/usr/bin/env python3\nimport sys\nprint('python', sys.version_info[0])\n",
            "python 3\n",
        ),
        ("#!/bin/sh -e\necho before\nfalse\necho not this\n", "before\n"),
        ("#!/bin/cat\nas it stands\n", "#!/bin/cat\nas it stands\n"),
        ("#! /bin/cat\r\nas it stands\n", "as it stands\n"),
        ("#!\necho of the shell\n", "of the shell\n"),
        ("# no interpreter\necho of the shell\n", "of the shell\n"),
    ] {
        let ended = Bench::new().run(script(text)).await;
        assert!(ended.tail.contains(output), "{text:?}: {:?} {:?}", ended.tail, ended.outcome);
        assert!(!ended.tail.contains("not this"), "{text:?}: {:?}", ended.tail);
    }
}

#[tokio::test]
async fn a_script_whose_interpreter_is_not_there_has_not_started() {
    let ended = Bench::new().run(script("#!/no/such/interpreter\ntrue\n")).await;
    let Outcome::Refused { reason: Refusal::Spawn { program, lasting: true, .. } } = &ended.outcome
    else {
        panic!("{:?}", ended.outcome)
    };
    assert_eq!(program, "/no/such/interpreter");
}

#[tokio::test]
async fn a_signal_is_told() {
    let ended = Bench::new().run(script("kill -KILL $$")).await;
    assert_eq!(ended.outcome, Outcome::Signalled { signal: 9 });
    let ended = Bench::new().run(argv(&["sh", "-c", "kill -TERM $$"])).await;
    assert_eq!(ended.outcome, Outcome::Signalled { signal: 15 });
}

#[tokio::test]
async fn an_action_runs_in_its_directory_with_its_variables_and_no_foreign_ones() {
    let bench = Bench::new();
    let ended = bench.run(script("pwd; env > variables; test -n \"$PATH\"")).await;
    assert_eq!(ended.outcome, Outcome::Exited { code: 0 });
    let directory = bench.root.path().canonicalize().unwrap().join(WORK).join(ORDER);
    assert_eq!(ended.tail.trim_end(), directory.to_str().unwrap());
    let variables = bench.read("variables");
    assert!(variables.contains("\nHOMEOSTAT_LABEL_instance=a:80\n"), "{variables}");
    assert!(variables.contains("\nAMX_ALERT_1_LABEL_instance=a:80\n"), "{variables}");
    let mode = |path: &Path| {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777
    };
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&bench.root.path().join(ORDERS).join(ORDER)), 0o700);
    for file in ["alert.json", "script", "claim", "stdout", "stderr", "exit"] {
        assert_eq!(mode(&bench.path(file)), 0o600, "{file}");
    }
}

/// Leaves one process in the group, one in its own session, and one daemon whose parents are gone.
const FAMILY: &str = "
    trap '' TERM
    sleep 600 & echo $! > in_group
    setsid sleep 600 & echo $! > in_session
    setsid sh -c 'sh -c \"echo \\$\\$ > daemon.new; mv daemon.new daemon; exec sleep 600\" &'
    while ! [ -e daemon ]; do sleep 0.01; done
    echo $$ > leader
    touch ready
    wait
    sleep 600
";

fn family(bench: &Bench) -> Vec<Process> {
    ["leader", "in_group", "in_session", "daemon"].map(|name| bench.process(name)).into()
}

#[tokio::test]
async fn a_timeout_ends_the_group_its_sessions_and_its_daemons() {
    let bench = Bench::new();
    let mut execution = script(FAMILY);
    // The only time that must pass: the family comes to be within it.
    execution.timeout = Duration::from_secs(3);
    execution.grace = Duration::from_millis(50);
    let ended = bench.run(execution).await;
    let family = family(&bench);
    assert_eq!((ended.outcome, ended.left), (Outcome::TimedOut, 0));
    assert!(family.iter().all(|process| !process.lives()));
}

#[tokio::test]
async fn a_cancel_ends_the_whole_tree() {
    let bench = Bench::new();
    let mut execution = script(FAMILY);
    execution.grace = Duration::from_millis(50);
    let ended = bench.run_until("ready", execution).await;
    let family = family(&bench);
    assert_eq!((ended.outcome.clone(), ended.left), (Outcome::Cancelled, 0));
    assert!(family.iter().all(|process| !process.lives()));
    assert_eq!(bench.found(), Found::Ended(ended));
}

#[tokio::test]
async fn a_process_that_ends_on_term_is_not_waited_for_longer() {
    let bench = Bench::new();
    let text = "trap 'echo cleaned up; exit 0' TERM; touch ready; while :; do sleep 0.01; done";
    let ended = bench.run_until("ready", script(text)).await;
    assert_eq!(ended.outcome, Outcome::Cancelled);
    assert!(ended.tail.starts_with("cleaned up\n"), "{}", ended.tail);
    assert!(ended.duration < PATIENCE, "the grace was not used up");
}

#[tokio::test]
async fn the_same_order_of_another_engine_is_left_alone() {
    let (ours, theirs) = (Bench::new(), Bench::new());
    let ended = theirs.run(script("setsid sleep 600 & echo $! > pid")).await;
    let other = theirs.process("pid");
    assert_eq!((ended.outcome, ended.left), (Outcome::Exited { code: 0 }, 1));
    let mut execution = script(FAMILY);
    execution.grace = Duration::ZERO;
    ours.run_until("ready", execution).await;
    assert!(family(&ours).iter().all(|process| !process.lives()));
    assert!(other.lives());
}

#[tokio::test]
async fn an_action_cancelled_before_its_start_is_not_started() {
    let bench = Bench::new();
    let ended = perform(bench.root.path(), script("touch ran"), async {}).await;
    assert_eq!(ended.outcome, Outcome::Refused { reason: Refusal::Cancelled });
    assert!(!bench.path("claim").exists() && !bench.exists("ran"));
}

#[tokio::test]
async fn a_chatty_action_is_not_held_up_and_its_output_is_bounded() {
    let bench = Bench::new();
    let text = "echo first; head -c 50000000 /dev/zero | tr '\\0' x; echo; echo last";
    let ended = bench.run(script(text)).await;
    assert_eq!(ended.outcome, Outcome::Exited { code: 0 });
    assert!(ended.truncated && ended.tail.len() <= limits::TAIL_MAX);
    assert!(ended.tail.ends_with("x\nlast\n"));
    let stdout = bench.read("stdout");
    assert!(stdout.starts_with("first\nxxx") && stdout.ends_with("x\nlast\n"));
    let left_out = 50_000_012 - limits::OUTPUT_MAX;
    let marker = format!("\n[{left_out} bytes left out]\n");
    assert!(stdout.contains(&marker));
    assert_eq!(stdout.len() as u64, limits::OUTPUT_MAX + marker.len() as u64);
}

#[tokio::test]
async fn the_complete_data_stands_on_stdin_whether_it_is_read_or_not() {
    let big = "x".repeat(1 << 20);
    let with_note = |mut execution: Execution| {
        execution.subject.alerts[0].annotations = map(&[("note", &big), ("nul", "a\0b")]);
        execution
    };
    let bench = Bench::new();
    let ended = bench.run(with_note(script("cat > copy; env > variables"))).await;
    assert_eq!(ended.outcome, Outcome::Exited { code: 0 });
    assert_eq!(bench.read("copy"), bench.read("alert.json"));
    let json: serde_json::Value = serde_json::from_str(&bench.read("copy")).unwrap();
    assert_eq!(json["alerts"][0]["annotations"]["note"], *big);
    assert_eq!(json["alerts"][0]["annotations"]["nul"], "a\0b");
    assert_eq!(json["homeostat"]["order"], ORDER);
    assert!(!bench.read("variables").contains("_ANNOTATION_"));

    let ended = Bench::new().run(with_note(argv(&["true"]))).await;
    assert_eq!(ended.outcome, Outcome::Exited { code: 0 });
}

#[tokio::test]
async fn what_stays_in_the_background_delays_nothing_and_can_go_on_writing() {
    let bench = Bench::new();
    let text = "
        (
            while ! [ -e go ]; do sleep 0.01; done
            echo late && touch wrote
            exec sleep 600
        ) &
        echo $! > pid
        echo done
    ";
    let ended = bench.run(script(text)).await;
    let background = bench.process("pid");
    assert_eq!(ended.outcome, Outcome::Exited { code: 0 });
    assert!(ended.left >= 1, "the background process, and the sleep in its loop");
    assert_eq!(ended.tail, "done\n");
    assert!(background.lives());
    fs::write(bench.path("go"), "").unwrap();
    eventually(|| bench.exists("wrote")).await;
    assert_eq!(bench.read("stdout"), "done\nlate\n");
    assert!(background.lives());
}

#[tokio::test]
async fn hostile_values_are_data_and_nothing_else() {
    let values = [
        "$(touch injected)",
        "`touch injected`",
        "'; touch injected; '",
        "\"; touch injected; \"",
        "a\nHOMEOSTAT_ORDER=forged\ntouch injected",
        "-rf",
        "--help",
        "a\tb \\ * ? ~ %s %n",
        "${PATH} $HOME \u{1b}[2J ä\u{202e}",
        "=",
        "",
    ];
    for value in values {
        let bench = Bench::new();
        let text = "printf %s \"$HOMEOSTAT_LABEL_v\"; printf %s \"$AMX_LABEL_v\" > amx
            printf %s \"$HOMEOSTAT_ORDER\" > order";
        bench.run(labelled(script(text), "v", value)).await;
        assert_eq!((bench.read("stdout"), bench.read("amx")), (value.into(), value.into()));
        assert_eq!(bench.read("order"), ORDER);
        assert!(!bench.exists("injected"));

        let bench = Bench::new();
        bench.run(argv(&["printf", "%s", value])).await;
        assert_eq!(bench.read("stdout"), value);
        assert!(!bench.exists("injected"));
    }
}

#[tokio::test]
async fn data_that_cannot_be_carried_refuses_and_touches_nothing() {
    let nul = labelled(script("touch ran"), "v", "a\0b");
    let long = labelled(script("touch ran"), "v", &"x".repeat(200 << 10));
    let colliding = labelled(labelled(script("touch ran"), "a-b", "1"), "a.b", "2");
    let mut escaping = script("touch ran");
    escaping.name = "../escaped".into();
    let refused = [
        (nul, "HOMEOSTAT_LABEL_v contains a NUL byte"),
        (long, "HOMEOSTAT_LABEL_v takes 204819 bytes, the kernel takes at most 131072"),
        (colliding, "labels \"a-b\" and \"a.b\" both become the variable HOMEOSTAT_LABEL_a_b"),
        (escaping, "order id \"../escaped\" cannot name a directory"),
        (script("a\0b"), "the script contains a NUL byte"),
        (argv(&["echo", "a\0b"]), "argument 1 contains a NUL byte"),
        (argv(&[]), "the action names no program"),
    ];
    for (execution, expected) in refused {
        let bench = Bench::new();
        let ended = bench.run(execution).await;
        let Outcome::Refused { reason } = ended.outcome else { panic!("{:?}", ended.outcome) };
        assert_eq!(reason.to_string(), expected);
        assert!(ended.started_at.is_none());
        assert_eq!(fs::read_dir(bench.root.path()).unwrap().count(), 0);
        assert!(!bench.root.path().join("../escaped").exists());
    }
}

#[tokio::test]
async fn a_long_script_runs() {
    let text = format!("{}\necho done\n", "# filler\n".repeat(40_000));
    let ended = Bench::new().run(script(&text)).await;
    assert_eq!(ended.tail, "done\n");
}

#[tokio::test]
async fn a_claimed_order_does_not_run() {
    let bench = Bench::new();
    fs::create_dir_all(bench.root.path().join(ORDERS).join(ORDER)).unwrap();
    fs::write(bench.path("claim"), "").unwrap();
    let ended = bench.run(script("touch ran")).await;
    assert_eq!(ended.outcome, Outcome::Unknown { reason: Doubt::AlreadyClaimed });
    assert!(!bench.exists("ran") && !bench.exists("alert.json"));
    assert_eq!(bench.found(), Found::Unknown(Doubt::NoExit));
}

#[tokio::test]
async fn an_order_that_ran_does_not_run_again() {
    let bench = Bench::new();
    let first = bench.run(script("echo ran >> runs; exit 3")).await;
    let second = bench.run(script("echo ran >> runs")).await;
    assert_eq!(second.outcome, Outcome::Unknown { reason: Doubt::AlreadyClaimed });
    assert_eq!(bench.read("runs"), "ran\n");
    assert_eq!(bench.found(), Found::Ended(first));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_one_runs() {
    let bench = Bench::new();
    let runs: Vec<_> = (0..16)
        .map(|_| {
            let root = bench.root.path().to_owned();
            let text = "cat > /dev/null; echo ran >> runs";
            tokio::spawn(async move { perform(&root, script(text), pending()).await })
        })
        .collect();
    let mut exited = 0;
    for run in runs {
        match run.await.unwrap().outcome {
            Outcome::Exited { code: 0 } => exited += 1,
            other => assert_eq!(other, Outcome::Unknown { reason: Doubt::AlreadyClaimed }),
        }
    }
    assert_eq!((exited, bench.read("runs").as_str()), (1, "ran\n"));
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_refused_and_recorded() {
    for program in ["no-such-program-anywhere", "/nonexistent/program", "./relative", "/etc/passwd"]
    {
        let bench = Bench::new();
        let ended = bench.run(argv(&[program])).await;
        let Outcome::Refused { reason: Refusal::Spawn { program: named, lasting: true, .. } } =
            &ended.outcome
        else {
            panic!("{:?}", ended.outcome)
        };
        assert_eq!(named, program);
        assert_eq!(bench.found(), Found::Ended(ended));
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_refuses() {
    let bench = Bench::new();
    fs::create_dir(bench.root.path().join(ORDERS)).unwrap();
    fs::write(bench.root.path().join(ORDERS).join(ORDER), "a file").unwrap();
    let ended = bench.run(script("true")).await;
    let Outcome::Refused { reason: Refusal::Storage { attempt, .. } } = ended.outcome else {
        panic!("{:?}", ended.outcome)
    };
    assert_eq!(attempt, "make the order's directory");
}

#[tokio::test]
async fn a_run_that_nobody_awaits_goes_on_and_its_end_is_unknown() {
    let bench = Bench::new();
    let text = "
        echo $$ > pid; touch ready
        while ! [ -e go ]; do sleep 0.01; done
        echo late && touch wrote; exec sleep 600
    ";
    tokio::select! {
        _ = perform(bench.root.path(), script(text), pending()) => panic!("it does not end"),
        () = eventually(|| bench.exists("ready")) => {}
    }
    let process = bench.process("pid");
    assert_eq!(bench.found(), Found::Unknown(Doubt::NoExit));
    fs::write(bench.path("go"), "").unwrap();
    eventually(|| bench.exists("wrote")).await;
    assert!(process.lives());
}

/// Counts the runs outside of what the action may remove.
fn counted(bench: &Bench, text: &str) -> Execution {
    script(&format!("echo ran >> {}\n{text}", bench.root.path().join("ran").display()))
}

fn runs(bench: &Bench) -> usize {
    fs::read_to_string(bench.root.path().join("ran")).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn an_action_that_removes_its_directory_and_what_is_beside_it_has_run_once_and_is_known() {
    for removes in ["rm -rf \"$PWD\"", "rm -rf -- ../* || true", "cd / && rm -rf \"$OLDPWD\""] {
        let bench = Bench::new();
        let ended = bench.run(counted(&bench, &format!("echo said\n{removes}\nexit 3"))).await;
        assert_eq!((&ended.outcome, ended.tail.as_str()), (&Outcome::Exited { code: 3 }, "said\n"));
        assert!(!bench.exists(""), "{removes}");
        for word in [Word::NeverTook, Word::Took, Word::Nobody] {
            let life = Life::begin().unwrap();
            let found = inspect(bench.root.path(), ORDER, &life, word);
            assert_eq!(found, Found::Ended(ended.clone()), "{removes}");
        }
        let again = bench.run(counted(&bench, "")).await;
        assert_eq!(again.outcome, Outcome::Unknown { reason: Doubt::AlreadyClaimed });
        assert_eq!(runs(&bench), 1);
    }
}

#[tokio::test]
async fn an_action_that_replaces_its_records_is_never_taken_as_not_started_and_keeps_nobody_waiting()
 {
    let replacements = [
        "rm -f FILE; mkfifo FILE",
        "rm -f FILE; ln -s /dev/zero FILE",
        "rm -f FILE; ln -s FILE FILE",
        "rm -f FILE; mkdir FILE",
        "rm -f FILE; mkdir FILE; touch FILE/x",
        "rm -f FILE",
        "chmod 0 FILE; : > FILE",
    ];
    for file in ["stdout", "stderr", "claim", "exit", "alert.json"] {
        for replacement in replacements {
            let bench = Bench::new();
            let path = bench.path(file).display().to_string();
            let text = format!("echo before\n{}\necho after", replacement.replace("FILE", &path));
            let ended = bench.run(counted(&bench, &text)).await;
            assert_eq!(ended.outcome, Outcome::Exited { code: 0 }, "{file}: {replacement}");
            assert!(ended.tail.contains("after\n"), "{file}: {replacement}: {}", ended.tail);
            let found = tokio::time::timeout(PATIENCE, async { bench.found() }).await.unwrap();
            match &found {
                Found::Ended(found) => assert_eq!(*found, ended),
                Found::Unknown(_) => assert_eq!(file, "exit", "{replacement}"),
                Found::NotStarted => panic!("{file}: {replacement}"),
            }
        }
    }
}

#[tokio::test]
async fn an_action_whose_output_is_a_pipe_by_now_does_not_outlive_its_limit() {
    let bench = Bench::new();
    let path = bench.path("stdout").display().to_string();
    let text = format!("rm {path}; mkfifo {path}; echo $$ > pid; exec sleep 600 > {path} < {path}");
    let mut execution = script(&text.replace("exec sleep 600 >", "exec sleep 600 1<>"));
    execution.timeout = Duration::from_millis(500);
    execution.grace = Duration::from_millis(50);
    let ended = bench.run(execution).await;
    assert_eq!((&ended.outcome, ended.left), (&Outcome::TimedOut, 0));
    assert!(!bench.process("pid").lives());
    assert_eq!(bench.found(), Found::Ended(ended));
}

#[tokio::test]
async fn an_action_works_where_and_with_what_it_is_set() {
    let bench = Bench::new();
    let (place, secret) = (bench.root.path().join("place"), bench.root.path().join("secret"));
    fs::create_dir(&place).unwrap();
    fs::write(&secret, "s3cret\n").unwrap();
    let text = "
        pwd -P; echo \"$GREETING\"; echo \"$TOKEN\"; echo \"${KEY:-none}\"
        cat \"$HOMEOSTAT_SECRETS/KEY\"; ls -ld \"$HOMEOSTAT_SECRETS\" | cut -c1-10
        ls -l \"$HOMEOSTAT_SECRETS/KEY\" | cut -c1-10; echo \"$HOMEOSTAT_SECRETS\" > secrets
    ";
    let mut execution = script(text);
    let file = |name: &str, as_variable| SecretFile {
        name: name.into(),
        file: secret.clone(),
        as_variable,
    };
    execution.setting = Setting {
        identity: None,
        directory: Some(place.clone()),
        variables: vec![("GREETING".into(), "hello".into())],
        secrets: vec![file("KEY", false), file("TOKEN", true)],
    };
    let ended = bench.run(execution).await;
    let place = place.canonicalize().unwrap();
    let expected = "hello\ns3cret\nnone\ns3cret\ndrwx------\n-r--------\n";
    assert_eq!(ended.tail, format!("{}\n{expected}", place.display()));
    let directory = PathBuf::from(fs::read_to_string(place.join("secrets")).unwrap().trim());
    assert!(!directory.exists(), "it is gone with the run");
}

#[tokio::test]
async fn a_relative_program_is_found_in_the_working_directory_that_it_is_given() {
    let (bench, place) = (Bench::new(), tempfile::tempdir().unwrap());
    std::os::unix::fs::symlink("/bin/pwd", place.path().join("where")).unwrap();
    let setting = Setting { directory: Some(place.path().to_owned()), ..Setting::default() };
    let ended = bench.run(Execution { setting, ..argv(&["./where"]) }).await;
    assert_eq!(ended.outcome, Outcome::Exited { code: 0 });
    let place = place.path().canonicalize().unwrap();
    assert_eq!(ended.tail, format!("{}\n", place.display()));
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_and_a_name_that_is_none_start_nothing() {
    let missing = |name: &str| Setting {
        secrets: vec![SecretFile {
            name: name.into(),
            file: "/nonexistent/secret".into(),
            as_variable: true,
        }],
        ..Setting::default()
    };
    let cases = [
        (missing("KEY"), "cannot hand over the secret KEY from /nonexistent/secret"),
        (missing("../KEY"), "../KEY"),
        (Setting { variables: vec![("A=B".into(), "x".into())], ..Setting::default() }, "A=B"),
    ];
    for (setting, says) in cases {
        let bench = Bench::new();
        let ended = bench.run(Execution { setting, ..script("touch ran") }).await;
        let Outcome::Refused { reason } = &ended.outcome else { panic!("{:?}", ended.outcome) };
        assert!(reason.to_string().contains(says), "{reason}");
        assert!(!bench.exists("ran"));
    }
}

/// Nobody's numbers, as everywhere.
fn nobody() -> Identity {
    Identity { user: 65_534, group: 65_534, groups: Vec::new() }
}

/// Where another user may pass through.
fn open_bench() -> Bench {
    let bench = Bench::new();
    let rights = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    fs::set_permissions(bench.root.path(), rights).unwrap();
    bench
}

#[tokio::test]
async fn a_script_that_runs_as_another_user_works_in_its_directory_and_cannot_reach_its_records() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can be another user");
        return;
    }
    let bench = open_bench();
    let secret = bench.root.path().join("secret");
    fs::write(&secret, "s3cret\n").unwrap();
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let records = bench.path("claim").parent().unwrap().display().to_string();
    let text = format!(
        "id -u; touch mine && echo wrote; ls {records} 2>/dev/null || echo hidden
         cat \"$HOMEOSTAT_SECRETS/KEY\"; cat {} 2>/dev/null || echo closed; head -c 1 | wc -c",
        secret.display()
    );
    let key = SecretFile { name: "KEY".into(), file: secret.clone(), as_variable: false };
    let setting = Setting { identity: Some(nobody()), secrets: vec![key], ..Setting::default() };
    let ended = bench.run(Execution { setting, ..script(&text) }).await;
    assert_eq!(ended.tail, "65534\nwrote\nhidden\ns3cret\nclosed\n1\n");
    assert_eq!(ended.outcome, Outcome::Exited { code: 0 });
}
