//! Runs that take long, and that pass much.

use std::thread;
use std::time::Duration;

use end_to_end::host::Host;
use end_to_end::lab::LabOptions;
use end_to_end::proxy::{Behaviour, Proxy};
use serde_json::json;

/// The host is asked whether it lives after ten seconds of silence.
#[test]
fn a_process_may_be_silent_for_long() {
    let host = host();
    let frames_of = |silence: Duration| {
        let proxy = Proxy::start(("127.0.0.1", host.port()), Behaviour::default()).expect("a proxy");
        let options = json!({ "port": proxy.port(), "connection_timeout": 5 });
        let outcome = host.probe(&format!("sleep {}", silence.as_millis()), &options);
        outcome.assert_ran(0);
        assert_eq!(outcome.text("stdout"), "slept\n");
        proxy.statistics().from_client.frames
    };
    thread::scope(|scope| {
        let [short, long, longer] =
            [5, 27, 60].map(|seconds| scope.spawn(move || frames_of(Duration::from_secs(seconds))));
        let [short, long, longer] = [short, long, longer].map(|run| run.join().expect("a run"));
        assert!(
            short < long && long < longer,
            "nobody asks whether the host lives: {short}, {long}, {longer}"
        );
    });
}

/// Hypervisors freeze their guests for as long when they move them or take a snapshot.
#[test]
fn a_host_may_be_frozen_while_its_process_runs() {
    const RUNS: Duration = Duration::from_secs(60);
    const FROZEN: Duration = Duration::from_secs(45);

    let host = host();
    let before = host.snapshot().expect("a snapshot");
    let lab = host.lab().expect("a lab");
    thread::scope(|scope| {
        let run = scope.spawn(|| host.probe(&format!("sleep {}", RUNS.as_millis()), &json!({})));
        thread::sleep(Duration::from_secs(8));
        lab.signal_smbd("STOP").expect("smbd stops");
        thread::sleep(FROZEN);
        assert!(!run.is_finished(), "the run has not waited");
        lab.signal_smbd("CONT").expect("smbd goes on");
        let outcome = run.join().expect("a run");
        outcome.assert_ran(0);
        assert_eq!(outcome.text("stdout"), "slept\n");
    });
    host.assert_clean(&before).expect("a clean host");
}

/// The process writes while it reads: whoever first passed all the input on, and then read the output, would wait for
/// ever.
#[test]
fn a_hundred_megabytes_pass_both_ways_at_once() {
    const LINE: usize = 50_000;
    const LINES: usize = 2_000;

    let host = host();
    let line = "0123456789".repeat(LINE / 10 - 1) + "012345678\n";
    let stdin = line.repeat(LINES);
    let outcome = host.probe("copy", &json!({ "stdin": stdin }));
    outcome.assert_ran(0);
    let stdout = outcome.text("stdout");
    assert_eq!(stdout.len(), LINE * LINES);
    assert!(stdout == stdin);
}

/// A lab for one test, so that others may run beside it.
fn host() -> Host {
    Host::of_lab(&LabOptions::default())
}
