//! What a table has to say beside its figures: what was measured, and what the machine did meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, ensure};
use end_to_end::ansible::Version;
use end_to_end::lab::System;
use end_to_end::{folders, interop};

/// Whose figures they are.
pub(super) fn contenders() -> Result<String> {
    let paexec = size_of(&interop::paexec()?)?;
    Ok(format!(
        "upstream: community.windows {} run by Python {} directly, with {}, and PAExec.exe ({paexec:.0} KB)\n\
         ours: native.windows at {}",
        version_of_collection()?,
        printed(&interop::environment().join("bin/python").to_string_lossy(), &["-V"])?
            .replace("Python ", ""),
        packages()?,
        commit(),
    ))
}

/// What stands for the host, and the machine that both sides run on.
pub(super) fn host() -> Result<String> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!(
        "host: the project's lab with 32-bit programs, {}, on the same machine: {} processors{}, Linux {}",
        samba()?,
        processors(),
        model().map(|name| format!(" ({name})")).unwrap_or_default(),
        kernel.trim(),
    ))
}

/// For README: whose figures stand beside ours, and what stands for the host, in a few words.
pub(super) fn conditions() -> Result<Vec<String>> {
    let upstream =
        format!("upstream: community.windows {}, {}, PAExec.exe", version_of_collection()?, packages()?);
    let host = format!(
        "host: the project's lab, {} and Wine, on the same machine with {} processors",
        samba()?,
        processors()
    );
    Ok(vec![upstream, host])
}

fn samba() -> Result<String> {
    Ok(said(System::chosen().command("/usr/sbin/smbd").arg("--version"))?.replace("Version", "Samba"))
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, |count| count.get())
}

/// How many wanted to run, the mean of a minute: what else the machine does has a share in every figure.
pub(super) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("unknown").to_owned()
}

/// Kilobytes.
pub(super) fn size_of(file: &Path) -> Result<f64> {
    let size = file.metadata().with_context(|| file.display().to_string())?.len();
    Ok(size as f64 / 1000.0)
}

fn version_of_collection() -> Result<String> {
    let manifest = interop::collections().join("ansible_collections/community/windows/MANIFEST.json");
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(manifest)?)?;
    Ok(manifest["collection_info"]["version"].as_str().context("the collection has no version")?.to_owned())
}

fn packages() -> Result<String> {
    const LIST: &str = "import importlib.metadata, sys\n\
        print(', '.join(name + ' ' + importlib.metadata.version(name) for name in sys.argv[1:]))";

    let list = |environment: PathBuf, names: &[&str]| {
        let python = environment.join("bin/python");
        printed(&python.to_string_lossy(), &[&["-c", LIST], names].concat())
    };
    let ansible = list(Version::Usual.environment(), &["ansible-core"])?;
    let others = list(interop::environment(), &["pypsexec", "smbprotocol"])?;
    Ok(format!("{ansible}, {others}"))
}

/// A source that is no checkout has none.
fn commit() -> String {
    let repository = folders::repository();
    let path = repository.to_string_lossy();
    printed("git", &["-C", &path, "describe", "--always", "--dirty"]).unwrap_or_else(|_| "no commit".into())
}

fn model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn printed(program: &str, arguments: &[&str]) -> Result<String> {
    said(Command::new(program).args(arguments))
}

fn said(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| program.clone())?;
    ensure!(output.status.success(), "{program} failed");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
