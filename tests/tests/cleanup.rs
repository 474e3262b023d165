//! Whatever goes wrong, the host is afterwards as it was, and the module says what happened.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Output};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use end_to_end::crowd::at_once;
use end_to_end::folders::{self, Public};
use end_to_end::host::Host;
use end_to_end::lab::{Delay, Lab, LabOptions, Refusal, Snapshot};
use end_to_end::module::{self, Outcome, Task};
use end_to_end::proxy::*;
use end_to_end::report::{counted, not_run};
use lab_windows::pattern;
use msrpc::scmr::*;
use paexec::{Naming, RunName};
use serde_json::{Value, json};

const SIZE: usize = 3000;

/// For a host on which many runs were broken at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Windows's own answer when an antivirus program objects.
const ERROR_VIRUS_INFECTED: u32 = 225;

const AT_ONCE: Duration = Duration::ZERO;

/// A start that is under way is carried out when a STOP has been, and before that is answered: what comes after the
/// answer, such as the removal of the file, is too late to keep the service from starting.
const STOP_BEFORE_START: [Delay; 2] = [
    Delay { opnum: RStartServiceW::OPNUM, before: Duration::from_millis(1500), after: AT_ONCE },
    Delay { opnum: RControlService::OPNUM, before: AT_ONCE, after: Duration::from_millis(2500) },
];

/// Lets the steps of a run lie far enough apart to hit each of them.
const DELAY: Duration = Duration::from_millis(20);

#[test]
fn a_connection_that_is_cut_anywhere_leaves_nothing() {
    break_after_every(3, &Action::CutAfter);
}

#[test]
fn a_connection_that_is_reset_anywhere_leaves_nothing() {
    break_after_every(3, &Action::ResetAfter);
}

#[test]
fn a_connection_that_falls_silent_anywhere_leaves_nothing() {
    break_after_every(3, &Action::VanishAfter);
}

#[test]
#[ignore = "campaign breaks: takes minutes"]
fn campaign_breaks_every_frame_of_either_side() {
    for action in [Action::CutAfter, Action::ResetAfter, Action::VanishAfter] {
        break_after_every(1, &action);
    }
}

/// Breaks a run after every first, second, third … frame of either side, and looks whether anything is left. What was
/// broken passes nothing on for as long as the test lasts.
#[track_caller]
fn break_after_every(step: usize, action: &Action) {
    let host = host();
    let before = host.snapshot().expect("a snapshot");
    let broken: Vec<_> = [Sender::Client, Sender::Server]
        .into_iter()
        .flat_map(|sender| (1..=31).step_by(step).map(move |frame| (sender, frame)))
        .collect();
    let proxies = Mutex::new(Vec::new());
    let failures = at_once(8, &broken, |&(sender, frame)| {
        let tampering = vec![Tampering { sender, when: When::Frame(frame), action: action.clone() }];
        let behaviour = Behaviour { tampering, spoilt_connection: Some(1), ..Behaviour::default() };
        let proxy = Proxy::start(("127.0.0.1", host.port()), behaviour).map_err(|error| error.to_string())?;
        let outcome = host.run(&emit(&proxy));
        println!(
            "after frame {frame} of the {sender:?}: {:?} {:?} {:?}",
            outcome.elapsed,
            outcome.result.get("msg"),
            outcome.result.get("warnings")
        );
        let connections = proxy.statistics().connections;
        proxies.lock().expect("nobody panics with it").push(proxy);
        if connections > 2 {
            return Err(format!("{connections} connections"));
        }
        right_or_failed(&outcome)
    });
    assert!(failures.is_empty(), "{failures}");
    host.assert_clean_within(&before, PATIENCE).expect("a clean host");
}

#[test]
fn a_module_that_is_told_to_end_does_so_at_any_moment() {
    let signals = ["TERM", "INT", "HUP"];
    let moments = [0, 60, 150, 250, 350, 450, 550, 700, 900, 1500].map(Duration::from_millis);
    let cases: Vec<_> =
        signals.into_iter().flat_map(|signal| moments.map(move |moment| (signal, moment))).collect();
    told_to_end(6, &cases);
}

