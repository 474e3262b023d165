//! The file of arguments that Ansible hands over: any bytes, and any options in JSON.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| psexec::fuzzing::arguments(bytes));
