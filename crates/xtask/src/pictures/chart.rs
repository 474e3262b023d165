//! The figures as bars.

use super::drawing::{self, ACCENT, GREY, INK, PALE_INK, rectangle, text};
use super::figures::{Figure, Figures};

/// Two bars for each figure, ours below upstream's, each figure to a scale of its own.
pub(super) fn draw(figures: &Figures) -> String {
    let height = TOP + ROW * count(figures.figures.len()) + 20 * count(figures.conditions.len()) + 16;
    let title = "Bars for upstream and native.windows beside each other; README has the figures in a table";
    let mut sheet = drawing::sheet(WIDTH, height, title)
        .add(text(MARGIN, 36, 18, INK, "One run of cmd.exe /c echo Hello World").set("font-weight", 600))
        .add(text(MARGIN, 58, 13, PALE_INK, "Less is better. Both bars of a row have the same scale."));
    for (index, (colour, name)) in
        [(GREY, "community.windows.psexec"), (ACCENT, "native.windows.psexec")].into_iter().enumerate()
    {
        let y = 24 + 22 * count(index);
        sheet = sheet.add(rectangle(680, y, 12, 12).set("rx", 2).set("fill", colour)).add(text(
            700,
            y + 11,
            13,
            INK,
            name,
        ));
    }
    for (index, figure) in figures.figures.iter().enumerate() {
        let y = TOP + ROW * count(index);
        sheet = sheet.add(text(MARGIN, y + 23, 14, INK, &figure.name));
        let longest = figure.upstream.max(figure.here);
        for (y, value, colour) in [(y, figure.upstream, GREY), (y + 18, figure.here, ACCENT)] {
            let length = length(value / longest);
            sheet = sheet.add(rectangle(BARS, y, length, 15).set("rx", 2).set("fill", colour)).add(text(
                BARS + length + 8,
                y + 12,
                13,
                INK,
                &Figure::with_unit(figure, value),
            ));
        }
    }
    for (index, line) in figures.conditions.iter().enumerate() {
        let y = TOP + ROW * count(figures.figures.len()) + 12 + 20 * count(index);
        sheet = sheet.add(text(MARGIN, y, 12, PALE_INK, line));
    }
    drawing::finished(&sheet)
}

const WIDTH: u32 = 900;
const MARGIN: u32 = 24;
/// Where the first row begins.
const TOP: u32 = 84;
const ROW: u32 = 50;
/// Where bars begin, and how long the longest are.
const BARS: u32 = 230;
const LONGEST: f64 = 560.0;

/// One that is too short to be seen is a pixel long.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of the longest bar")]
fn length(share: f64) -> u32 {
    ((share * LONGEST).round() as u32).max(1)
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