/// Three hundred cancellations, a dozen at once, at moments that lie close together. How the steps of a dozen runs fall
/// beside each other is another matter each time.
#[test]
#[ignore = "campaign cancellations: takes minutes"]
fn campaign_cancellations_at_three_hundred_moments() {
    let moments = (0..300u64).map(|number| Duration::from_millis(60 + 12 * (number * 7 % 300)));
    told_to_end(12, &moments.map(|moment| ("TERM", moment)).collect::<Vec<_>>());
}

/// Sends each module its signal at its moment; each has to end soon, and nothing may stay on the host.
#[track_caller]
fn told_to_end(crowd: usize, cases: &[(&str, Duration)]) {
    let host = host();
    let before = host.snapshot().expect("a snapshot");
    let failures = at_once(crowd, cases, |&(signal, moment)| {
        let (output, elapsed) = interrupt(&host, "tree 60000", signal, moment);
        if output.stdout.is_empty() && moment.is_zero() {
            return Ok(()); // it had not come as far as to listen
        }
        let outcome = module::outcome(&output, elapsed).map_err(|error| format!("{error:#}"))?;
        println!(
            "{signal} after {moment:?}: {elapsed:?} {:?} {:?}",
            outcome.result.get("msg"),
            outcome.result.get("warnings")
        );
        if outcome.result.get("failed") != Some(&json!(true)) {
            return Err(format!("did not fail: {:?}", outcome.result));
        }
        if elapsed > Duration::from_secs(8) {
            return Err(format!("took {elapsed:?} to end"));
        }
        right_or_failed(&outcome)
    });
    assert!(failures.is_empty(), "{failures}");
    host.assert_clean_within(&before, PATIENCE).expect("a clean host");
}

/// The service control manager carries the call out when the module has looked, and found no service.
#[test]
fn a_service_that_is_created_late_does_not_stay_when_the_module_is_told_to_end() {
    let delays = [Delay { opnum: RCreateServiceW::OPNUM, before: Duration::from_secs(2), after: AT_ONCE }];
    told_to_end_during(RCreateServiceW::OPNUM, &delaying(delays));
}

/// The service control manager carries the call out when it has answered that there is nothing to stop.
#[test]
fn a_service_that_is_started_late_does_not_stay_when_the_module_is_told_to_end() {
    told_to_end_during(RStartServiceW::OPNUM, &delaying(STOP_BEFORE_START));
}

/// The module cannot wait for the answer, having to end within seconds, and looks whether anything has come of the call.
#[test]
fn a_service_that_is_started_too_late_to_be_waited_for_does_not_stay() {
    let (start, stop) = (Duration::from_millis(4400), Duration::from_millis(800));
    let delays = [
        Delay { opnum: RStartServiceW::OPNUM, before: start, after: AT_ONCE },
        Delay { opnum: RControlService::OPNUM, before: AT_ONCE, after: stop },
    ];
    told_to_end_during(RStartServiceW::OPNUM, &delaying(delays));
}

/// The host carries out first what the module asks then: requests of one connection have no order.
#[test]
fn a_file_that_is_written_late_does_not_stay_when_the_module_is_told_to_end() {
    let delay = Duration::from_millis(500);
    let late = Action::Late(delay + delay / 5);

    let host = host();
    let before = host.snapshot().expect("a snapshot");
    let upload = When::Message(Command::Write, 1);
    let tampering = vec![Tampering { sender: Sender::Client, when: upload, action: late }];
    let proxy =
        Proxy::start(("127.0.0.1", host.port()), Behaviour { delay, tampering, ..Behaviour::default() })
            .expect("a proxy");
    let options = json!({ "port": proxy.port(), "connection_timeout": 20, "encrypt": false });
    let task = Task::new(&host.options(&host.probe_options("exit 0", &options))).expect("a task");
    let module = task.interrupt_after("TERM", || {
        while proxy.statistics().tampered == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    });
    let module = module.expect("the module ends");
    let outcome = module::outcome(&module.output, module.elapsed).expect("one JSON object");
    outcome.assert_failed();
    assert!(!outcome.has("warnings"), "{:?}", outcome.result);
    thread::sleep(2 * delay);
    host.assert_clean_within(&before, PATIENCE).expect("a clean host");
}

