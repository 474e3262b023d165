//! Test programs that run on the Windows host.
fn main() {}
