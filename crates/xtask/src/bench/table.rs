//! Figures beside each other, and beside what they should be.

use crate::pictures;

/// What a figure of ours should be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    /// At most so much of upstream's.
    Ratio(f64),
    /// At most so much.
    AtMost(f64),
    /// Nobody has said.
    None,
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Figure {
    name: String,
    unit: &'static str,
    upstream: Option<f64>,
    ours: f64,
    goal: Goal,
}

impl Figure {
    /// A figure of upstream's and of ours.
    pub(super) fn both(name: &str, unit: &'static str, [upstream, ours]: [f64; 2], goal: Goal) -> Self {
        Self { name: name.to_owned(), unit, upstream: Some(upstream), ours, goal }
    }

    /// A figure that upstream does not have.
    pub(super) fn ours(name: &str, unit: &'static str, ours: f64, goal: Goal) -> Self {
        Self { name: name.to_owned(), unit, upstream: None, ours, goal }
    }

    fn ratio(&self) -> Option<f64> {
        self.upstream.map(|upstream| self.ours / upstream)
    }

    /// What the goal says, and whether it is reached.
    fn goal(&self) -> (String, &'static str) {
        let mark = |reached| if reached { "✓" } else { "✗" };
        match (self.goal, self.ratio()) {
            (Goal::Ratio(goal), Some(ratio)) => (format!("{goal} ×"), mark(ratio <= goal)),
            (Goal::AtMost(goal), _) => (self.with_unit(goal), mark(self.ours <= goal)),
            _ => (String::new(), ""),
        }
    }

    fn with_unit(&self, figure: f64) -> String {
        let digits = if figure >= 100.0 || figure.fract() == 0.0 { 0 } else { 3 - leading_digits(figure) };
        format!("{figure:.digits$} {}", self.unit).trim_end().to_owned()
    }
}

fn leading_digits(figure: f64) -> usize {
    if figure >= 10.0 { 2 } else { usize::from(figure >= 1.0) }
}

/// All figures; each is shown as soon as it is there.
#[derive(Debug, Default)]
pub(super) struct Table {
    figures: Vec<Figure>,
    notes: Vec<String>,
}

impl Table {
    pub(super) fn add(&mut self, figure: Figure) {
        println!("  {}: {}", figure.name, figure.with_unit(figure.ours));
        self.figures.push(figure);
    }

    /// Adds a line below the table.
    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The figures that both sides have.
    pub(super) fn of_both(&self) -> Vec<pictures::Figure> {
        let both = |figure: &Figure| {
            let (name, unit) = (figure.name.clone(), figure.unit.to_owned());
            figure.upstream.map(|upstream| pictures::Figure { name, unit, upstream, here: figure.ours })
        };
        self.figures.iter().filter_map(both).collect()
    }

    pub(super) fn print(&self) {
        println!();
        line("figure", "upstream", "ours", "ratio", "goal", "");
        for figure in &self.figures {
            let upstream = figure.upstream.map_or("—".to_owned(), |upstream| figure.with_unit(upstream));
            let ratio = figure.ratio().map_or(String::new(), |ratio| format!("{ratio:.3}"));
            let (goal, mark) = figure.goal();
            line(&figure.name, &upstream, &figure.with_unit(figure.ours), &ratio, &goal, mark);
        }
        for note in &self.notes {
            println!("{note}");
        }
        println!();
    }
}

fn line(name: &str, upstream: &str, ours: &str, ratio: &str, goal: &str, mark: &str) {
    println!("{name:<32} {upstream:>12} {ours:>12} {ratio:>7} {goal:>12} {mark}");
}
