//! A Kerberos credential cache, and what is made of the tickets in it.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| psexec_client::fuzzing::credential_cache(bytes));
