//! The Ansible module `native.windows.psexec`: runs a command on a Windows host over SMB alone.
//!
//! What all modules have in common is in `ansible_module`: here are the options, what they ask of the client, and the
//! sentences that users read.
#![forbid(unsafe_code)]

mod encoding;
#[cfg(fuzzing)]
pub mod fuzzing;
mod hints;
mod kerberos_hints;
mod messages;
mod mistakes;
mod options;
mod result;
mod task;
mod utf16;
mod win32;

use std::cell::Cell;
use std::process::ExitCode;

use ansible_module::{Answer, Context, Dict};
use psexec_client::Host;

use crate::hints::Circumstances;
use crate::options::SPEC;
use crate::task::Task;

/// Does the task that the command line names, and writes the answer to standard output; 1 if it has failed.
pub fn main() -> ExitCode {
    ansible_module::main(&SPEC, perform)
}

async fn perform(parameters: &Dict, context: Context) -> Answer {
    let prepared =
        Task::new(parameters).and_then(|task| Ok((task, task::output_encoding()?, task::service_image()?)));
    let (Task { connection, process }, encoding, service) = match prepared {
        Ok(prepared) => prepared,
        Err(message) => return Answer::failed(message),
    };
    let Context { verbosity, mut interruption, .. } = context;
    let circumstances = Circumstances::of(&connection, &process, &service);
    let signal = Cell::new(None);
    let cancelled = async { signal.set(Some(interruption.arrival().await)) };
    let mut host = Host::new(connection);
    let report = host.run(process, service, cancelled).await;
    // Nothing was put there but the service, which the run has taken away.
    host.close().await;
    let trace = (verbosity >= TRACE_VERBOSITY).then(|| report.trace.clone());
    let explain = |error: &_| messages::explain(error, &circumstances, signal.get());
    let mut answer = result::of_report(report, encoding.as_ref(), explain);
    if let Some(trace) = trace {
        result::insert_trace(&mut answer, &trace);
    }
    answer
}

/// `-vvv`
const TRACE_VERBOSITY: u64 = 3;
