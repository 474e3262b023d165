//! `bench`: community.windows.psexec and this module side by side, in turns, against the same lab.
//!
//! Only what was measured in the same run is compared; figures of different days or machines say nothing.

mod caption;
mod contender;
mod soak;
mod table;
mod usage;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use end_to_end::ansible::Version;
use end_to_end::folders;
use end_to_end::lab::{Form, Lab, LabOptions};
use end_to_end::proxy::{Behaviour, Proxy, Statistics};

use crate::{ansible, build, interop, lab};
use contender::{Contender, Work};
use table::{Figure, Goal, Table};
pub(crate) use usage::measure;

pub(crate) const USAGE: &str = "\
  bench [OPTIONS]    measure community.windows.psexec and this module side by side
      --round-trip MS    the round trip of the long way, 50
      --size MB          the size of the large output and input, 10
      --runs N           how often each figure is taken; the median counts, 7
      --large-upstream   have upstream write ten times the size, too, which takes it an hour
      --soak N           instead: N runs of this module, and what they leave
";

/// Measured side by side, or one after the other for as long as the soak lasts.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let options = Options::parse(arguments)?;
    build::run()?;
    let parts = lab::prepare(Form::Interop)?;
    let lab_options = LabOptions { name: "bench".into(), form: Form::Interop, ..LabOptions::default() };
    if let Some(cycles) = options.soak {
        return soak::run(&Lab::start_with(&parts, &lab_options)?, cycles);
    }
    ansible::programs(Version::Newest)?;
    interop::install_environment()?;
    interop::install_upstream()?;
    let bench = Bench { lab: Lab::start_with(&parts, &lab_options)?, options };
    let load = caption::load();
    let table = bench.figures()?;
    println!("\nmedians of {} runs each, in turns where both are measured", bench.options.runs);
    println!("{}\n{}", caption::contenders()?, caption::host()?);
    println!("load: {load} before, {} after", caption::load());
    table.print();
    Ok(())
}

struct Options {
    round_trip: Duration,
    /// Bytes.
    size: usize,
    runs: usize,
    large_upstream: bool,
    soak: Option<u32>,
}

