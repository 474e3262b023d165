//! The way that a task takes from the playbook to the process, and back.

use svg::Document;
use svg::node::element::{Circle, Definitions, Line, Marker, Path};

use super::drawing::{self, ACCENT, GREY, INK, LINE, PALE_INK, PAPER, rectangle, text};
use super::figures::Figures;

/// Down on the controller, across, up on the host, and back the same way.
pub(super) fn draw(figures: &Figures) -> String {
    let steps = steps(figures);
    let height = STEPS + 26 * u32::try_from(steps.len()).unwrap_or_default();
    let title = "From the playbook to the process on the Windows host, and back";
    let mut sheet = drawing::sheet(WIDTH, height, title)
        .add(Definitions::new().add(head("there", ACCENT)).add(head("back", GREY)));
    for (x, name) in [(LEFT, "Linux, where Ansible runs"), (RIGHT, "Windows")] {
        sheet = sheet
            .add(rectangle(x, 24, MACHINE, 300).set("rx", 8).set("fill", "#f6f8fa").set("stroke", LINE))
            .add(
                text(x + MACHINE / 2, 48, 15, INK, name).set("font-weight", 600).set("text-anchor", "middle"),
            );
    }
    for (index, (name, detail)) in LINUX.into_iter().enumerate() {
        sheet = place(sheet, LEFT, ROWS[index], name, detail);
    }
    for (index, (name, detail)) in WINDOWS.into_iter().enumerate() {
        sheet = place(sheet, RIGHT, ROWS[2 - index], name, detail);
    }

    let (down, up) = (LEFT + 100, LEFT + 200);
    sheet = there(sheet, (down, ROWS[0] + PLACE), (down, ROWS[1]), "1");
    sheet = there(sheet, (down, ROWS[1] + PLACE), (down, ROWS[2]), "2");
    sheet = there(sheet, (LEFT + MACHINE - 20, ROWS[2] + 14), (RIGHT + 20, ROWS[2] + 14), "3");
    sheet = there(sheet, (RIGHT + 100, ROWS[2]), (RIGHT + 100, ROWS[1] + PLACE), "4");
    sheet = there(sheet, (RIGHT + 100, ROWS[1]), (RIGHT + 100, ROWS[0] + PLACE), "5");
    sheet = back(sheet, (RIGHT + 200, ROWS[0] + PLACE), (RIGHT + 200, ROWS[1]), "6");
    sheet = back(sheet, (RIGHT + 200, ROWS[1] + PLACE), (RIGHT + 200, ROWS[2]), "6");
    sheet = back(sheet, (RIGHT + 20, ROWS[2] + 36), (LEFT + MACHINE - 20, ROWS[2] + 36), "6");
    sheet = back(sheet, (up, ROWS[2]), (up, ROWS[1] + PLACE), "7");
    sheet = back(sheet, (up, ROWS[1]), (up, ROWS[0] + PLACE), "7");

    let middle = (LEFT + MACHINE + RIGHT) / 2;
    for (y, words) in
        [(ROWS[2] - 22, "SMB 2 or 3, TCP port 445:"), (ROWS[2] - 4, "signed, and encrypted by default")]
    {
        sheet = sheet.add(text(middle, y, 13, PALE_INK, words).set("text-anchor", "middle"));
    }
    for (index, (number, words)) in steps.iter().enumerate() {
        let y = STEPS + 26 * u32::try_from(index).unwrap_or_default();
        if !number.is_empty() {
            sheet = badge(sheet, LEFT + 10, y - 5, number, if *number < "6" { ACCENT } else { PALE_INK });
        }
        sheet = sheet.add(text(LEFT + 30, y, 13, INK, words));
    }
    drawing::finished(&sheet)
}

const LINUX: [(&str, &str); 3] = [
    ("the task", "native.windows.psexec"),
    ("the action plugin", "plugins/action/psexec.py"),
    ("the program", "__psexec_linux_<architecture>"),
];

