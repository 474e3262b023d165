//! AnsibleModule's validation: the same verdicts in the same order and words as ansible-core 2.21.
//!
//! `tests/conformance` holds what ansible-core itself answers to some hundred sets of arguments.

use crate::convert::{FALSE_WORDS, TRUE_WORDS, convert, dict_of_text};
use crate::environment::Environment;
use crate::python;
use crate::rules;
use crate::secrets::{Finder, Secrets};
use crate::settings::Settings;
use crate::spec::{Kind, OptionSpec, Options, Spec};
use crate::value::{Dict, Value};

/// A task's arguments after validation, whatever its verdict.
#[derive(Debug)]
pub(crate) struct Validated {
    /// The options, converted and completed with their defaults.
    pub(crate) parameters: Dict,
    pub(crate) settings: Settings,
    pub(crate) secrets: Secrets,
    pub(crate) warnings: Vec<String>,
    /// The first thing that is wrong.
    pub(crate) error: Option<String>,
}

/// Validates the arguments of a task as Ansible hands them over, `_ansible_*` keys included.
pub(crate) fn validate<'a>(spec: &'a Spec, arguments: Dict, environment: &'a dyn Environment) -> Validated {
    let (settings, mut parameters, unreadable) = Settings::take_from(arguments, spec);
    let mut validation = Validation {
        environment,
        secrets: Finder::default(),
        warnings: Vec::new(),
        unsupported: Vec::new(),
        error: unreadable,
    };
    if validation.error.is_some() {
        validation.secrets.search(&spec.options, &parameters);
    } else {
        validation.check(&spec.options, &mut parameters, &Place::default());
        let not_unicode = not_unicode(&spec.options, &parameters, "");
        validation.error = not_unicode.or(validation.error);
        if validation.error.is_none() && !settings.ignore_unknown_options {
            validation.error = validation.unsupported_parameters(&settings.module_name);
        }
    }
    let Validation { secrets, warnings, error, .. } = validation;
    Validated { parameters, settings, secrets: secrets.found(), warnings, error }
}

struct Validation<'a> {
    environment: &'a dyn Environment,
    secrets: Finder,
    warnings: Vec<String>,
    unsupported: Vec<Unsupported<'a>>,
    error: Option<String>,
}

/// A parameter that nobody knows.
struct Unsupported<'a> {
    /// With the names of the options around it.
    name: String,
    /// The options among which it stands.
    options: &'a Options,
}

/// Where suboptions stand.
#[derive(Clone, Default)]
struct Place {
    /// The options around them, from the outermost on.
    context: Vec<&'static str>,
    /// The same, with indices of lists: `users[0].`.
    prefix: String,
}

impl<'a> Validation<'a> {
    /// Checks the options of a module, or the suboptions at a place, those inside of them last.
    fn check(&mut self, options: &'a Options, parameters: &mut Dict, place: &Place) {
        // Before aliases take the place of values that may be secrets, too.
        self.secrets.search(options, parameters);
        let mut warnings = handle_aliases(options, parameters, &place.prefix);
        if !place.context.is_empty() {
            self.warnings.append(&mut warnings);
        }
        self.report(secrets_error(options, parameters));
        self.collect_unsupported(options, parameters, place);
        self.report(rules::mutually_exclusive(options, parameters).map(|error| place.found_in(error)));
        set_defaults(options, parameters, |option| !option.default.is_none());
        self.report(rules::required(options, parameters).map(|error| place.found_in(error)));
        self.convert(options, parameters, place);
        self.check_choices(options, parameters, place);
        for error in rules::other_requirements(options, parameters) {
            self.report(Some(place.found_in(error)));
        }
        set_defaults(options, parameters, |_| true);
        self.secrets.search_converted(options, parameters);
        self.check_suboptions(options, parameters, place);
        // ansible-core warns of a module's own aliases last.
        self.warnings.append(&mut warnings);
    }

