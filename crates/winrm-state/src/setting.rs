//! The settings of WinRM: what they are called, what they take, and what they are if nobody has set them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;
use crate::thumbprint::Thumbprint;
use crate::value::Value;

/// One value of `winrm/config/Service`, `…/Service/Auth` or `…/Winrs`.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// As an option of ours: `max_connections`.
    pub name: &'static str,
    /// As WinRM has it: `MaxConnections`.
    pub original: &'static str,
    /// Where it stands.
    pub resource: Resource,
    /// What it takes.
    pub kind: Kind,
    /// Whether anybody can change it.
    pub access: Access,
    /// What it is if nobody has changed it, as it would be read.
    pub defaults: PerVersion<Defaults>,
    /// What holds it, where there is a documented policy.
    pub policy: Option<Policy>,
    /// The value's name in the registry of the service. Undocumented, and absent where nobody has seen one.
    pub registry: Option<&'static str>,
}

/// The part of WinRM's configuration that has a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// `winrm/config/Service`
    Service,
    /// `winrm/config/Service/Auth`
    Auth,
    /// `DefaultPorts` in `winrm/config/Service`
    DefaultPorts,
    /// `winrm/config/Winrs`, the `Shell` of the `WSMan:` drive
    Winrs,
}

/// What a setting takes.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`
    Boolean,
    /// A whole number.
    Number {
        /// The least.
        lowest: u32,
        /// The most.
        highest: PerVersion<u32>,
    },
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// The thumbprint of a certificate, or an empty text.
    Thumbprint,
    /// `*`, an empty text, or ranges of IPv4 addresses.
    Ipv4Filter,
    /// `*`, an empty text, or ranges of IPv6 addresses.
    Ipv6Filter,
    /// Any text.
    Text,
}

/// Whether a setting can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// As one likes.
    Changeable,
    /// Not any more, or never; here is why.
    Fixed(&'static str),
}

/// What differs between Windows 7 with Server 2008 R2 and all later versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerVersion<T> {
    /// Of Windows 7 and Server 2008 R2.
    pub windows_7: T,
    /// Of Windows 8, Server 2012 and later.
    pub windows_8: T,
}

/// What a setting may be without anybody's doing. More than one where hosts differ, none where nobody has proved any.
pub type Defaults = &'static [&'static str];

/// The versions of Windows that differ in their settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WindowsVersion {
    /// Windows 7 and Server 2008 R2.
    Windows7,
    /// Windows 8, Server 2012 and later.
    Windows8,
}

/// A value that group policies write, and its key below `HKLM\SOFTWARE\Policies\Microsoft\Windows\WinRM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// `Service`, or `Service\WinRS`
    pub key: &'static str,
    /// `AllowBasic`
    pub value: &'static str,
}

