//! The Ansible module `native.windows.psexec`: runs a command on a Windows host over SMB alone.
//!
//! Ansible starts it with the name of a JSON file that holds the task's options, and reads one JSON object from its
//! standard output.
//!
//! INVARIANT: exactly one JSON object is written, whatever happens, and it holds no secret.
#![forbid(unsafe_code)]

mod encoding;
#[cfg(fuzzing)]
pub mod fuzzing;
mod kerberos_hints;
mod messages;
mod options;
mod python;
mod result;
mod secrets;
mod syslog;
mod task;
mod validate;
mod win32;

use std::cell::Cell;
use std::ffi::OsString;
use std::panic;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use serde_json::{Map, Value};
use tokio::signal::unix::{Signal, SignalKind, signal};
use zeroize::Zeroizing;

use crate::result::Answer;
use crate::task::Task;
use crate::validate::{Parameters, Settings, Validated, validate};

/// Does the task in the file that the arguments name, and writes the answer to standard output; 1 if it has failed.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    keep_memory_private();
    let answer = answer_even_to_panics(|| answer(arguments));
    match answer.write(std::io::stdout().lock()) {
        Ok(()) => ExitCode::from(answer.exit_code()),
        Err(_) => ExitCode::FAILURE,
    }
}

/// Turns a panic into an answer that tells where it happened. What the panic itself says may quote a secret.
fn answer_even_to_panics(work: impl FnOnce() -> Answer + panic::UnwindSafe) -> Answer {
    static PLACE: Mutex<Option<String>> = Mutex::new(None);
    panic::set_hook(Box::new(|panic| {
        *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = panic.location().map(ToString::to_string);
    }));
    panic::catch_unwind(work).unwrap_or_else(|_| {
        let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner).take();
        let place = place.unwrap_or_else(|| "an unknown place".to_owned());
        Answer::failed(format!(
            "The module failed at {place}: this is a bug in native.windows.psexec, please report it."
        ))
    })
}

/// Passwords must not end up in a core dump, nor be read by other processes of the user.
fn keep_memory_private() {
    // Where a sandbox forbids either, the task is still worth doing.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

fn answer(arguments: Vec<OsString>) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Answer::failed(format!("The module cannot start its event loop: {error}.")),
    };
    let answer = runtime.block_on(async {
        match Interruption::listen() {
            Ok(interruption) => answer_to_file(&arguments, interruption).await,
            Err(error) => Answer::failed(format!("The module cannot listen for signals: {error}.")),
        }
    });
    // A name server that does not answer must not keep a module that was interrupted.
    runtime.shutdown_background();
    answer
}

async fn answer_to_file(arguments: &[OsString], interruption: Interruption) -> Answer {
    match read_arguments(arguments) {
        Ok(arguments) => answer_to_task(validate(arguments), interruption).await,
        Err(message) => Answer::failed(message),
    }
}

/// Reads the JSON object in the file that Ansible names.
fn read_arguments(arguments: &[OsString]) -> Result<Map<String, Value>, String> {
    let [path] = arguments else { return Err(USAGE.to_owned()) };
    let path = Path::new(path);
    let json = std::fs::read(path).map(Zeroizing::new);
    let json = json
        .map_err(|error| format!("Cannot read the module's arguments from {}: {error}.", path.display()))?;
    parse_arguments(&json, path)
}

fn parse_arguments(json: &[u8], path: &Path) -> Result<Map<String, Value>, String> {
    // What the parser says may quote the file.
    let described = |error: serde_json::Error| {
        format!(
            "The module's arguments in {} are not JSON: line {}, column {}.",
            path.display(),
            error.line(),
            error.column()
        )
    };
    match serde_json::from_slice(json).map_err(described)? {
        Value::Object(mut members) => Ok(match members.get_mut(WRAPPER) {
            Some(Value::Object(wrapped)) => std::mem::take(wrapped),
            _ => members,
        }),
        _ => Err(format!("The module's arguments in {} are not a JSON object.", path.display())),
    }
}

const USAGE: &str = "usage: psexec FILE. This is an Ansible module, which Ansible starts with the name of a JSON file \
    that holds the task's options; by hand: psexec args.json with {\"hostname\": \"server\", \"executable\": \"cmd.exe\"}.";

/// Modules in Python find their options inside of this member.
const WRAPPER: &str = "ANSIBLE_MODULE_ARGS";

async fn answer_to_task(validated: Validated, interruption: Interruption) -> Answer {
    let Validated { parameters, settings, secrets, error } = validated;
    let answer = match error {
        Some(error) => Answer::failed(error),
        None if settings.check_mode => Answer::skipped(&settings.module_name),
        None => {
            syslog::log_invocation(&settings, &parameters, &secrets);
            let mut answer = perform(&parameters, &settings, interruption).await;
            answer.warn(syslog::warnings(&settings, &parameters));
            answer
        }
    };
    answer.without_secrets(parameters, &secrets)
}

async fn perform(parameters: &Parameters, settings: &Settings, interruption: Interruption) -> Answer {
    let prepared = Task::new(parameters).and_then(|task| Ok((task, task::service_image()?)));
    let (Task { connection, process }, service) = match prepared {
        Ok(prepared) => prepared,
        Err(message) => return Answer::failed(message),
    };
    let port = connection.port;
    let signal = Cell::new(None);
    let cancelled = async { signal.set(Some(interruption.await_signal().await)) };
    let report = psexec_client::run(connection, process, service, cancelled).await;
    let trace = (settings.verbosity >= TRACE_VERBOSITY).then(|| report.trace.clone());
    let mut answer = Answer::of_report(report, |error| messages::explain(error, port, signal.get()));
    if let Some(trace) = trace {
        answer.trace(&trace);
    }
    answer
}

/// `-vvv`
const TRACE_VERBOSITY: u64 = 3;

/// The signals by which users and Ansible end a module.
struct Interruption([(&'static str, Signal); 3]);

impl Interruption {
    fn listen() -> std::io::Result<Self> {
        Ok(Self([
            ("SIGTERM", signal(SignalKind::terminate())?),
            ("SIGINT", signal(SignalKind::interrupt())?),
            ("SIGHUP", signal(SignalKind::hangup())?),
        ]))
    }

    /// Name of the first signal that comes.
    async fn await_signal(self) -> &'static str {
        let Self(
            [(terminate_name, mut terminate), (interrupt_name, mut interrupt), (hangup_name, mut hangup)],
        ) = self;
        tokio::select! {
            _ = terminate.recv() => terminate_name,
            _ = interrupt.recv() => interrupt_name,
            _ = hangup.recv() => hangup_name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_told_without_what_they_say() {
        let previous = panic::take_hook();
        let answer = answer_even_to_panics(|| panic!("s3cret"));
        panic::set_hook(previous);
        let mut line = Vec::new();
        answer.write(&mut line).expect("a vector takes everything");
        let line = String::from_utf8(line).expect("UTF-8");
        assert!(line.starts_with(r#"{"failed":true,"msg":"The module failed at "#), "{line}");
        assert!(line.contains("lib.rs") && !line.contains("s3cret"), "{line}");
        assert_eq!(answer.exit_code(), 1);
    }
}
