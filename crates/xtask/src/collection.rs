//! `collection`: the tarball for Galaxy.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use end_to_end::ansible::Version;
use end_to_end::folders;
use end_to_end::program::{self, ARCHITECTURES, GLIBC, Needs};

use crate::{ansible, build, step, tarball};

/// Galaxy takes no more.
const LARGEST_BYTES: u64 = 20_000_000;

/// Everything that goes to the users, but for the programs.
const CONTENTS: [&str; 14] = [
    "CHANGELOG.md",
    "FILES.json",
    "LICENSE-APACHE",
    "LICENSE-GPL",
    "LICENSE-MIT",
    "MANIFEST.json",
    "README.md",
    "SECURITY.md",
    "docs/figures.svg",
    "docs/way.svg",
    "meta/runtime.yml",
    "plugins/action/psexec.py",
    "plugins/modules/psexec.py",
    "plugins/plugin_utils/programs.py",
];

/// Builds the module for all architectures, and the collection around it.
pub(crate) fn run() -> Result<()> {
    build::for_all_architectures()?;
    pack(&ARCHITECTURES, &folders::tarball()).map(drop)
}

/// Builds the collection for this machine alone, and installs it where [`folders::collections`] says, with the usual version of
/// Ansible.
pub(crate) fn install() -> Result<()> {
    build::run()?;
    let tarball = folders::tarball_for_this_machine();
    pack(&[env::consts::ARCH], &tarball)?;
    let mut galaxy = Command::new(ansible::programs(Version::Usual)?.join("ansible-galaxy"));
    galaxy.args(["collection", "install", "--offline", "--force"]).arg(tarball);
    galaxy.arg("--collections-path").arg(folders::collections());
    step::run("install the collection", &mut galaxy)?;
    Ok(())
}

/// Like [`install`], and brings every version of Ansible that the tests run with and this machine has a Python for.
pub(crate) fn install_for_tests() -> Result<()> {
    ansible::provide_all()?;
    install()
}

/// Packs the collection with the programs for these architectures, and looks into it.
fn pack(architectures: &[&str], tarball: &Path) -> Result<()> {
    check_version(&fs::read_to_string(folders::repository().join("galaxy.yml"))?)?;
    // Built earlier, of another source.
    for architecture in ARCHITECTURES.iter().filter(|architecture| !architectures.contains(architecture)) {
        let _ = fs::remove_file(folders::program(architecture));
    }
    let folder = tarball.parent().context("a tarball without a folder")?;
    fs::create_dir_all(folder)?;
    let mut galaxy = Command::new(ansible::programs(Version::Usual)?.join("ansible-galaxy"));
    galaxy.args(["collection", "build", "--force", "--output-path"]).arg(folder).arg(folders::repository());
    step::run("build the collection", &mut galaxy)?;
    step::work("pack the collection the same way each time", || tarball::repack(tarball))?;
    step::work("look into the collection", || check(tarball, architectures))?;
    println!("  {} ({:.1} MB)", tarball.display(), tarball.metadata()?.len() as f64 / 1e6);
    Ok(())
}

fn check(tarball: &Path, architectures: &[&str]) -> Result<()> {
    let bytes = tarball.metadata().with_context(|| format!("{} was not built", tarball.display()))?.len();
    ensure!(bytes < LARGEST_BYTES, "{bytes} bytes are more than Galaxy takes");
    let output = Command::new("tar").arg("-tvzf").arg(tarball).output().context("tar does not start")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listing = String::from_utf8_lossy(&output.stdout);
    // mode, owner, size, date, time, name
    let found: BTreeSet<(&str, &str)> = listing
        .lines()
        .filter(|line| !line.starts_with('d'))
        .filter_map(|line| Some((line.split_whitespace().nth(5)?, line.split_whitespace().next()?)))
        .collect();
    let programs: Vec<_> =
        architectures.iter().map(|architecture| folders::program_in_collection(architecture)).collect();
    let programs = programs.iter().map(|name| (name.as_str(), "-rwxr-xr-x"));
    let wanted: BTreeSet<(&str, &str)> =
        CONTENTS.into_iter().map(|name| (name, "-rw-r--r--")).chain(programs).collect();
    let missing: Vec<_> = wanted.difference(&found).collect();
    let strange: Vec<_> = found.difference(&wanted).collect();
    ensure!(
        missing.is_empty() && strange.is_empty(),
        "missing: {missing:?}; not meant to be there: {strange:?}"
    );
    for architecture in architectures {
        let Needs { architecture: found, glibc } = program::needs(&folders::program(architecture))?;
        ensure!(found == *architecture, "the program for {architecture} is for {found}");
        ensure!(glibc <= Some(GLIBC), "the program for {architecture} needs glibc {glibc:?}");
    }
    Ok(())
}

/// The version in galaxy.yml has to be the workspace's.
pub(crate) fn check_version(galaxy: &str) -> Result<()> {
    let version = galaxy.lines().find_map(|line| line.strip_prefix("version: "));
    let version = version.context("galaxy.yml names no version")?.trim();
    let cargo = env!("CARGO_PKG_VERSION");
    ensure!(version == cargo, "galaxy.yml says version {version}, Cargo.toml {cargo}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(document: &str) -> String {
        fs::read_to_string(folders::repository().join(document)).expect("a document")
    }

    /// Where the links of a text lead, but for addresses.
    fn targets(text: &str) -> impl Iterator<Item = &str> {
        let ends = text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
        ends.filter(|link| !link.contains("://"))
    }

    /// The files that the links of a document lead to.
    fn links(document: &str) -> Vec<String> {
        let text = text(document);
        let files = targets(&text).filter(|link| !link.starts_with('#'));
        files.map(|link| link.split('#').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn links_within_readme_lead_to_its_headings() {
        let text = text("README.md");
        let headings = text.lines().filter(|line| line.starts_with('#'));
        // As every renderer makes them of headings without anything but words.
        let anchors: Vec<_> = headings
            .map(|line| format!("#{}", line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-")))
            .collect();
        let within: Vec<_> = targets(&text).filter(|link| link.starts_with('#')).collect();
        assert!(within.len() > 3);
        for link in within {
            assert!(anchors.iter().any(|anchor| anchor == link), "README links to {link}");
        }
    }

    #[test]
    fn links_of_what_users_get_lead_to_what_users_get() {
        let documents: Vec<_> = CONTENTS.into_iter().filter(|name| name.ends_with(".md")).collect();
        assert!(documents.len() > 2);
        for document in documents {
            for link in links(document) {
                assert!(CONTENTS.contains(&link.as_str()), "{document} links to {link}");
            }
        }
    }

    #[test]
    fn links_of_other_documents_lead_to_files() {
        for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "tests/README.md", "tests/lab/README.md"] {
            let folder = folders::repository().join(document);
            let folder = folder.parent().expect("a folder");
            for link in links(document) {
                assert!(folder.join(&link).exists(), "{document} links to {link}");
            }
        }
    }
}
