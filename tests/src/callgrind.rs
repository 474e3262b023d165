//! How many instructions the module executes: its own work, whatever else the machine does meanwhile.
//!
//! What the kernel does for it is not counted, nor what the host does.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use anyhow::{Context, Result, ensure};

use crate::module::Task;

/// What Debian has to bring for [`run`] and has not.
pub fn debian_packages_missing() -> Vec<&'static str> {
    if Path::new(VALGRIND).exists() { Vec::new() } else { vec!["valgrind"] }
}

/// Runs the module to its end; answers its output, and the instructions that it executed.
pub fn run(task: &Task) -> Result<(Output, u64)> {
    ensure!(Path::new(VALGRIND).exists(), "{VALGRIND} is missing: apt-get install valgrind");
    let log = Log::new();
    let valgrind = [
        VALGRIND.to_owned(),
        "--tool=callgrind".into(),
        "--callgrind-out-file=/dev/null".into(),
        format!("--log-file={}", log.0.display()),
    ];
    let mut module = task.command_under(&valgrind)?;
    // Where a processor copies quickly a byte at a time, libc has it do so, and each byte would count.
    module.env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-ERMS,-FSRM");
    let output = module.output().context("the module does not start")?;
    let text = fs::read_to_string(&log.0).context("valgrind has not written its log")?;
    let count = text.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = count.with_context(|| format!("valgrind counts nothing: {text}"))?;
    Ok((output, count.trim().parse()?))
}

const VALGRIND: &str = "/usr/bin/valgrind";

/// A file that goes when it is dropped.
struct Log(PathBuf);

impl Log {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);

        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(env::temp_dir().join(format!("native-windows-callgrind-{}-{count}.log", process::id())))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
