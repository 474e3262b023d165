//! The lab host, and what the end-to-end tests share.
//!
//! INVARIANTS: nothing of this ships; what a test starts ends with the test, also when the test crashes.
#![forbid(unsafe_code)]

pub mod ansible;
pub mod callgrind;
pub mod crowd;
pub mod emulation;
pub mod examples;
pub mod folders;
pub mod host;
pub mod interop;
pub mod kdc;
pub mod lab;
pub mod module;
pub mod payload;
pub mod program;
pub mod proxy;
pub mod report;
pub mod server;
