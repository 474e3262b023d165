//! PAExec's messages on the main pipe, and the names of a run.
//!
//! PAExec publishes its [source] but no specification; this follows the former, and what pypsexec sends.
//! The service needs these formats and no others. The main pipe is in message mode: one message is one write and one read.
//!
//! ```text
//! u16 id | u32 scramble key, SETTINGS only | u32 unique id | u32 payload length | payload
//! ```
//!
//! [source]: https://github.com/poweradminllc/PAExec
//!
//! INVARIANTS: no I/O, no clock, no randomness; no panic on any input; decoding allocates in proportion to the
//! bytes that really arrived, whatever lengths they claim.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod error;
mod message;
mod run_name;
mod settings;
mod text;

pub use error::DecodeError;
pub use message::{CodePages, Message, MessageBody, StartApp};
pub use run_name::{Naming, PipeNames, PipeSecret, RunName};
pub use settings::{
    ABOVE_NORMAL_PRIORITY_CLASS, BELOW_NORMAL_PRIORITY_CLASS, FileInfo, HIGH_PRIORITY_CLASS,
    IDLE_PRIORITY_CLASS, LONGEST_COMMAND_LINE, NORMAL_PRIORITY_CLASS, REALTIME_PRIORITY_CLASS, Settings,
    TIMED_OUT, command_line,
};
