//! A frame from the host: headers, compounds, bodies, transform headers.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| smb_client::fuzzing::frame(bytes));
