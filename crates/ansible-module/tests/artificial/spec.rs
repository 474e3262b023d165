//! The same table as in `conformance/generate.py`.

use ansible_module::{Kind, Literal, Needs, OptionSpec, Options, RequiredIf, Spec};

pub(crate) static SPEC: Spec = Spec {
    name: "artificial",
    version: env!("CARGO_PKG_VERSION"),
    options: Options {
        table: &[
            &NAME, &TEXT, &INPUT, &GREETING, &NUMBER, &COUNT, &RATIO, &FLAG, &FOLDER, &ANYTHING, &WORDS,
            &NAMES, &COLOURS, &NUMBERS, &RATIOS, &FLAGS, &FOLDERS, &THINGS, &TABLES, &LISTS, &LEVEL, &REPLY,
            &SECRET, &SECRETS, &PIN, &VAULT, &MAPPING, &A, &B, &C, &D, &E, &F, &DEFAULTED, &PLAIN, &SERVER,
            &USERS,
        ],
        mutually_exclusive: &[&[&A, &B], &[&C, &D, &E]],
        required_together: &[&[&E, &F]],
        required_one_of: &[&[&A, &B, &TEXT]],
        required_if: &[
            RequiredIf { option: &LEVEL, value: Literal::Text("high"), needs: Needs::All(&[&COUNT]) },
            RequiredIf { option: &NUMBER, value: Literal::Int(99), needs: Needs::Any(&[&C, &F]) },
            RequiredIf { option: &FLAG, value: Literal::Bool(true), needs: Needs::All(&[&COUNT, &MAPPING]) },
        ],
        required_by: &[(&D, &[&C, &COUNT]), (&RATIO, &[&NAMES])],
    },
    supports_check_mode: true,
    example: r#"{"name": "n", "text": "t"}"#,
};

static NAME: OptionSpec =
    OptionSpec { required: true, aliases: &["title", "label"], ..OptionSpec::text("name") };
static TEXT: OptionSpec = OptionSpec::text("text");
static INPUT: OptionSpec = OptionSpec { takes_bytes: true, ..OptionSpec::text("input") };
static GREETING: OptionSpec = OptionSpec { default: Literal::Text("hello"), ..OptionSpec::text("greeting") };
static NUMBER: OptionSpec = OptionSpec::integer("number", 5);
static COUNT: OptionSpec = OptionSpec::new("count", Kind::Int);
static RATIO: OptionSpec =
    OptionSpec { default: Literal::Float(0.5), ..OptionSpec::new("ratio", Kind::Float) };
static FLAG: OptionSpec = OptionSpec { aliases: &["switch"], ..OptionSpec::boolean("flag", false) };
static FOLDER: OptionSpec = OptionSpec::new("folder", Kind::Path);
static ANYTHING: OptionSpec = OptionSpec::new("anything", Kind::Raw);
static WORDS: OptionSpec = OptionSpec::new("words", Kind::List(None));
static NAMES: OptionSpec = OptionSpec {
    default: Literal::List(&[Literal::Text("a"), Literal::Text("b")]),
    ..list("names", &Kind::Str)
};
static COLOURS: OptionSpec = OptionSpec { choices: &["red", "green", "blue"], ..list("colours", &Kind::Str) };
static NUMBERS: OptionSpec = list("numbers", &Kind::Int);
static RATIOS: OptionSpec = list("ratios", &Kind::Float);
static FLAGS: OptionSpec = list("flags", &Kind::Bool);
static FOLDERS: OptionSpec = list("folders", &Kind::Path);
static THINGS: OptionSpec = list("things", &Kind::Raw);
static TABLES: OptionSpec = list("tables", &Kind::Dict(None));
static LISTS: OptionSpec = list("lists", &Kind::List(None));
static LEVEL: OptionSpec = OptionSpec {
    choices: &["low", "high", "no"],
    default: Literal::Text("low"),
    ..OptionSpec::text("level")
};
static REPLY: OptionSpec = OptionSpec { choices: &["yes", "Yes", "never"], ..OptionSpec::text("reply") };
static SECRET: OptionSpec = OptionSpec { no_log: true, ..OptionSpec::text("secret") };
static SECRETS: OptionSpec = OptionSpec { no_log: true, ..list("secrets", &Kind::Str) };
static PIN: OptionSpec = OptionSpec { no_log: true, ..OptionSpec::new("pin", Kind::Int) };
static VAULT: OptionSpec = OptionSpec { no_log: true, ..OptionSpec::new("vault", Kind::Dict(None)) };
static MAPPING: OptionSpec = OptionSpec::new("mapping", Kind::Dict(None));
static A: OptionSpec = OptionSpec::text("a");
static B: OptionSpec = OptionSpec::text("b");
static C: OptionSpec = OptionSpec::text("c");
static D: OptionSpec = OptionSpec::new("d", Kind::Int);
static E: OptionSpec = OptionSpec::new("e", Kind::Bool);
static F: OptionSpec = OptionSpec::text("f");
static DEFAULTED: OptionSpec = {
    static ONE: OptionSpec = OptionSpec::integer("one", 1);
    static TWO: OptionSpec = OptionSpec::text("two");
    static SUBOPTIONS: Options = Options::of(&[&ONE, &TWO]);
    OptionSpec { apply_defaults: true, ..OptionSpec::new("defaulted", Kind::Dict(Some(&SUBOPTIONS))) }
};
static PLAIN: OptionSpec = {
    static ONE: OptionSpec = OptionSpec::integer("one", 1);
    static TWO: OptionSpec = list("two", &Kind::Int);
    static SUBOPTIONS: Options = Options::of(&[&ONE, &TWO]);
    OptionSpec::new("plain", Kind::Dict(Some(&SUBOPTIONS)))
};
static SERVER: OptionSpec =
    OptionSpec { aliases: &["srv"], ..OptionSpec::new("server", Kind::Dict(Some(&server::OPTIONS))) };
