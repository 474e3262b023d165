//! `release --dry-run`: all that a release is made of, in one folder, and what it still lacks. To sign and to publish is the
//! owner's, as CONTRIBUTING.md describes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use end_to_end::folders;
use end_to_end::program::ARCHITECTURES;
use serde_json::Value;

use crate::digest::sha256;
use crate::{build, collection, step, tools};

/// Makes everything, also where the sources are not ready for a release; fails then.
pub(crate) fn dry_run() -> Result<()> {
    let lacking = Sources::read()?.lacking();
    show(&lacking);
    collection::run()?;
    let folder = folders::target().join(format!("release-{VERSION}"));
    // Of an earlier try.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    for file in parts() {
        let name = file.file_name().context("a part without a name")?;
        fs::copy(&file, folder.join(name)).with_context(|| format!("{} was not built", file.display()))?;
    }
    lists_of_components(&folder)?;
    let sums = sums(&contents(&folder)?);
    fs::write(folder.join(SUMS), &sums)?;
    println!("  {}\n{sums}", folder.display());
    show(&lacking);
    ensure!(lacking.is_empty(), "this is not ready to be released as {VERSION}");
    Ok(())
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
const SUMS: &str = "SHA256SUMS";
const CHANGELOG: &str = "CHANGELOG.md";

/// Written in place of what the owner has to say.
const PLACEHOLDER: &str = "to-be-set-by-the-owner";

/// What has to agree before a release.
struct Sources {
    galaxy: String,
    changelog: String,
    /// What git says of files that are not as they were committed.
    changes: String,
}

impl Sources {
    fn read() -> Result<Self> {
        let read = |name: &str| {
            fs::read_to_string(folders::repository().join(name)).with_context(|| name.to_owned())
        };
        Ok(Self {
            galaxy: read("galaxy.yml")?,
            changelog: read(CHANGELOG)?,
            changes: git(&["status", "--porcelain"])?,
        })
    }

    /// Why this is no release, a sentence for each reason.
    fn lacking(&self) -> Vec<String> {
        let mut lacking = Vec::new();
        lacking.extend(collection::check_version(&self.galaxy).err().map(|error| error.to_string()));
        for line in self.galaxy.lines().filter(|line| !line.starts_with('#') && line.contains(PLACEHOLDER)) {
            let name = line.split(':').next().unwrap_or_default();
            lacking.push(format!("galaxy.yml has a placeholder for {name}"));
        }
        match section(&self.changelog, VERSION) {
            None => lacking.push(format!("{CHANGELOG} has no section \"{VERSION}\"")),
            Some("") => lacking.push(format!("{CHANGELOG} says nothing of {VERSION}")),
            Some(_) => {}
        }
        if section(&self.changelog, "Unreleased").is_some_and(|text| !text.is_empty()) {
            lacking.push(format!(
                "{CHANGELOG} has changes under \"Unreleased\": they belong under the version that brings them"
            ));
        }
        let count = self.changes.lines().count();
        if count > 0 {
            lacking.push(format!("{count} files are not as they were committed"));
        }
        lacking
    }
}

fn show(lacking: &[String]) {
    for reason in lacking {
        println!("- not ready: {reason}");
    }
}

/// What the changelog says under this heading; `None` where it is not there.
fn section<'a>(changelog: &'a str, name: &str) -> Option<&'a str> {
    let heading = format!("## {name}");
    let mut rest = changelog;
    while let Some((line, below)) = rest.split_once('\n') {
        if line.trim_end() == heading {
            return Some(below.split("\n## ").next().unwrap_or_default().trim());
        }
        rest = below;
    }
    None
}

/// What is published: the tarball, and what is in it for those who want to know it by its digest.
fn parts() -> Vec<PathBuf> {
    let programs = ARCHITECTURES.map(folders::program);
    let services = build::services().map(|(_, service)| service);
    [folders::tarball()].into_iter().chain(programs).chain(services).collect()
}

/// For each program a list of the crates that are in it, in CycloneDX's JSON.
fn lists_of_components(folder: &Path) -> Result<()> {
    const VERSION: &str = "0.5.9";
    // cargo-cyclonedx writes one beside each manifest of the workspace.
    const FILE: &str = "components-of-release";

    tools::provide("cargo-cyclonedx", VERSION)?;
    let time = git(&["log", "-1", "--format=%ct"])?;
    let linux = ARCHITECTURES.map(|architecture| {
        ("psexec", folders::program(architecture), format!("{architecture}-unknown-linux-gnu"))
    });
    let windows = build::services()
        .map(|(architecture, service)| ("psexec-service", service, architecture.target().to_owned()));
    let manifests = manifests()?;
    for (package, program, target) in linux.into_iter().chain(windows) {
        let name = program.file_name().context("a program without a name")?.to_string_lossy().into_owned();
        let mut cyclonedx = build::cargo();
        cyclonedx.args(["cyclonedx", "--format", "json", "--spec-version", "1.5", "--target", &target]);
        cyclonedx.args(["--override-filename", FILE]).env("SOURCE_DATE_EPOCH", time.trim());
        step::run(&format!("list the components of {name}"), &mut cyclonedx)?;
        for (other, manifest) in &manifests {
            let written = manifest.with_file_name(format!("{FILE}.json"));
            if other == package {
                let list = fs::read_to_string(&written)
                    .with_context(|| format!("no list of components for {package}"))?;
                fs::write(folder.join(format!("{name}.cdx.json")), without(&list, &folders::repository()))?;
            }
            // Some manifests have none.
            let _ = fs::remove_file(written);
        }
    }
    Ok(())
}

