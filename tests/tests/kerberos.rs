//! Kerberos: tickets from every kind of cache and for a password, and what a user is told where there are none.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use end_to_end::folders::Public;
use end_to_end::host::Host;
use end_to_end::kdc::{
    ALIAS, ALIAS_IN_REALM, Kdc, OLD_HOST, OLD_REALM, OTHER_REALM, PASSWORD, REALM, REFERRED_HOST,
};
use end_to_end::lab::{LabOptions, UNICODE_ADMINISTRATOR};
use end_to_end::module::{Outcome, Task, outcome};
use end_to_end::proxy::{Behaviour, Impostor, Proxy, answer_no_kerberos};
use end_to_end::report::not_run;
use end_to_end::server::{SilentServer, refused_port};
use serde_json::{Value, json};

const AUTHENTICATION: &str = "Failed to authenticate over SMB: ";

/// A host that is a service of a realm.
struct Member {
    kdc: Kdc,
    host: Host,
}

/// Runs a test with the KDC and the host, alone, and looks whether it has left anything on the host.
#[track_caller]
fn in_realm(test: impl FnOnce(&Member)) {
    static MEMBER: OnceLock<Mutex<Member>> = OnceLock::new();

    let member = MEMBER.get_or_init(|| {
        let kdc = Kdc::start().expect("a KDC");
        let options = LabOptions { smb_conf: kdc.smb_conf(), ..LabOptions::default() };
        Mutex::new(Member { kdc, host: Host::of_lab(&options) })
    });
    let member = member.lock().unwrap_or_else(PoisonError::into_inner);
    let before = member.host.snapshot().expect("a look at the host before the test");
    test(&member);
    member.host.assert_clean(&before).expect("a clean host after the test");
}

/// A run of the module as a user's environment would have it.
struct Run<'a> {
    member: &'a Member,
    options: Value,
    configuration: String,
    cache: Option<String>,
    variables: Vec<(&'static str, String)>,
    wrapper: Vec<String>,
}

impl<'a> Run<'a> {
    /// To `localhost`, without user name and password, and with a cache that does not exist.
    fn new(member: &'a Member) -> Self {
        let configuration = member.kdc.configuration(&[]).expect("a krb5.conf");
        let options = json!({
            "hostname": "localhost",
            "connection_username": null,
            "connection_password": null,
            "_ansible_verbosity": 3,
        });
        let cache = Some(format!("FILE:{}", member.kdc.fresh_path().display()));
        Run {
            member,
            options,
            configuration: configuration.display().to_string(),
            cache,
            variables: Vec::new(),
            wrapper: Vec::new(),
        }
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.options[name] = value.into();
        self
    }

    fn user(self, username: &str) -> Self {
        self.with("connection_username", username)
    }

    fn password(self, password: &str) -> Self {
        self.with("connection_password", password)
    }

    fn cache(mut self, cache: &str) -> Self {
        self.cache = Some(cache.into());
        self
    }

    /// A variable of the task's environment.
    fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn configuration(mut self, path: &Path) -> Self {
        self.configuration = path.display().to_string();
        self
    }

    /// Further lines of krb5.conf's `[libdefaults]`.
    fn defaults(self, lines: &[&str]) -> Self {
        let path = self.member.kdc.configuration(lines).expect("a krb5.conf");
        self.configuration(&path)
    }

    /// A program that starts the module, with its arguments.
    fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(ToString::to_string).collect();
        self
    }

    #[track_caller]
    fn run(&self) -> Outcome {
        let task = self.task();
        let module = task.command().expect("a command");
        let mut words = self.wrapper.iter().map(Into::into).collect::<Vec<_>>();
        words.push(module.get_program().to_owned());
        words.extend(module.get_args().map(ToOwned::to_owned));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        self.run_command(command)
    }

    /// Another user of this machine runs the module, with a copy of the cache that is still ours.
    #[track_caller]
    fn run_by(mut self, user: u32) -> Outcome {
        let public = Public::make().expect("a folder");
        let copy = |file: &str| public.copy(Path::new(file)).expect("a copy").display().to_string();
        self.configuration = copy(&self.configuration);
        self.cache = self.cache.map(|cache| format!("FILE:{}", copy(cache.trim_start_matches("FILE:"))));
        self.run_command(self.task().command_for(user, &public).expect("a command"))
    }

    fn task(&self) -> Task {
        let host = &self.member.host;
        Task::new(&host.options(&host.probe_options("exit 0", &self.options))).expect("a task")
    }

    #[track_caller]
    fn run_command(&self, mut command: Command) -> Outcome {
        command.stdin(Stdio::null()).env("KRB5_CONFIG", &self.configuration);
        match &self.cache {
            Some(cache) => command.env("KRB5CCNAME", cache),
            None => command.env_remove("KRB5CCNAME"),
        };
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let started = Instant::now();
        let output = command.output().expect("the module starts");
        outcome(&output, started.elapsed()).expect("the module answers")
    }

    /// Fails the test unless the process ran, on a connection of this mechanism and without a warning.
    #[track_caller]
    fn assert_runs_with(&self, mechanism: &str) {
        let outcome = self.run();
        assert_ran_with(&outcome, mechanism);
        assert!(!outcome.has("warnings"), "{:?}", outcome.result["warnings"]);
    }

    /// Fails the test unless the process ran with NTLM, and the one warning says for what reason.
    #[track_caller]
    fn assert_falls_back(&self, words: &[&str]) {
        let outcome = self.run();
        assert_ran_with(&outcome, "NTLMv2");
        assert_warned_of_ntlm(&outcome, words);
    }

    /// Fails the test unless the module is refused, for a reason with these words in it.
    #[track_caller]
    fn assert_told(&self, words: &[&str]) {
        assert_told(&self.run(), words);
    }
}

