//! The Windows service that the module installs for one run: it starts the process as the client asks, carries its
//! standard streams over named pipes, and reports its exit code.
//!
//! Built with the standard library for Windows 7, which windows-build does where it can, it calls nothing that Windows 7
//! lacks.
//!
//! What is decided without Windows stands in modules of its own and is tested on every system.
#![warn(clippy::undocumented_unsafe_blocks, unsafe_op_in_unsafe_fn)]
#![cfg_attr(not(windows), allow(dead_code))]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "sizes of Windows's structures and its error codes, which have 32 bits there and other types here"
)]

mod account;
mod command_line;
mod conversation;
mod descent;
mod failure;

#[cfg(windows)]
mod host;
#[cfg(windows)]
mod pipe;
#[cfg(windows)]
mod process;
#[cfg(windows)]
mod profile;
#[cfg(windows)]
mod removal;
#[cfg(windows)]
mod run;
#[cfg(windows)]
mod service;
#[cfg(windows)]
mod stream;
#[cfg(windows)]
mod token;
#[cfg(windows)]
mod tree;
#[cfg(windows)]
mod wait;
#[cfg(windows)]
mod wide;

/// The argument with which the client registers the service, as PAExec's does.
#[cfg(windows)]
const SERVICE_ARGUMENT: &str = "-service";

#[cfg(windows)]
fn main() {
    if !std::env::args_os().any(|argument| argument == SERVICE_ARGUMENT) {
        println!("{DESCRIPTION}");
        return;
    }
    if let Err(error) = service::dispatch() {
        eprintln!("{DESCRIPTION}\n\nIt is started by the service control manager, not by hand: {error}");
        std::process::exit(1);
    }
}

#[cfg(not(windows))]
fn main() {
    println!("{DESCRIPTION}\n\nBuild it for x86_64-pc-windows-gnu.");
}

const DESCRIPTION: &str = concat!(
    "The Windows service of Ansible's module native.windows.psexec, version ",
    env!("CARGO_PKG_VERSION"),
    ".\nThe module installs it to run one process, and removes it afterwards."
);