impl Setting {
    /// The setting of that name, ours in small letters or WinRM's own in any case.
    pub fn by_name(name: &str) -> Result<&'static Self, Refusal> {
        SETTINGS
            .iter()
            .find(|setting| setting.name == name || setting.original.eq_ignore_ascii_case(name))
            .ok_or_else(|| Refusal::UnknownSetting { option: name.to_owned() })
    }

    /// `Service\Auth\Basic`: where the guide and the `winrm` command show it.
    pub fn path(&self) -> String {
        format!("{}\\{}", self.resource.path(), self.original)
    }

    /// What a host answers. Text that is not of the setting's kind is kept as text, and equals no value that anybody
    /// can ask for.
    pub fn read(&self, text: &str) -> Value {
        let text = text.trim();
        self.canonical(text).unwrap_or_else(|| Value::Text(text.to_owned()))
    }

    /// What a task asks for. Which numbers are taken depends on the version; those that any takes are taken if it is
    /// not known.
    pub fn convert(
        &self,
        given: &serde_json::Value,
        version: Option<WindowsVersion>,
    ) -> Result<Value, Refusal> {
        let text = match given {
            serde_json::Value::Bool(boolean) => boolean.to_string(),
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::String(text) => text.trim().to_owned(),
            other => return Err(self.wrong_type(other.to_string())),
        };
        if let Kind::Number { lowest, highest } = &self.kind {
            let number: i64 = text.parse().map_err(|_| self.wrong_type(text.clone()))?;
            let highest = match version {
                Some(version) => highest.of(version),
                None => highest.windows_7.max(highest.windows_8),
            };
            return match u32::try_from(number) {
                Ok(number) if (*lowest..=highest).contains(&number) => Ok(Value::Number(number)),
                _ => Err(Refusal::OutOfRange {
                    option: self.name.to_owned(),
                    lowest: i64::from(*lowest),
                    highest: i64::from(highest),
                    given: number,
                }),
            };
        }
        // A number is no text, but for the booleans 0 and 1.
        let is_text = given.is_string() || matches!(self.kind, Kind::Boolean);
        // XML has no place for these.
        let is_clean = !text.chars().any(char::is_control);
        let value = self.canonical(&text).filter(|_| is_text && is_clean);
        value.ok_or_else(|| self.not_taken(text))
    }

    /// Whether it is as Windows comes; `None` where that is not known.
    pub fn is_default(&self, value: &Value, version: WindowsVersion) -> Option<bool> {
        let defaults = self.defaults.of(version);
        (!defaults.is_empty()).then(|| defaults.iter().any(|default| self.read(default) == *value))
    }

    /// The policy that may hold it, in words for a message.
    pub(crate) fn policy_name(&self) -> String {
        self.policy.map_or_else(|| "a group policy".to_owned(), |policy| policy.path())
    }

    /// The value in its one form, if it is of the setting's kind.
    fn canonical(&self, text: &str) -> Option<Value> {
        match self.kind {
            Kind::Boolean => Value::boolean(text).map(Value::Boolean),
            Kind::Number { .. } => text.parse().ok().map(Value::Number),
            Kind::Choice(choices) => {
                let choice = choices.iter().find(|choice| choice.eq_ignore_ascii_case(text))?;
                Some(Value::Text((*choice).to_owned()))
            }
            Kind::Thumbprint => match Thumbprint::read(text) {
                None => Some(Value::Text(String::new())),
                Some(_) => Some(Value::Text(Thumbprint::parse(text)?.to_string())),
            },
            Kind::Ipv4Filter => filter(text, IpAddr::is_ipv4).map(Value::Text),
            Kind::Ipv6Filter => filter(text, IpAddr::is_ipv6).map(Value::Text),
            Kind::Text => Some(Value::Text(text.to_owned())),
        }
    }

    fn not_taken(&self, given: String) -> Refusal {
        let option = self.name.to_owned();
        match self.kind {
            Kind::Choice(choices) => Refusal::NotAChoice { option, choices: choices.join(", "), given },
            Kind::Thumbprint => Refusal::BadThumbprint { option, given },
            Kind::Ipv4Filter => {
                Refusal::BadFilter { option, example: "10.0.0.1-10.0.0.9,10.1.0.1-10.1.0.1", given }
            }
            Kind::Ipv6Filter => Refusal::BadFilter { option, example: "fd00::1-fd00::9", given },
            Kind::Boolean | Kind::Number { .. } | Kind::Text => self.wrong_type(given),
        }
    }

    fn wrong_type(&self, given: String) -> Refusal {
        let wanted = match self.kind {
            Kind::Boolean => "true or false",
            Kind::Number { .. } => "a whole number",
            _ => "a text of one line",
        };
        Refusal::WrongType { option: self.name.to_owned(), wanted, given }
    }
}

impl Resource {
    /// Its place below `winrm/config`, as the guide shows it.
    pub fn path(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::Auth => "Service\\Auth",
            Self::DefaultPorts => "Service\\DefaultPorts",
            Self::Winrs => "Winrs",
        }
    }

    /// The element that has its values.
    pub(crate) fn element(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::Auth => "Auth",
            Self::DefaultPorts => "DefaultPorts",
            Self::Winrs => "Winrs",
        }
    }
}

impl Policy {
    /// The whole name: `HKLM\SOFTWARE\Policies\Microsoft\Windows\WinRM\Service\AllowBasic`
    pub fn path(self) -> String {
        format!("the policy {POLICIES}\\{}\\{}", self.key, self.value)
    }
}

impl WindowsVersion {
    /// Which one it is by the numbers that Windows has for its versions; `None` before Windows 7.
    pub fn of(major: u32, minor: u32) -> Option<Self> {
        match (major, minor) {
            (..=5, _) | (6, 0) => None,
            (6, 1) => Some(Self::Windows7),
            _ => Some(Self::Windows8),
        }
    }
}

impl<T: Copy> PerVersion<T> {
    /// What this version has.
    pub fn of(&self, version: WindowsVersion) -> T {
        match version {
            WindowsVersion::Windows7 => self.windows_7,
            WindowsVersion::Windows8 => self.windows_8,
        }
    }
}