#[track_caller]
fn assert_ran_with(outcome: &Outcome, mechanism: &str) {
    outcome.assert_ran(0);
    let trace = outcome.result["trace"].to_string();
    assert!(trace.contains(&format!("authenticated with {mechanism} ")), "{trace}");
}

#[track_caller]
fn assert_warned_of_ntlm(outcome: &Outcome, words: &[&str]) {
    let warnings = outcome.result.get("warnings").and_then(Value::as_array).cloned().unwrap_or_default();
    assert_eq!(warnings.len(), 1, "{:?}", outcome.result);
    let warning = warnings[0].as_str().unwrap_or_default();
    for word in ["NTLM was used in place of Kerberos", "PSEXEC_FORBID_NTLM"].iter().chain(words) {
        assert!(warning.contains(word), "no {word:?} in: {warning}");
    }
}

#[track_caller]
fn assert_told(outcome: &Outcome, words: &[&str]) {
    let message = outcome.assert_failed();
    assert!(message.contains(AUTHENTICATION), "{message}");
    for word in words {
        assert!(message.contains(word), "no {word:?} in: {message}");
    }
    assert!(!outcome.has("changed"), "{:?}", outcome.result);
}

/// A cache of a file with a ticket-granting ticket of the principal.
#[track_caller]
fn cache_of(member: &Member, principal: &str, options: &[&str]) -> String {
    let cache = format!("FILE:{}", member.kdc.fresh_path().display());
    member.kdc.kinit(principal, &cache, options).expect("a ticket");
    cache
}

fn administrator() -> String {
    format!("Administrator@{REALM}")
}

#[test]
fn the_default_principal_of_a_cache_connects() {
    in_realm(|member| {
        let cache = cache_of(member, &administrator(), &[]);
        Run::new(member).cache(&cache).assert_runs_with("Kerberos");
        let list = member.kdc.klist(&cache).expect("klist");
        assert!(list.contains(&format!("cifs/localhost@{REALM}")), "the service ticket is not kept: {list}");
        Run::new(member).cache(&cache).assert_runs_with("Kerberos");
    });
}

#[test]
fn a_named_principal_connects() {
    in_realm(|member| {
        let cache = cache_of(member, &administrator(), &[]);
        for name in [administrator(), administrator().to_lowercase(), "Administrator".into()] {
            Run::new(member).cache(&cache).user(&name).assert_runs_with("Kerberos");
        }
    });
}

#[test]
fn a_connection_that_is_not_encrypted_is_signed() {
    in_realm(|member| {
        let cache = cache_of(member, &administrator(), &[]);
        Run::new(member).cache(&cache).with("encrypt", false).assert_runs_with("Kerberos");
    });
}

#[test]
fn a_named_principal_is_found_in_a_collection() {
    in_realm(|member| {
        let folder = member.kdc.fresh_path();
        fs::create_dir(&folder).expect("a folder");
        let member_of = |name: &str| format!("DIR::{}/{name}", folder.display());
        member.kdc.kinit("aes128", &member_of("tktfirst"), &[]).expect("a ticket");
        member.kdc.kinit(&administrator(), &member_of("tktsecond"), &[]).expect("a ticket");
        let collection = format!("DIR:{}", folder.display());
        let run = |user: &str| Run::new(member).cache(&collection).user(user);
        fs::write(folder.join("primary"), "tktfirst\n").expect("a file");
        run(&administrator()).assert_runs_with("Kerberos");
        run("nobody").assert_told(&["none of nobody@LAB.TEST", "aes128@LAB.TEST", "kinit"]);
        fs::write(folder.join("primary"), "tktsecond\n").expect("a file");
        Run::new(member).cache(&collection).assert_runs_with("Kerberos");
    });
}

#[test]
fn krb5_conf_names_the_default_cache() {
    in_realm(|member| {
        let path = member.kdc.fresh_path();
        let line = format!("default_ccache_name = FILE:{}-%{{uid}}", path.display());
        let cache = format!("FILE:{}-0", path.display());
        member.kdc.kinit(&administrator(), &cache, &[]).expect("a ticket");
        let mut run = Run::new(member).defaults(&[&line]);
        run.cache = None;
        run.assert_runs_with("Kerberos");
    });
}

#[test]
fn a_daemon_may_keep_the_caches() {
    in_realm(|member| {
        let Some(daemon) = KcmDaemon::start() else {
            return not_run("Debian's package heimdal-kcm is not installed");
        };
        let namespace = daemon.namespace();
        let namespace: Vec<_> = namespace.iter().map(String::as_str).collect();
        let run = || Run::new(member).cache("KCM:").under(&namespace);
        run().assert_told(&["KCM:", "kinit"]);
        for principal in ["aes128", "Administrator"] {
            let mut kinit = Command::new(namespace[0]);
            kinit.args(&namespace[1..]).args(["/usr/bin/kinit", principal]).env("KRB5CCNAME", "KCM:");
            kinit.env("KRB5_CONFIG", member.kdc.configuration(&[]).expect("a krb5.conf"));
            let mut kinit = kinit.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("kinit");
            let mut stdin = kinit.stdin.take().expect("standard input");
            writeln!(stdin, "{PASSWORD}").expect("kinit reads");
            drop(stdin);
            assert!(kinit.wait().expect("kinit").success());
        }
        run().assert_runs_with("Kerberos");
        run().user("Administrator").assert_runs_with("Kerberos");
        run().user("aes128").assert_told(&["does not accept the Kerberos ticket"]);
        run().user("nobody").assert_told(&[
            "none of nobody@LAB.TEST",
            "aes128@LAB.TEST",
            "Administrator@LAB.TEST",
        ]);
    });
}

