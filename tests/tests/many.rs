//! Many runs, at once and in a row, and runs whose client goes away.

use std::fs;
use std::process::Output;
use std::thread;
use std::time::{Duration, SystemTime};

use end_to_end::host::{Host, on_host};
use end_to_end::module::{self, Task};
use lab_windows::pattern;
use serde_json::json;

#[track_caller]
fn run_at_once(host: &Host, count: usize) {
    thread::scope(|scope| {
        for number in 0..count {
            scope.spawn(move || {
                let size = 20_000 + number;
                let outcome = host.probe(&format!("emit stdout {size}"), &json!({}));
                outcome.assert_ran(0);
                let stdout = outcome.text("stdout").as_bytes();
                let warnings = outcome.result.get("warnings");
                assert_eq!(stdout.len(), size, "run {number}, {:?}, {warnings:?}", outcome.elapsed);
                assert!(stdout == pattern(size), "run {number}");
                host.probe(&format!("exit {number}"), &json!({})).assert_ran(number as u64);
            });
        }
    });
}

#[test]
fn two_runs_at_once_keep_apart() {
    on_host(|host| run_at_once(host, 2));
}

#[test]
fn twenty_runs_at_once_keep_apart() {
    on_host(|host| run_at_once(host, 20));
}

#[test]
fn fifty_runs_in_a_row_leave_nothing() {
    on_host(|host| {
        for _ in 0..50 {
            host.probe("exit 0", &json!({})).assert_ran(0);
        }
    });
}

/// Sends the module a signal in the middle of a run.
fn interrupt(host: &Host, arguments: &str, signal: &str) -> (Output, Duration) {
    let task = Task::new(&host.options(&host.probe_options(arguments, &json!({})))).expect("a task");
    let module = task.interrupt(signal, Duration::from_secs(2)).expect("the module ends");
    assert!(module.arrived, "the module had ended: {:?}", module.output);
    (module.output, module.elapsed)
}

#[test]
fn a_module_that_is_terminated_answers_and_ends_the_process() {
    on_host(|host| {
        let (output, elapsed) = interrupt(host, "tree 60000", "TERM");
        let outcome = module::outcome(&output, elapsed).expect("one JSON object");
        outcome.assert_failed();
        assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
    });
}

#[test]
fn a_process_whose_client_was_killed_runs_to_its_end() {
    on_host(|host| {
        const FILE: &str = r"C:\Windows\Temp\native-windows-survivor.txt";

        let before = host.snapshot().expect("a snapshot");
        interrupt(host, &format!("touch {FILE} 4000"), "KILL");
        thread::sleep(Duration::from_secs(4));
        let written = host.run(&json!({ "executable": "cmd.exe", "arguments": format!("/c type {FILE}") }));
        host.run(&json!({ "executable": "cmd.exe", "arguments": format!("/c del {FILE}") })).assert_ran(0);
        assert_eq!(written.text("stdout"), "touched");

        // The service has removed itself, but Windows keeps the file of a program that runs, and so does Wine.
        let mut but_for_files = host.snapshot().expect("a snapshot");
        let left: Vec<_> = but_for_files.files.difference(&before.files).cloned().collect();
        assert!(left.len() <= 1, "{left:?}");
        but_for_files.services.clone_from(&before.services);
        but_for_files.processes.clone_from(&before.processes);
        host.assert_clean(&but_for_files).expect("no service and no process");
        left.iter().for_each(|file| remove_leftover(host, file));
    });
}

/// In the lab, by the way the module has for it: a later run takes away what has been there for long.
fn remove_leftover(host: &Host, file: &str) {
    let Some(lab) = host.lab() else {
        let delete = format!(r"/c del C:\Windows\{file}");
        host.run(&json!({ "executable": "cmd.exe", "arguments": delete })).assert_ran(0);
        return;
    };
    let file =
        fs::File::options().write(true).open(lab.drive_c().join("windows").join(file)).expect("the file");
    file.set_modified(SystemTime::now() - Duration::from_secs(3600)).expect("its time");
    host.probe("sleep 3000", &json!({})).assert_ran(0);
}