static USERS: OptionSpec = list("users", &Kind::Dict(Some(&users::OPTIONS)));

const fn list(name: &'static str, elements: &'static Kind) -> OptionSpec {
    OptionSpec::new(name, Kind::List(Some(elements)))
}

mod server {
    use super::*;

    pub(super) static OPTIONS: Options = Options {
        table: &[
            &HOST, &PORT, &MODE, &USER, &PASSWORD, &TOKEN, &FOLDER, &TIMEOUT, &PROXY, &VIA, &PORTS, &TLS,
        ],
        mutually_exclusive: &[&[&PASSWORD, &TOKEN]],
        required_together: &[&[&USER, &PASSWORD]],
        required_one_of: &[&[&USER, &TOKEN, &PORT]],
        required_if: &[
            RequiredIf { option: &MODE, value: Literal::Text("udp"), needs: Needs::All(&[&TIMEOUT]) },
            RequiredIf { option: &PORT, value: Literal::Int(99), needs: Needs::Any(&[&PROXY, &VIA]) },
        ],
        required_by: &[(&PROXY, &[&VIA])],
    };

    static HOST: OptionSpec =
        OptionSpec { required: true, aliases: &["address", "fqdn"], ..OptionSpec::text("host") };
    static PORT: OptionSpec = OptionSpec::integer("port", 80);
    static MODE: OptionSpec =
        OptionSpec { choices: &["tcp", "udp"], default: Literal::Text("tcp"), ..OptionSpec::text("mode") };
    static USER: OptionSpec = OptionSpec::text("user");
    static PASSWORD: OptionSpec =
        OptionSpec { no_log: true, aliases: &["passwd"], ..OptionSpec::text("password") };
    static TOKEN: OptionSpec = OptionSpec { no_log: true, ..OptionSpec::text("token") };
    static FOLDER: OptionSpec = OptionSpec::new("folder", Kind::Path);
    static TIMEOUT: OptionSpec = OptionSpec::new("timeout", Kind::Float);
    static PROXY: OptionSpec = OptionSpec::text("proxy");
    static VIA: OptionSpec = OptionSpec::text("via");
    static PORTS: OptionSpec = list("ports", &Kind::Int);
    static TLS: OptionSpec =
        OptionSpec { apply_defaults: true, ..OptionSpec::new("tls", Kind::Dict(Some(&TLS_OPTIONS))) };

    static TLS_OPTIONS: Options = Options {
        mutually_exclusive: &[&[&VERSION, &CIPHERS]],
        ..Options::of(&[&VERIFY, &VERSION, &KEY, &CIPHERS])
    };
    static VERIFY: OptionSpec = OptionSpec::boolean("verify", true);
    static VERSION: OptionSpec = OptionSpec { choices: &["1.2", "1.3"], ..OptionSpec::text("version") };
    static KEY: OptionSpec =
        OptionSpec { no_log: true, default: Literal::Text("k3y"), ..OptionSpec::text("key") };
    static CIPHERS: OptionSpec = list("ciphers", &Kind::Str);
}

mod users {
    use super::*;

    pub(super) static OPTIONS: Options = Options {
        required_one_of: &[&[&UID, &HOME, &GROUPS, &KEYS, &PASSWORD]],
        required_if: &[RequiredIf {
            option: &STATE,
            value: Literal::Text("present"),
            needs: Needs::All(&[&UID]),
        }],
        required_by: &[(&PASSWORD, &[&UID])],
        ..Options::of(&[&NAME, &UID, &GROUPS, &PASSWORD, &STATE, &HOME, &KEYS])
    };

    static NAME: OptionSpec = OptionSpec { required: true, ..OptionSpec::text("name") };
    static UID: OptionSpec = OptionSpec::new("uid", Kind::Int);
    static GROUPS: OptionSpec = OptionSpec { choices: &["wheel", "users"], ..list("groups", &Kind::Str) };
    static PASSWORD: OptionSpec = OptionSpec { no_log: true, ..OptionSpec::text("password") };
    static STATE: OptionSpec = OptionSpec {
        choices: &["present", "absent"],
        default: Literal::Text("present"),
        ..OptionSpec::text("state")
    };
    static HOME: OptionSpec = OptionSpec::new("home", Kind::Path);
    static KEYS: OptionSpec = list("keys", &Kind::Dict(Some(&KEY_OPTIONS)));

    static KEY_OPTIONS: Options = Options::of(&[&TYPE, &DATA, &BITS]);
    static TYPE: OptionSpec = OptionSpec {
        choices: &["rsa", "ed25519"],
        default: Literal::Text("rsa"),
        ..OptionSpec::text("type")
    };
    static DATA: OptionSpec = OptionSpec { required: true, no_log: true, ..OptionSpec::text("data") };
    static BITS: OptionSpec = OptionSpec::new("bits", Kind::Int);
}