#[test]
fn the_kernel_may_keep_the_caches() {
    in_realm(|member| {
        let number = std::process::id();
        let collections = [
            format!("KEYRING:session:lab-{number}"),
            format!("KEYRING:user:lab-{number}"),
            format!("KEYRING:lab-{number}-of-the-session"),
            "KEYRING:persistent:0".to_owned(),
        ];
        for collection in collections {
            if member.kdc.klist(&collection).is_ok() {
                not_run(&format!("{collection} is in use on this machine"));
                continue;
            }
            let run = || Run::new(member).cache(&collection);
            run().assert_told(&["KEYRING:", "does not exist", "kinit"]);
            if member.kdc.kinit_into(&collection, "aes128").is_err() {
                return not_run("the kernel, or the container, has no keyrings for us");
            }
            let _destroyed = Collection { member, name: &collection };
            run().assert_told(&["does not accept the Kerberos ticket"]);
            member.kdc.kinit_into(&collection, "Administrator").expect("a ticket");
            run().assert_runs_with("Kerberos");
            run().user("Administrator").assert_runs_with("Kerberos");
            run().user("aes128").assert_told(&["does not accept the Kerberos ticket"]);
            run().user("nobody").assert_told(&[
                "none of nobody@LAB.TEST",
                "aes128@LAB.TEST",
                "Administrator@LAB.TEST",
            ]);
        }
        // Of another process or thread, or of another user.
        for collection in ["KEYRING:process:lab", "KEYRING:thread:lab"] {
            Run::new(member).cache(collection).assert_told(&[collection, "does not exist"]);
        }
        Run::new(member).cache("KEYRING:persistent:1").assert_told(&["KEYRING:persistent:1", "its own user"]);
        Run::new(member).cache("KEYRING:x:y").assert_told(&["KEYRING:x:y", "anchor"]);
    });
}

/// A collection of caches that is destroyed in the end.
struct Collection<'a> {
    member: &'a Member,
    name: &'a str,
}

impl Drop for Collection<'_> {
    fn drop(&mut self) {
        let _ = self.member.kdc.kdestroy(self.name);
    }
}

/// Heimdal's KCM daemon. Its socket has a fixed name: it gets a `/run` of its own.
struct KcmDaemon(Child);

impl KcmDaemon {
    const PROGRAM: &str = "/usr/sbin/kcm";
    const SOCKET: &str = "run/.heim_org.h5l.kcm-socket";

    /// `None` if the program is not installed.
    fn start() -> Option<Self> {
        Path::new(Self::PROGRAM).exists().then_some(())?;
        let mut kcm = Command::new("unshare");
        kcm.args(["--mount", "sh", "-c", r#"mount -t tmpfs kcm /run && exec "$0""#, Self::PROGRAM]);
        let daemon = Self(kcm.stdin(Stdio::null()).spawn().expect("unshare starts"));
        let socket = format!("/proc/{}/root/{}", daemon.0.id(), Self::SOCKET);
        let started = Instant::now();
        while !Path::new(&socket).exists() {
            assert!(started.elapsed() < Duration::from_secs(10), "kcm is not ready");
            thread::sleep(Duration::from_millis(10));
        }
        Some(daemon)
    }

    /// The command that starts programs where the daemon's socket is. The root is not that of the namespace where these
    /// tests run in a chroot.
    fn namespace(&self) -> [String; 5] {
        ["nsenter".into(), "--mount".into(), "--root".into(), "--target".into(), self.0.id().to_string()]
    }
}

impl Drop for KcmDaemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_password_gets_a_ticket() {
    in_realm(|member| {
        for name in [administrator(), format!("Administrator@{}", REALM.to_lowercase())] {
            Run::new(member).user(&name).password(PASSWORD).assert_runs_with("Kerberos");
        }
        let account = UNICODE_ADMINISTRATOR;
        let name = format!("{}@{REALM}", account.name);
        Run::new(member).user(&name).password(account.password).assert_runs_with("Kerberos");
    });
}

#[test]
fn an_alias_is_resolved_by_the_kdc() {
    in_realm(|member| {
        let run = |alias: &str| Run::new(member).user(alias).password(PASSWORD);
        for permitted in ["aes256-cts aes128-cts", "aes256-cts rc4", "rc4"] {
            let line = format!("permitted_enctypes = {permitted}");
            run(ALIAS).defaults(&[&line]).assert_runs_with("Kerberos");
        }
        run(ALIAS_IN_REALM).assert_runs_with("Kerberos");
        for alias in [ALIAS, ALIAS_IN_REALM] {
            run(alias).password("not-it").assert_told(&["the password of", alias, "is wrong"]);
        }
    });
}

#[test]
fn a_kdc_refers_an_alias_to_another_realm() {
    in_realm(|member| {
        // The default realm's KDC says this of whatever it is asked.
        let referred_to = |realm: &str| {
            let kdc = Impostor::start(&wrong_realm(realm), true).expect("a server");
            let path = member.kdc.configuration(&["default_realm = ELSEWHERE.TEST"]).expect("a krb5.conf");
            let text = fs::read_to_string(&path).expect("a file");
            let realms = format!("[realms]\n ELSEWHERE.TEST = {{\n  kdc = 127.0.0.1:{}\n }}\n", kdc.port());
            fs::write(&path, text + &realms).expect("a file");
            Run::new(member).configuration(&path).user(ALIAS).password(PASSWORD)
        };
        referred_to(REALM).assert_runs_with("Kerberos");
        // A forged answer may lead in a circle.
        let outcome = referred_to("ELSEWHERE.TEST").run();
        assert_told(&outcome, &["STATUS_LOGON_FAILURE"]);
        assert_warned_of_ntlm(&outcome, &["CORP.TEST"]);
    });
}

/// What a KDC says of an alias of this realm: a frame with a KRB-ERROR, [RFC 4120] 5.9.1 and [RFC 6806] 7.
///
/// [RFC 4120]: https://www.rfc-editor.org/rfc/rfc4120
/// [RFC 6806]: https://www.rfc-editor.org/rfc/rfc6806
fn wrong_realm(realm: &str) -> Vec<u8> {
    let element = |tag: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).ok().filter(|length| *length < 128);
        [&[tag, length.expect("a short content")], content].concat()
    };
    let field = |number: u8, tag: u8, content: &[u8]| element(0xa0 | number, &element(tag, content));
    let (integer, time, text) = (0x02, 0x18, 0x1b);
    let fields = [
        field(0, integer, &[5]),
        field(1, integer, &[30]),
        field(4, time, b"20260101000000Z"),
        field(5, integer, &[0]),
        field(6, integer, &[68]),
        field(7, text, realm.as_bytes()),
        field(9, text, b"ELSEWHERE.TEST"),
    ];
    let error = element(0x7e, &element(0x30, &fields.concat()));
    let length = u32::try_from(error.len()).expect("a short message").to_be_bytes();
    [&length[..], &error].concat()
}

