//! A module that does nothing, with options of every kind: what it answers is compared with ansible-core's answers.
#![forbid(unsafe_code)]

mod spec;

use std::process::ExitCode;

use ansible_module::{Answer, Value};

fn main() -> ExitCode {
    ansible_module::main(&spec::SPEC, async |_, context| {
        let mut answer = Answer::new();
        answer.insert("msg", "");
        answer.insert("check_mode", context.check_mode);
        answer.insert("diff_mode", context.diff);
        answer.insert("verbosity", Value::Number(context.verbosity.into()));
        answer
    })
}
