use alloc::{
    format,
    string::{String, ToString},
};

/// Names of one run: PAExec's, with [`number`](RunName::number) where PAExec puts the client's process id.
///
/// Windows compares file, service and pipe names without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunName {
    /// Number of the run. Ours have the top bit set, which no process id has: so a sweep can tell them apart.
    pub number: u32,
    /// Host name of the client. May contain `-`.
    pub host: String,
}

impl RunName {
    /// `PAExec-<number>-<host>`
    pub fn service(&self) -> String {
        format!("{PREFIX}{}-{}", self.number, self.host)
    }

    /// `PAExec-<number>-<host>.exe`: the file in ADMIN$ and the main pipe.
    pub fn executable(&self) -> String {
        format!("{}{EXTENSION}", self.service())
    }

    /// `PaExecOut<host><number>`
    pub fn stdout_pipe(&self) -> String {
        format!("PaExecOut{}{}", self.host, self.number)
    }

    /// `PaExecErr<host><number>`
    pub fn stderr_pipe(&self) -> String {
        format!("PaExecErr{}{}", self.host, self.number)
    }

    /// `PaExecIn<host><number>`
    pub fn stdin_pipe(&self) -> String {
        format!("PaExecIn{}{}", self.host, self.number)
    }

    /// [`Message::unique_id`](crate::Message::unique_id) of every message of the run: the number xor the first two
    /// UTF-16 units of the host name, as one little-endian word.
    pub fn unique_id(&self) -> u32 {
        let mut units = self.host.encode_utf16().map(u32::from).chain([0, 0]);
        let [first, second] = [units.next().unwrap_or(0), units.next().unwrap_or(0)];
        self.number ^ (second << 16 | first)
    }

    /// The reverse of [`RunName::executable`] and [`RunName::service`], in any case.
    ///
    /// `None` for a name that neither could have made. A host name that itself ends in `.exe` is not told from an
    /// executable's.
    pub fn parse(name: &str) -> Option<RunName> {
        let (number, host) = strip_prefix_ignoring_case(name, PREFIX)?.split_once('-')?;
        let host = strip_suffix_ignoring_case(host, EXTENSION).unwrap_or(host);
        if host.is_empty() {
            return None;
        }
        Some(RunName { number: parse_number(number)?, host: host.to_string() })
    }

    /// Whether the run is one of ours, rather than PAExec's or pypsexec's: the top bit of its number is set.
    pub fn is_ours(&self) -> bool {
        self.number >> 31 == 1
    }
}

/// Decimal as `format!` writes it: no sign, no leading zeros.
fn parse_number(digits: &str) -> Option<u32> {
    let number: u32 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

fn strip_suffix_ignoring_case<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    tail.eq_ignore_ascii_case(suffix).then_some(head)
}

const PREFIX: &str = "PAExec-";
const EXTENSION: &str = ".exe";

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u32, host: &str) -> RunName {
        RunName { number, host: host.to_string() }
    }

    #[test]
    fn names_are_paexecs() {
        let run = run(0x8000_0001, "build-7");
        assert_eq!(run.service(), "PAExec-2147483649-build-7");
        assert_eq!(run.executable(), "PAExec-2147483649-build-7.exe");
        assert_eq!(run.stdout_pipe(), "PaExecOutbuild-72147483649");
        assert_eq!(run.stderr_pipe(), "PaExecErrbuild-72147483649");
        assert_eq!(run.stdin_pipe(), "PaExecInbuild-72147483649");
        assert!(run.is_ours());
    }

    #[test]
    fn parses_both_names_in_any_case() {
        assert_eq!(RunName::parse("PAExec-4711-a-b.c"), Some(run(4711, "a-b.c")));
        assert_eq!(RunName::parse("paexec-4711-HOST.EXE"), Some(run(4711, "HOST")));
        assert_eq!(RunName::parse("PAEXEC-0--"), Some(run(0, "-")));
    }

    #[test]
    fn refuses_names_of_others() {
        for name in [
            "",
            "PAExec",
            "PAExec-",
            "PAExec-1",
            "PAExec-1-",
            "PAExec-1-.exe",
            "PAExec--host",
            "PAExec-+1-host",
            "PAExec-01-host",
            "PAExec-4294967296-host",
            "PAExec-x-host",
            "XAExec-1-host",
            "PAExe\u{e9}-1-host",
        ] {
            assert_eq!(RunName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn unique_id_of_short_hosts() {
        assert_eq!(run(0, "").unique_id(), 0);
        assert_eq!(run(1, "A").unique_id(), 0x40);
        assert_eq!(run(0, "AB").unique_id(), 0x0042_0041);
        assert_eq!(run(0, "\u{1f600}x").unique_id(), 0xde00_d83d);
    }
}