impl Options {
    fn parse(arguments: &[&str]) -> Result<Self> {
        let mut options = Self {
            round_trip: Duration::from_millis(50),
            size: 10_000_000,
            runs: 7,
            large_upstream: false,
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
        self.of_a_short_run(&mut table)?;
        self.of_resources(&mut table)?;
        self.of_much_data(&mut table)?;
        self.of_a_crowd(&mut table)?;
        table.add(Figure::ours("module", "KB", caption::size_of(&folders::module())?, Goal::AtMost(4000.0)));
        let service = folders::repository().join("target/service/psexec-service.exe");
        table.add(Figure::ours("service", "KB", caption::size_of(&service)?, Goal::None));
        Ok(table)
    }

    fn of_a_short_run(&self, table: &mut Table) -> Result<()> {
        let delay = self.options.round_trip / 2;
        let [far_upstream, far_ours] = self.in_turns(|contender| self.through_proxy(contender, delay))?;
        let waits = |runs: &[Proxied]| median(runs.iter().map(|run| f64::from(run.statistics.waits)));
        table.add(Figure::both(
            "waits for the server per run",
            "",
            waits(&far_upstream),
            waits(&far_ours),
            Goal::AtMost(18.0),
        ));
        let wall = |runs: &[Proxied]| median(runs.iter().map(|run| seconds(run.wall)));
        let name = format!("wall at {} ms round trip", self.options.round_trip.as_millis());
        table.add(Figure::both(&name, "s", wall(&far_upstream), wall(&far_ours), Goal::Ratio(0.4)));

        let near = |contender: Contender| contender.run(&Work::echo(), self.lab.port()).map(seconds);
        let [near_upstream, near_ours] = self.in_turns(near)?;
        let [upstream, ours] = [median(near_upstream), median(near_ours)];
        table.add(Figure::both("wall on loopback", "s", upstream, ours, Goal::Ratio(0.55)));

        let uploaded = |runs: &[Proxied]| {
            median(runs.iter().map(|run| run.statistics.from_client.bytes as f64 / 1000.0))
        };
        let [upstream, ours] = [uploaded(&far_upstream), uploaded(&far_ours)];
        table.add(Figure::both("bytes sent per run", "KB", upstream, ours, Goal::AtMost(160.0)));

        // Without the delay, which would be a part of the proxy's own first moment.
        let first = |contender| self.through_proxy(contender, Duration::ZERO)?.to_first_packet();
        let [upstream, ours] = self.in_turns(first)?.map(median);
        table.add(Figure::both("start to the first packet", "ms", upstream, ours, Goal::Ratio(0.05)));
        Ok(())
    }

    fn of_resources(&self, table: &mut Table) -> Result<()> {
        let used = |work: Work| {
            self.in_turns(move |contender| contender.usage(&work, self.lab.port()))
                .map(|both| both.map(|runs| (runs.iter().map(|run| seconds(run.cpu)).collect(), runs)))
        };
        let [upstream, ours]: [(Vec<f64>, Vec<usage::Usage>); 2] = used(Work::echo())?;
        table.add(Figure::both("CPU", "s", median(upstream.0), median(ours.0), Goal::Ratio(0.05)));
        let memory = |runs: &[usage::Usage]| median(runs.iter().map(|run| run.peak_memory as f64 / 1e6));
        let (upstream, ours) = (memory(&upstream.1), memory(&ours.1));
        table.add(Figure::both("peak memory", "MB", upstream, ours, Goal::AtMost(10.0)));
        if let Some(instructions) = contender::instructions(&Work::echo(), self.lab.port())? {
            table.add(Figure::ours("instructions (callgrind)", "M", instructions / 1e6, Goal::None));
        }
        let size = self.options.size;
        let [upstream, ours]: [(Vec<f64>, Vec<usage::Usage>); 2] = used(Work::output(size))?;
        let name = format!("peak memory, {} MB of output", size / 1_000_000);
        let goal = if size == 10_000_000 { Goal::AtMost(40.0) } else { Goal::None };
        table.add(Figure::both(&name, "MB", memory(&upstream.1), memory(&ours.1), goal));
        Ok(())
    }

    fn of_much_data(&self, table: &mut Table) -> Result<()> {
        let size = self.options.size;
        let megabytes = size / 1_000_000;
        let port = self.lab.port();
        let run = |contender: Contender, work: &Work| contender.run(work, port).map(seconds);

        let output = Work::output(size);
        let [upstream, ours] = self.in_turns(|contender| run(contender, &output))?.map(median);
        let name = format!("{megabytes} MB of stdout");
        table.add(Figure::both(&name, "s", upstream, ours, Goal::Ratio(0.05)));

        let large = Work::output(10 * size);
        let name = format!("{} MB of stdout", 10 * megabytes);
        let ours_large = median(self.repeatedly(|| run(Contender::Ours, &large))?);
        let goal = Goal::AtMost(10.0 * ours);
        table.add(match self.options.large_upstream {
            true => Figure::both(&name, "s", run(Contender::Upstream, &large)?, ours_large, goal),
            false => Figure::ours(&name, "s", ours_large, goal),
        });

        let (less, input) = (Work::input(size / 10), Work::input(size));
        let [upstream, tenth] = self.in_turns(|contender| run(contender, &less))?.map(median);
        let name = format!("{} MB of stdin", megabytes as f64 / 10.0);
        table.add(Figure::both(&name, "s", upstream, tenth, Goal::None));
        let ours = median(self.repeatedly(|| run(Contender::Ours, &input))?);
        let (name, goal) = (format!("{megabytes} MB of stdin"), Goal::AtMost(10.0 * tenth));
        // Upstream sends it as one write, which the server's limit may forbid.
        let figure = match run(Contender::Upstream, &input) {
            Ok(_) => {
                let upstream = median(self.repeatedly(|| run(Contender::Upstream, &input))?);
                Figure::both(&name, "s", upstream, ours, goal)
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
        let [upstream, ours] = self.in_turns(crowd)?.map(median);
        let name = format!("{RUNS} runs, {AT_ONCE} at once");
        table.add(Figure::both(&name, "s", upstream, ours, Goal::Ratio(0.6)));
        Ok(())
    }

    /// Takes a figure of upstream and of ours, in turns; each has gone once before it counts.
    fn in_turns<T>(&self, take: impl Fn(Contender) -> Result<T>) -> Result<[Vec<T>; 2]> {
        let (mut upstream, mut ours) = (Vec::new(), Vec::new());
        for round in 0..=self.options.runs {
            let pair = (take(Contender::Upstream)?, take(Contender::Ours)?);
            if round > 0 {
                upstream.push(pair.0);
                ours.push(pair.1);
            }
        }
        Ok([upstream, ours])
    }

    /// Takes a figure of one side alone.
    fn repeatedly(&self, take: impl Fn() -> Result<f64>) -> Result<Vec<f64>> {
        (0..self.options.runs).map(|_| take()).collect()
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