    fn check_suboptions(&mut self, options: &'a Options, parameters: &mut Dict, place: &Place) {
        for option in options.table {
            let Some(suboptions) = option.kind.suboptions() else { continue };
            let Some(value) = parameters.0.get_mut(option.name) else { continue };
            if *value == Value::Null {
                if !option.apply_defaults {
                    continue;
                }
                *value = Value::Dict(Dict::default());
            }
            let elements = match value {
                Value::List(elements) => elements.as_mut_slice(),
                single => std::slice::from_mut(single),
            };
            for (index, element) in elements.iter_mut().enumerate() {
                match element {
                    Value::Dict(members) => self.check(suboptions, members, &place.inside(option, index)),
                    _ => {
                        let name = option.name;
                        self.report(Some(format!("value of '{name}' must be of type dict or list of dicts")));
                    }
                }
            }
        }
    }

    /// The first error is the one that counts.
    fn report(&mut self, error: Option<String>) {
        self.error = self.error.take().or(error);
    }

    fn collect_unsupported(&mut self, options: &'a Options, parameters: &Dict, place: &Place) {
        for (name, _) in parameters.iter().filter(|(name, _)| options.find(name).is_none()) {
            let path: Vec<&str> = place.context.iter().copied().chain([name]).collect();
            self.unsupported.push(Unsupported { name: path.join("."), options });
        }
    }

    /// Which options are named instead, if unknown ones stand in several places, depends on the order of a hash table
    /// in ansible-core.
    fn unsupported_parameters(&mut self, module_name: &str) -> Option<String> {
        self.unsupported.sort_by(|left, right| left.name.cmp(&right.name));
        let options = self.unsupported.first()?.options;
        let names: Vec<&str> = self.unsupported.iter().map(|unsupported| unsupported.name.as_str()).collect();
        let supported = sorted(options.table.iter().map(|option| option.name)).join(", ");
        let aliases =
            sorted(options.table.iter().flat_map(|option| option.aliases.iter().copied())).join(", ");
        let aliases = if aliases.is_empty() { aliases } else { format!(" ({aliases})") };
        Some(format!(
            "Unsupported parameters for ({module_name}) module: {}. Supported parameters include: \
             {supported}{aliases}.",
            names.join(", ")
        ))
    }

    /// Converts every value that can be converted, and reports those that cannot.
    fn convert(&mut self, options: &Options, parameters: &mut Dict, place: &Place) {
        for option in options.table {
            let Some(value) = parameters.0.get_mut(option.name) else { continue };
            if *value == Value::Null && !option.required && option.default.is_none() {
                continue;
            }
            if let Err(error) = convert(value, option.kind, self.environment) {
                self.report(Some(format!(
                    "argument '{}' is of type {}{} and we were unable to convert to {}: {error}",
                    option.name,
                    python::type_name(value),
                    place.found("."),
                    option.kind.name()
                )));
                continue;
            }
            if let (Kind::List(Some(kind)), Value::List(elements)) = (option.kind, value) {
                elements.retain_mut(|element| self.convert_element(element, *kind, option, place));
            }
        }
    }

    /// Whether it could be converted.
    fn convert_element(
        &mut self,
        element: &mut Value,
        kind: Kind,
        option: &OptionSpec,
        place: &Place,
    ) -> bool {
        let converted = convert(element, kind, self.environment);
        if let Err(error) = &converted {
            self.report(Some(format!(
                "Elements value for option '{}'{} is of type {} and we were unable to convert to {}: {error}",
                option.name,
                place.found(""),
                python::type_name(element),
                kind.name()
            )));
        }
        converted.is_ok()
    }

    fn check_choices(&mut self, options: &Options, parameters: &mut Dict, place: &Place) {
        for option in options.table.iter().filter(|option| !option.choices.is_empty()) {
            let Some(value) = parameters.0.get_mut(option.name) else { continue };
            let is_choice =
                |value: &Value| value.as_text().is_some_and(|text| option.choices.contains(&text));
            let (verb, got) = match value {
                Value::List(items) => {
                    let others: Vec<_> =
                        items.iter().filter(|item| !is_choice(item)).map(python::str).collect();
                    if others.is_empty() {
                        continue;
                    }
                    ("must be one or more of", format!(". Got no match for: {}", others.join(", ")))
                }
                single => {
                    unmistakable_boolean(single, option.choices);
                    if is_choice(single) {
                        continue;
                    }
                    ("must be one of", format!(", got: {}", python::str(single)))
                }
            };
            let error = format!("value of {} {verb}: {}{got}", option.name, option.choices.join(", "));
            self.report(Some(place.found_in(error)));
        }
    }
}

