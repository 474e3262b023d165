use alloc::{
    format,
    string::{String, ToString},
};

/// Names of one run.
///
/// Windows compares file, service and pipe names without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunName {
    /// Whose names they are.
    pub naming: Naming,
    /// Number of the run. Ours have the top bit set, which no process id has: so a sweep can tell them apart.
    pub number: u32,
    /// Host name of the client. May contain `-`.
    pub host: String,
}

/// Whose names a run bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// This product's: client and service are both ours. The pipes are named after a [`PipeSecret`].
    Own,
    /// PAExec's, with [`number`](RunName::number) where PAExec puts the client's process id. Client or service is
    /// another's, which finds the pipes by these names, and so does everybody else who sees the file.
    PaExec,
}

impl RunName {
    /// `native.windows.psexec-<number>-<host>` or `PAExec-<number>-<host>`
    pub fn service(&self) -> String {
        format!("{}{}-{}", self.naming.prefix(), self.number, self.host)
    }

    /// The service's name and `.exe`: the file in ADMIN$, and PAExec's main pipe.
    pub fn executable(&self) -> String {
        format!("{}{EXTENSION}", self.service())
    }

    /// PAExec's names of the pipes: the file's, `PaExecIn<host><number>`, `PaExecOut…`, `PaExecErr…`.
    pub fn paexec_pipes(&self) -> PipeNames {
        let Self { number, host, .. } = self;
        PipeNames {
            main: self.executable(),
            stdin: format!("PaExecIn{host}{number}"),
            stdout: format!("PaExecOut{host}{number}"),
            stderr: format!("PaExecErr{host}{number}"),
        }
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
        let (naming, rest) = [Naming::Own, Naming::PaExec]
            .into_iter()
            .find_map(|naming| Some((naming, strip_prefix_ignoring_case(name, naming.prefix())?)))?;
        let (number, host) = rest.split_once('-')?;
        let host = strip_suffix_ignoring_case(host, EXTENSION).unwrap_or(host);
        if host.is_empty() {
            return None;
        }
        Some(RunName { naming, number: parse_number(number)?, host: host.to_string() })
    }

    /// Whether the run is one of our client's, rather than PAExec's or pypsexec's: the top bit of its number is set.
    pub fn is_ours(&self) -> bool {
        self.number >> 31 == 1
    }
}

impl Naming {
    /// What names of services and files begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Naming::Own => "native.windows.psexec-",
            Naming::PaExec => "PAExec-",
        }
    }
}

/// Names of the pipes of a run.
#[derive(Clone, PartialEq, Eq)]
pub struct PipeNames {
    /// The pipe of the messages.
    pub main: String,
    /// Standard input.
    pub stdin: String,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// What nobody on the host can guess, so that nobody can make a pipe before the service does: 128 random bits. The
/// service is given it when it is started, and it stands nowhere: neither in a file nor in the service's configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct PipeSecret([u8; 16]);

impl PipeSecret {
    /// Of random bytes.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The reverse of [`PipeSecret::argument`].
    pub fn parse(argument: &str) -> Option<Self> {
        let digits = argument.as_bytes();
        let mut bytes = [0; 16];
        if digits.len() != 2 * bytes.len() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = pair.iter().try_fold(0, |value, digit| Some(value << 4 | hexadecimal(*digit)?))?;
        }
        Some(Self(bytes))
    }