#[test]
fn what_the_kdc_does_not_know_may_be_the_hosts_own() {
    in_realm(|member| {
        // Nobody knows this one.
        let outcome = Run::new(member).user(&format!("nobody@{REALM}")).password(PASSWORD).run();
        assert_told(&outcome, &["STATUS_LOGON_FAILURE"]);
        assert_warned_of_ntlm(&outcome, &["does not know the principal nobody@LAB.TEST"]);
    });
}

#[test]
fn a_krb5_conf_that_is_of_no_use_leaves_ntlm() {
    in_realm(|member| {
        let cache = cache_of(member, &administrator(), &[]);
        for (line, word) in [
            ("module /usr/lib/plugin.so:residual\n", "module"),
            ("includedir /nonexistent\n", "/nonexistent"),
        ] {
            let path = member.kdc.configuration(&[]).expect("a krb5.conf");
            let text = fs::read_to_string(&path).expect("a file");
            fs::write(&path, format!("{line}{text}")).expect("a file");
            let run = || Run::new(member).configuration(&path);
            run().cache(&cache).assert_told(&["the Kerberos configuration cannot be used", word]);
            let words = ["the Kerberos configuration cannot be used", word];
            run().user("Administrator").password(PASSWORD).assert_falls_back(&words);
            run().user(r".\Administrator").password(PASSWORD).assert_runs_with("NTLMv2");
            let user = UNICODE_ADMINISTRATOR;
            let outcome = run().user(&format!("{}@{REALM}", user.name)).password(user.password).run();
            assert_warned_of_ntlm(&outcome, &words);
        }
    });
}

#[test]
fn an_empty_krb5ccname_counts_as_unset() {
    in_realm(|member| {
        let path = member.kdc.fresh_path();
        let line = format!("default_ccache_name = FILE:{}", path.display());
        let cache = format!("FILE:{}", path.display());
        member.kdc.kinit(&administrator(), &cache, &[]).expect("a ticket");
        Run::new(member).cache("").defaults(&[&line]).assert_runs_with("Kerberos");
    });
}

#[test]
fn a_refusal_of_the_kdc_stands() {
    in_realm(|member| {
        let told = |name: &str, password: &str, words: &[&str]| {
            Run::new(member).user(&format!("{name}@{REALM}")).password(password).assert_told(words);
        };
        told("Administrator", "not-it", &["the password of Administrator@LAB.TEST is wrong"]);
        told("aes128", "not-it", &["the password of aes128@LAB.TEST is wrong"]);
        told("locked", PASSWORD, &["locked@LAB.TEST is disabled, locked or expired"]);
        told("expired", PASSWORD, &["the password of expired@LAB.TEST has expired", "kpasswd"]);
    });
}

#[test]
fn names_with_a_domain_are_for_ntlm() {
    in_realm(|member| {
        for name in [r"WORKGROUP\Administrator", r".\Administrator"] {
            Run::new(member).user(name).password(PASSWORD).assert_runs_with("NTLMv2");
        }
    });
}

#[test]
fn a_bare_name_is_looked_for_in_the_default_realm() {
    in_realm(|member| {
        let bare = || Run::new(member).user("Administrator").password(PASSWORD);
        bare().assert_runs_with("Kerberos");
        // What the KDC says of a name may be said of another: the host may know the user.
        let user = UNICODE_ADMINISTRATOR;
        let run = Run::new(member).user(user.name).password(user.password);
        run.defaults(&["default_realm = OTHER.TEST"]).assert_falls_back(&["OTHER.TEST", r".\user"]);
        let outcome = Run::new(member).user("Administrator").password("not-it").run();
        assert_told(&outcome, &["STATUS_LOGON_FAILURE"]);
        assert_warned_of_ntlm(&outcome, &["the password of Administrator@LAB.TEST is wrong"]);
        // An address has no ticket, and nobody has spoken of a realm.
        bare().with("hostname", "127.0.0.1").assert_runs_with("NTLMv2");
    });
}