/// Over another connection, which learns nothing of what becomes of the call.
#[test]
fn a_service_that_is_started_late_does_not_stay_when_the_connection_is_lost() {
    let host = delaying(STOP_BEFORE_START);
    let before = host.snapshot().expect("a snapshot");
    // After the bind, ROpenSCManagerW and RCreateServiceW.
    let start = When::Message(Command::Ioctl, 4);
    let tampering = vec![Tampering { sender: Sender::Client, when: start, action: Action::CutAfter }];
    let behaviour = Behaviour { tampering, spoilt_connection: Some(1), ..Behaviour::default() };
    let proxy = Proxy::start(("127.0.0.1", host.port()), behaviour).expect("a proxy");
    let options = json!({ "port": proxy.port(), "connection_timeout": 10, "encrypt": false });
    let outcome = host.probe("exit 0", &options);
    let message = outcome.assert_failed();
    assert!(!outcome.has("warnings"), "{message}, {:?}", outcome.result);
    assert_clean_in_the_end(RStartServiceW::OPNUM, &host, &before);
}

/// As PAExec answers while it has something to do.
#[test]
fn a_service_that_runs_on_when_it_is_told_to_stop_is_told_again() {
    let host = refusing([Refusal { opnum: RControlService::OPNUM, code: 0, count: 3 }]);
    let before = host.snapshot().expect("a snapshot");
    let (output, elapsed) = interrupt(&host, "tree 60000", "TERM", Duration::from_secs(4));
    let outcome = module::outcome(&output, elapsed).expect("one JSON object");
    outcome.assert_failed();
    assert!(!outcome.has("warnings"), "{:?}", outcome.result);
    host.assert_clean_within(&before, PATIENCE).expect("a clean host");
}

/// Tells the module to end as soon as the host has its call of this method.
#[track_caller]
fn told_to_end_during(opnum: u16, host: &Host) {
    let lab = host.lab().expect("the lab");
    let before = host.snapshot().expect("a snapshot");
    let task = Task::new(&host.options(&host.probe_options("tree 60000", &json!({})))).expect("a task");
    let module = task.interrupt_after("TERM", || lab.wait_for_call(opnum)).expect("the module ends");
    let outcome = module::outcome(&module.output, module.elapsed).expect("one JSON object");
    outcome.assert_failed();
    assert!(!outcome.has("warnings"), "{:?}", outcome.result);
    assert!(module.elapsed < Duration::from_secs(8), "took {:?} to end", module.elapsed);
    assert_clean_in_the_end(opnum, host, &before);
}

/// Looks at the host when a call of this method, which the module may not have waited for, has done what it does.
#[track_caller]
fn assert_clean_in_the_end(opnum: u16, host: &Host, before: &Snapshot) {
    host.lab().expect("the lab").wait_for_execution(opnum).expect("a call");
    thread::sleep(Duration::from_secs(1));
    host.assert_clean_within(before, PATIENCE).expect("a clean host");
}

/// Nobody is there to clean up: the process comes to its end, then the service goes; what never started goes with a
/// later run, when it is old enough to be dead beyond doubt.
#[test]
fn a_module_that_is_killed_at_any_moment_leaves_nothing_for_long() {
    let host = host();
    let before = host.snapshot().expect("a snapshot");
    let moments: Vec<_> = (0..20).map(|step| Duration::from_millis(50 * step)).collect();
    let failures = at_once(5, &moments, |&moment| {
        interrupt(&host, "sleep 2000", "KILL", moment);
        Ok(())
    });
    assert!(failures.is_empty(), "{failures}");
    wait_for_the_end_of_processes(&host, &before, Duration::from_secs(90));
    let left = host.snapshot().expect("a snapshot").since(&before);
    println!("left for a later run: {left:?}");
    age_files(&host, "3 minutes ago");
    host.probe("sleep 3000", &json!({})).assert_ran(0);
    host.assert_clean_within(&before, PATIENCE).expect("a clean host");
}

