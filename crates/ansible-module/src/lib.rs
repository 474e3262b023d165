//! AnsibleModule's contract, for modules in Rust.
//!
//! Ansible starts a module with the name of a JSON file that holds the task's options, or an action plugin writes them
//! to its standard input; the module writes one JSON object to its standard output. In between lies what AnsibleModule
//! does for modules in Python: options are converted, checked against a table and completed, secrets are hidden, syslog
//! is told. A module is a table and a function:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use ansible_module::{Answer, OptionSpec, Options, Spec};
//!
//! static NAME: OptionSpec = OptionSpec { required: true, ..OptionSpec::text("name") };
//! static SPEC: Spec = Spec {
//!     name: "example.greetings.greet",
//!     version: env!("CARGO_PKG_VERSION"),
//!     options: Options::of(&[&NAME]),
//!     supports_check_mode: true,
//!     example: r#"{"name": "you"}"#,
//! };
//!
//! fn main() -> ExitCode {
//!     ansible_module::main(&SPEC, async |parameters, _context| {
//!         let mut answer = Answer::new();
//!         answer.insert("greeting", format!("Hello {}", parameters.text(&NAME).unwrap_or_default()));
//!         answer
//!     })
//! }
//! ```
//!
//! INVARIANT: knows no module.
//! INVARIANT: exactly one JSON object is written, whatever happens, and it holds no secret. Only who asks for `--version`
//! gets a line of text.
#![forbid(unsafe_code)]

// The artificial module's table is written for those who use the library.
#[cfg(any(test, fuzzing))]
extern crate self as ansible_module;

mod answer;
mod arguments;
#[cfg(any(test, fuzzing))]
#[path = "../tests/artificial/spec.rs"]
mod artificial;
mod convert;
mod environment;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod interruption;
mod parameters;
#[cfg(test)]
mod properties;
mod python;
mod python_literal;
mod rules;
mod secrets;
mod settings;
mod spec;
mod syslog;
mod validate;
mod value;

use std::ffi::OsString;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

pub use crate::answer::Answer;
pub use crate::interruption::Interruption;
pub use crate::spec::{Kind, Literal, Needs, OptionSpec, Options, RequiredIf, Spec};
pub use crate::value::{Dict, Surrogates, Value};

use crate::arguments::Source;
use crate::validate::{Validated, validate};

/// What a module knows beside its parameters.
#[derive(Debug)]
pub struct Context {
    /// The module is to change nothing, but to answer as if it had.
    pub check_mode: bool,
    /// The task is to say what it changes, with [`Answer::diff`].
    pub diff: bool,
    /// Number of `-v`.
    pub verbosity: u64,
    /// Resolves when the module is told to end.
    pub interruption: Interruption,
}

/// Does the task that the command line names, and writes the answer to standard output; 1 if it has failed.
///
/// `perform` gets the parameters after they have been found valid. It is not called in check mode, unless the module
/// supports that.
pub fn main(spec: &'static Spec, perform: impl AsyncFnOnce(&Dict, Context) -> Answer) -> ExitCode {
    keep_memory_private();
    let command_line: Vec<OsString> = std::env::args_os().skip(1).collect();
    if command_line == ["--version"] {
        return tell_version(spec);
    }
    let answer = answer_even_to_panics(spec.name, || answer(spec, command_line, perform));
    match answer.write(std::io::stdout().lock()) {
        Ok(()) => ExitCode::from(answer.exit_code()),
        Err(_) => ExitCode::FAILURE,
    }
}

/// The parameters that a module with this table gets from arguments in JSON: for tests of what it makes of them.
///
/// # Errors
/// What the module would answer in place of performing its task.
pub fn parameters(spec: &'static Spec, json: &[u8]) -> Result<Dict, String> {
    let arguments = Source::StandardInput.parse(json)?;
    let Validated { parameters, error, .. } = validate(spec, arguments, &environment::Process);
    error.map_or(Ok(parameters), Err)
}