#[test]
fn without_a_default_realm_no_kdc_is_asked_about_a_bare_name() {
    in_realm(|member| {
        let silent = SilentServer::start().expect("a server");
        let address = format!("127.0.0.1:{}", silent.port().expect("a port"));
        let nowhere = member.kdc.configuration_without_default_realm(&address).expect("a krb5.conf");
        let missing = member.kdc.fresh_path();
        for configuration in [nowhere, missing] {
            let run = Run::new(member).configuration(&configuration).user("Administrator").password(PASSWORD);
            let outcome = run.run();
            assert_ran_with(&outcome, "NTLMv2");
            assert!(!outcome.has("warnings"), "{:?}", outcome.result);
            assert!(outcome.elapsed < Duration::from_secs(4), "{:?}", outcome.elapsed);
        }
    });
}

/// Somebody on the way has the host offer NTLM alone, to get an answer that he can use elsewhere.
#[test]
fn ntlm_cannot_be_forced_where_there_is_a_ticket() {
    in_realm(|member| {
        let behaviour = Behaviour { tampering: vec![answer_no_kerberos()], ..Behaviour::default() };
        for user in [administrator(), "Administrator".to_owned()] {
            let port = member.host.port();
            let proxy = Proxy::start(("127.0.0.1", port), behaviour.clone()).expect("a proxy");
            let run = Run::new(member).user(&user).password(PASSWORD).with("port", proxy.port());
            let words =
                ["does not offer Kerberos", "there is a ticket for cifs/localhost", "NTLM is not taken"];
            run.assert_told(&words);
            let statistics = proxy.statistics();
            assert_eq!(statistics.tampered, 1);
            assert_eq!(statistics.from_client.frames, 1, "more than NEGOTIATE was sent");
        }
    });
}

#[test]
fn ntlm_that_is_forbidden_is_an_error() {
    in_realm(|member| {
        let run =
            |user: &str| Run::new(member).user(user).password(PASSWORD).variable("PSEXEC_FORBID_NTLM", "1");
        run(&administrator()).assert_runs_with("Kerberos");
        run("Administrator").assert_runs_with("Kerberos");
        let words = ["the environment variable PSEXEC_FORBID_NTLM forbids NTLM", "user@DOMAIN"];
        run(r".\Administrator").assert_told(&words);
        run(r"WORKGROUP\Administrator").assert_told(&words);
        run("Administrator").with("hostname", "127.0.0.1").assert_told(&words);
        let port = refused_port().expect("a port");
        let away = member.kdc.configuration_with_kdc(&[], &format!("127.0.0.1:{port}")).expect("a krb5.conf");
        let words = ["no Kerberos KDC of the realm LAB.TEST answers", "PSEXEC_FORBID_NTLM"];
        run(&administrator()).configuration(&away).assert_told(&words);
        run("Administrator").configuration(&away).assert_told(&words);
        let unsure = Run::new(member).user("Administrator").password(PASSWORD);
        let outcome = unsure.variable("PSEXEC_FORBID_NTLM", "perhaps").run();
        assert!(outcome.assert_failed().contains("PSEXEC_FORBID_NTLM"), "{:?}", outcome.result);
    });
}

#[test]
fn every_encryption_type_that_is_permitted_serves() {
    in_realm(|member| {
        for (enctype, name) in [
            ("aes128-cts-hmac-sha1-96", "aes128-cts"),
            ("aes256-cts-hmac-sha1-96", "aes256-cts"),
            ("DEPRECATED:arcfour-hmac", "arcfour-hmac"),
        ] {
            let line = format!("permitted_enctypes = {name}");
            let configuration = member.kdc.configuration(&[&line]).expect("a krb5.conf");
            let run = || Run::new(member).configuration(&configuration);
            run().user(&administrator()).password(PASSWORD).assert_runs_with("Kerberos");
            let cache = format!("FILE:{}", member.kdc.fresh_path().display());
            member.kdc.kinit_as(&configuration, &administrator(), &cache, &[]).expect("a ticket");
            run().cache(&cache).assert_runs_with("Kerberos");
            // MIT's word for what is in the cache.
            member.kdc.kvno_as(&configuration, "cifs/localhost", &cache).expect("a service ticket");
            let list = member.kdc.klist(&cache).expect("klist");
            let service = list.split("cifs/localhost").nth(1).unwrap_or_default();
            assert!(service.contains(&format!("(skey, tkt): {enctype}")), "{list}");
            run().cache(&cache).assert_runs_with("Kerberos");
        }
    });
}

#[test]
fn an_encryption_type_that_is_not_permitted_does_not_serve() {
    in_realm(|member| {
        let lines = ["permitted_enctypes = camellia256-cts"];
        let cache = cache_of(member, &administrator(), &[]);
        Run::new(member).cache(&cache).defaults(&lines).assert_told(&["enctypes"]);
        for lines in [&["permitted_enctypes = aes"][..], &["allow_rc4 = false"]] {
            let run = || Run::new(member).defaults(lines).with("hostname", OLD_HOST);
            run().cache(&cache).assert_told(&["cifs/127.1"]);
            run().user(&administrator()).password(PASSWORD).assert_falls_back(&["cifs/127.1"]);
            // Nobody but Kerberos knows this user.
            run().user(&format!("rc4@{REALM}")).password(PASSWORD).assert_told(&["STATUS_LOGON_FAILURE"]);
        }
    });
}

#[test]
fn an_account_and_a_service_without_aes_connect() {
    in_realm(|member| {
        let name = format!("rc4@{REALM}");
        for host in ["localhost", OLD_HOST] {
            let run = || Run::new(member).with("hostname", host);
            run().user(&name).password(PASSWORD).assert_runs_with("Kerberos");
            run().cache(&cache_of(member, &name, &[])).assert_runs_with("Kerberos");
            run().user(&administrator()).password(PASSWORD).assert_runs_with("Kerberos");
            run().cache(&cache_of(member, &administrator(), &[])).assert_runs_with("Kerberos");
        }
        Run::new(member)
            .user(&name)
            .password("not-it")
            .assert_told(&["the password of rc4@LAB.TEST is wrong"]);
    });
}

