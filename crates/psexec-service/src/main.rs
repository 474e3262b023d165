//! The Windows service that the module installs for one run: it starts the process as the client asks, carries its
//! standard streams over named pipes, and reports its exit code.

#[cfg(windows)]
mod service;

#[cfg(windows)]
fn main() {
    service::main();
}

#[cfg(not(windows))]
fn main() {
    println!("psexec-service is a Windows service; build it for x86_64-pc-windows-gnu");
}
