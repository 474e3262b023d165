//! What a host says when something fails, and the sentence that users see.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| psexec::fuzzing::failure(bytes));
