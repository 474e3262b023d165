//! What `cargo xtask collection` leaves: its programs, for each architecture, and that it leaves the same each time.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use end_to_end::emulation;
use end_to_end::folders;
use end_to_end::host::on_lab;
use end_to_end::module::Task;
use end_to_end::program::{self, ARCHITECTURES, GLIBC};
use end_to_end::report::{counted, not_run};
use serde_json::{Value, json};

#[test]
fn the_module_runs_with_old_c_libraries() {
    let needs = program::needs(&folders::module()).expect("a program");
    assert_eq!(needs.architecture, std::env::consts::ARCH);
    let glibc = needs.glibc.expect("a version of the C library");
    if !folders::target().join("linker/ready").exists() {
        return not_run("the module was linked by this machine's own linker");
    }
    counted(&format!("glibc that the module needs: {glibc}, at most {GLIBC}"));
    assert!(glibc <= GLIBC, "the module needs glibc {glibc}");
}

#[test]
fn the_program_tells_its_version() {
    let output = Command::new(folders::module()).arg("--version").output().expect("the module starts");
    assert_version(&output);
}

#[test]
fn the_time_of_packing_is_not_in_the_tarball() {
    let tarball = folders::tarball_for_this_machine();
    let bytes = fs::read(&tarball).expect("`cargo xtask demo`");
    // RFC 1952: two magic numbers, the method, flags, and four bytes with a time.
    assert_eq!((&bytes[..3], &bytes[4..8]), (&[0x1f, 0x8b, 8][..], &[0; 4][..]));
    let output = Command::new("tar").args(["--utc", "-tvzf"]).arg(&tarball).output().expect("tar");
    let listing = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(listing.lines().count() > 10, "{listing}");
    for line in listing.lines() {
        assert!(line.contains(" 0/0 ") && line.contains(" 1980-01-01 00:00 "), "{line}");
    }
    let names: Vec<_> = listing.lines().filter_map(|line| line.split_whitespace().nth(5)).skip(2).collect();
    assert!(names.is_sorted(), "{names:?}");
}

#[test]
#[ignore = "campaign architectures: builds the standard library"]
fn campaign_architectures_programs_are_what_their_names_say() {
    for architecture in ARCHITECTURES {
        let program = folders::program(architecture);
        let needs = program::needs(&program).expect("`cargo xtask collection`");
        let glibc = needs.glibc.expect("a version of the C library");
        assert_eq!(needs.architecture, architecture);
        assert!(glibc <= GLIBC, "the program for {architecture} needs glibc {glibc}");
        let size = program.metadata().expect("a file").len();
        counted(&format!("{architecture}: {size} bytes, glibc {glibc}, at most {GLIBC}"));
    }
    let size = folders::tarball().metadata().expect("a tarball").len();
    counted(&format!("the collection: {size} bytes, at most 20000000"));
    assert!(size < 20_000_000);
}

#[test]
#[ignore = "campaign architectures: builds the standard library"]
fn campaign_architectures_aarch64_does_a_task() {
    let emulated = emulated();
    let output = Command::new(&emulated[0]).args(&emulated[1..]).arg("--version").output();
    assert_version(&output.expect("QEMU starts"));

    let run =
        |options: &Value| Task::new(options).expect("a task").run_by(&emulated).expect("one JSON object");
    let missing = run(&json!({ "hostname": "server" }));
    assert_eq!(missing.assert_failed(), "missing required arguments: executable");
    let unknown = run(&json!({ "hostname": "server", "executable": "cmd.exe", "hostnam": 1 }));
    assert!(
        unknown
            .assert_failed()
            .starts_with("Unsupported parameters for (native.windows.psexec) module: hostnam.")
    );

    on_lab(|host, _| {
        let echo = json!({ "executable": "cmd.exe", "arguments": "/c echo Hello World" });
        for encrypt in [true, false] {
            let mut options = echo.clone();
            options["encrypt"] = json!(encrypt);
            let outcome = run(&host.options(&options));
            assert_eq!(outcome.assert_ran(0).text("stdout"), "Hello World\r\n");
        }
        // Names are looked up by the C library.
        let mut options = host.options(&echo);
        options["hostname"] = json!("localhost");
        assert_eq!(run(&options).assert_ran(0).text("stdout"), "Hello World\r\n");
    });
}

/// Two clean copies of the tree, in folders of different names, whose files were listed and written at different times.
#[test]
#[ignore = "campaign reproducible: builds everything twice"]
fn campaign_reproducible_the_same_tree_gives_the_same_bytes() {
    // Both at once, so that whoever goes on working on the tree does not come between.
    let trees = ["one", "another one"].map(copy);
    let tarballs = trees.map(|tree| fs::read(build(&tree)).expect("a tarball"));
    counted(&format!("the collection: {} bytes, twice the same", tarballs[0].len()));
    assert!(tarballs[0] == tarballs[1], "compare the folders in {}", copies().display());
    fs::remove_dir_all(copies()).expect("the copies can be removed");
}

/// Copies the tree into a folder of this name.
fn copy(name: &str) -> PathBuf {
    let copy = copies().join(name);
    // Left by one that has failed.
    let _ = fs::remove_dir_all(&copy);
    fs::create_dir_all(copy.join("target")).expect("a folder");
    let script = "git ls-files -z --cached --others --exclude-standard | tar --null --create --files-from=- | \
                  tar --extract --directory \"$0\"";
    let status =
        Command::new("sh").args(["-ec", script]).arg(&copy).current_dir(folders::repository()).status();
    assert!(status.expect("sh starts").success(), "the tree cannot be copied");
    // What comes from PyPI is the same for both.
    for from_pypi in ["ansible", "linker"] {
        symlink(folders::target().join(from_pypi), copy.join("target").join(from_pypi)).expect("a link");
    }
    copy
}

/// Builds the collection of a copy, and answers its tarball.
fn build(copy: &Path) -> PathBuf {
    let mut cargo = Command::new("cargo");
    cargo.args(["xtask", "collection"]).current_dir(copy).env_remove("CARGO_TARGET_DIR");
    assert!(cargo.status().expect("cargo starts").success(), "no collection of {}", copy.display());
    copy.join("target/collection").join(folders::tarball().file_name().expect("a name"))
}

fn copies() -> PathBuf {
    folders::target().join("reproducible")
}

fn emulated() -> Vec<String> {
    let program = folders::program("aarch64").to_string_lossy().into_owned();
    // On a machine of this architecture nothing needs to be emulated.
    let emulator = if std::env::consts::ARCH == "aarch64" { Vec::new() } else { emulation::command() };
    emulator.into_iter().chain([program]).collect()
}

#[track_caller]
fn assert_version(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, concat!("native.windows.psexec ", env!("CARGO_PKG_VERSION"), "\n"));
    assert!(output.status.success() && output.stderr.is_empty());
}
