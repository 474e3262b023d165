//! The module's binary; all that it does is in the library, where fuzz targets reach it as well.
#![forbid(unsafe_code)]

use std::alloc::System;
use std::process::ExitCode;

use zeroizing_alloc::ZeroAlloc;

/// Wipes all memory that is given back: passwords pass through many hands, such as the parser of JSON and the encoders
/// of messages, which know nothing of secrets.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    psexec::main()
}
