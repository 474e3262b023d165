//! What a module accepts: AnsibleModule's argument specification, as tables that are there at compile time.

use crate::value::Value;

/// A module.
#[derive(Debug)]
pub struct Spec {
    /// The module's full name, for example `native.windows.psexec`.
    pub name: &'static str,
    /// What `--version` says behind the name.
    pub version: &'static str,
    /// Its options.
    pub options: Options,
    /// Whether the module says in check mode what it would change, instead of being skipped.
    pub supports_check_mode: bool,
    /// Arguments to try the module with by hand, a JSON object.
    pub example: &'static str,
}

/// Options and the rules among them: those of a module, or the suboptions of a `dict`.
///
/// INVARIANT: this is the only list of options. Validation, defaults, the names in error texts and the secrets derive
/// from it.
#[derive(Debug)]
pub struct Options {
    /// In the order in which their errors are looked for: the first one found is the one reported.
    pub table: &'static [&'static OptionSpec],
    /// Of each of these, at most one may be given.
    pub mutually_exclusive: &'static [&'static [&'static OptionSpec]],
    /// Of each of these, all or none must be given.
    pub required_together: &'static [&'static [&'static OptionSpec]],
    /// Of each of these, at least one must be given.
    pub required_one_of: &'static [&'static [&'static OptionSpec]],
    /// What the value of an option makes necessary.
    pub required_if: &'static [RequiredIf],
    /// What an option that is given makes necessary.
    pub required_by: &'static [(&'static OptionSpec, &'static [&'static OptionSpec])],
}

/// An option.
#[derive(Debug)]
pub struct OptionSpec {
    /// Its name in tasks.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// What its value is converted to.
    pub kind: Kind,
    /// Its value where a task does not mention it.
    pub default: Literal,
    /// Whether a task must mention it.
    pub required: bool,
    /// The texts that are allowed, of a `list` for each element; none if everything is.
    pub choices: &'static [&'static str],
    /// A secret: it appears in no answer and no log, and neither does anything in it.
    pub no_log: bool,
    /// For a `dict` that is not mentioned: it is there, with the defaults of its suboptions.
    pub apply_defaults: bool,
    /// For a `str`: it takes bytes that are not UTF-8, which [`Dict::bytes`](crate::Dict::bytes) hands out.
    pub takes_bytes: bool,
}

/// Type of an option.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text, and what can be written as one.
    Str,
    /// A text with `~` and `$VARIABLES` expanded.
    Path,
    /// An integer of any size.
    Int,
    /// A floating-point number.
    Float,
    /// A truth value, in many spellings.
    Bool,
    /// Whatever was given.
    Raw,
    /// A list, with the kind of its elements. As with AnsibleModule, elements that are lists may hold anything.
    List(Option<&'static Kind>),
    /// A dictionary, with its suboptions; without them it may hold anything.
    Dict(Option<&'static Options>),
}

/// A value in a table.
#[derive(Clone, Copy, Debug)]
pub enum Literal {
    /// `None`: no default.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A text.
    Text(&'static str),
    /// A list.
    List(&'static [Literal]),
}

/// `required_if`: if `option` is `value`, others are needed.
#[derive(Debug)]
pub struct RequiredIf {
    /// The option that decides.
    pub option: &'static OptionSpec,
    /// Its value.
    pub value: Literal,
    /// What is needed then.
    pub needs: Needs,
}

/// How many of some options are needed.
#[derive(Clone, Copy, Debug)]
pub enum Needs {
    /// All.
    All(&'static [&'static OptionSpec]),
    /// At least one.
    Any(&'static [&'static OptionSpec]),
}

impl Spec {
    /// The last part of the module's name.
    pub(crate) fn short_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }
}

impl Options {
    /// Options without rules among them.
    pub const fn of(table: &'static [&'static OptionSpec]) -> Self {
        Self {
            table,
            mutually_exclusive: &[],
            required_together: &[],
            required_one_of: &[],
            required_if: &[],
            required_by: &[],
        }
    }

    /// The option of this name or alias.
    pub fn find(&self, name: &str) -> Option<&'static OptionSpec> {
        self.table.iter().copied().find(|option| option.names().any(|known| known == name))
    }

    /// Whether there is a secret among the options and their suboptions.
    pub(crate) fn hold_secrets(&self) -> bool {
        let suboptions_do = |option: &OptionSpec| option.kind.suboptions().is_some_and(Self::hold_secrets);
        self.table.iter().any(|option| option.no_log || suboptions_do(option))
    }
}

impl OptionSpec {
    /// An option of this kind that need not be there.
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            aliases: &[],
            kind,
            default: Literal::None,
            required: false,
            choices: &[],
            no_log: false,
            apply_defaults: false,
            takes_bytes: false,
        }
    }

    /// A `str`.
    pub const fn text(name: &'static str) -> Self {
        Self::new(name, Kind::Str)
    }

    /// An `int` with a default.
    pub const fn integer(name: &'static str, default: i64) -> Self {
        Self { default: Literal::Int(default), ..Self::new(name, Kind::Int) }
    }

    /// A `bool` with a default.
    pub const fn boolean(name: &'static str, default: bool) -> Self {
        Self { default: Literal::Bool(default), ..Self::new(name, Kind::Bool) }
    }

    /// Its name and aliases.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.name].into_iter().chain(self.aliases.iter().copied())
    }
}

impl Kind {
    /// The name by which argument specifications and error texts call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Str => "str",
            Self::Path => "path",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Raw => "raw",
            Self::List(_) => "list",
            Self::Dict(_) => "dict",
        }
    }

    /// The suboptions of a `dict`, or of the elements of a list of them.
    pub(crate) fn suboptions(self) -> Option<&'static Options> {
        match self {
            Self::Dict(suboptions) | Self::List(Some(&Self::Dict(suboptions))) => suboptions,
            _ => None,
        }
    }
}

impl Literal {
    /// Whether there is no value.
    pub fn is_none(self) -> bool {
        matches!(self, Self::None)
    }
}

impl From<Literal> for Value {
    fn from(literal: Literal) -> Self {
        match literal {
            Literal::None => Self::Null,
            Literal::Bool(value) => value.into(),
            Literal::Int(value) => value.into(),
            // A literal that is no number has no place in a table.
            Literal::Float(value) => serde_json::Number::from_f64(value).map_or(Self::Null, Self::Number),
            Literal::Text(text) => text.into(),
            Literal::List(items) => Self::List(items.iter().copied().map(Into::into).collect()),
        }
    }
}
