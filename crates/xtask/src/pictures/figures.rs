//! The figures that README shows, as they were measured.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Figures of one run of `bench`, and what they were measured with.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Figures {
    /// Whose they are, and on what machine; a line each.
    pub(crate) conditions: Vec<String>,
    pub(crate) figures: Vec<Figure>,
}

/// A figure of either side, of which less is better.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) upstream: f64,
    pub(crate) here: f64,
}

impl Figures {
    /// Those that README shows, of all that were measured.
    pub(crate) fn shown(conditions: Vec<String>, measured: &[Figure]) -> Result<Self> {
        let find = |name: &&str| {
            let figure = measured.iter().find(|figure| figure.name == **name).cloned();
            figure
                .map(Figure::rounded)
                .with_context(|| format!("README shows \"{name}\", which was not measured"))
        };
        Ok(Self { conditions, figures: SHOWN.iter().map(find).collect::<Result<_>>()? })
    }

    pub(super) fn read(file: &Path) -> Result<Self> {
        let text = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} has no figures", file.display()))
    }

    pub(super) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
    }

    /// As README has it.
    pub(super) fn table(&self) -> String {
        let row = |figure: &Figure| {
            let Figure { name, upstream, here, .. } = figure;
            format!("| {name} | {} | {} |\n", figure.with_unit(*upstream), figure.with_unit(*here))
        };
        let rows: String = self.figures.iter().map(row).collect();
        format!("| one run of `cmd.exe /c echo Hello World` | upstream | here |\n|---|---|---|\n{rows}")
    }

    /// The waits of a run of ours for the host.
    pub(super) fn waits(&self) -> Option<f64> {
        self.figures.iter().find(|figure| figure.name == WAITS).map(|figure| figure.here)
    }
}

impl Figure {
    /// One of the two with its unit.
    pub(super) fn with_unit(&self, value: f64) -> String {
        format!("{value} {}", self.unit).trim_end().to_owned()
    }

    /// To three digits: the others are different each time.
    fn rounded(self) -> Self {
        let round = |value: f64| {
            let scale = match value.abs() {
                100.0.. => 1.0,
                10.0.. => 10.0,
                _ => 100.0,
            };
            (value * scale).round() / scale
        };
        Self { upstream: round(self.upstream), here: round(self.here), ..self }
    }
}

const WAITS: &str = "waits for the host";

/// The names that `bench` has for them.
const SHOWN: [&str; 6] = [
    WAITS,
    "a run at 50 ms round trip",
    "a run on loopback",
    "time of the processors",
    "peak memory",
    "bytes sent",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &str) -> Figure {
        Figure { name: name.to_owned(), unit: "s".to_owned(), upstream: 3.01672, here: 123.4 }
    }

    #[test]
    fn figures_are_those_of_readme_and_rounded() {
        let mut measured: Vec<_> = SHOWN.iter().rev().map(|name| figure(name)).collect();
        measured.push(figure("another"));
        let figures = Figures::shown(Vec::new(), &measured).expect("all of them");
        let names: Vec<_> = figures.figures.iter().map(|figure| figure.name.as_str()).collect();
        assert_eq!(names, SHOWN);
        assert_eq!(figures.waits(), Some(123.0));
        assert!(figures.table().contains("| bytes sent | 3.02 s | 123 s |\n"), "{}", figures.table());
    }

    #[test]
    fn a_figure_that_was_not_measured_is_named() {
        let measured: Vec<_> = SHOWN[1..].iter().map(|name| figure(name)).collect();
        let error = Figures::shown(Vec::new(), &measured).expect_err("one is missing");
        assert!(error.to_string().contains(WAITS), "{error}");
    }
}