/// Of what lies about on a host, a run takes away what is ours and dead, says so, and touches nothing else.
#[test]
fn a_run_takes_away_what_earlier_ones_left_and_nothing_else() {
    let (dead, young, in_use, others) = (0x8000_0001, 0x8000_0002, 0x8000_0003, 4711);
    // Of a run with PAExec's names, of ours or another's: with the number of a process id.
    let paexecs = 0x8000_0004;

    let host = host();
    let lab = host.lab().expect("the lab");
    let name = |number| {
        let naming = if [others, paexecs].contains(&number) { Naming::PaExec } else { Naming::Own };
        RunName { naming, number, host: "elsewhere".to_owned() }
    };
    let file = |number| windows(&host).join(name(number).executable());
    for number in [dead, paexecs, in_use, others] {
        fs::write(file(number), "a service").expect("a file");
    }
    age_files(&host, "3 minutes ago");
    fs::write(file(young), "a service").expect("a file");
    let create = |number| {
        let service = name(number).service();
        let create = ["create", &service, "binPath=", r"C:\lab\probe.exe"];
        assert!(lab.run_program("sc", &create).expect("sc").status.success());
    };
    create(others);
    create(young);
    let running = [&name(in_use).service(), "binPath=", r"C:\windows\system32\rpcss.exe"];
    assert!(lab.run_program("sc", &[&["create"], &running[..]].concat()).expect("sc").status.success());
    assert!(lab.run_program("sc", &["start", running[0]]).expect("sc").status.success());

    let outcome = host.probe("sleep 4000", &json!({ "_ansible_verbosity": 3 }));
    outcome.assert_ran(0);
    let trace = outcome.result["trace"].to_string();
    for number in [dead, paexecs] {
        assert!(trace.contains(&format!("removed the file {}", name(number).executable())), "{trace}");
    }
    let services = host.snapshot().expect("a snapshot").services;
    for number in [young, in_use, others] {
        assert!(
            file(number).exists() && services.contains(&name(number).service()),
            "{number}: {services:?}"
        );
    }
    assert!(!file(dead).exists() && !file(paexecs).exists());
}

/// The look at what is left, and its removal, travel beside what a run waits for anyway: the report shows what they cost on a
/// long link.
#[test]
fn a_short_run_takes_away_what_many_left() {
    const LEFT: u32 = 35;
    const ONE_WAY: Duration = Duration::from_millis(100);

    let host = host();
    let run = || {
        let behaviour = Behaviour { delay: ONE_WAY, ..Behaviour::default() };
        let proxy = Proxy::start(("127.0.0.1", host.port()), behaviour).expect("a proxy");
        let options = json!({ "executable": "cmd.exe", "arguments": "/c rem", "port": proxy.port() });
        let outcome = host.run(&options);
        outcome.assert_ran(0);
        outcome.elapsed
    };
    let mut durations = [Duration::MAX; 2];
    for _ in 0..3 {
        durations[0] = durations[0].min(run());
        for number in 1..=LEFT {
            let naming = if number % 2 == 0 { Naming::Own } else { Naming::PaExec };
            let name = RunName { naming, number: number | 1 << 31, host: "elsewhere".to_owned() };
            fs::write(windows(&host).join(name.executable()), "a service").expect("a file");
        }
        age_files(&host, "3 minutes ago");
        durations[1] = durations[1].min(run());
        assert_eq!(uploads(&windows(&host)), Vec::<PathBuf>::new());
    }
    let [without, with] = durations;
    counted(&format!("a short run, {ONE_WAY:?} each way: {without:?}, and {with:?} with {LEFT} left-overs"));
}

