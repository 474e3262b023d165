//! `collection`: the tarball for Galaxy.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use end_to_end::ansible::Version;
use end_to_end::folders;

use crate::{ansible, build, step};

/// Galaxy takes no more.
const LARGEST_BYTES: u64 = 20_000_000;

/// Everything that goes to the users, but for the programs.
const CONTENTS: [&str; 12] = [
    "CHANGELOG.md",
    "FILES.json",
    "LICENSE-APACHE",
    "LICENSE-GPL",
    "LICENSE-MIT",
    "MANIFEST.json",
    "README.md",
    "SECURITY.md",
    "meta/runtime.yml",
    "plugins/action/psexec.py",
    "plugins/modules/psexec.py",
    "plugins/plugin_utils/programs.py",
];

/// Builds the module and the collection around it, looks into it, and returns its place.
pub(crate) fn run() -> Result<PathBuf> {
    build::run()?;
    let version = version()?;
    let folder = folders::target().join("collection");
    fs::create_dir_all(&folder)?;
    let mut galaxy = Command::new(ansible::programs(Version::Usual)?.join("ansible-galaxy"));
    galaxy.args(["collection", "build", "--force", "--output-path"]).arg(&folder).arg(folders::repository());
    step::run("build the collection", &mut galaxy)?;
    let tarball = folder.join(format!("native-windows-{version}.tar.gz"));
    step::work("look into the collection", || check(&tarball))?;
    println!("  {} ({:.1} MB)", tarball.display(), tarball.metadata()?.len() as f64 / 1e6);
    Ok(tarball)
}

/// Builds the collection and installs it where [`folders::collections`] says, with the usual version of Ansible.
pub(crate) fn install() -> Result<()> {
    let tarball = run()?;
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

fn check(tarball: &Path) -> Result<()> {
    let bytes = tarball.metadata().with_context(|| format!("{} was not built", tarball.display()))?.len();
    ensure!(bytes < LARGEST_BYTES, "{bytes} bytes are more than Galaxy takes");
    let output = Command::new("tar").arg("-tvzf").arg(tarball).output().context("tar does not start")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listing = String::from_utf8_lossy(&output.stdout);
    // mode, owner, size, date, time, name
    let entries: Vec<(&str, &str)> = listing
        .lines()
        .filter(|line| !line.starts_with('d'))
        .filter_map(|line| Some((line.split_whitespace().next()?, line.split_whitespace().nth(5)?)))
        .collect();
    let found: BTreeSet<&str> = entries.iter().map(|(_, name)| *name).collect();
    let program = folders::program();
    let wanted: BTreeSet<&str> = CONTENTS.into_iter().chain([program.as_str()]).collect();
    let missing: Vec<_> = wanted.difference(&found).collect();
    let strange: Vec<_> = found.difference(&wanted).collect();
    ensure!(
        missing.is_empty() && strange.is_empty(),
        "missing: {missing:?}; not meant to be there: {strange:?}"
    );
    let executable = |name: &str| entries.contains(&("-rwxr-xr-x", name));
    ensure!(executable(&program), "the module is not executable in the collection");
    Ok(())
}

/// The version in galaxy.yml, which has to be the workspace's.
fn version() -> Result<String> {
    let galaxy = fs::read_to_string(folders::repository().join("galaxy.yml"))?;
    let version = galaxy.lines().find_map(|line| line.strip_prefix("version: "));
    let version = version.context("galaxy.yml names no version")?.trim();
    let cargo = env!("CARGO_PKG_VERSION");
    ensure!(version == cargo, "galaxy.yml says version {version}, Cargo.toml {cargo}");
    Ok(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the links of a document lead, but for addresses.
    fn links(document: &str) -> Vec<String> {
        let text = fs::read_to_string(folders::repository().join(document)).expect("a document");
        let ends = text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
        let files = ends.filter(|link| !link.contains("://") && !link.starts_with('#'));
        files.map(|link| link.split('#').next().unwrap_or_default().to_owned()).collect()
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
