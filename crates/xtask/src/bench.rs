//! `bench`: community.windows.psexec and this module side by side, in turns, against the same lab.
//!
//! Only what was measured in the same run is compared; figures of different days or machines say nothing.

mod caption;
mod contender;
mod soak;
mod table;
mod usage;

use std::io::{Write, stdout};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use end_to_end::ansible::Version;
use end_to_end::folders;
use end_to_end::lab::{Form, Lab, LabOptions};
use end_to_end::proxy::{Behaviour, Proxy, Statistics};

use crate::pictures::{self, Figures};
use crate::{ansible, build, interop, lab, packages};
use contender::{Contender, Work};
use table::{Figure, Goal, Table};
use usage::Usage;
pub(crate) use usage::measure;

pub(crate) const USAGE: &str = "\
  bench [OPTIONS]    measure community.windows.psexec and this module side by side
      --round-trip MS    the round trip of the long way, 50
      --size MB          the size of the large output and input, 10
      --runs N           how often each figure is taken; the median counts, 7
      --large-upstream   have upstream write ten times the size, too, which takes it an hour
      --build            also build everything from nothing, which takes minutes
      --keep             have README show these figures, in its table and pictures
      --soak N           instead: N runs of this module, and what they leave
";

/// Measured side by side, or one after the other for as long as the soak lasts.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let options = Options::parse(arguments)?;
    packages::for_bench()?;
    build::run()?;
    let parts = lab::prepare(Form::Interop)?;
    let lab_options = LabOptions { name: "bench".into(), form: Form::Interop, ..LabOptions::default() };
    if let Some(cycles) = options.soak {
        return soak::run(&Lab::start_with(&parts, &lab_options)?, cycles);
    }
    ansible::programs(Version::Usual)?;
    interop::install_environment()?;
    interop::install_collections()?;
    let started = Instant::now();
    let bench = Bench { lab: Lab::start_with(&parts, &lab_options)?, options };
    let load = caption::load();
    let table = bench.figures()?;
    println!("\nmedians of {} runs each, in turns where both are measured", bench.options.runs);
    println!("{}\n{}", caption::contenders()?, caption::host()?);
    println!("load: {load} before, {} after {} s", caption::load(), started.elapsed().as_secs());
    table.print();
    if bench.options.keep {
        pictures::keep(&Figures::shown(caption::conditions()?, &table.of_both())?)?;
    }
    Ok(())
}

struct Options {
    round_trip: Duration,
    /// Bytes.
    size: usize,
    runs: usize,
    large_upstream: bool,
    build: bool,
    keep: bool,
    soak: Option<u32>,
}

impl Options {
    fn parse(arguments: &[&str]) -> Result<Self> {
        let mut options = Self {
            round_trip: Duration::from_millis(50),
            size: 10_000_000,
            runs: 7,
            large_upstream: false,
            build: false,
            keep: false,
            soak: None,
        };
        let mut rest = arguments.iter();
        while let Some(&name) = rest.next() {
            let mut number = || -> Result<u32> {
                let text = rest.next().with_context(|| format!("{name} needs a number"))?;
                text.parse().with_context(|| format!("{name} {text}"))
            };
            match name {
                "--round-trip" => options.round_trip = Duration::from_millis(number()?.into()),
                "--size" => options.size = number()?.max(1) as usize * 1_000_000,
                "--runs" => options.runs = number()?.max(1) as usize,
                "--large-upstream" => options.large_upstream = true,
                "--build" => options.build = true,
                "--keep" => options.keep = true,
                "--soak" => options.soak = Some(number()?),
                _ => bail!("unknown option: {name}\n\n{USAGE}"),
            }
        }
        Ok(options)
    }
}

struct Bench {
    lab: Lab,
    options: Options,
}

impl Bench {
    fn figures(&self) -> Result<Table> {
        let mut table = Table::default();
        self.of_a_long_way(&mut table)?;
        self.of_an_echo(&mut table)?;
        self.of_a_crowd(&mut table)?;
        self.of_much_output(&mut table)?;
        self.of_much_input(&mut table)?;
        self.of_the_build(&mut table)?;
        Ok(table)
    }

