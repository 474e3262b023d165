//! psexec
fn main() {}
