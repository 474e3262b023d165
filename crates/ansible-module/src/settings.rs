//! What Ansible tells every module beside the options.

use crate::convert::boolean;
use crate::python;
use crate::spec::Spec;
use crate::value::{Dict, Value};

/// The keys that begin with `_ansible_`, as ansible-core 2.16 to 2.21 passes them; those not named here are ignored.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Name of the module as the task spells it.
    pub(crate) module_name: String,
    pub(crate) check_mode: bool,
    /// The task is to say what it changes.
    pub(crate) diff: bool,
    /// The task's `no_log`: nothing is written to syslog.
    pub(crate) no_log: bool,
    /// Number of `-v`.
    pub(crate) verbosity: u64,
    /// Name of a facility, such as `LOG_USER`.
    pub(crate) syslog_facility: Option<String>,
    /// Put in front of what is written to syslog.
    pub(crate) target_log_info: Option<String>,
    pub(crate) ignore_unknown_options: bool,
    /// The answer is to tell the options that the module worked with. ansible-core asks for it since 2.21, and has them
    /// told always before.
    pub(crate) inject_invocation: bool,
}

const PREFIX: &str = "_ansible_";
/// The one setting that is not ansible-core's: an action plugin tells the module's name, where core takes that of the
/// program's file for it.
const REAL_NAME: &str = "real_module_name";
/// Settings that ansible-core converts to booleans, in the order in which it does so.
const BOOLEANS: [&str; 6] =
    ["check_mode", "debug", "diff", "keep_remote_files", "ignore_unknown_opts", "no_log"];

impl Settings {
    /// Takes the settings out of a task's arguments, and says which is unreadable. The last part of the module's name
    /// stands for the whole where Ansible does not tell that.
    pub(crate) fn take_from(arguments: Dict, spec: &Spec) -> (Self, Dict, Option<String>) {
        let (internal, options): (Dict, Dict) =
            arguments.0.into_iter().partition(|(key, _)| key.starts_with(PREFIX));
        let value = |name: &str| internal.get(&format!("{PREFIX}{name}"));
        let text = |name| value(name).filter(|value| **value != Value::Null).map(python::str);
        let boolean = |name| match value(name) {
            None | Some(Value::Null) => Ok(false),
            Some(value) => boolean(value),
        };
        let settings = Self {
            module_name: value(REAL_NAME)
                .or_else(|| value("module_name"))
                .map_or_else(|| spec.short_name().to_owned(), python::str),
            check_mode: boolean("check_mode").unwrap_or(false),
            diff: boolean("diff").unwrap_or(false),
            // In doubt a secret.
            no_log: boolean("no_log").unwrap_or(true),
            ignore_unknown_options: boolean("ignore_unknown_opts").unwrap_or(false),
            inject_invocation: value("inject_invocation").is_none_or(python::is_truthy),
            verbosity: match value("verbosity") {
                Some(Value::Number(number)) => number.as_u64().unwrap_or(0),
                _ => 0,
            },
            syslog_facility: text("syslog_facility"),
            target_log_info: text("target_log_info"),
        };
        let unreadable = BOOLEANS.into_iter().find_map(|name| boolean(name).err());
        (settings, options, unreadable)
    }
}