/// For who has the program and not the collection around it. Ansible's own command lines name a file by its whole path.
fn tell_version(spec: &Spec) -> ExitCode {
    match writeln!(std::io::stdout(), "{} {}", spec.name, spec.version) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Passwords must not end up in a core dump, nor be read by other processes of the user.
fn keep_memory_private() {
    // Where a sandbox forbids either, the task is still worth doing.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Turns a panic into an answer that tells where it happened. What the panic itself says may quote a secret.
fn answer_even_to_panics(module: &str, work: impl FnOnce() -> Answer) -> Answer {
    let place = Arc::new(Mutex::new(None));
    let noted = Arc::clone(&place);
    panic::set_hook(Box::new(move |panic| {
        *noted.lock().unwrap_or_else(PoisonError::into_inner) = panic.location().map(ToString::to_string);
    }));
    // Nothing of what the work has touched is used after it.
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let place = place.lock().unwrap_or_else(PoisonError::into_inner).take();
        let place = place.unwrap_or_else(|| "an unknown place".to_owned());
        Answer::failed(format!("The module failed at {place}: this is a bug in {module}, please report it."))
    })
}

fn answer(
    spec: &'static Spec,
    command_line: Vec<OsString>,
    perform: impl AsyncFnOnce(&Dict, Context) -> Answer,
) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Answer::failed(format!("The module cannot start its event loop: {error}.")),
    };
    let answer = runtime.block_on(async {
        let mut interruption = match Interruption::listen() {
            Ok(interruption) => interruption,
            Err(error) => return Answer::failed(format!("The module cannot listen for signals: {error}.")),
        };
        match read_arguments(spec, command_line, &mut interruption).await {
            Ok(arguments) => {
                answer_to_task(spec, validate(spec, arguments, &environment::Process), interruption, perform)
                    .await
            }
            Err(message) => Answer::failed(message),
        }
    });
    // A name server that does not answer must not keep a module that was interrupted.
    runtime.shutdown_background();
    answer
}

async fn read_arguments(
    spec: &Spec,
    command_line: Vec<OsString>,
    interruption: &mut Interruption,
) -> Result<Dict, String> {
    let Some(source) = Source::of_command_line(command_line) else { return Err(usage(spec)) };
    let json = match source {
        Source::File(_) => source.read()?,
        // Who starts the module may keep it waiting.
        Source::StandardInput => tokio::select! {
            json = tokio::task::spawn_blocking(|| Source::StandardInput.read()) => {
                json.map_err(|_| "The module cannot read its standard input.".to_owned())??
            }
            signal = interruption.arrival() => {
                return Err(format!("The module was ended by {signal} before it had its arguments."));
            }
        },
    };
    let arguments = source.parse(&json);
    match source {
        Source::StandardInput if json.is_empty() => {
            arguments.map_err(|error| format!("{error} {}", usage(spec)))
        }
        _ => arguments,
    }
}

fn usage(spec: &Spec) -> String {
    let program = spec.short_name();
    format!(
        "usage: {program} [FILE]. This is an Ansible module, which reads the task's options from a JSON file or from \
         standard input; by hand: {program} args.json with {}.",
        spec.example
    )
}

async fn answer_to_task(
    spec: &Spec,
    validated: Validated,
    interruption: Interruption,
    perform: impl AsyncFnOnce(&Dict, Context) -> Answer,
) -> Answer {
    let Validated { parameters, settings, .. } = &validated;
    let mut answer = match &validated.error {
        Some(error) => Answer::failed(error),
        None if settings.check_mode && !spec.supports_check_mode => Answer::skipped(&settings.module_name),
        None => {
            syslog::log_invocation(&spec.options, &validated);
            let context = Context {
                check_mode: settings.check_mode,
                diff: settings.diff,
                verbosity: settings.verbosity,
                interruption,
            };
            let mut answer = perform(parameters, context).await;
            answer.warn(syslog::warnings(&spec.options, settings, parameters));
            answer
        }
    };
    answer.warn(validated.warnings);
    if validated.settings.inject_invocation {
        answer.tell_invocation(validated.parameters);
    }
    answer.without_secrets(&validated.secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_told_without_what_they_say() {
        let previous = panic::take_hook();
        let answer = answer_even_to_panics("a.b.module", || panic!("s3cret"));
        panic::set_hook(previous);
        let mut line = Vec::new();
        answer.write(&mut line).expect("a vector takes everything");
        let line = String::from_utf8(line).expect("UTF-8");
        assert!(line.starts_with(r#"{"failed":true,"msg":"The module failed at "#), "{line}");
        assert!(line.contains("lib.rs") && line.contains("a bug in a.b.module"), "{line}");
        assert!(!line.contains("s3cret"), "{line}");
        assert_eq!(answer.exit_code(), 1);
    }
}