/// A host that has stopped answering does not keep a module that is told to end.
#[test]
fn a_silent_host_does_not_keep_the_module_from_ending() {
    let host = host();
    for frame in [1, 4, 9, 14, 18] {
        let tampering =
            vec![Tampering { sender: Sender::Server, when: When::Frame(frame), action: Action::VanishAfter }];
        let behaviour = Behaviour { tampering, ..Behaviour::default() };
        let proxy = Proxy::start(("127.0.0.1", host.port()), behaviour).expect("a proxy");
        let task = Task::new(&host.options(&emit(&proxy))).expect("a task");
        let module = task.interrupt("TERM", Duration::from_secs(2)).expect("the module ends");
        let outcome = module::outcome(&module.output, module.elapsed).expect("one JSON object");
        outcome.assert_failed();
        assert!(module.elapsed < Duration::from_secs(10), "after frame {frame}: {:?}", module.elapsed);
    }
}

#[test]
fn fifty_runs_at_once_leave_nothing() {
    let host = host();
    let before = host.snapshot().expect("a snapshot");
    let numbers: Vec<u64> = (0..50).collect();
    let failures = at_once(50, &numbers, |&number| {
        let outcome = host.probe(&format!("exit {number}"), &json!({}));
        match outcome.result.get("rc") {
            Some(rc) if *rc == json!(number) => Ok(()),
            _ => Err(format!("{:?}", outcome.result)),
        }
    });
    assert!(failures.is_empty(), "{failures}");
    host.assert_clean_within(&before, PATIENCE).expect("a clean host");
}

#[test]
fn a_file_of_the_same_name_is_somebody_elses() {
    const NUMBER: u32 = 0x8000_1234;

    let host = host();
    let before = host.snapshot().expect("a snapshot");
    let file = windows(&host).join(format!("{}.exe", service_name(NUMBER)));
    fs::write(&file, "somebody else's").expect("a file");
    let outcome = run_with_number(&host, NUMBER);
    outcome.assert_ran(3);
    assert_eq!(fs::read_to_string(&file).expect("the file is still there"), "somebody else's");
    fs::remove_file(file).expect("the file can be removed");
    host.assert_clean_within(&before, PATIENCE).expect("a clean host");
}

#[test]
fn a_service_of_the_same_name_is_somebody_elses() {
    const NUMBER: u32 = 0x8000_4321;

    let host = host();
    let before = host.snapshot().expect("a snapshot");
    let service = service_name(NUMBER);
    let lab = host.lab().expect("the lab");
    let create = ["create", &service, "binPath=", r"C:\lab\probe.exe"];
    assert!(lab.run_program("sc", &create).expect("sc").status.success());
    run_with_number(&host, NUMBER).assert_ran(3);
    let services = host.snapshot().expect("a snapshot").services;
    assert!(services.contains(&service), "{services:?}");
    assert!(lab.run_program("sc", &["delete", &service]).expect("sc").status.success());
    host.assert_clean_within(&before, PATIENCE).expect("a clean host");
}

#[test]
fn a_service_database_that_is_locked_is_waited_for() {
    let refused = |opnum| Refusal { opnum, code: ERROR_SERVICE_DATABASE_LOCKED, count: 3 };
    let host = refusing([RCreateServiceW::OPNUM, RStartServiceW::OPNUM].map(refused));
    let before = host.snapshot().expect("a snapshot");
    let outcome = host.probe("exit 3", &json!({}));
    outcome.assert_ran(3);
    assert!(!outcome.has("warnings"), "{:?}", outcome.result);
    host.assert_clean_within(&before, PATIENCE).expect("a clean host");
}

#[test]
fn a_service_that_cannot_be_created_or_started_is_told() {
    for (opnum, code, told) in [
        (RCreateServiceW::OPNUM, ERROR_SERVICE_MARKED_FOR_DELETE, "services.msc"),
        (RCreateServiceW::OPNUM, ERROR_ACCESS_DENIED, "LocalAccountTokenFilterPolicy"),
        (RStartServiceW::OPNUM, ERROR_SERVICE_REQUEST_TIMEOUT, "did not report in time"),
        (RStartServiceW::OPNUM, ERROR_VIRUS_INFECTED, "antivirus"),
    ] {
        let host = refusing([Refusal { opnum, code, count: u32::MAX }]);
        let before = host.snapshot().expect("a snapshot");
        let outcome = host.probe("exit 3", &json!({}));
        let message = outcome.assert_failed();
        assert!(message.contains(told) && message.contains(&code.to_string()), "{message}");
        assert!(!outcome.has("warnings"), "{:?}", outcome.result);
        host.assert_clean_within(&before, PATIENCE).expect("a clean host");
    }
}

