//! Names of services and files, which the sweep reads from a host and acts on.
#![no_main]
use libfuzzer_sys::fuzz_target;
use paexec::RunName;

fuzz_target!(|name: &str| {
    let Some(run) = RunName::parse(name) else { return };
    assert!(run.service().eq_ignore_ascii_case(name) || run.executable().eq_ignore_ascii_case(name));
});
