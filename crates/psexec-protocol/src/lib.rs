//! Wire formats of the conversation between the module and the host: PAExec's messages, DCE/RPC, MS-SCMR.
//!
//! Every type encodes and decodes, so that the client, the service, the tests and the fuzzers share one codec.
//!
//! INVARIANTS: no I/O, no clock, no randomness; no panic on any input; decoding allocates in proportion to the
//! bytes that really arrived, whatever lengths they claim.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod cursor;
mod ndr;
pub mod paexec;
pub mod rpc;
pub mod scmr;