/// Whoever looks after the host's security is told which file to allow.
#[test]
fn what_security_software_forbids_is_told_with_the_file_to_allow() {
    let image = folders::repository().join("target/service/psexec-service.exe");
    let sum = Program::new("sha256sum").arg(image).output().expect("sha256sum").stdout;
    let hash = String::from_utf8_lossy(&sum).split(' ').next().expect("a hash").to_owned();
    for (code, told) in [
        (2, "has vanished before it was started"),
        (5, "antivirus program stops it"),
        (225, "antivirus program takes the service for malware, and does not let it start"),
        (226, "antivirus program takes the service for malware, and has deleted it"),
        (577, "verify their signature"),
        (1260, "AppLocker"),
        (4551, "WDAC"),
    ] {
        let host = refusing([Refusal { opnum: RStartServiceW::OPNUM, code, count: u32::MAX }]);
        let before = host.snapshot().expect("a snapshot");
        let outcome = host.probe("exit 3", &json!({}));
        let message = outcome.assert_failed();
        for part in [told, "native.windows.psexec-*.exe in the Windows folder", &hash] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
        host.assert_clean_within(&before, PATIENCE).expect("a clean host");
    }
}

#[test]
fn an_admin_share_that_is_missing_is_told() {
    let smb_conf = ["[ADMIN$]", "path = /", "available = no"].map(str::to_owned).to_vec();
    let host = Host::of_lab(&LabOptions { smb_conf, ..LabOptions::default() });
    let before = host.snapshot().expect("a snapshot");
    let outcome = host.probe("exit 0", &json!({}));
    let message = outcome.assert_failed();
    assert!(message.contains("STATUS_BAD_NETWORK_NAME") && message.contains("ADMIN$"), "{message}");
    host.assert_clean_within(&before, PATIENCE).expect("a clean host");
}

#[test]
fn an_admin_share_that_cannot_be_written_is_told() {
    let host = Host::of_lab(&LabOptions { read_only: true, ..LabOptions::default() });
    let before = host.snapshot().expect("a snapshot");
    let outcome = host.probe("exit 0", &json!({}));
    outcome.assert_failed();
    assert!(!outcome.has("warnings"), "{:?}", outcome.result);
    host.assert_clean_within(&before, PATIENCE).expect("a clean host");
}

#[test]
fn a_full_disk_is_told() {
    let host = host();
    let before = host.snapshot().expect("a snapshot");
    let Some(disk) = SmallDisk::mount(host.lab().expect("the lab")) else {
        return not_run("this kernel mounts no overlays here");
    };
    for encrypt in [true, false] {
        let outcome = host.probe("exit 0", &json!({ "encrypt": encrypt }));
        let message = outcome.assert_failed();
        assert!(message.contains("STATUS_DISK_FULL"), "{message}");
        assert!(!outcome.has("warnings"), "{:?}", outcome.result);
        host.assert_clean_within(&before, PATIENCE).expect("a clean host");
    }
    drop(disk);
}

/// As an antivirus does that dislikes the file.
#[test]
fn a_file_that_vanishes_before_the_start_is_told() {
    let host = host();
    let before = host.snapshot().expect("a snapshot");
    let behaviour = Behaviour { delay: Duration::from_millis(150), ..Behaviour::default() };
    let proxy = Proxy::start(("127.0.0.1", host.port()), behaviour).expect("a proxy");
    let outcome = thread::scope(|scope| {
        let run = scope.spawn(|| host.run(&emit(&proxy)));
        let file = wait_for_upload(&windows(&host));
        fs::remove_file(file).expect("the file can be removed");
        run.join().expect("a run")
    });
    let message = outcome.assert_failed();
    assert!(message.contains("RStartServiceW") || message.contains("RCreateServiceW"), "{message}");
    assert!(!outcome.has("warnings"), "{:?}", outcome.result);
    host.assert_clean_within(&before, PATIENCE).expect("a clean host");
}