/// A filter without what is only spelling: `a-b,c-d`, `*` or nothing.
fn filter(text: &str, is_of_family: fn(&IpAddr) -> bool) -> Option<String> {
    let text: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    if text.is_empty() || text == "*" {
        return Some(text);
    }
    let address = |text: &str| text.parse::<IpAddr>().ok().filter(is_of_family);
    let range = |range: &str| {
        let (first, last) = range.split_once('-')?;
        let (first, last) = (address(first)?, address(last)?);
        (first <= last).then(|| format!("{first}-{last}"))
    };
    Some(text.split(',').map(range).collect::<Option<Vec<_>>>()?.join(","))
}

/// Where group policies write what they say of WinRM.
pub(crate) const POLICIES: &str = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\WinRM";

/// All settings, in the order in which WinRM's XML has them.
pub static SETTINGS: &[Setting] = &[
    // Only parts of the defaults are documented: no default.
    Setting { registry: Some("rootSDDL"), ..setting(Service, "root_sddl", "RootSDDL", Kind::Text, &[], &[]) },
    fixed(
        "WinRM has not limited concurrent operations since version 2.0, and refuses another value (0x803381AE); \
         max_concurrent_operations_per_user is what it looks at",
        number(Service, "max_concurrent_operations", "MaxConcurrentOperations", 0, ALL, ALL),
    ),
    Setting {
        registry: Some("maxConcurrentOperationsPerUser"),
        ..number(
            Service,
            "max_concurrent_operations_per_user",
            "MaxConcurrentOperationsPerUser",
            1,
            &["15"],
            &["1500"],
        )
    },
    number(Service, "enumeration_timeout_ms", "EnumerationTimeoutms", 500, &["60000"], &["240000"]),
    Setting {
        registry: Some("maxconnections"),
        kind: Kind::Number { lowest: 1, highest: PerVersion { windows_7: 50, windows_8: 512 } },
        ..number(Service, "max_connections", "MaxConnections", 1, &["25"], &["300"])
    },
    Setting {
        registry: Some("maxPacketRetrievalTime"),
        ..number(
            Service,
            "max_packet_retrieval_time_seconds",
            "MaxPacketRetrievalTimeSeconds",
            1,
            &["120"],
            &["120"],
        )
    },
    held(
        "AllowUnencryptedTraffic",
        "allow_unencrypted",
        boolean(Service, "allow_unencrypted", "AllowUnencrypted", NO),
    ),
    held(
        "IPv4Filter",
        "IPv4Filter",
        setting(Service, "ipv4_filter", "IPv4Filter", Kind::Ipv4Filter, &["*"], &["*"]),
    ),
    held(
        "IPv6Filter",
        "IPv6Filter",
        setting(Service, "ipv6_filter", "IPv6Filter", Kind::Ipv6Filter, &["*"], &["*"]),
    ),
    held(
        "HttpCompatibilityListener",
        "http_compat_listener",
        boolean(Service, "enable_compatibility_http_listener", "EnableCompatibilityHttpListener", NO),
    ),
    held(
        "HttpsCompatibilityListener",
        "https_compat_listener",
        boolean(Service, "enable_compatibility_https_listener", "EnableCompatibilityHttpsListener", NO),
    ),
    setting(Service, "certificate_thumbprint", "CertificateThumbprint", Kind::Thumbprint, &[""], &[""]),
    Setting {
        registry: Some("allow_remote_requests"),
        ..fixed(
            "WinRM shows it and does not take it; Enable-PSRemoting and Disable-PSRemoting change who has access",
            boolean(Service, "allow_remote_access", "AllowRemoteAccess", YES),
        )
    },
    held("AllowBasic", "auth_basic", boolean(Auth, "basic", "Basic", NO)),
    held("AllowKerberos", "auth_kerberos", boolean(Auth, "kerberos", "Kerberos", YES)),
    held("AllowNegotiate", "auth_negotiate", boolean(Auth, "negotiate", "Negotiate", YES)),
    Setting { registry: Some("auth_certificate"), ..boolean(Auth, "certificate", "Certificate", NO) },
    held("AllowCredSSP", "auth_credssp", boolean(Auth, "credssp", "CredSSP", NO)),
    held(
        "CbtHardeningLevel",
        "cbt_hardening_level",
        setting(
            Auth,
            "cbt_hardening_level",
            "CbtHardeningLevel",
            Kind::Choice(&["None", "Relaxed", "Strict"]),
            &["Relaxed"],
            &["Relaxed"],
        ),
    ),
    fixed(DEFAULT_PORT, number(DefaultPorts, "http", "HTTP", 1, &["5985"], &["5985"])),
    fixed(DEFAULT_PORT, number(DefaultPorts, "https", "HTTPS", 1, &["5986"], &["5986"])),
    held_shell(
        "AllowRemoteShellAccess",
        boolean(Winrs, "allow_remote_shell_access", "AllowRemoteShellAccess", YES),
    ),
    held_shell(
        "IdleTimeout",
        Setting {
            kind: Kind::Number {
                lowest: 0,
                highest: PerVersion { windows_7: 0x7fff_ffff, windows_8: 0x7fff_ffff },
            },
            ..number(Winrs, "idle_timeout", "IdleTimeout", 0, &["180000"], &["7200000"])
        },
    ),
    // MS-WSMV ends at 100, and hosts report 2147483647.
    held_shell(
        "MaxConcurrentUsers",
        number(Winrs, "max_concurrent_users", "MaxConcurrentUsers", 1, &["5"], &["10", UNLIMITED]),
    ),
    Setting {
        policy: Some(Policy { key: SHELL, value: "ShellTimeOut" }),
        ..fixed(
            "WinRM has not limited the time of shells since version 2.0, and takes no value for it",
            number(Winrs, "max_shell_run_time", "MaxShellRunTime", 0, &[UNLIMITED], &[UNLIMITED]),
        )
    },
    held_shell(
        "MaxProcessesPerShell",
        number(Winrs, "max_processes_per_shell", "MaxProcessesPerShell", 0, &["25"], &["25", UNLIMITED]),
    ),
    held_shell(
        "MaxMemoryPerShellMB",
        number(Winrs, "max_memory_per_shell_mb", "MaxMemoryPerShellMB", 0, &["1024"], &["1024", UNLIMITED]),
    ),
    held_shell(
        "MaxShellsPerUser",
        number(Winrs, "max_shells_per_user", "MaxShellsPerUser", 0, &["30"], &["30", UNLIMITED]),
    ),
];