    fn of_a_long_way(&self, table: &mut Table) -> Result<()> {
        let name = format!("a run at {} ms round trip", self.options.round_trip.as_millis());
        let delay = self.options.round_trip / 2;
        let [upstream, ours] = self.in_turns(&name, |contender| self.through_proxy(contender, delay))?;
        let add = |table: &mut Table, name: &str, unit, figure: fn(&Proxied) -> f64, goal| {
            let both = [&upstream, &ours].map(|runs| median(runs.iter().map(figure)));
            table.add(Figure::both(name, unit, both, goal));
        };
        let waits = |run: &Proxied| f64::from(run.statistics.waits);
        add(table, "waits for the host", "", waits, Goal::AtMost(18.0));
        add(table, &name, "s", |run| seconds(run.wall), Goal::Ratio(0.4));
        let sent = |run: &Proxied| run.statistics.from_client.bytes as f64 / 1000.0;
        add(table, "bytes sent", "KB", sent, Goal::AtMost(160.0));
        Ok(())
    }

    fn of_an_echo(&self, table: &mut Table) -> Result<()> {
        let (echo, port) = (Work::echo(), self.lab.port());
        let name = "a run on loopback";
        let [upstream, ours] = self.in_turns(name, |contender| contender.usage(&echo, port))?;
        let both = [upstream.as_slice(), ours.as_slice()];
        table.add(Figure::both(name, "s", both.map(wall), Goal::Ratio(0.55)));
        table.add(Figure::both("time of the processors", "ms", both.map(cpu), Goal::Ratio(0.05)));
        table.add(Figure::both("peak memory", "MB", both.map(peak_memory), Goal::AtMost(10.0)));
        let instructions = contender::instructions(&echo, port)? / 1e6;
        table.add(Figure::ours("instructions (callgrind)", "M", instructions, Goal::None));

        // Without the delay, which would be a part of the proxy's own first moment.
        let name = "start to the first packet";
        let first = |contender| self.through_proxy(contender, Duration::ZERO)?.to_first_packet();
        table.add(Figure::both(name, "ms", self.in_turns(name, first)?.map(median), Goal::Ratio(0.05)));
        Ok(())
    }

    fn of_much_output(&self, table: &mut Table) -> Result<()> {
        let (size, port) = (self.options.size, self.lab.port());
        let megabytes = size / 1_000_000;

        let output = Work::output(size);
        let name = format!("{megabytes} MB of stdout");
        let [upstream, ours] = self.in_turns(&name, |contender| contender.usage(&output, port))?;
        let both = [upstream.as_slice(), ours.as_slice()];
        let goal = |goal| if size == 10_000_000 { goal } else { Goal::None };
        table.add(Figure::both(&name, "s", both.map(wall), goal(Goal::Ratio(0.05))));
        let name = format!("peak memory, {name}");
        table.add(Figure::both(&name, "MB", both.map(peak_memory), goal(Goal::AtMost(40.0))));

        let large = Work::output(10 * size);
        let name = format!("{} MB of stdout", 10 * megabytes);
        let runs = self.repeatedly(&name, || Contender::Ours.usage(&large, port))?;
        let goal = Goal::AtMost(10.0 * wall(&ours));
        table.add(match self.options.large_upstream {
            true => {
                let upstream = seconds(Contender::Upstream.run(&large, port)?);
                Figure::both(&name, "s", [upstream, wall(&runs)], goal)
            }
            false => Figure::ours(&name, "s", wall(&runs), goal),
        });
        let name = format!("peak memory, {name}");
        table.add(Figure::ours(&name, "MB", peak_memory(&runs), Goal::None));
        Ok(())
    }

    /// The last one with the host: what upstream does not end stays there.
    fn of_much_input(&self, table: &mut Table) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(60);

        let (size, port) = (self.options.size, self.lab.port());
        let megabytes = size / 1_000_000;
        let run = |contender: Contender, work: &Work| contender.run(work, port).map(seconds);