#[test]
fn a_program_that_is_no_service_is_told() {
    let message = run_with_service("lab/probe.exe");
    assert!(message.contains("RStartServiceW") || message.contains("the service "), "{message}");
}

#[test]
fn a_service_that_never_opens_its_pipe_is_told() {
    let message = run_with_service("windows/system32/rpcss.exe");
    assert!(message.contains("did not open its pipe"), "{message}");
}

/// Runs the module with another program of drive C: in the place of its service; answers what it says.
#[track_caller]
fn run_with_service(program: &str) -> String {
    let host = host();
    let before = host.snapshot().expect("a snapshot");
    let task = Task::new(&host.options(&host.probe_options("exit 0", &json!({})))).expect("a task");
    let mut module = task.command().expect("the module");
    module.env("PSEXEC_SERVICE_EXE", host.lab().expect("the lab").drive_c().join(program));
    let started = Instant::now();
    let outcome = module::outcome(&module.output().expect("the module starts"), started.elapsed());
    let outcome = outcome.expect("one JSON object");
    let message = outcome.assert_failed();
    assert!(!outcome.has("warnings"), "{:?}", outcome.result);
    host.assert_clean_within(&before, PATIENCE).expect("a clean host");
    message.to_owned()
}

fn refusing<const N: usize>(refusals: [Refusal; N]) -> Host {
    Host::of_lab(&LabOptions { refusals: refusals.into(), ..LabOptions::default() })
}

fn delaying<const N: usize>(delays: [Delay; N]) -> Host {
    Host::of_lab(&LabOptions { delays: delays.into(), ..LabOptions::default() })
}

/// A lab for one test, so that others may run beside it.
fn host() -> Host {
    Host::of_lab(&LabOptions::default())
}

fn emit(proxy: &Proxy) -> Value {
    json!({
        "port": proxy.port(),
        "connection_timeout": 10,
        "executable": r"C:\lab\probe.exe",
        "arguments": format!("emit stdout {SIZE}"),
    })
}

/// A run that was broken fails, or has come to its end before.
fn right_or_failed(outcome: &Outcome) -> Result<(), String> {
    if outcome.result.get("failed") == Some(&json!(true)) {
        let believed = ["rc", "stdout", "stderr"].into_iter().find(|name| outcome.has(name));
        return believed.map_or(Ok(()), |name| Err(format!("{name} in spite of the failure")));
    }
    let stdout = outcome.result.get("stdout").and_then(Value::as_str).unwrap_or_default();
    if outcome.result.get("rc") == Some(&json!(0)) && stdout.as_bytes() == pattern(SIZE) {
        Ok(())
    } else {
        Err(format!("a false result: {:?}", outcome.result))
    }
}

/// Sends the module a signal some time after its start, on a link that makes a run take about a second.
fn interrupt(host: &Host, arguments: &str, name: &str, moment: Duration) -> (Output, Duration) {
    let proxy = Proxy::start(("127.0.0.1", host.port()), Behaviour { delay: DELAY, ..Behaviour::default() });
    let proxy = proxy.expect("a proxy");
    let options = host.probe_options(arguments, &json!({ "port": proxy.port(), "connection_timeout": 10 }));
    let task = Task::new(&host.options(&options)).expect("a task");
    // One that has ended already needs no signal.
    let module = task.interrupt(name, moment).expect("the module ends");
    (module.output, module.elapsed)
}

#[track_caller]
fn wait_for_the_end_of_processes(host: &Host, before: &Snapshot, patience: Duration) {
    let started = Instant::now();
    loop {
        let left = host.snapshot().expect("a snapshot").since(before);
        if !left.iter().any(|thing| thing.starts_with("process ")) {
            return;
        }
        assert!(started.elapsed() < patience, "still on the host: {}", left.join(", "));
        thread::sleep(Duration::from_millis(200));
    }
}

fn windows(host: &Host) -> PathBuf {
    host.lab().expect("the lab").drive_c().join("windows")
}