use Resource::{Auth, DefaultPorts, Service, Winrs};

const SHELL: &str = r"Service\WinRS";
const NO: Defaults = &["false"];
const YES: Defaults = &["true"];
const ALL: Defaults = &["4294967295"];
const UNLIMITED: &str = "2147483647";
const DEFAULT_PORT: &str =
    "it is what WinRM uses for listeners without a port; a listener has a port of its own";

const fn setting(
    resource: Resource,
    name: &'static str,
    original: &'static str,
    kind: Kind,
    windows_7: Defaults,
    windows_8: Defaults,
) -> Setting {
    let defaults = PerVersion { windows_7, windows_8 };
    Setting {
        name,
        original,
        resource,
        kind,
        access: Access::Changeable,
        defaults,
        policy: None,
        registry: None,
    }
}

const fn boolean(
    resource: Resource,
    name: &'static str,
    original: &'static str,
    default: Defaults,
) -> Setting {
    setting(resource, name, original, Kind::Boolean, default, default)
}

const fn number(
    resource: Resource,
    name: &'static str,
    original: &'static str,
    lowest: u32,
    windows_7: Defaults,
    windows_8: Defaults,
) -> Setting {
    let highest = PerVersion { windows_7: u32::MAX, windows_8: u32::MAX };
    setting(resource, name, original, Kind::Number { lowest, highest }, windows_7, windows_8)
}

const fn fixed(reason: &'static str, setting: Setting) -> Setting {
    Setting { access: Access::Fixed(reason), ..setting }
}

const fn held(policy: &'static str, registry: &'static str, setting: Setting) -> Setting {
    let policy = Policy { key: "Service", value: policy };
    Setting { policy: Some(policy), registry: Some(registry), ..setting }
}