        let (less, input) = (Work::input(size / 10), Work::input(size));
        let name = format!("{} MB of stdin", megabytes as f64 / 10.0);
        let both = self.in_turns(&name, |contender| run(contender, &less))?.map(median);
        let [_, tenth] = both;
        table.add(Figure::both(&name, "s", both, Goal::None));
        let name = format!("{megabytes} MB of stdin");
        let ours = median(self.repeatedly(&name, || run(Contender::Ours, &input))?);
        let goal = Goal::AtMost(10.0 * tenth);
        // Upstream sends it as one write. Where that is larger than the server allows, it fails, and waits for ever.
        let figure = match Contender::Upstream.run_within(PATIENCE, &input, port) {
            Ok(_) => {
                let upstream = median(self.repeatedly(&name, || run(Contender::Upstream, &input))?);
                Figure::both(&name, "s", [upstream, ours], goal)
            }
            Err(error) => {
                let reason = format!("{error:#}");
                table.note(format!("{name}, upstream: {}", reason.lines().last().unwrap_or_default()));
                Figure::ours(&name, "s", ours, goal)
            }
        };
        table.add(figure);
        Ok(())
    }

    fn of_a_crowd(&self, table: &mut Table) -> Result<()> {
        const RUNS: usize = 20;
        const AT_ONCE: usize = 10;

        let crowd = |contender: Contender| -> Result<f64> {
            let started = Instant::now();
            thread::scope(|scope| {
                let workers: Vec<_> = (0..AT_ONCE)
                    .map(|_| {
                        scope.spawn(|| {
                            (0..RUNS / AT_ONCE)
                                .try_for_each(|_| contender.run(&Work::echo(), self.lab.port()).map(drop))
                        })
                    })
                    .collect();
                workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a panic")))
            })?;
            Ok(seconds(started.elapsed()))
        };
        let name = format!("{RUNS} runs, {AT_ONCE} at once");
        table.add(Figure::both(&name, "s", self.in_turns(&name, crowd)?.map(median), Goal::Ratio(0.6)));
        Ok(())
    }

    /// What is built, and how long that takes from nothing, once.
    fn of_the_build(&self, table: &mut Table) -> Result<()> {
        table.add(Figure::ours("module", "KB", caption::size_of(&folders::module())?, Goal::AtMost(4000.0)));
        let service = folders::repository().join("target/service/psexec-service.exe");
        table.add(Figure::ours("service", "KB", caption::size_of(&service)?, Goal::None));
        if self.options.build {
            let name = "cargo xtask build from nothing";
            table.add(Figure::ours(name, "s", seconds(build::from_nothing()?), Goal::AtMost(240.0)));
        }
        Ok(())
    }

    /// Measures upstream and ours, in turns; each has gone once before it counts.
    fn in_turns<T>(&self, name: &str, measure: impl Fn(Contender) -> Result<T>) -> Result<[Vec<T>; 2]> {
        let progress = Progress::begin(name);
        let (mut upstream, mut ours) = (Vec::new(), Vec::new());
        for round in 0..=self.options.runs {
            let pair = (measure(Contender::Upstream)?, measure(Contender::Ours)?);
            progress.show(round);
            if round > 0 {
                upstream.push(pair.0);
                ours.push(pair.1);
            }
        }
        Ok([upstream, ours])
    }

    /// Measures one side alone.
    fn repeatedly<T>(&self, name: &str, measure: impl Fn() -> Result<T>) -> Result<Vec<T>> {
        let progress = Progress::begin(name);
        (1..=self.options.runs).map(|round| measure().inspect(|_| progress.show(round))).collect()
    }

    fn through_proxy(&self, contender: Contender, delay: Duration) -> Result<Proxied> {
        let behaviour = Behaviour { delay, ..Behaviour::default() };
        let proxy = Proxy::start((self.lab.host(), self.lab.port()), behaviour)?;
        let started = Instant::now();
        let wall = contender.run(&Work::echo(), proxy.port())?;
        Ok(Proxied { started, wall, statistics: proxy.statistics() })
    }
}

/// A run through a proxy.
struct Proxied {
    started: Instant,
    wall: Duration,
    statistics: Statistics,
}

impl Proxied {
    /// Milliseconds.
    fn to_first_packet(&self) -> Result<f64> {
        let first = self.statistics.first_frame_at.context("nothing was sent")?;
        Ok(seconds(first.duration_since(self.started)) * 1000.0)
    }
}

/// One line: what is measured, and the number of each round that is over.
struct Progress;

impl Progress {
    fn begin(name: &str) -> Self {
        print!("… {name}:");
        Self
    }

    fn show(&self, round: usize) {
        print!(" {round}");
        // Who cannot be shown anything misses nothing.
        let _ = stdout().flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        println!();
    }
}

/// Seconds.
fn wall(runs: &[Usage]) -> f64 {
    median(runs.iter().map(|run| seconds(run.wall)))
}

/// Milliseconds.
fn cpu(runs: &[Usage]) -> f64 {
    median(runs.iter().map(|run| seconds(run.cpu) * 1000.0))
}

/// Megabytes.
fn peak_memory(runs: &[Usage]) -> f64 {
    median(runs.iter().map(|run| run.peak_memory as f64 / 1e6))
}

fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => figures[middle],
        _ => (figures[middle - 1] + figures[middle]) / 2.0,
    }
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }
}
