//! Sizes that are agreed on or bounded.
//!
//! [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap12.htm

/// Largest fragment that either side sends, in bytes; what Windows and Samba offer over named pipes.
pub const MAX_FRAGMENT: u16 = 4280;

/// Largest fragment that every implementation takes, in bytes: MustRecvFragSize of \[C706\] 12.6.3.
pub const MUST_RECEIVE_FRAGMENT: u16 = 1432;

/// Longest stub that is assembled from fragments, in bytes. Service control managers answer with 256 KiB at most.
pub const MAX_STUB: usize = 16 << 20;
