//! The rules among options: which exclude, which need each other.
//!
//! An option counts as given if it is there, be it null; so do those with a default, in all rules but the first.

use crate::python;
use crate::spec::{Needs, OptionSpec, Options};
use crate::value::{Dict, Value};

/// What breaks `mutually_exclusive`.
pub(crate) fn mutually_exclusive(options: &Options, parameters: &Dict) -> Option<String> {
    let broken = options.mutually_exclusive.iter().filter(|group| given(group, parameters).count() > 1);
    let broken: Vec<String> = broken.map(|group| names(group.iter().copied(), "|")).collect();
    (!broken.is_empty()).then(|| format!("parameters are mutually exclusive: {}", broken.join(", ")))
}

/// What is `required` and not there.
pub(crate) fn required(options: &Options, parameters: &Dict) -> Option<String> {
    let missing = options.table.iter().filter(|option| option.required && !is_given(option, parameters));
    let mut missing: Vec<&str> = missing.map(|option| option.name).collect();
    missing.sort_unstable();
    (!missing.is_empty()).then(|| format!("missing required arguments: {}", missing.join(", ")))
}

/// What breaks the other rules, in the order in which ansible-core looks.
pub(crate) fn other_requirements(options: &Options, parameters: &Dict) -> Vec<String> {
    let broken = [
        required_together(options, parameters),
        required_one_of(options, parameters),
        required_if(options, parameters),
        required_by(options, parameters),
    ];
    broken.into_iter().flatten().collect()
}

fn required_together(options: &Options, parameters: &Dict) -> Option<String> {
    let mut groups = options.required_together.iter();
    let broken = groups.find(|group| (1..group.len()).contains(&given(group, parameters).count()))?;
    Some(format!("parameters are required together: {}", names(broken.iter().copied(), ", ")))
}

fn required_one_of(options: &Options, parameters: &Dict) -> Option<String> {
    let broken = options.required_one_of.iter().find(|group| given(group, parameters).count() == 0)?;
    Some(format!("one of the following is required: {}", names(broken.iter().copied(), ", ")))
}

fn required_if(options: &Options, parameters: &Dict) -> Option<String> {
    options.required_if.iter().find_map(|rule| {
        let value = parameters.get(rule.option.name)?;
        let (needed, word, tolerated) = match rule.needs {
            Needs::All(needed) => (needed, "all", 0),
            Needs::Any(needed) => (needed, "any", needed.len().saturating_sub(1)),
        };
        let missing: Vec<_> = needed.iter().copied().filter(|option| !is_given(option, parameters)).collect();
        let is_broken = python::equals(value, rule.value) && missing.len() > tolerated;
        is_broken.then(|| {
            let value = python::str(&rule.value.into());
            let missing = names(missing.into_iter(), ", ");
            format!("{} is {value} but {word} of the following are missing: {missing}", rule.option.name)
        })
    })
}

fn required_by(options: &Options, parameters: &Dict) -> Option<String> {
    let has_value =
        |option: &OptionSpec| parameters.get(option.name).is_some_and(|value| *value != Value::Null);
    options.required_by.iter().filter(|(option, _)| has_value(option)).find_map(|(option, needed)| {
        let missing: Vec<_> = needed.iter().copied().filter(|option| !has_value(option)).collect();
        (!missing.is_empty()).then(|| {
            format!(
                "missing parameter(s) required by '{}': {}",
                option.name,
                names(missing.into_iter(), ", ")
            )
        })
    })
}

fn given<'a>(
    group: &'a [&'static OptionSpec],
    parameters: &'a Dict,
) -> impl Iterator<Item = &'a &'static OptionSpec> {
    group.iter().filter(|option| is_given(option, parameters))
}

fn is_given(option: &OptionSpec, parameters: &Dict) -> bool {
    parameters.get(option.name).is_some()
}

fn names(options: impl Iterator<Item = &'static OptionSpec>, separator: &str) -> String {
    options.map(|option| option.name).collect::<Vec<_>>().join(separator)
}
