//! The tokens of SESSION_SETUP, SPNEGO with NTLM or Kerberos in it, and the replies of a KDC.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| negotiate_auth::fuzzing::security_token(bytes));
