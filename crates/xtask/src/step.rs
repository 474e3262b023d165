//! Long steps: each says what it does, shows that it is alive, and on failure shows the end of its log.

use std::fs::{self, File};
use std::io::{IsTerminal, Write, stdout};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use end_to_end::folders;
use end_to_end::lab::last_lines;

/// Runs a command to its end, its output in a log; returns the log.
pub(crate) fn run(title: &str, command: &mut Command) -> Result<String> {
    let finished = attempt(title, command)?;
    if finished.succeeded {
        return Ok(finished.log);
    }
    bail!("{title}: failed; the log {} ends\n{}", finished.path.display(), last_lines(&finished.log, 40))
}

/// Runs something that needs no process of its own.
pub(crate) fn work<T>(title: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let line = Line::begin(title);
    let result = work();
    line.end(result.is_ok(), started.elapsed());
    result.with_context(|| title.to_owned())
}

pub(crate) struct Finished {
    pub(crate) succeeded: bool,
    pub(crate) log: String,
    pub(crate) path: PathBuf,
}

/// Like [`run`], for commands whose failure is not the end. One that has no folder to work in works in the repository.
pub(crate) fn attempt(title: &str, command: &mut Command) -> Result<Finished> {
    let folder = folders::target().join("xtask");
    fs::create_dir_all(&folder)?;
    let name = title.replace(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-', "_");
    let path = folder.join(format!("{name}.log"));
    let log = File::create(&path)?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    if command.get_current_dir().is_none() {
        command.current_dir(folders::repository());
    }
    let started = Instant::now();
    let mut line = Line::begin(title);
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().with_context(|| format!("{program} does not start"))?;
    let succeeded = loop {
        if let Some(status) = ended(&mut child)? {
            break status;
        }
        line.tick(started.elapsed(), &path);
    };
    line.end(succeeded, started.elapsed());
    Ok(Finished { succeeded, log: String::from_utf8_lossy(&fs::read(&path)?).into_owned(), path })
}

/// A step's line on the terminal. Where there is no terminal, what would be overwritten becomes a line every
/// now and then.
struct Line {
    title: String,
    on_terminal: bool,
    shown: Duration,
}

impl Line {
    fn begin(title: &str) -> Self {
        let line = Self { title: title.into(), on_terminal: stdout().is_terminal(), shown: Duration::ZERO };
        line.show(&format!("… {title}"), !line.on_terminal);
        line
    }

    fn tick(&mut self, elapsed: Duration, log: &PathBuf) {
        const WIDTH: usize = 100;
        let pause = Duration::from_secs(if self.on_terminal { 1 } else { 20 });

        if elapsed < self.shown + pause {
            return;
        }
        self.shown = elapsed;
        let log = fs::read(log).unwrap_or_default();
        let last = last_lines(&String::from_utf8_lossy(&log), 1);
        let text = format!("… {} ({} s) {}", self.title, elapsed.as_secs(), last.trim());
        self.show(&text.chars().take(WIDTH).collect::<String>(), !self.on_terminal);
    }

    fn end(&self, succeeded: bool, elapsed: Duration) {
        let mark = if succeeded { '✓' } else { '✗' };
        self.show(&format!("{mark} {} ({:.1} s)", self.title, elapsed.as_secs_f32()), true);
    }

    fn show(&self, text: &str, whole: bool) {
        let start = if self.on_terminal { "\r\x1b[K" } else { "" };
        print!("{start}{text}{}", if whole { "\n" } else { "" });
        let _ = stdout().flush();
    }
}

fn ended(child: &mut Child) -> Result<Option<bool>> {
    const PAUSE: Duration = Duration::from_millis(50);

    let status = child.try_wait()?;
    if status.is_none() {
        thread::sleep(PAUSE);
    }
    Ok(status.map(|status| status.success()))
}