impl Place {
    /// The place of the suboptions of an option here.
    fn inside(&self, option: &OptionSpec, index: usize) -> Self {
        let index = if matches!(option.kind, Kind::List(_)) { format!("[{index}]") } else { String::new() };
        Self {
            context: self.context.iter().copied().chain([option.name]).collect(),
            prefix: format!("{}{}{index}.", self.prefix, option.name),
        }
    }

    fn found_in(&self, error: String) -> String {
        if self.context.is_empty() {
            error
        } else {
            format!("{error} found in {}", self.context.join(" -> "))
        }
    }

    /// For the middle of a sentence.
    fn found(&self, end: &str) -> String {
        if self.context.is_empty() {
            String::new()
        } else {
            format!(" found in '{}'{end}", self.context.join(" -> "))
        }
    }
}

/// Gives options the values of their aliases, and says where both are given: with several aliases, the last one counts.
fn handle_aliases(options: &Options, parameters: &mut Dict, prefix: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    for option in options.table {
        for alias in option.aliases {
            let Some(value) = parameters.get(alias).cloned() else { continue };
            let name = option.name;
            if parameters.0.insert(name.to_owned(), value).is_some() {
                warnings.push(format!("Both option {prefix}{name} and its alias {prefix}{alias} are set."));
            }
        }
    }
    warnings
}

/// What ansible-core says when it looks for secrets in suboptions that are no dictionary.
fn secrets_error(options: &Options, parameters: &Dict) -> Option<String> {
    options.table.iter().find_map(|option| {
        let suboptions = option.kind.suboptions()?;
        let value = parameters.get(option.name).filter(|value| **value != Value::Null)?;
        value.elements().iter().find_map(|element| match element {
            Value::Dict(members) => secrets_error(suboptions, members),
            Value::Text(text) => match dict_of_text(text) {
                Ok(members) => secrets_error(suboptions, &members),
                Err(error) => Some(error),
            },
            _ => Some(format!(
                "Value '{}' in the sub parameter field '{}' must be a {}, not '{}'",
                python::str(element),
                option.name,
                option.kind.name(),
                python::type_name(element)
            )),
        })
    })
}

/// Gives the options that `wanted` selects their defaults, where they are not mentioned.
fn set_defaults(options: &Options, parameters: &mut Dict, wanted: impl Fn(&OptionSpec) -> bool) {
    for option in options.table.iter().filter(|option| wanted(option)) {
        if parameters.get(option.name).is_none() {
            parameters.insert(option.name, option.default);
        }
    }
}

/// YAML reads `yes` and `off` as booleans. Where they can be told from the choices, they become texts again.
fn unmistakable_boolean(value: &mut Value, choices: &[&'static str]) {
    let words = match value.as_text() {
        Some("True") => TRUE_WORDS,
        Some("False") => FALSE_WORDS,
        _ => return,
    };
    let mut candidates = choices.iter().filter(|choice| words.contains(choice));
    if let (Some(choice), None) = (candidates.next(), candidates.next()) {
        *value = (*choice).into();
    }
}

/// The first option whose value is not Unicode, or not bytes where it may be those.
fn not_unicode(options: &Options, parameters: &Dict, prefix: &str) -> Option<String> {
    options.table.iter().find_map(|option| {
        let value = parameters.get(option.name)?;
        let name = format!("{prefix}{}", option.name);
        match (value, option.kind.suboptions()) {
            (Value::NotUnicode(text), _) if option.takes_bytes => text.bytes().is_none().then(|| {
                format!("argument '{name}' holds half of a UTF-16 surrogate pair, which stands for no byte")
            }),
            (Value::Dict(members), Some(suboptions)) => not_unicode(suboptions, members, &format!("{name}.")),
            (Value::List(elements), Some(suboptions)) => {
                let mut elements = elements.iter().enumerate();
                elements.find_map(|(index, element)| match element {
                    Value::Dict(members) => not_unicode(suboptions, members, &format!("{name}[{index}].")),
                    other => other.has_surrogates().then(|| not_utf8(&name)),
                })
            }
            (other, _) => other.has_surrogates().then(|| not_utf8(&name)),
        }
    })
}

fn not_utf8(name: &str) -> String {
    format!(
        "argument '{name}' is not text: it holds a byte that is not UTF-8, or half of a UTF-16 surrogate pair"
    )
}

fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}
