//! Who else can make the pipes of a run: any user of a host may watch its folders, and make a pipe of any name.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use end_to_end::folders;
use end_to_end::host::Host;
use end_to_end::lab::{Lab, LabOptions};
use end_to_end::module::{self, Outcome, Task};
use serde_json::json;

const RUNS: usize = 50;

/// The service that our module brings is told the names of its pipes when it is started: nobody can be there before it.
#[test]
fn nobody_who_sees_the_services_file_is_sent_anything() {
    let host = Host::of_lab(&LabOptions::default());
    let lab = host.lab().expect("a lab");
    let before = host.snapshot().expect("a snapshot");
    let seen = beside_a_squatter(lab, || {
        for _ in 0..RUNS {
            host.probe("exit 3", &json!({ "process_username": "System" })).assert_ran(3);
        }
    });
    assert_eq!(seen.count("took "), RUNS, "the squatter sees the files: {seen:?}");
    assert_eq!(seen.count("received "), 0, "{seen:?}");
    host.assert_clean(&before).expect("a clean host");
}

/// Under PAExec's names, which another client or service needs, the pipes can be foreseen. Our service then does not start
/// if one of them is somebody else's, and nobody is sent anything.
#[test]
fn our_service_does_not_start_under_paexecs_names_beside_somebody_elses_pipe() {
    let host = Host::of_lab(&LabOptions::default());
    let lab = host.lab().expect("a lab");
    let before = host.snapshot().expect("a snapshot");
    let seen = beside_a_squatter(lab, || {
        for _ in 0..5 {
            let outcome = run_under_paexecs_names(&host);
            let message = outcome.assert_failed();
            assert!(message.contains("PAExec service"), "{message}");
        }
    });
    assert_eq!(seen.count("took "), 5, "the squatter comes first: {seen:?}");
    assert_eq!(seen.count("received "), 0, "{seen:?}");
    // Where nobody is there before, it runs.
    run_under_paexecs_names(&host).assert_ran(3);
    host.assert_clean(&before).expect("a clean host");
}

#[track_caller]
fn run_under_paexecs_names(host: &Host) -> Outcome {
    let task = Task::new(&host.options(&host.probe_options("exit 3", &json!({})))).expect("a task");
    let service = folders::repository().join("target/service/psexec-service.exe");
    let started = Instant::now();
    let output = task.command().expect("the module").env("PSEXEC_SERVICE_EXE", service).output();
    module::outcome(&output.expect("the module starts"), started.elapsed()).expect("one JSON object")
}

/// What a squatter has said.
#[derive(Debug)]
struct Seen(String);

impl Seen {
    fn count(&self, beginning: &str) -> usize {
        self.0.lines().filter(|line| line.starts_with(beginning)).count()
    }
}

/// Has the probe make the pipes of what appears in `C:\windows` while `work` is done.
#[track_caller]
fn beside_a_squatter(lab: &Lab, work: impl FnOnce()) -> Seen {
    let log = lab.drive_c().join("lab/squatter.log");
    let output = thread::scope(|scope| {
        let squatter =
            scope.spawn(|| lab.run_program(r"C:\lab\probe.exe", &["squat", r"C:\lab\squatter.log"]));
        let stop = StopWhenDropped(log.with_extension("stop"));
        let started = Instant::now();
        while !fs::read_to_string(&log).is_ok_and(|text| text.contains("watching")) {
            assert!(started.elapsed() < Duration::from_secs(60), "the squatter does not start");
            thread::sleep(Duration::from_millis(10));
        }
        work();
        drop(stop);
        squatter.join().expect("the squatter's thread")
    });
    let output = output.expect("the probe");
    assert!(output.status.success(), "{output:?}");
    Seen(fs::read_to_string(&log).expect("what the squatter says"))
}

/// The squatter ends when this is dropped, also if a test fails meanwhile.
struct StopWhenDropped(PathBuf);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        let _ = fs::write(&self.0, "");
    }
}
