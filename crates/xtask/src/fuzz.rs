//! `test --fuzz`: throws bytes at everything that takes apart what strangers send.
//!
//! Cargo alone builds the targets, with the flags that cargo-fuzz would give it. These are stable: neither cargo-fuzz
//! nor a nightly toolchain has to be there. The address sanitizer, which would need one, is left out: the code under
//! test has no `unsafe` of its own. Overflowing arithmetic and failed debug assertions are findings.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;

use anyhow::{Context, Result, ensure};
use end_to_end::folders;

use crate::report::Report;
use crate::step::Finished;
use crate::{build, packages, step};

/// For how long each target runs with the other tests.
pub(crate) const SECONDS: u32 = 10;

/// The fuzz targets alone.
pub(crate) fn run(seconds: u32) -> Result<()> {
    let mut report = Report::default();
    check(&mut report, seconds)?;
    report.conclude()
}

/// Adds the fuzz targets to the report; each runs for so long.
pub(crate) fn check(report: &mut Report, seconds: u32) -> Result<()> {
    packages::for_fuzzing()?;
    let platform = platform()?;
    let built = build(&platform)?;
    if !built.succeeded {
        report.note("fuzz targets", &built, "FAILED".into());
        return Ok(());
    }
    let targets = targets(&platform)?;
    let mut inputs = 0;
    for batch in targets.chunks(available_parallelism()?.get()) {
        for (target, finished) in batch.iter().zip(fuzz(batch, seconds)?) {
            let end = if finished.succeeded { "" } else { ", the last of which is a finding" };
            println!("  {}: {} inputs{end}", target.name, inputs_in(&finished.log));
            inputs += inputs_in(&finished.log);
            if !finished.succeeded {
                let title = format!("fuzzing {}", target.name);
                report.note(&title, &target.finding(finished)?, "FAILED".into());
            }
        }
    }
    let log = Finished { succeeded: true, log: String::new(), path: folder() };
    let counts = format!("{} targets, {seconds} s each, {inputs} inputs", targets.len());
    report.note("fuzzing", &log, counts);
    Ok(())
}

struct Target {
    name: String,
    program: PathBuf,
    /// Inputs from real runs, and what fuzzing has made of them; committed.
    corpus: PathBuf,
}

impl Target {
    fn start(&self, seconds: u32) -> Result<Child> {
        // What is new goes into the first of the two corpora.
        let grown = folder().join("corpus").join(&self.name);
        fs::create_dir_all(&grown)?;
        let log = File::create(self.log())?;
        let mut fuzzer = Command::new(&self.program);
        fuzzer.arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1");
        fuzzer.args([format!("-timeout={LONGEST_SECONDS}"), format!("-rss_limit_mb={MOST_MEGABYTES}")]);
        fuzzer.arg(format!("-artifact_prefix={}-", folder().join(&self.name).display()));
        fuzzer.args([&grown, &self.corpus]).current_dir(folders::repository());
        fuzzer.env("RUST_BACKTRACE", "0").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        fuzzer.spawn().with_context(|| format!("{} does not start", self.program.display()))
    }

    fn end(&self, mut fuzzer: Child) -> Result<Finished> {
        let succeeded = fuzzer.wait()?.success();
        let log = String::from_utf8_lossy(&fs::read(self.log())?).into_owned();
        Ok(Finished { succeeded, log, path: self.log() })
    }

    /// What was found, and the input that shows it.
    fn finding(&self, finished: Finished) -> Result<Finished> {
        const WRITTEN: &str = "Test unit written to ";
        const SHOWN: usize = 2000;

        let log = &finished.log;
        let input = log.lines().find_map(|line| Some(line.split_once(WRITTEN)?.1));
        let Some(path) = input.map(PathBuf::from) else { return Ok(finished) };
        let bytes = fs::read(&path)?;
        let what = log.find("\nthread '").or_else(|| log.find("ERROR: libFuzzer")).unwrap_or(0);
        let what: Vec<_> = log[what..].trim().lines().take(5).collect();
        let shown = bytes.get(..SHOWN).unwrap_or(&bytes).escape_ascii();
        let log = format!(
            "{}\n{} bytes: {shown}\nagain: {} {}",
            what.join("\n"),
            bytes.len(),
            self.program.display(),
            path.display()
        );
        Ok(Finished { succeeded: false, log, path })
    }

    fn log(&self) -> PathBuf {
        folder().join(format!("{}.log", self.name))
    }
}

/// An input that takes longer is a finding.
const LONGEST_SECONDS: u32 = 10;
/// As is one that takes more memory.
const MOST_MEGABYTES: u32 = 1024;

fn fuzz(batch: &[Target], seconds: u32) -> Result<Vec<Finished>> {
    let names: Vec<_> = batch.iter().map(|target| target.name.as_str()).collect();
    step::work(&format!("fuzz {}", names.join(", ")), || {
        let fuzzers = batch.iter().map(|target| target.start(seconds)).collect::<Result<Vec<_>>>()?;
        batch.iter().zip(fuzzers).map(|(target, fuzzer)| target.end(fuzzer)).collect()
    })
}

fn build(platform: &str) -> Result<Finished> {
    const WORKSPACE: &str = "tests/fuzz/Cargo.toml";
    const FLAGS: [&str; 9] = [
        "--cfg=fuzzing",
        "-Cdebug-assertions",
        "-Ccodegen-units=1",
        "-Cpasses=sancov-module",
        "-Cllvm-args=-sanitizer-coverage-level=4",
        "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
        "-Cllvm-args=-sanitizer-coverage-pc-table",
        "-Cllvm-args=-sanitizer-coverage-trace-compares",
        "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    ];
    let mut cargo = build::cargo();
    cargo.args(["build", "--release", "--manifest-path", WORKSPACE]);
    // With a platform named, flags are not for programs that run while building.
    cargo.args(["--target", platform, "--target-dir"]).arg(folder());
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", FLAGS.join(" "));
    step::attempt("build the fuzz targets", &mut cargo)
}

/// The targets, which are named like their files.
fn targets(platform: &str) -> Result<Vec<Target>> {
    let fuzz = folders::repository().join("tests/fuzz");
    let mut targets = Vec::new();
    for source in fs::read_dir(fuzz.join("fuzz_targets"))? {
        let name = source?.path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let program = folder().join(platform).join("release").join(&name);
        let corpus = fuzz.join("corpus").join(&name);
        ensure!(corpus.is_dir(), "{name} has no corpus in {}", corpus.display());
        targets.push(Target { name, program, corpus });
    }
    targets.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(targets)
}

/// The compiler's name of this machine.
fn platform() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("rustc does not start")?;
    let version = String::from_utf8_lossy(&output.stdout);
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say what it compiles for")?.to_owned())
}

fn inputs_in(log: &str) -> u64 {
    let count = log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

fn folder() -> PathBuf {
    folders::target().join("fuzz")
}
