//! Output of a process, in whatever encoding it comes: text in the answer, without a broken escape.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| psexec::fuzzing::output(bytes));