#[test]
fn a_user_of_another_realm_connects() {
    in_realm(|member| {
        let placed = member.kdc.configuration(&[]).expect("a krb5.conf");
        let guessed = member.kdc.configuration_without_place(&[]).expect("a krb5.conf");
        for realm in [OTHER_REALM, OLD_REALM] {
            for configuration in [&placed, &guessed] {
                let name = format!("Administrator@{realm}");
                let run = || Run::new(member).configuration(configuration);
                run().user(&name).password(PASSWORD).assert_runs_with("Kerberos");
                let cache = cache_of(member, &name, &[]);
                run().cache(&cache).assert_runs_with("Kerberos");
                run().cache(&cache).assert_runs_with("Kerberos");
            }
        }
    });
}

#[test]
fn a_kdc_refers_to_the_realm_of_the_host() {
    in_realm(|member| {
        let hosts = member.kdc.fresh_path();
        fs::write(&hosts, format!("127.0.0.1 {REFERRED_HOST}\n")).expect("a file");
        let script = format!(r#"mount --bind '{}' /etc/hosts && exec "$0" "$@""#, hosts.display());
        let resolving = ["unshare", "--mount", "sh", "-c", script.as_str()];
        // The host's domain is not the name of a realm in this one: nobody can guess it.
        let configuration = member.kdc.configuration_without_place(&["default_realm = NOWHERE.TEST"]);
        let configuration = configuration.expect("a krb5.conf");
        for realm in [REALM, OTHER_REALM, OLD_REALM] {
            let name = format!("Administrator@{realm}");
            let run = || Run::new(member).configuration(&configuration).under(&resolving);
            let run = || run().with("hostname", REFERRED_HOST);
            run().user(&name).password(PASSWORD).assert_runs_with("Kerberos");
            run().cache(&cache_of(member, &name, &[])).assert_runs_with("Kerberos");
        }
    });
}

#[test]
fn a_cache_that_is_of_no_use_is_explained() {
    in_realm(|member| {
        let run = || Run::new(member);
        run().assert_told(&["does not exist", "kinit", "KRB5CCNAME"]);
        run().cache("API:lab").assert_told(&["API", "KRB5CCNAME"]);
        run().cache("KCM:").defaults(&["kcm_socket = /nonexistent"]).assert_told(&["KCM", "/nonexistent"]);

        let spoilt = member.kdc.fresh_path();
        fs::write(&spoilt, "not a cache").expect("a file");
        run().cache(&format!("FILE:{}", spoilt.display())).assert_told(&["damaged", "kinit"]);

        let cache = cache_of(member, "aes128", &[]);
        let run = || Run::new(member).cache(&cache);
        run()
            .user(&administrator())
            .assert_told(&["tickets of aes128@LAB.TEST", "none of Administrator@LAB.TEST"]);
        run().user(r"DOMAIN\Administrator").assert_told(&[r"DOMAIN\Administrator", "user@REALM"]);
        run().assert_told(&["does not accept the Kerberos ticket", "cifs/localhost"]);

        let short = cache_of(member, &administrator(), &["-l", "1s"]);
        thread::sleep(Duration::from_secs(2));
        Run::new(member).cache(&short).assert_told(&["Administrator@LAB.TEST", "expired", "kinit"]);
    });
}

#[test]
fn a_truncated_cache_is_explained_or_serves() {
    in_realm(|member| {
        let cache = cache_of(member, &administrator(), &[]);
        let whole = fs::read(cache.trim_start_matches("FILE:")).expect("a cache");
        let cut = member.kdc.fresh_path();
        for length in (0..whole.len()).step_by(whole.len() / 8) {
            fs::write(&cut, &whole[..length]).expect("a file");
            let outcome = Run::new(member).cache(&format!("FILE:{}", cut.display())).run();
            let message = outcome.assert_failed();
            assert!(message.contains("kinit"), "cut to {length}: {message}");
        }
    });
}

#[test]
fn a_cache_of_somebody_else_is_explained() {
    in_realm(|member| {
        let cache = cache_of(member, &administrator(), &[]);
        let outcome = Run::new(member).cache(&cache).run_by(65534);
        assert_told(&outcome, &["cannot be read", "owns"]);
    });
}

#[test]
fn a_cache_of_another_owner_is_left_as_it_is() {
    in_realm(|member| {
        let cache = cache_of(member, &administrator(), &[]);
        let path = cache.trim_start_matches("FILE:").to_owned();
        std::os::unix::fs::chown(&path, Some(65534), None).expect("chown");
        let before = fs::read(&path).expect("a cache");
        Run::new(member).cache(&cache).assert_runs_with("Kerberos");
        assert!(fs::read(&path).expect("a cache") == before, "the cache was changed");
    });
}

#[test]
fn a_cached_service_ticket_needs_no_kdc() {
    in_realm(|member| {
        let port = refused_port().expect("a port");
        let away = member.kdc.configuration_with_kdc(&[], &format!("127.0.0.1:{port}")).expect("a krb5.conf");
        let cache = cache_of(member, &administrator(), &[]);
        let run = || Run::new(member).configuration(&away).cache(&cache);
        run().assert_told(&["no Kerberos KDC of the realm LAB.TEST answers", "88"]);
        member.kdc.kvno("cifs/localhost", &cache).expect("a service ticket");
        run().assert_runs_with("Kerberos");
    });
}

#[test]
fn without_a_kdc_a_password_does_for_ntlm() {
    in_realm(|member| {
        let port = refused_port().expect("a port");
        let away = member.kdc.configuration_with_kdc(&[], &format!("127.0.0.1:{port}")).expect("a krb5.conf");
        let run = || Run::new(member).configuration(&away).password(PASSWORD);
        run().user(&administrator()).assert_falls_back(&["no Kerberos KDC of the realm LAB.TEST answers"]);
        run().user("Administrator").assert_falls_back(&["no Kerberos KDC of the realm LAB.TEST answers"]);
        run().user("Administrator@UNKNOWN.TEST").assert_told(&["STATUS_LOGON_FAILURE"]);
    });
}

#[test]
fn a_silent_kdc_is_given_up_in_time() {
    in_realm(|member| {
        let silent = SilentServer::start().expect("a server");
        let address = format!("127.0.0.1:{}", silent.port().expect("a port"));
        let configuration = member.kdc.configuration_with_kdc(&[], &address).expect("a krb5.conf");
        let cache = cache_of(member, &administrator(), &[]);
        let run = || Run::new(member).configuration(&configuration).with("connection_timeout", 3);
        let outcome = run().cache(&cache).run();
        assert!(outcome.assert_failed().contains("no answer within 3 seconds"), "{:?}", outcome.result);
        assert!(outcome.elapsed < Duration::from_secs(6), "{:?}", outcome.elapsed);
        run().user(&administrator()).password(PASSWORD).assert_falls_back(&["within 3 seconds"]);
        // A guess is not worth a minute.
        let guess = Run::new(member).configuration(&configuration).user("Administrator").password(PASSWORD);
        guess.assert_falls_back(&["no answer within 5 seconds"]);
    });
}

#[test]
fn clocks_that_differ_are_told() {
    const FAKETIME: &str = "/usr/bin/faketime";

    in_realm(|member| {
        if !Path::new(FAKETIME).exists() {
            return not_run("Debian's package faketime is not installed");
        }
        let run = || Run::new(member).under(&[FAKETIME, "-f", "+20m"]);
        let words = ["clock", "NTP"];
        run().user(&administrator()).password(PASSWORD).assert_told(&words);
        let cache = cache_of(member, &administrator(), &[]);
        run().cache(&cache).assert_told(&words);
        member.kdc.kvno("cifs/localhost", &cache).expect("a service ticket");
        run().cache(&cache).assert_told(&["clock"]);
    });
}

#[test]
fn an_address_has_no_ticket() {
    in_realm(|member| {
        let run = || Run::new(member).with("hostname", "127.0.0.1");
        let cache = cache_of(member, &administrator(), &[]);
        run().cache(&cache).assert_told(&["knows hosts by their names", "127.0.0.1", "NTLM"]);
        run().user(&administrator()).password(PASSWORD).assert_falls_back(&["127.0.0.1"]);
    });
}

#[test]
fn a_service_principal_that_is_named_serves_for_any_name() {
    in_realm(|member| {
        let cache = cache_of(member, &administrator(), &[]);
        let placeless = member.kdc.configuration_without_place(&["default_realm = NOWHERE.TEST"]);
        let placeless = placeless.expect("a krb5.conf");
        for host in ["127.0.0.1", "127.0.1"] {
            let run = |principal: &str| {
                Run::new(member).with("hostname", host).variable("PSEXEC_SERVICE_PRINCIPAL", principal)
            };
            run("cifs/localhost").cache(&cache).assert_runs_with("Kerberos");
            run("cifs/localhost").user(&administrator()).password(PASSWORD).assert_runs_with("Kerberos");
            run("cifs/localhost").user("Administrator").password(PASSWORD).assert_runs_with("Kerberos");
            let realm_named = run("cifs/localhost@LAB.TEST").configuration(&placeless);
            realm_named.cache(&cache).assert_runs_with("Kerberos");
            run("cifs/other.test").cache(&cache).assert_told(&["no service cifs/other.test"]);
            // NTLM names it, too, and no hosts of ours look at it.
            run("cifs/localhost").user(r".\Administrator").password(PASSWORD).assert_runs_with("NTLMv2");
        }
        let outcome = Run::new(member).cache(&cache).variable("PSEXEC_SERVICE_PRINCIPAL", "localhost").run();
        assert!(outcome.assert_failed().contains("PSEXEC_SERVICE_PRINCIPAL"), "{:?}", outcome.result);
    });
}

#[test]
fn krb5_conf_says_how_names_are_completed() {
    in_realm(|member| {
        // The resolver knows this short form of an address, the KDC does not.
        let run = || Run::new(member).with("hostname", "127.0.1");
        let cache = cache_of(member, &administrator(), &[]);
        run().cache(&cache).assert_told(&["the KDC has no service cifs/127.0.1", "rdns"]);
        run().user(&administrator()).password(PASSWORD).assert_falls_back(&["cifs/127.0.1"]);
        // The name that the resolver has for the address is asked for only where krb5.conf says so.
        let forward = run().cache(&cache).defaults(&["dns_canonicalize_hostname = true"]);
        forward.assert_told(&["the KDC has no service cifs/127.", "PSEXEC_SERVICE_PRINCIPAL"]);
        for setting in ["dns_canonicalize_hostname = true", "dns_canonicalize_hostname = fallback"] {
            run().cache(&cache).defaults(&[setting, "rdns = true"]).assert_runs_with("Kerberos");
        }
    });
}

/// A run that takes longer than its ticket: what is asked of the host after that is refused, until the session is
/// authenticated anew.
#[test]
fn a_session_outlives_its_ticket() {
    in_realm(|member| {
        let program = member.host.probe_path();
        let arguments = format!("/c {program} sleep {} & {program} emit both 300000", COMMAND.as_millis());
        let lifetime = format!("{}s", TICKET.as_secs());
        let run = || Run::new(member).with("executable", "cmd.exe").with("arguments", arguments.as_str());
        let lines = [format!("ticket_lifetime = {lifetime}")];
        let short = || run().defaults(&lines.each_ref().map(String::as_str));
        let renewed = cache_of(member, &administrator(), &["-l", &lifetime]);
        let forgotten = cache_of(member, &administrator(), &["-l", &lifetime]);
        thread::scope(|scope| {
            // A password gets another ticket, on encrypted connections and on signed ones.
            for encrypt in [true, false] {
                let run = short().user(&administrator()).password(PASSWORD).with("encrypt", encrypt);
                scope.spawn(move || assert_outlived(&run.run()));
            }
            // So does somebody who runs kinit meanwhile.
            let with_cache = run().cache(&renewed);
            scope.spawn(move || assert_outlived(&with_cache.run()));
            let renewal = renewed.as_str();
            scope.spawn(move || {
                thread::sleep(TICKET / 2);
                member.kdc.kinit(&administrator(), renewal, &["-l", "1h"]).expect("a ticket");
            });
            // And without, what has happened is told.
            let with_cache = run().cache(&forgotten);
            scope.spawn(move || {
                let warnings = assert_ended_with_its_ticket(&with_cache.run(), &["expired", "kinit"]);
                assert!(warnings.contains("the host's next restart"), "{warnings}");
            });
            // A password whose KDC has gone away still does to clean up.
            let way = Proxy::start(("127.0.0.1", member.kdc.port()), Behaviour::default()).expect("a proxy");
            let defaults = [lines[0].as_str(), "udp_preference_limit = 1"];
            let address = format!("127.0.0.1:{}", way.port());
            let configuration = member.kdc.configuration_with_kdc(&defaults, &address).expect("a krb5.conf");
            let cut_off = run().configuration(&configuration).user(&administrator()).password(PASSWORD);
            scope.spawn(move || {
                let warnings = assert_ended_with_its_ticket(&cut_off.run(), &["no Kerberos KDC", "answers"]);
                assert!(warnings.contains("NTLM was used in place of Kerberos"), "{warnings}");
                assert!(!warnings.contains("the host's next restart"), "{warnings}");
            });
            scope.spawn(move || {
                thread::sleep(TICKET / 2);
                drop(way);
            });
        });
        // Nobody was there to remove the file of the one without a ticket; its service has removed itself.
        remove_files_of_services(member);
    });
}

/// How long a ticket lasts, and how long a command does that outlives it.
const TICKET: Duration = Duration::from_secs(12);
const COMMAND: Duration = Duration::from_secs(18);

#[track_caller]
fn assert_outlived(outcome: &Outcome) {
    outcome.assert_ran(0);
    assert_eq!(outcome.text("stderr").len(), 300_000);
    assert!(outcome.text("stdout").ends_with(outcome.text("stderr")));
    assert!(!outcome.has("warnings"), "{:?}", outcome.result["warnings"]);
    let trace = outcome.result["trace"].to_string();
    assert!(trace.contains("authenticated anew"), "{trace}");
    assert!(trace.contains("authenticated with Kerberos "), "{trace}");
}

/// Fails the test unless the run has failed because there was no new ticket, for a reason with these words in it; answers
/// its warnings.
#[track_caller]
fn assert_ended_with_its_ticket(outcome: &Outcome, words: &[&str]) -> String {
    let message = outcome.assert_failed();
    for word in ["outlived its Kerberos ticket"].iter().chain(words) {
        assert!(message.contains(word), "no {word:?} in: {message}");
    }
    outcome.result.get("warnings").map(Value::to_string).unwrap_or_default()
}

/// Removes what a service leaves that ends without its client, as soon as it has ended.
#[track_caller]
fn remove_files_of_services(member: &Member) {
    let windows = member.host.lab().expect("the lab").drive_c().join("windows");
    let is_ours = |name: &str| name.starts_with("native.windows.psexec-");
    let started = Instant::now();
    loop {
        let files = fs::read_dir(&windows).expect("a folder").flatten();
        let left: Vec<_> = files
            .filter(|file| file.file_name().to_str().is_some_and(is_ours))
            .map(|file| file.path())
            .collect();
        let snapshot = member.host.snapshot().expect("a snapshot");
        if !snapshot.services.iter().any(|service| is_ours(service)) {
            return left.iter().for_each(|file| fs::remove_file(file).expect("a file that nobody holds"));
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{left:?}, {:?}", snapshot.services);
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_host_that_has_left_its_realm_takes_ntlm_from_users_of_its_own() {
    in_realm(|member| {
        let smb_conf =
            member.kdc.smb_conf().into_iter().filter(|line| line.starts_with("username map")).collect();
        let host = Host::of_lab(&LabOptions { smb_conf, ..LabOptions::default() });
        let cache = cache_of(member, &administrator(), &[]);
        let run = || Run::new(member).with("port", host.port());
        let words = ["does not offer Kerberos", "cifs/localhost"];
        run().cache(&cache).assert_told(&words);
        run().user(&administrator()).password(PASSWORD).assert_told(&words);
        run().user(r".\Administrator").password(PASSWORD).assert_runs_with("NTLMv2");
        // Under this name there is no ticket for it.
        let run = || run().with("hostname", "127.0.1");
        run().user(&administrator()).password(PASSWORD).assert_falls_back(&["cifs/127.0.1"]);
    });
}
