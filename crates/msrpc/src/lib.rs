//! Remote procedure calls as Windows makes them: DCE/RPC ([MS-RPCE]), NDR, and the calls of [MS-SCMR].
//!
//! Every type encodes and decodes, so that the client, the tests and the fuzzers share one codec.
//!
//! INVARIANTS: no I/O, no clock, no randomness; no panic on any input; decoding allocates in proportion to the
//! bytes that really arrived, whatever lengths they claim.
//!
//! [MS-RPCE]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-rpce/290c38b1-92fe-4229-91e6-4fc376610c15
//! [MS-SCMR]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-scmr/705b624a-13de-43cc-b8a2-99573da3635f
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod ndr;
pub mod rpc;
pub mod scmr;

pub use ndr::NdrError;