const fn held_shell(policy: &'static str, setting: Setting) -> Setting {
    Setting { policy: Some(Policy { key: SHELL, value: policy }), ..setting }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(name: &str) -> &'static Setting {
        Setting::by_name(name).unwrap()
    }

    /// The table of the guide and of MS-WSMV, by one look at its names.
    #[test]
    fn every_name_is_the_original_in_small_letters() {
        for setting in SETTINGS {
            let small = setting.name.replace('_', "");
            assert_eq!(small, setting.original.to_lowercase(), "{}", setting.path());
            let named = SETTINGS.iter().filter(|other| {
                other.name == setting.name || other.original.eq_ignore_ascii_case(setting.original)
            });
            assert_eq!(named.count(), 1, "{}", setting.path());
            assert_eq!(Setting::by_name(&setting.original.to_uppercase()), Ok(setting));
        }
        assert_eq!(of("Basic").path(), r"Service\Auth\Basic");
        assert_eq!(of("MaxMemoryPerShellMB").name, "max_memory_per_shell_mb");
    }

    #[test]
    fn every_default_is_of_its_kind() {
        for setting in SETTINGS {
            for version in [WindowsVersion::Windows7, WindowsVersion::Windows8] {
                for default in setting.defaults.of(version) {
                    let converted = setting.convert(&json!(default), Some(version));
                    assert_eq!(converted, Ok(setting.read(default)), "{}", setting.path());
                    assert_eq!(setting.is_default(&setting.read(default), version), Some(true));
                }
            }
        }
        let connections = of("max_connections");
        assert_eq!(connections.is_default(&Value::Number(300), WindowsVersion::Windows7), Some(false));
        assert_eq!(of("root_sddl").is_default(&Value::Text("O:NS".into()), WindowsVersion::Windows8), None);
    }

    #[test]
    fn values_are_equal_if_they_mean_the_same() {
        for (name, one, other) in [
            ("basic", "true", " True\r\n"),
            ("basic", "0", "FALSE"),
            ("max_connections", "300", " 0300"),
            ("cbt_hardening_level", "strict", "Strict"),
            ("ipv4_filter", "10.0.0.1-10.0.0.9, 10.1.0.1-10.1.0.2", "10.0.0.1-10.0.0.9,10.1.0.1-10.1.0.2"),
            ("ipv6_filter", "FD00:0::1-fd00::f", "fd00::1-fd00::F"),
            (
                "certificate_thumbprint",
                "\u{200e}00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff 00 11 22 33",
                "00112233445566778899AABBCCDDEEFF00112233",
            ),
        ] {
            assert_eq!(of(name).read(one), of(name).read(other), "{name}");
        }
        assert_eq!(of("basic").convert(&json!(1), None), Ok(Value::Boolean(true)));
        assert_ne!(of("root_sddl").read("O:NS"), of("root_sddl").read("O:BA"));
        assert_eq!(of("max_connections").read("many"), Value::Text("many".into()));
    }

    #[test]
    fn what_a_setting_does_not_take_is_said() {
        let said =
            |name: &str, given: serde_json::Value| of(name).convert(&given, None).unwrap_err().to_string();
        assert_eq!(said("basic", json!("maybe")), "basic takes true or false, not maybe");
        assert_eq!(said("basic", json!(2)), "basic takes true or false, not 2");
        assert_eq!(said("max_connections", json!("many")), "max_connections takes a whole number, not many");
        assert_eq!(said("max_connections", json!([1])), "max_connections takes a whole number, not [1]");
        assert_eq!(said("max_connections", json!(0)), "max_connections takes numbers from 1 to 512, not 0");
        assert_eq!(
            said("idle_timeout", json!(-1)),
            "idle_timeout takes numbers from 0 to 2147483647, not -1"
        );
        assert_eq!(
            said("cbt_hardening_level", json!("hard")),
            "cbt_hardening_level is one of None, Relaxed, Strict, not hard"
        );
        assert!(said("certificate_thumbprint", json!("12")).contains("40 hexadecimal digits"));
        for wrong in ["10.0.0.1", "10.0.0.9-10.0.0.1", "fd00::1-fd00::2", "10.0.0.1-10.0.0.2,", "none"] {
            assert!(said("ipv4_filter", json!(wrong)).contains("ranges"), "{wrong}");
        }
        assert!(said("root_sddl", json!("O:NS\u{0}")).starts_with("root_sddl takes a text of one line"));
        assert!(
            Setting::by_name("max_conections").unwrap_err().to_string().starts_with("max_conections is no")
        );
    }

    #[test]
    fn ranges_are_those_of_the_version() {
        let connections = |given: u32, version| of("max_connections").convert(&json!(given), version);
        assert_eq!(connections(512, None), Ok(Value::Number(512)));
        assert_eq!(connections(512, Some(WindowsVersion::Windows8)), Ok(Value::Number(512)));
        assert!(connections(51, Some(WindowsVersion::Windows7)).is_err());
        assert!(connections(513, Some(WindowsVersion::Windows8)).is_err());
    }

    #[test]
    fn versions_are_told_by_their_numbers() {
        assert_eq!(WindowsVersion::of(6, 0), None);
        assert_eq!(WindowsVersion::of(6, 1), Some(WindowsVersion::Windows7));
        assert_eq!(WindowsVersion::of(6, 2), Some(WindowsVersion::Windows8));
        assert_eq!(WindowsVersion::of(10, 0), Some(WindowsVersion::Windows8));
    }
}
