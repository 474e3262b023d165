//! The option table: what the module accepts, with types, defaults and choices.
//!
//! INVARIANT: this is the only such list. Validation, defaults, the names in error texts and the secrets derive from
//! it, and a test compares `plugins/modules/psexec.py` with it.

use ansible_module::{Literal, OptionSpec, Options, Spec};

/// The module.
pub(crate) static SPEC: Spec = Spec {
    name: "native.windows.psexec",
    version: env!("CARGO_PKG_VERSION"),
    options: Options::of(&OPTIONS),
    // As little as upstream's: what a command changes cannot be known before it has run.
    supports_check_mode: false,
    example: r#"{"hostname": "server", "executable": "cmd.exe"}"#,
};

/// All options, in the order in which their errors are looked for: the first one found is the one reported.
static OPTIONS: [&OptionSpec; 20] = [
    &HOSTNAME,
    &CONNECTION_USERNAME,
    &CONNECTION_PASSWORD,
    &PORT,
    &ENCRYPT,
    &CONNECTION_TIMEOUT,
    &EXECUTABLE,
    &ARGUMENTS,
    &WORKING_DIRECTORY,
    &ASYNCHRONOUS,
    &LOAD_PROFILE,
    &PROCESS_USERNAME,
    &PROCESS_PASSWORD,
    &INTEGRITY_LEVEL,
    &INTERACTIVE,
    &INTERACTIVE_SESSION,
    &PRIORITY,
    &SHOW_UI_ON_LOGON_SCREEN,
    &PROCESS_TIMEOUT,
    &STDIN,
];

pub(crate) static HOSTNAME: OptionSpec = OptionSpec { required: true, ..OptionSpec::text("hostname") };
pub(crate) static CONNECTION_USERNAME: OptionSpec = OptionSpec::text("connection_username");
pub(crate) static CONNECTION_PASSWORD: OptionSpec =
    OptionSpec { no_log: true, ..OptionSpec::text("connection_password") };
pub(crate) static PORT: OptionSpec = OptionSpec::integer("port", 445);
pub(crate) static ENCRYPT: OptionSpec = OptionSpec::boolean("encrypt", true);
pub(crate) static CONNECTION_TIMEOUT: OptionSpec = OptionSpec::integer("connection_timeout", 60);
pub(crate) static EXECUTABLE: OptionSpec = OptionSpec { required: true, ..OptionSpec::text("executable") };
pub(crate) static ARGUMENTS: OptionSpec = OptionSpec::text("arguments");
pub(crate) static WORKING_DIRECTORY: OptionSpec =
    OptionSpec { default: Literal::Text(r"C:\Windows\System32"), ..OptionSpec::text("working_directory") };
pub(crate) static ASYNCHRONOUS: OptionSpec = OptionSpec::boolean("asynchronous", false);
pub(crate) static LOAD_PROFILE: OptionSpec = OptionSpec::boolean("load_profile", true);
pub(crate) static PROCESS_USERNAME: OptionSpec = OptionSpec::text("process_username");
pub(crate) static PROCESS_PASSWORD: OptionSpec =
    OptionSpec { no_log: true, ..OptionSpec::text("process_password") };
pub(crate) static INTEGRITY_LEVEL: OptionSpec = OptionSpec {
    default: Literal::Text("default"),
    choices: &["default", "elevated", "limited"],
    ..OptionSpec::text("integrity_level")
};
pub(crate) static INTERACTIVE: OptionSpec = OptionSpec::boolean("interactive", false);
pub(crate) static INTERACTIVE_SESSION: OptionSpec = OptionSpec::integer("interactive_session", 0);
pub(crate) static PRIORITY: OptionSpec = OptionSpec {
    default: Literal::Text("normal"),
    choices: &["above_normal", "below_normal", "high", "idle", "normal", "realtime"],
    ..OptionSpec::text("priority")
};
pub(crate) static SHOW_UI_ON_LOGON_SCREEN: OptionSpec = OptionSpec::boolean("show_ui_on_logon_screen", false);
pub(crate) static PROCESS_TIMEOUT: OptionSpec = OptionSpec::integer("process_timeout", 0);
pub(crate) static STDIN: OptionSpec = OptionSpec { takes_bytes: true, ..OptionSpec::text("stdin") };

