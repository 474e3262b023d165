//! AnsibleModule's validation: the same verdicts in the same order and words as ansible-core 2.19.
//!
//! `tests/conformance` holds what ansible-core itself answers to some hundred sets of arguments.

use serde_json::{Map, Value};

use crate::options::{Default, Kind, OPTIONS, OptionSpec};
use crate::python;
use crate::secrets::Secrets;

/// A task's arguments after validation, whatever its verdict.
#[derive(Debug)]
pub(crate) struct Validated {
    pub(crate) parameters: Parameters,
    pub(crate) settings: Settings,
    pub(crate) secrets: Secrets,
    /// The first thing that is wrong.
    pub(crate) error: Option<String>,
}

/// The options, converted and completed with their defaults.
#[derive(Debug)]
pub(crate) struct Parameters(pub(crate) Map<String, Value>);

/// What Ansible tells every module beside the options, in keys that begin with `_ansible_`.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Name of the module as the task spells it.
    pub(crate) module_name: String,
    pub(crate) check_mode: bool,
    /// The task's `no_log`: nothing is written to syslog.
    pub(crate) no_log: bool,
    /// Number of `-v`.
    pub(crate) verbosity: u64,
    /// Name of a facility, such as `LOG_USER`.
    pub(crate) syslog_facility: Option<String>,
    /// Put in front of what is written to syslog.
    pub(crate) target_log_info: Option<String>,
    ignore_unknown_options: bool,
}

/// Validates the arguments of a task as Ansible hands them over, `_ansible_*` keys included.
pub(crate) fn validate(arguments: Map<String, Value>) -> Validated {
    let secrets = Secrets::of(&arguments);
    let (internal, mut parameters): (Map<_, _>, Map<_, _>) =
        arguments.into_iter().partition(|(key, _)| key.starts_with(INTERNAL_PREFIX));
    let (settings, unreadable) = read_settings(&internal);
    if unreadable.is_some() {
        return Validated { parameters: Parameters(parameters), settings, secrets, error: unreadable };
    }

    let unsupported = unsupported_parameters(&parameters, &settings.module_name);
    set_defaults(&mut parameters, |option| option.default != Default::None);
    let missing = missing_arguments(&parameters);
    let wrong_type = convert_types(&mut parameters);
    let wrong_value = check_choices(&parameters);
    set_defaults(&mut parameters, |_| true);

    let error = missing.or(wrong_type).or(wrong_value);
    let error = error.or(unsupported.filter(|_| !settings.ignore_unknown_options));
    Validated { parameters: Parameters(parameters), settings, secrets, error }
}

impl Parameters {
    /// Value of a text option; `None` for null.
    pub(crate) fn text(&self, option: &OptionSpec) -> Option<&str> {
        self.0.get(option.name)?.as_str()
    }

