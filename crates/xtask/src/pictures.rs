//! `pictures`: what README shows of the figures, and of the way of a task. All of it is made of `figures.json`, which
//! `bench --keep` writes, so that no picture says anything else than what was measured.

mod chart;
mod drawing;
mod figures;
mod way;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use end_to_end::folders;

pub(crate) use figures::{Figure, Figures};

/// Draws the pictures, and puts the table into README.
pub(crate) fn run() -> Result<()> {
    let figures = Figures::read(&figures_file())?;
    for (name, picture) in drawn(&figures) {
        let file = folders::repository().join(name);
        fs::write(&file, picture).with_context(|| format!("{} cannot be written", file.display()))?;
        println!("  {name}");
    }
    let readme = folders::repository().join(README);
    let text = fs::read_to_string(&readme)?;
    fs::write(&readme, with_table(&text, &figures.table())?)?;
    println!("  {README}");
    Ok(())
}

/// Takes these figures for README's from now on.
pub(crate) fn keep(figures: &Figures) -> Result<()> {
    figures.write(&figures_file())?;
    run()
}

const README: &str = "README.md";

fn figures_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("figures.json")
}

/// The pictures by their names in the repository.
fn drawn(figures: &Figures) -> [(&'static str, String); 2] {
    [("docs/figures.svg", chart::draw(figures)), ("docs/way.svg", way::draw(figures))]
}

/// README with this table in the place of the one with the same first line.
fn with_table(readme: &str, table: &str) -> Result<String> {
    let (head, _) = table.split_once('\n').context("a table of one line")?;
    let (before, rest) = readme.split_once(head).with_context(|| format!("README has no table {head}"))?;
    let (_, after) = rest.split_once("\n\n").context("the table does not end")?;
    Ok(format!("{before}{table}\n{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cargo xtask pictures` makes it so.
    #[test]
    fn what_is_committed_is_what_the_figures_make() {
        let figures = Figures::read(&figures_file()).expect("figures");
        for (name, picture) in drawn(&figures) {
            let committed = fs::read_to_string(folders::repository().join(name)).expect("a picture");
            assert!(committed == picture, "{name} is another picture than that of the figures");
        }
        let readme = fs::read_to_string(folders::repository().join(README)).expect("README");
        assert!(readme.contains(&figures.table()), "README has another table than\n{}", figures.table());
    }

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let readme = "# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nText\n\nMore\n";
        let changed = with_table(readme, "| a | b |\n|---|---|\n| 3 | 4 |\n").expect("a table");
        assert_eq!(changed, "# Title\n\n| a | b |\n|---|---|\n| 3 | 4 |\n\nText\n\nMore\n");
        assert!(with_table(readme, "| c |\n|---|\n").is_err());
    }
}
