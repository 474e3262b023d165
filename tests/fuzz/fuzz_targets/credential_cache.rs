//! A Kerberos credential cache, and what is made of the tickets in it.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| negotiate_auth::fuzzing::credential_cache(bytes));