    /// Value of a boolean option.
    pub(crate) fn boolean(&self, option: &OptionSpec) -> bool {
        self.0.get(option.name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Value of an integer option if it lies within 64 bits. To Python `true` is an integer, too.
    pub(crate) fn integer(&self, option: &OptionSpec) -> Option<i64> {
        match self.0.get(option.name)? {
            Value::Bool(value) => Some(i64::from(*value)),
            value => value.as_i64(),
        }
    }
}

const INTERNAL_PREFIX: &str = "_ansible_";
/// Settings that ansible-core converts to booleans, in the order in which it does so.
const BOOLEAN_SETTINGS: [&str; 6] =
    ["check_mode", "debug", "diff", "keep_remote_files", "ignore_unknown_opts", "no_log"];
const MODULE_NAME: &str = "psexec";

fn read_settings(internal: &Map<String, Value>) -> (Settings, Option<String>) {
    let value = |name: &str| internal.get(&format!("{INTERNAL_PREFIX}{name}"));
    let text = |name| value(name).filter(|value| !value.is_null()).map(python::str);
    let boolean = |name| match value(name) {
        None | Some(Value::Null) => Ok(false),
        Some(value) => to_boolean(value),
    };
    let settings = Settings {
        module_name: value("module_name").map_or_else(|| MODULE_NAME.to_owned(), python::str),
        check_mode: boolean("check_mode").unwrap_or(false),
        // In doubt a secret.
        no_log: boolean("no_log").unwrap_or(true),
        ignore_unknown_options: boolean("ignore_unknown_opts").unwrap_or(false),
        verbosity: value("verbosity").and_then(Value::as_u64).unwrap_or(0),
        syslog_facility: text("syslog_facility"),
        target_log_info: text("target_log_info"),
    };
    (settings, BOOLEAN_SETTINGS.into_iter().find_map(|name| boolean(name).err()))
}

fn unsupported_parameters(parameters: &Map<String, Value>, module_name: &str) -> Option<String> {
    let supported = sorted(OPTIONS.iter().map(|option| option.name));
    let unsupported = sorted(parameters.keys().map(String::as_str).filter(|name| !supported.contains(name)));
    (!unsupported.is_empty()).then(|| {
        format!(
            "Unsupported parameters for ({module_name}) module: {}. Supported parameters include: {}.",
            unsupported.join(", "),
            supported.join(", ")
        )
    })
}

fn missing_arguments(parameters: &Map<String, Value>) -> Option<String> {
    let missing = OPTIONS.iter().filter(|option| option.required && !parameters.contains_key(option.name));
    let missing = sorted(missing.map(|option| option.name));
    (!missing.is_empty()).then(|| format!("missing required arguments: {}", missing.join(", ")))
}

/// Gives the options that `wanted` selects their defaults, where the task does not mention them.
fn set_defaults(parameters: &mut Map<String, Value>, wanted: impl Fn(&OptionSpec) -> bool) {
    for option in OPTIONS.iter().filter(|option| wanted(option)) {
        if !parameters.contains_key(option.name) {
            parameters.insert(option.name.to_owned(), default_value(option.default));
        }
    }
}

fn default_value(default: Default) -> Value {
    match default {
        Default::None => Value::Null,
        Default::Boolean(value) => value.into(),
        Default::Integer(value) => value.into(),
        Default::Text(value) => value.into(),
    }
}

/// Converts every value that can be converted, and reports the first that cannot.
fn convert_types(parameters: &mut Map<String, Value>) -> Option<String> {
    let mut first_error = None;
    for option in OPTIONS {
        let Some(value) = parameters.get_mut(option.name) else { continue };
        let is_text = value.is_string() && option.kind == Kind::Text;
        if is_text || (value.is_null() && !option.required && option.default == Default::None) {
            continue;
        }
        match convert(value, option.kind) {
            Ok(converted) => *value = converted,
            Err(error) => {
                first_error.get_or_insert_with(|| {
                    format!(
                        "argument '{}' is of type {} and we were unable to convert to {}: {error}",
                        option.name,
                        python::type_name(value),
                        option.kind.name()
                    )
                });
            }
        }
    }
    first_error
}

fn convert(value: &Value, kind: Kind) -> Result<Value, String> {
    match (kind, value) {
        (Kind::Boolean, Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            to_boolean(value).map(Value::Bool)
        }
        (Kind::Boolean, _) => {
            Err(format!("<class '{}'> cannot be converted to a bool", python::type_name(value)))
        }
        (Kind::Integer, Value::Bool(_)) => Ok(value.clone()),
        (Kind::Integer, _) => python::integer(value)
            .map(Value::Number)
            .ok_or_else(|| format!("\"{}\" cannot be converted to an int", python::repr(value))),
        (Kind::Text, Value::Null) => Ok("".into()),
        (Kind::Text, _) => Ok(python::str(value).into()),
    }
}

const TRUE_WORDS: [&str; 6] = ["y", "yes", "on", "1", "true", "t"];
const FALSE_WORDS: [&str; 6] = ["n", "no", "off", "0", "false", "f"];
/// ansible-core lists them in the order of a hash table, another in every run.
const VALID_BOOLEANS: &str = "0, 1, 'y', 'yes', 'on', '1', 'true', 't', 'n', 'no', 'off', '0', 'false', 'f'";

fn to_boolean(value: &Value) -> Result<bool, String> {
    let word = match value {
        Value::Bool(value) => return Ok(*value),
        Value::Number(number) if python::float(number) == 1.0 => return Ok(true),
        Value::Number(number) if python::float(number) == 0.0 => return Ok(false),
        Value::String(text) => text.to_lowercase(),
        _ => String::new(),
    };
    let word = python::strip(&word);
    if TRUE_WORDS.contains(&word) {
        Ok(true)
    } else if FALSE_WORDS.contains(&word) {
        Ok(false)
    } else {
        Err(format!(
            "The value '{}' is not a valid boolean. Valid booleans include: {VALID_BOOLEANS}",
            python::str(value)
        ))
    }
}

fn check_choices(parameters: &Map<String, Value>) -> Option<String> {
    OPTIONS.iter().filter(|option| !option.choices.is_empty()).find_map(|option| {
        let value = python::str(parameters.get(option.name)?);
        (!option.choices.contains(&value.as_str())).then(|| {
            format!("value of {} must be one of: {}, got: {value}", option.name, option.choices.join(", "))
        })
    })
}

fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}
