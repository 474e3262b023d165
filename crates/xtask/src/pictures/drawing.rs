//! What the pictures have in common. They have a background of their own: where they are shown may be light or dark.

use svg::Document;
use svg::node::Value;
use svg::node::element::{Rectangle, Text};

pub(super) const INK: &str = "#1f2328";
pub(super) const PALE_INK: &str = "#57606a";
pub(super) const ACCENT: &str = "#0969da";
pub(super) const GREY: &str = "#8c959f";
pub(super) const PAPER: &str = "#ffffff";
pub(super) const LINE: &str = "#d0d7de";

/// A sheet of this size with a title for those who cannot see it.
pub(super) fn sheet(width: u32, height: u32, title: &str) -> Document {
    let paper = rectangle(1, 1, width - 2, height - 2).set("rx", 8).set("fill", PAPER).set("stroke", LINE);
    Document::new()
        .set("viewBox", (0, 0, width, height))
        .set("width", width)
        .set("height", height)
        .set("font-family", "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif")
        .set("role", "img")
        .add(svg::node::element::Title::new(title))
        .add(paper)
}

pub(super) fn rectangle(x: u32, y: u32, width: u32, height: u32) -> Rectangle {
    Rectangle::new().set("x", x).set("y", y).set("width", width).set("height", height)
}

/// A line of text that begins here.
pub(super) fn text(x: impl Into<Value>, y: impl Into<Value>, size: u32, colour: &str, words: &str) -> Text {
    Text::new(words).set("x", x).set("y", y).set("font-size", size).set("fill", colour)
}

/// The picture as it is kept.
pub(super) fn finished(document: &Document) -> String {
    format!("{document}\n")
}