/// From below, as the task comes by.
const WINDOWS: [(&str, &str); 3] = [
    ("file sharing", "ADMIN$ and IPC$"),
    ("the service", "native.windows.psexec-…"),
    ("the process", "cmd.exe /c echo Hello World"),
];

fn steps(figures: &Figures) -> Vec<(&'static str, String)> {
    let mut steps: Vec<_> = [
        ("1", "Ansible gives the task to the action plugin, which chooses the program for the machine."),
        ("2", "The program gets the options on its standard input, so that no file and no command line has them."),
        ("3", "It logs on with NTLM or Kerberos, and writes the service's file to ADMIN$."),
        ("4", "The service control manager starts the service; named pipes bring it command and standard input."),
        ("5", "The service starts the process, as the user whom the options name."),
        ("6", "Standard output, standard error and the exit code come back through the pipes."),
        ("7", "Service and file are removed from the host, and Ansible gets the result."),
    ]
    .map(|(number, words)| (number, words.to_owned()))
    .into();
    if let Some(waits) = figures.waits() {
        steps.push(("", format!("From 3 to 7 the program waits for the host {waits} times.")));
    }
    steps
}

const WIDTH: u32 = 900;
/// The width of a machine, and where the two are.
const MACHINE: u32 = 300;
const LEFT: u32 = 24;
const RIGHT: u32 = WIDTH - LEFT - MACHINE;
/// Where the rows of places begin, and how high each is.
const ROWS: [u32; 3] = [62, 158, 254];
const PLACE: u32 = 50;
/// The first line of the steps.
const STEPS: u32 = 356;

/// Something that the task comes by.
fn place(sheet: Document, machine: u32, y: u32, name: &str, detail: &str) -> Document {
    let middle = machine + MACHINE / 2;
    sheet
        .add(
            rectangle(machine + 20, y, MACHINE - 40, PLACE)
                .set("rx", 6)
                .set("fill", PAPER)
                .set("stroke", GREY),
        )
        .add(text(middle, y + 21, 14, INK, name).set("text-anchor", "middle"))
        .add(text(middle, y + 39, 12, PALE_INK, detail).set("text-anchor", "middle"))
}

fn there(sheet: Document, from: (u32, u32), to: (u32, u32), number: &str) -> Document {
    badge(
        sheet.add(arrow(from, to, "there", ACCENT)),
        (from.0 + to.0) / 2,
        (from.1 + to.1) / 2,
        number,
        ACCENT,
    )
}

fn back(sheet: Document, from: (u32, u32), to: (u32, u32), number: &str) -> Document {
    badge(
        sheet.add(arrow(from, to, "back", GREY)),
        (from.0 + to.0) / 2,
        (from.1 + to.1) / 2,
        number,
        PALE_INK,
    )
}

fn arrow(from: (u32, u32), to: (u32, u32), kind: &str, colour: &str) -> Line {
    Line::new()
        .set("x1", from.0)
        .set("y1", from.1)
        .set("x2", to.0)
        .set("y2", to.1)
        .set("stroke", colour)
        .set("stroke-width", 2)
        .set("marker-end", format!("url(#{kind})"))
}

/// The head of an arrow, whose point is where the arrow ends.
fn head(name: &str, colour: &str) -> Marker {
    Marker::new()
        .set("id", name)
        .set("viewBox", (0, 0, 8, 8))
        .set("refX", 8)
        .set("refY", 4)
        .set("markerWidth", 5)
        .set("markerHeight", 5)
        .set("orient", "auto")
        .add(Path::new().set("d", "M0 0 L8 4 L0 8 Z").set("fill", colour))
}

/// The number of a step.
fn badge(sheet: Document, x: u32, y: u32, number: &str, colour: &str) -> Document {
    sheet
        .add(Circle::new().set("cx", x).set("cy", y).set("r", 9).set("fill", colour))
        .add(text(x, y + 4, 12, PAPER, number).set("text-anchor", "middle").set("font-weight", 600))
}