/// A list of components that names the packages of this tree as if it lay elsewhere: where it was built is nobody's business.
fn without(list: &str, repository: &Path) -> String {
    list.replace(&*repository.to_string_lossy(), "/native.windows")
}

/// The manifest of each package of the workspace.
fn manifests() -> Result<BTreeMap<String, PathBuf>> {
    let mut metadata = build::cargo();
    metadata.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(folders::repository());
    let output = metadata.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let text = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    Ok(packages
        .iter()
        .map(|package| (text(package, "name"), text(package, "manifest_path").into()))
        .collect())
}

/// The files of a folder by their names.
fn contents(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let read =
        |entry: fs::DirEntry| Ok((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?));
    fs::read_dir(folder)?.map(|entry| read(entry?)).collect()
}

/// As `sha256sum --check` reads it.
fn sums(files: &BTreeMap<String, Vec<u8>>) -> String {
    files.iter().map(|(name, bytes)| format!("{}  {name}\n", sha256(bytes))).collect()
}

fn git(arguments: &[&str]) -> Result<String> {
    let output = Command::new("git").arg("-C").arg(folders::repository()).args(arguments).output();
    let output = output.context("git does not start")?;
    ensure!(output.status.success(), "git: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> Sources {
        Sources {
            galaxy: format!(
                "name: windows\nversion: {VERSION}\n# to-be-set-by-the-owner\nhomepage: https://example.com/\n"
            ),
            changelog: format!("# Changelog\n\n## {VERSION}\n\n### Added\n\n- This.\n\n## 0.0.1\n\nThat.\n"),
            changes: String::new(),
        }
    }

    #[test]
    fn nothing_is_lacking_where_all_agree() {
        assert_eq!(ready().lacking(), [""; 0]);
        let mut with_empty_section = ready();
        with_empty_section.changelog =
            with_empty_section.changelog.replace("\n\n## ", "\n\n## Unreleased\n\n## ");
        assert_eq!(with_empty_section.lacking(), [""; 0]);
    }

    #[test]
    fn each_reason_is_said() {
        let changed = |change: fn(&mut Sources)| {
            let mut sources = ready();
            change(&mut sources);
            sources.lacking().join("; ")
        };
        let heading = format!("## {VERSION}\n");
        let said = changed(|sources| sources.galaxy = sources.galaxy.replace(VERSION, "9.9.9"));
        assert_eq!(said, format!("galaxy.yml says version 9.9.9, Cargo.toml {VERSION}"));
        let said = changed(|sources| {
            sources.galaxy.push_str("issues: https://example.com/to-be-set-by-the-owner\n")
        });
        assert_eq!(said, "galaxy.yml has a placeholder for issues");
        let said = changed(|sources| sources.changelog = "# Changelog\n\n## 0.0.1\n\nThat.\n".to_owned());
        assert_eq!(said, format!("CHANGELOG.md has no section \"{VERSION}\""));
        let mut empty = ready();
        empty.changelog = format!("{heading}\n## 0.0.1\n\nThat.\n");
        assert_eq!(empty.lacking().join("; "), format!("CHANGELOG.md says nothing of {VERSION}"));
        let said = changed(|sources| sources.changelog.insert_str(0, "## Unreleased\n\n- More.\n\n"));
        assert!(said.starts_with("CHANGELOG.md has changes under \"Unreleased\""), "{said}");
        let said = changed(|sources| sources.changes = " M README.md\n?? new\n".to_owned());
        assert_eq!(said, "2 files are not as they were committed");
    }

    #[test]
    fn sums_are_as_sha256sum_has_them() {
        let files = [("b", b"".to_vec()), ("a", b"abc".to_vec())];
        let files = files.map(|(name, bytes)| (name.to_owned(), bytes)).into();
        assert_eq!(
            sums(&files),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a\n\
             e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  b\n"
        );
    }

    #[test]
    fn a_list_of_components_does_not_tell_where_it_was_made() {
        let list = r#"{"bom-ref":"path+file:///home/user/tree/crates/psexec#0.1.0"}"#;
        let wanted = r#"{"bom-ref":"path+file:///native.windows/crates/psexec#0.1.0"}"#;
        assert_eq!(without(list, Path::new("/home/user/tree")), wanted);
    }

    #[test]
    fn every_program_has_a_manifest() {
        let manifests = manifests().expect("manifests");
        for package in ["psexec", "psexec-service"] {
            assert!(manifests[package].ends_with(format!("crates/{package}/Cargo.toml")), "{manifests:?}");
        }
    }
}
