//! What paths are expanded with: the variables and home folders of the machine that the module runs on.

use nix::unistd::{Uid, User};

/// What a `path` option may mention.
pub(crate) trait Environment {
    /// Value of an environment variable; `None` if it is not set, or not Unicode.
    fn variable(&self, name: &str) -> Option<String>;

    /// Home folder of this user, or of the one who runs the module.
    fn home(&self, user: Option<&str>) -> Option<String>;
}

/// The environment of this process.
pub(crate) struct Process;

impl Environment for Process {
    fn variable(&self, name: &str) -> Option<String> {
        // The system's names have neither, and the standard library panics at some of them.
        let is_name = !name.is_empty() && !name.contains(['=', '\0']);
        is_name.then(|| std::env::var(name).ok())?
    }

    fn home(&self, user: Option<&str>) -> Option<String> {
        let user = match user {
            Some(name) => User::from_name(name),
            None => User::from_uid(Uid::current()),
        };
        user.ok()??.dir.into_os_string().into_string().ok()
    }
}

/// `os.path.expanduser(os.path.expandvars(path))`
pub(crate) fn expand_path(path: &str, environment: &dyn Environment) -> String {
    expand_user(expand_variables(path, environment), environment)
}

/// `$NAME` and `${NAME}`, where there is such a variable; what takes their place is not expanded again.
fn expand_variables(path: &str, environment: &dyn Environment) -> String {
    let mut expanded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let (name, end) = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}').map_or(("", 0), |(name, _)| (name, name.len() + 2)),
            None => {
                let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
                let end = after.find(|character| !is_word(character)).unwrap_or(after.len());
                after.split_at_checked(end).map_or(("", 0), |(name, _)| (name, end))
            }
        };
        match environment.variable(name) {
            Some(value) => {
                expanded.push_str(&value);
                rest = after.get(end..).unwrap_or_default();
            }
            None => {
                let (kept, after) = after.split_at_checked(end).unwrap_or(("", after));
                expanded.push('$');
                expanded.push_str(kept);
                rest = after;
            }
        }
    }
    expanded + rest
}

/// `~` and `~user` at the start.
fn expand_user(path: String, environment: &dyn Environment) -> String {
    let Some(after) = path.strip_prefix('~') else { return path };
    let (user, rest) = after.split_at(after.find('/').unwrap_or(after.len()));
    let home = match user {
        "" => environment.variable("HOME").or_else(|| environment.home(None)),
        user => environment.home(Some(user)),
    };
    let Some(home) = home else { return path };
    match format!("{}{rest}", home.trim_end_matches('/')) {
        root if root.is_empty() => "/".to_owned(),
        expanded => expanded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Environment for Fixed {
        fn variable(&self, name: &str) -> Option<String> {
            match name {
                "HOME" => Some("/home/me/".to_owned()),
                "A" => Some("$B".to_owned()),
                "a b" => Some("spaced".to_owned()),
                _ => None,
            }
        }

        fn home(&self, user: Option<&str>) -> Option<String> {
            (user == Some("root")).then(|| "/".to_owned())
        }
    }

    #[test]
    fn paths_are_expanded_as_python_expands_them() {
        for (path, expanded) in [
            ("", ""),
            ("/etc", "/etc"),
            ("~", "/home/me"),
            ("~/x", "/home/me/x"),
            ("~root", "/"),
            ("~root/x", "/x"),
            ("~nobody-here/x", "~nobody-here/x"),
            ("x~/y", "x~/y"),
            ("$A", "$B"),
            ("${A}x$A-$A_", "$Bx$B-$A_"),
            ("${a b}", "spaced"),
            ("$NONE/${NONE}/${A/$", "$NONE/${NONE}/${A/$"),
            ("$$A", "$$B"),
            ("${}${=}", "${}${=}"),
            ("$HOME/x", "/home/me//x"),
        ] {
            assert_eq!(expand_path(path, &Fixed), expanded, "{path}");
        }
    }
}
