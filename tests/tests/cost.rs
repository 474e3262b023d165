//! What a run costs, counted: the module's own instructions, the waits for the host, the bytes sent. Counts do not
//! depend on what else the machine does, as times would.

use std::fs;
use std::time::Duration;

use end_to_end::callgrind;
use end_to_end::host::{Host, on_lab};
use end_to_end::lab::Lab;
use end_to_end::module::{self, Outcome, Task};
use end_to_end::proxy::{Behaviour, Proxy, Statistics};
use end_to_end::report::{counted, not_run};
use lab_windows::pattern;
use serde_json::{Value, json};

#[test]
fn an_echo_takes_few_instructions() {
    // Counted of three runs: 3.21 to 3.22 million with Debian 12's C library, 0.3 of them since every run looks for left-overs
    // and has secret names; 3.72 to 3.79 million with Debian 13's. Of several runs the best one counts.
    const BOUND: u64 = 4_000_000;

    on_lab(|host, _| {
        let runs: Vec<u64> = (0..3).map(|_| instructions(host, &echo(), assert_echoed)).collect();
        assert_few("an echo", &runs, BOUND);
    });
}

#[test]
fn ten_megabytes_of_output_take_few_instructions() {
    const SIZE: usize = 10_000_000;
    // Counted of five runs: 304 to 306 million.
    const BOUND: u64 = 336_000_000;

    let assert_whole = |outcome: &Outcome| {
        outcome.assert_ran(0);
        assert!(outcome.text("stdout").as_bytes() == pattern(SIZE), "not what the process wrote");
    };
    on_lab(|host, _| {
        let options = host.probe_options(&format!("emit stdout {SIZE}"), &json!({}));
        assert_few("10 MB of output", &[instructions(host, &options, assert_whole)], BOUND);
    });
}

/// A host under load makes the client ask for the service's pipe more than once: of several runs the best one counts,
/// which no load betters.
#[test]
fn a_run_waits_for_the_host_a_few_times() {
    // Counted: 14 or 15; two chains of requests that travel side by side may count once more. Of the table in ARCHITECTURE.md these are all but NEGOTIATE, before which nothing was
    // received, wait 11 twice, because cmd.exe writes a line and its end apart, and LOGOFF.
    const WAITS: u32 = 16;
    // Counted: 159.5 thousand, of which 151.6 are the service. Names have this machine's in them, which may be longer.
    const BYTES_SENT: u64 = 165_000;

    on_lab(|host, lab| {
        let runs: Vec<Statistics> = (0..5).map(|_| through_proxy(host, lab)).collect();
        let waits: Vec<u32> = runs.iter().map(|run| run.waits).collect();
        let sent: Vec<u64> = runs.iter().map(|run| run.from_client.bytes).collect();
        counted(&format!("waits for the host: {waits:?}, at most {WAITS}"));
        counted(&format!("bytes sent: {sent:?}, at most {BYTES_SENT}"));
        assert!(waits.iter().min() <= Some(&WAITS), "{waits:?} waits, not {WAITS}");
        assert!(sent.iter().min() <= Some(&BYTES_SENT), "{sent:?} bytes sent, not {BYTES_SENT}");
    });
}

/// How many instructions the module executes for this task.
#[track_caller]
fn instructions(host: &Host, options: &Value, assert_done: impl Fn(&Outcome)) -> u64 {
    let task = Task::new(&host.options(options)).expect("a task");
    let (output, instructions) = callgrind::run(&task).expect("callgrind counts");
    assert_done(&module::outcome(&output, Duration::ZERO).expect("one JSON object"));
    instructions
}

/// Fails if the best of these runs took more instructions than `bound`, on a processor like the one on which the bound
/// was found. It lies ten per cent above what was counted, far more than runs differ in: of 10 MB of output that is a pass
/// of three instructions a byte.
#[track_caller]
fn assert_few(what: &str, runs: &[u64], bound: u64) {
    counted(&format!("instructions of {what}: {runs:?}, at most {bound}"));
    let missing = missing_processor_features();
    if missing.is_empty() {
        assert!(runs.iter().min() <= Some(&bound), "{runs:?} instructions, not {bound}");
    } else {
        not_run(&format!("the bound is for processors with {}", missing.join(", ")));
    }
}

fn missing_processor_features() -> Vec<&'static str> {
    // AES and GHASH take many times as long without the first two; libc copies and searches by the third.
    const WANTED: [&str; 3] = ["aes", "pclmulqdq", "avx2"];

    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = text.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    WANTED.into_iter().filter(|wanted| !flags.split(' ').any(|flag| flag == *wanted)).collect()
}

/// An echo over a way long enough that answers which belong together arrive together.
#[track_caller]
fn through_proxy(host: &Host, lab: &Lab) -> Statistics {
    let behaviour = Behaviour { delay: Duration::from_millis(25), ..Behaviour::default() };
    let proxy = Proxy::start((lab.host(), lab.port()), behaviour).expect("a proxy");
    let mut options = echo();
    options["port"] = json!(proxy.port());
    assert_echoed(&host.run(&options));
    proxy.statistics()
}

fn echo() -> Value {
    json!({ "executable": "cmd.exe", "arguments": "/c echo Hello World" })
}

#[track_caller]
fn assert_echoed(outcome: &Outcome) {
    outcome.assert_ran(0);
    assert_eq!(outcome.text("stdout"), "Hello World\r\n");
}