/// The files that services came from.
fn uploads(windows: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(windows).expect("the folder");
    let paths = entries.flatten().map(|entry| entry.path());
    paths
        .filter(|path| path.file_name().is_some_and(|name| RunName::parse(&name.to_string_lossy()).is_some()))
        .collect()
}

fn wait_for_upload(windows: &Path) -> PathBuf {
    let started = Instant::now();
    loop {
        if let Some(file) = uploads(windows).pop() {
            return file;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "nothing was uploaded");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Makes what was uploaded older.
fn age_files(host: &Host, since: &str) {
    for file in uploads(&windows(host)) {
        let touched = Program::new("touch").args(["-d", since]).arg(file).status().expect("touch");
        assert!(touched.success());
    }
}

/// As the module names the service of the run with this number.
fn service_name(number: u32) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("a host name");
    let host = host.trim().split('.').next().unwrap_or_default().to_owned();
    RunName { naming: Naming::Own, number, host }.service()
}

/// Runs the module so that the first number it draws is this one.
fn run_with_number(host: &Host, number: u32) -> Outcome {
    const SOURCE: &str = r#"
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/types.h>
        ssize_t getrandom(void *buffer, size_t length, unsigned flags)
        {
            static int drawn;
            if (length == 4 && !drawn++) {
                unsigned number = strtoul(getenv("FIRST_NUMBER"), NULL, 10);
                memcpy(buffer, &number, 4);
                return 4;
            }
            return ((ssize_t (*)(void *, size_t, unsigned))dlsym(RTLD_NEXT, "getrandom"))(buffer, length, flags);
        }"#;

    // The loader takes a space in a path for the end of it, and our own path may have one.
    let folder = Public::make().expect("a folder");
    let (source, library) = (folder.path().join("number.c"), folder.path().join("number.so"));
    fs::write(&source, SOURCE).expect("a file");
    let mut compiler = Program::new("gcc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    assert!(compiler.status().expect("gcc").success());

    let options = host.probe_options("exit 3", &json!({ "_ansible_verbosity": 3 }));
    let task = Task::new(&host.options(&options)).expect("a task");
    let mut module = task.command().expect("the module");
    module.env("LD_PRELOAD", library).env("FIRST_NUMBER", number.to_string());
    let started = Instant::now();
    let output = module.output().expect("the module starts");
    let outcome = module::outcome(&output, started.elapsed()).expect("one JSON object");
    let trace = outcome.result["trace"].to_string();
    assert!(!trace.contains(&format!("created the service {}", service_name(number))), "{trace}");
    outcome
}

/// A disk with little room in the place of smbd's `C:\Windows`, until this is dropped.
struct SmallDisk<'a> {
    lab: &'a Lab,
    folder: PathBuf,
    disk: PathBuf,
}

impl<'a> SmallDisk<'a> {
    /// `None` if it is not allowed.
    fn mount(lab: &'a Lab) -> Option<Self> {
        let small = Self { lab, folder: lab.drive_c().join("windows"), disk: lab.state().join("disk") };
        fs::create_dir_all(&small.disk).expect("a folder");
        let (upper, work) = (small.disk.join("upper"), small.disk.join("work"));
        let layers = format!(
            "lowerdir={},upperdir={},workdir={}",
            small.folder.display(),
            upper.display(),
            work.display()
        );
        let made = small.run("mount", &["-t", "tmpfs", "-o", "size=64k", "tmpfs"], &[&small.disk])
            && small.run("mkdir", &[], &[&upper, &work])
            && small.run("mount", &["-t", "overlay", "-o", &layers, "overlay"], &[&small.folder]);
        made.then_some(small)
    }

    fn run(&self, program: &str, arguments: &[&str], places: &[&Path]) -> bool {
        let mut command = self.lab.beside_smbd(program).expect("smbd runs");
        command.args(arguments).args(places).status().is_ok_and(|status| status.success())
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        for place in [&self.folder, &self.disk] {
            self.run("umount", &["--lazy"], &[place]);
        }
    }
}
