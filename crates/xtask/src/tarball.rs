//! The collection's tarball, packed so that the same contents are the same bytes: `ansible-galaxy` packs in whatever order the
//! file system lists them, with the time of the build and those of the files.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::digest::sha256;

/// Packs the tarball once more.
pub(crate) fn repack(tarball: &Path) -> Result<()> {
    let folder = tarball.with_extension("contents");
    // Left by one that was cut off.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    done(
        Command::new("tar")
            .args(["--extract", "--same-permissions", "--file"])
            .arg(tarball)
            .arg("-C")
            .arg(&folder),
    )?;
    let names = sort_manifest(&folder)?;
    let fresh = tarball.with_extension("new");
    let mut tar = Command::new("tar");
    tar.args(["--create", "--format=ustar", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.args([&format!("--mtime={TIME}"), "--no-recursion", "--use-compress-program=gzip -9 --no-name"]);
    tar.arg("--file").arg(&fresh).arg("-C").arg(&folder).arg("--").args(names);
    done(&mut tar)?;
    fs::rename(&fresh, tarball)?;
    fs::remove_dir_all(&folder)?;
    Ok(())
}

/// The time of every file: the earliest that all archives know.
const TIME: &str = "1980-01-01 00:00:00Z";

/// The two files that say what is in the collection; the first one has the other's digest.
const MANIFEST: &str = "MANIFEST.json";
const FILES: &str = "FILES.json";

/// Sorts the list of files, and answers everything's names in the order in which they are packed.
fn sort_manifest(folder: &Path) -> Result<Vec<String>> {
    let mut files = read(&folder.join(FILES))?;
    let list = files["files"].as_array_mut().with_context(|| format!("{FILES} has no list of files"))?;
    list.sort_by_key(|file| name(file).to_owned());
    let listed = list.iter().map(|file| name(file).to_owned()).filter(|name| name != ".");
    let names = [MANIFEST, FILES].map(str::to_owned).into_iter().chain(listed).collect();
    let digest = write(&folder.join(FILES), &files)?;
    let mut manifest = read(&folder.join(MANIFEST))?;
    manifest["file_manifest_file"]["chksum_sha256"] = json!(digest);
    write(&folder.join(MANIFEST), &manifest)?;
    Ok(names)
}

fn name(file: &Value) -> &str {
    file["name"].as_str().unwrap_or_default()
}

fn read(file: &Path) -> Result<Value> {
    let text = fs::read(file).with_context(|| format!("{} is missing", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", file.display()))
}

/// Writes it, and answers its digest.
fn write(file: &Path, value: &Value) -> Result<String> {
    let text = format!("{value:#}\n");
    fs::write(file, &text)?;
    Ok(sha256(text.as_bytes()))
}

fn done(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{program} does not start"))?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