    /// 32 hexadecimal digits, for the service's start.
    pub fn argument(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// `native.windows.psexec-<digits>`, for standard streams with `-stdin`, `-stdout`, `-stderr` behind it.
    pub fn pipes(&self) -> PipeNames {
        let main = format!("{}{}", Naming::Own.prefix(), self.argument());
        let of = |stream| format!("{main}-{stream}");
        PipeNames { stdin: of("stdin"), stdout: of("stdout"), stderr: of("stderr"), main }
    }
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
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

const EXTENSION: &str = ".exe";

#[cfg(test)]
mod tests {
    use super::*;

    fn run(naming: Naming, number: u32, host: &str) -> RunName {
        RunName { naming, number, host: host.to_string() }
    }

    #[test]
    fn names_are_paexecs_where_a_counterpart_is() {
        let run = run(Naming::PaExec, 0x8000_0001, "build-7");
        assert_eq!(run.service(), "PAExec-2147483649-build-7");
        assert_eq!(run.executable(), "PAExec-2147483649-build-7.exe");
        let pipes = run.paexec_pipes();
        assert_eq!(pipes.main, "PAExec-2147483649-build-7.exe");
        assert_eq!(pipes.stdout, "PaExecOutbuild-72147483649");
        assert_eq!(pipes.stderr, "PaExecErrbuild-72147483649");
        assert_eq!(pipes.stdin, "PaExecInbuild-72147483649");
        assert!(run.is_ours());
    }

    #[test]
    fn names_of_our_own_are_the_products() {
        let run = run(Naming::Own, 0x8000_0001, "build-7");
        assert_eq!(run.service(), "native.windows.psexec-2147483649-build-7");
        assert_eq!(run.executable(), "native.windows.psexec-2147483649-build-7.exe");
    }

    #[test]
    fn pipes_of_our_own_are_named_after_the_secret_alone() {
        let secret = PipeSecret::new(core::array::from_fn(|index| u8::try_from(index * 17).unwrap_or(0)));
        let argument = "00112233445566778899aabbccddeeff";
        assert_eq!(secret.argument(), argument);
        assert!(PipeSecret::parse(argument) == Some(secret.clone()));
        let pipes = secret.pipes();
        assert_eq!(pipes.main, "native.windows.psexec-00112233445566778899aabbccddeeff");
        assert_eq!(pipes.stdin, "native.windows.psexec-00112233445566778899aabbccddeeff-stdin");
        assert_eq!(pipes.stdout, "native.windows.psexec-00112233445566778899aabbccddeeff-stdout");
        assert_eq!(pipes.stderr, "native.windows.psexec-00112233445566778899aabbccddeeff-stderr");
    }

    #[test]
    fn refuses_what_is_no_secret() {
        for argument in [
            "",
            "00112233445566778899aabbccddeef",
            "00112233445566778899aabbccddeeff0",
            "00112233445566778899AABBCCDDEEFF",
            "+0112233445566778899aabbccddeeff",
            "\u{e9}112233445566778899aabbccddeeff",
        ] {
            assert!(PipeSecret::parse(argument).is_none(), "{argument}");
        }
    }

    #[test]
    fn parses_both_names_in_any_case() {
        for (naming, prefix) in [(Naming::PaExec, "PAExec"), (Naming::Own, "native.windows.psexec")] {
            let parsed = |rest: &str| RunName::parse(&format!("{prefix}{rest}"));
            assert_eq!(parsed("-4711-a-b.c"), Some(run(naming, 4711, "a-b.c")));
            assert_eq!(parsed("-4711-HOST.EXE"), Some(run(naming, 4711, "HOST")));
            assert_eq!(parsed("-0--"), Some(run(naming, 0, "-")));
        }
        assert_eq!(RunName::parse("paexec-1-a"), Some(run(Naming::PaExec, 1, "a")));
        assert_eq!(RunName::parse("Native.Windows.PsExec-1-a"), Some(run(Naming::Own, 1, "a")));
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
            "native.windows.psexec",
            "native.windows.psexec-1",
            "native-windows-psexec-1-host",
            "native.windows.psexec-00112233445566778899aabbccddeeff",
            "PAExe\u{e9}-1-host",
        ] {
            assert_eq!(RunName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn unique_id_of_short_hosts() {
        let unique_id = |number, host| run(Naming::Own, number, host).unique_id();
        assert_eq!(unique_id(0, ""), 0);
        assert_eq!(unique_id(1, "A"), 0x40);
        assert_eq!(unique_id(0, "AB"), 0x0042_0041);
        assert_eq!(unique_id(0, "\u{1f600}x"), 0xde00_d83d);
    }
}
