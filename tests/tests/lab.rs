//! The lab itself: that it is what the other tests take it for, and that it goes away.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use end_to_end::folders;
use end_to_end::lab::{Lab, LabOptions};

/// Tells the copy of this program that is to die with a lab in its hands.
const DYING: &str = "PSEXEC_TEST_DYING";

fn processes_of(lab: &str) -> usize {
    let mark = format!("PSEXEC_LAB={}", folders::labs().join(lab).display());
    let mut count = 0;
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        count +=
            usize::from(environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes()));
    }
    count
}

#[test]
fn labs_run_side_by_side() {
    let first = Lab::start(&LabOptions::default()).expect("a lab");
    let second = Lab::start(&LabOptions::default()).expect("another lab");
    assert_ne!(first.port(), second.port());
    assert_ne!(first.drive_c(), second.drive_c());
}

#[test]
fn a_lab_that_is_stopped_leaves_nothing() {
    let lab = Lab::start(&LabOptions { name: "stopped".into(), ..LabOptions::default() }).expect("a lab");
    let state = lab.state().to_path_buf();
    assert!(processes_of("stopped") > 5);
    lab.stop().expect("the lab stops");
    assert_eq!(processes_of("stopped"), 0);
    assert!(!state.exists());
}

#[test]
fn a_lab_ends_with_the_program_that_started_it() {
    const NAME: &str = "orphan";

    if std::env::var_os(DYING).is_some() {
        let _lab = Lab::start(&LabOptions { name: NAME.into(), ..LabOptions::default() }).expect("a lab");
        std::process::abort();
    }
    let mut dying = Command::new(std::env::current_exe().expect("this program"));
    dying.args(["--exact", "a_lab_ends_with_the_program_that_started_it"]).env(DYING, "1");
    let status = dying.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("a copy of this program");
    assert!(!status.success());
    let started = Instant::now();
    while processes_of(NAME) > 0 || folders::labs().join(NAME).exists() {
        assert!(started.elapsed() < Duration::from_secs(10), "the lab still runs");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_snapshot_sees_services_files_and_processes() {
    let lab = Lab::start(&LabOptions::default()).expect("a lab");
    let before = lab.snapshot().expect("a snapshot");
    assert!(before.services.len() > 3, "{:?}", before.services);

    let sc = [r"create", "LeftOver", "binPath=", r"C:\lab\probe.exe"];
    assert!(lab.run_program("sc", &sc).expect("sc").status.success());
    std::fs::write(lab.drive_c().join("windows/left over.exe"), "").expect("a file");
    let seen = thread::scope(|scope| {
        scope.spawn(|| lab.run_program(r"C:\lab\probe.exe", &["sleep", "2000"]));
        thread::sleep(Duration::from_secs(1));
        lab.snapshot().expect("a snapshot").since(&before)
    });
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert_eq!(seen[..2], ["service LeftOver", "file left over.exe"]);
    assert!(seen[2].starts_with("process ") && seen[2].ends_with(" probe.exe"), "{seen:?}");
}
