//! Wire formats of the conversation between the module and the host: PAExec's messages, DCE/RPC, MS-SCMR.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod paexec;
pub mod rpc;
pub mod scmr;
