//! Many runs in a row, and what they leave: on the host, and in the memory of its servers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use end_to_end::lab::Lab;

use super::contender::{Contender, Work};

/// Programs of the host that live as long as it does.
const SERVERS: [&str; 4] = ["smbd", "services.exe", "wineserver64", "relay.exe"];

pub(super) fn run(lab: &Lab, cycles: u32) -> Result<()> {
    // The first run has things to do once that stay: what follows must not add to them.
    Contender::Ours.run(&Work::echo(), lab.port())?;
    thread::sleep(SETTLE);
    let (things, servers) = (lab.snapshot()?, servers(lab)?);
    let started = Instant::now();
    for cycle in 1..=cycles {
        Contender::Ours.run(&Work::echo(), lab.port())?;
        if cycle % 100 == 0 {
            println!("  {cycle} runs, {:.0} s", started.elapsed().as_secs_f64());
        }
    }
    let each = started.elapsed() / cycles.max(1);
    thread::sleep(SETTLE);
    let left = lab.snapshot()?.since(&things);
    println!("{cycles} runs, {:.3} s each; left on the host: {}", each.as_secs_f64(), listed(&left));
    println!("{:<16} {:>22} {:>22}", "", "memory (KB)", "handles");
    for (name, after) in self::servers(lab)? {
        let before = servers.get(&name).copied().unwrap_or_default();
        let change = |before: u64, after: u64| format!("{before} → {after}");
        println!(
            "{name:<16} {:>22} {:>22}",
            change(before.memory, after.memory),
            change(before.handles, after.handles)
        );
    }
    Ok(())
}

/// Longer than a service waits for another client.
const SETTLE: Duration = Duration::from_secs(8);

fn listed(left: &[String]) -> String {
    if left.is_empty() { "nothing".to_owned() } else { left.join(", ") }
}

#[derive(Clone, Copy, Debug, Default)]
struct Server {
    /// Resident kilobytes.
    memory: u64,
    /// Open descriptors.
    handles: u64,
}

/// The lab's servers, those of one name added up.
fn servers(lab: &Lab) -> Result<BTreeMap<String, Server>> {
    let mark = lab.state().to_string_lossy().into_owned();
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        // A process that ends meanwhile is none of the servers.
        let Some((name, server)) = look_at(&entry.path(), &mark) else { continue };
        let sum: &mut Server = found.entry(name).or_default();
        sum.memory += server.memory;
        sum.handles += server.handles;
    }
    Ok(found)
}

fn look_at(process: &Path, mark: &str) -> Option<(String, Server)> {
    let environment = fs::read(process.join("environ")).ok()?;
    if !environment.windows(mark.len()).any(|window| window == mark.as_bytes()) {
        return None;
    }
    let command = fs::read(process.join("cmdline")).ok()?;
    let first = command.split(|&byte| byte == 0).next()?;
    let name = String::from_utf8_lossy(first).rsplit(['/', '\\']).next()?.to_owned();
    let name = SERVERS.iter().find(|server| name.starts_with(*server))?;
    let status = fs::read_to_string(process.join("status")).ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let memory = resident.trim().trim_end_matches(" kB").parse().ok()?;
    let handles = fs::read_dir(process.join("fd")).ok()?.count() as u64;
    Some(((*name).to_owned(), Server { memory, handles }))
}
