//! psexec-service
fn main() {}
