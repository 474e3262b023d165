//! Which room may know which, and that no files of a room know each other in a circle: the map in ARCHITECTURE.md, checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::build;

/// Every package of the workspace, and those of the workspace that it may use. Nothing imports upwards: a package stands
/// below all that it is used by.
const ROOMS: [(&str, &[&str]); 14] = [
    ("wire", &[]),
    ("msrpc", &["wire"]),
    ("paexec", &["wire"]),
    ("negotiate-auth", &["wire"]),
    ("smb-client", &["negotiate-auth", "wire"]),
    ("psexec-client", &["msrpc", "negotiate-auth", "paexec", "smb-client"]),
    ("ansible-module", &[]),
    ("psexec", &["ansible-module", "paexec", "psexec-client", "windows-build"]),
    ("psexec-service", &["paexec"]),
    ("windows-build", &[]),
    ("winrm-state", &[]),
    ("lab-windows", &[]),
    ("end-to-end", &["lab-windows", "msrpc", "paexec", "windows-build"]),
    ("xtask", &["end-to-end", "windows-build"]),
];

/// Fails if a room knows what it may not.
fn check() -> Result<()> {
    let output =
        build::cargo().args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| *room == name) else {
            wrong.push(format!("{name} stands in no list: say in crates/xtask/src/rooms.rs what it may use"));
            continue;
        };
        wrong.extend(
            used(package).filter(|used| !allowed.contains(used)).map(|used| format!("{name} uses {used}")),
        );
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let source = manifest.with_file_name("src");
        wrong.extend(
            circles(&arrows(&modules(&source)?)).into_iter().map(|circle| format!("{name}: {circle}")),
        );
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// What the package needs of the workspace, but for its tests.
fn used(package: &Value) -> impl Iterator<Item = &str> {
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    dependencies
        .filter(|dependency| dependency["path"].is_string() && dependency["kind"].as_str() != Some("dev"))
        .filter_map(|dependency| dependency["name"].as_str())
}

/// The text of each module by its path, such as `kerberos::caches`; that of the crate is empty. Tests are left out.
fn modules(source: &Path) -> Result<BTreeMap<String, String>> {
    let mut modules = BTreeMap::new();
    let mut folders = vec![source.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let inner = path.strip_prefix(source)?.with_extension("");
                let inner = inner.to_string_lossy().replace('/', "::");
                let inner = inner.trim_end_matches("::mod").to_owned();
                let name =
                    if matches!(inner.as_str(), "lib" | "main" | "mod") { String::new() } else { inner };
                let text = fs::read_to_string(&path)?;
                let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
                modules.insert(name, text);
            }
        }
    }
    Ok(modules)
}

/// Which modules each one names. That a module has others below it, and hands on what is in them, does not count.
fn arrows(modules: &BTreeMap<String, String>) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut arrows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, text) in modules {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code: Vec<_> = code.filter(|line| !line.trim_start().starts_with("pub use ")).collect();
        let named = paths(&code.join("\n"), module).into_iter();
        let known = named.filter_map(|path| longest_known(modules, &path));
        arrows.entry(module).or_default().extend(known.filter(|known| known != module));
    }
    arrows
}

/// The paths that begin with `crate::` or `super::` in a module's code, from the crate's top.
fn paths(code: &str, module: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices("crate::").chain(code.match_indices("super::")) {
        if code[..start].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
        {
            continue;
        }
        let mut base: Vec<&str> = Vec::new();
        let mut rest = &code[start..];
        if let Some(below) = rest.strip_prefix("crate::") {
            rest = below;
        } else {
            base = module.split("::").collect();
            while let Some(below) = rest.strip_prefix("super::") {
                base.pop();
                rest = below;
            }
        }
        for tail in expand(rest) {
            found.push(base.iter().copied().chain([tail.as_str()]).collect::<Vec<_>>().join("::"));
        }
    }
    found
}

/// `a::b` of `a::b;`, and `a::b` and `a::c` of `a::{b, c as d}`; braces within braces too.
fn expand(text: &str) -> Vec<String> {
    let end = text.find(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == ':'));
    let (path, rest) = text.split_at(end.unwrap_or(text.len()));
    let Some(list) = rest.strip_prefix('{').filter(|_| path.is_empty() || path.ends_with("::")) else {
        return vec![path.trim_end_matches("::").to_owned()];
    };
    let (mut depth, mut start, mut paths) = (0, 0, Vec::new());
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                paths.extend(expand(list[start..at].trim()).into_iter().map(|tail| format!("{path}{tail}")));
                start = at + 1;
                if letter == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    paths
}

fn longest_known<'a>(modules: &'a BTreeMap<String, String>, path: &str) -> Option<&'a str> {
    let ends = path.rmatch_indices("::").map(|(at, _)| at);
    let above = [path.len()].into_iter().chain(ends).chain([0]).map(|end| &path[..end]);
    above.into_iter().find_map(|path| modules.get_key_value(path)).map(|(known, _)| known.as_str())
}

/// Groups of modules each of which reaches the others.
fn circles(arrows: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<String> {
    let reached = |from: &str| {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&str> = arrows.get(from).into_iter().flatten().copied().collect();
        while let Some(module) = open.pop() {
            if reached.insert(module) {
                open.extend(arrows.get(module).into_iter().flatten());
            }
        }
        reached
    };
    let all: BTreeMap<&str, BTreeSet<&str>> =
        arrows.keys().map(|module| (*module, reached(module))).collect();
    let mut groups = BTreeSet::new();
    for (module, reaches) in &all {
        let group: BTreeSet<_> =
            reaches.iter().filter(|other| all[**other].contains(module)).copied().collect();
        if !group.is_empty() {
            groups.insert(group);
        }
    }
    let name = |module: &&str| if module.is_empty() { "the top".to_owned() } else { (*module).to_owned() };
    groups
        .into_iter()
        .map(|group| group.iter().map(name).collect::<Vec<_>>().join(" and ") + " know each other")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_keeps_to_the_map() {
        if let Err(wrong) = check() {
            panic!("{wrong}");
        }
    }

    fn of(modules: &[(&str, &str)]) -> Vec<String> {
        let modules = modules.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        circles(&arrows(&modules))
    }

    #[test]
    fn a_circle_is_found() {
        let there = ("a", "use crate::b::{C, d::E};");
        assert_eq!(
            of(&[there, ("b", "use super::x;"), ("b::d", "let f = super::super::a::f();")]),
            ["a and b::d know each other"]
        );
    }

    #[test]
    fn one_way_is_no_circle() {
        let top = ("", "mod a;\npub use a::B;");
        assert!(
            of(&[top, ("a", "use crate::b::C;\n// crate::d"), ("b", "fn f() {}"), ("d", "use crate::a::E;")])
                .is_empty()
        );
    }

    #[test]
    fn paths_are_taken_apart() {
        assert_eq!(expand("a::{b::{c, d}, e as f};"), ["a::b::c", "a::b::d", "a::e"]);
        assert_eq!(expand("a::b(c)"), ["a::b"]);
    }
}