#[cfg(test)]
mod tests {
    use super::*;
    use saphyr::{LoadableYamlNode, Yaml};

    const DOCUMENTATION: &str = include_str!("../../../plugins/modules/psexec.py");

    /// Documented as optional: the action plugin takes it from a connection to Windows where a task has none.
    const FILLED_IN: [&str; 1] = ["hostname"];

    #[test]
    fn documentation_describes_the_table() {
        let documents = Yaml::load_from_str(part("DOCUMENTATION")).expect("DOCUMENTATION is YAML");
        let documented = documents[0]["options"].as_mapping().expect("a mapping of options");

        let mut documented_names: Vec<&str> =
            documented.keys().map(|name| name.as_str().expect("a name")).collect();
        let mut names: Vec<&str> = OPTIONS.iter().map(|option| option.name).collect();
        documented_names.sort_unstable();
        names.sort_unstable();
        assert_eq!(documented_names, names);

        for option in OPTIONS {
            let fields = &documents[0]["options"][option.name];
            assert_field(option, fields, "type", Some(option.kind.name().to_owned()));
            let required = option.required && !FILLED_IN.contains(&option.name);
            assert_field(option, fields, "required", required.then(|| "true".to_owned()));
            assert_field(option, fields, "default", default_text(option.default));
            assert_field(option, fields, "choices", choices_text(option.choices));
            assert!(field(fields, "description").is_some(), "{} has no description", option.name);
            assert!(field(fields, "version_added").is_some(), "{} has no version_added", option.name);
        }
    }

    #[test]
    fn examples_use_options_of_the_table() {
        let tasks = Yaml::load_from_str(part("EXAMPLES")).expect("EXAMPLES are YAML");
        let tasks = tasks[0].as_sequence().expect("a list of tasks");
        assert!(!tasks.is_empty());
        for task in tasks {
            let used = task["native.windows.psexec"].as_mapping().expect("a mapping of options");
            let used: Vec<&str> = used.keys().map(|name| name.as_str().expect("a name")).collect();
            for name in &used {
                assert!(OPTIONS.iter().any(|option| option.name == *name), "{name}");
            }
            let filled_in = |name| FILLED_IN.contains(&name) && task.as_mapping_get("delegate_to").is_none();
            for option in OPTIONS.iter().filter(|option| option.required && !filled_in(option.name)) {
                assert!(used.contains(&option.name), "{} is missing in {task:?}", option.name);
            }
        }
    }

    /// The YAML that a variable of psexec.py holds.
    fn part(name: &str) -> &'static str {
        let (_, rest) = DOCUMENTATION.split_once(&format!("\n{name} = r\"\"\"\n")).expect("a variable");
        rest.split_once("\"\"\"\n").expect("an end").0
    }

    fn assert_field(option: &OptionSpec, fields: &Yaml, name: &str, expected: Option<String>) {
        assert_eq!(field(fields, name), expected, "{}: {name}", option.name);
    }

    fn field(fields: &Yaml, name: &str) -> Option<String> {
        let value = fields.as_mapping_get(name)?;
        Some(scalar(value).unwrap_or_else(|| {
            let items = value.as_sequence().expect("a scalar or a list").iter();
            items.map(|item| scalar(item).expect("a scalar")).collect::<Vec<_>>().join(", ")
        }))
    }

    fn scalar(value: &Yaml) -> Option<String> {
        let text = value.as_str().map(str::to_owned);
        text.or_else(|| value.as_integer().map(|number| number.to_string()))
            .or_else(|| value.as_bool().map(|boolean| boolean.to_string()))
    }

    fn default_text(default: Literal) -> Option<String> {
        match default {
            Literal::None => None,
            Literal::Bool(value) => Some(value.to_string()),
            Literal::Int(value) => Some(value.to_string()),
            Literal::Text(value) => Some(value.to_owned()),
            Literal::Float(_) | Literal::List(_) => panic!("no option has such a default"),
        }
    }

    fn choices_text(choices: &[&str]) -> Option<String> {
        (!choices.is_empty()).then(|| choices.join(", "))
    }
}
