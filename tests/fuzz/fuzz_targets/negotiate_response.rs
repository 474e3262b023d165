//! The host's NEGOTIATE response, which nothing protects yet.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| smb_client::fuzzing::negotiate_response(bytes));
