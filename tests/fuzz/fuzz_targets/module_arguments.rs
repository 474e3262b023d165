//! Arguments of a module with options of every kind and every rule among them, suboptions and secrets.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| ansible_module::fuzzing::artificial_arguments(bytes));
