//! Kerberos realms on loopback: MIT's KDC, and what the lab's smbd needs to be a member.

use std::env;
use std::fs::{self, DirBuilder};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::lab::{ADMINISTRATOR, UNICODE_ADMINISTRATOR};

/// The realm of the lab host.
pub const REALM: &str = "LAB.TEST";

/// A realm that trusts the host's, and is trusted by it.
pub const OTHER_REALM: &str = "OTHER.TEST";

/// Another, of a time when trusts had keys for RC4 only.
pub const OLD_REALM: &str = "OLD.TEST";

/// What an administrator of [`REALM`] is called whose domain is no realm: an alias, as a UPN often is.
pub const ALIAS: &str = "boss@corp.test";

/// Another, whose domain is the realm, which has no principal of this name.
pub const ALIAS_IN_REALM: &str = "chief@lab.test";

/// A name of the host that the KDCs know the realm of. A resolver has to be told of it.
pub const REFERRED_HOST: &str = "host.lab.test";

/// A name by which the resolver knows the host, and under which its service has a key for RC4 only.
pub const OLD_HOST: &str = "127.1";

/// The password of every principal that has no other.
pub const PASSWORD: &str = ADMINISTRATOR.password;

/// Debian's packages that the KDC is made of, each with a file that it brings.
const PACKAGES: [(&str, &str); 3] = [
    ("krb5-kdc", "/usr/sbin/krb5kdc"),
    ("krb5-admin-server", "/usr/sbin/kadmin.local"),
    ("krb5-user", "/usr/bin/kinit"),
];

/// Debian's packages that single tests want beside: a daemon that keeps caches, and clocks that go wrong.
const WANTED: [(&str, &str); 2] = [("heimdal-kcm", "/usr/sbin/kcm"), ("faketime", "/usr/bin/faketime")];

/// Which of Debian's packages the tests of Kerberos still need.
pub fn debian_packages_missing() -> Vec<&'static str> {
    [missing(&PACKAGES), missing(&WANTED)].concat()
}

fn missing(packages: &[(&'static str, &str)]) -> Vec<&'static str> {
    packages.iter().filter(|(_, file)| !Path::new(file).exists()).map(|(package, _)| *package).collect()
}

/// A running KDC of the realms. Dropping it stops it and removes its folder, and so does the end of this program.
///
/// The principals of [`REALM`]: the lab's two administrators with their passwords, `aes128` and `aes256-sha2` (which have a key of this type only),
/// `rc4` (likewise), `locked`, `expired` (whose password is), and the host's `cifs/localhost` and those of its
/// other names; beside them [`ALIAS`] and [`ALIAS_IN_REALM`], which this KDC knows by these names alone. The
/// other realms have `Administrator`. The host takes `Administrator`, `rc4` and the aliases for its administrator.
#[derive(Debug)]
pub struct Kdc {
    folder: PathBuf,
    /// The realms with their ports.
    realms: [(&'static str, u16); 3],
    process: Option<Child>,
}

impl Kdc {
    /// Creates the realms and starts the KDC: about a second.
    pub fn start() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);

        let missing = missing(&PACKAGES);
        ensure!(missing.is_empty(), "the KDC needs Debian's packages {}", missing.join(", "));
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Not below our own folder, whose path may have a space: kadmin.local takes it for the end of a keytab's name.
        let folder = env::temp_dir().join(format!("psexec-kdc-{}-{count}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&folder)?;
        let realms = [(REALM, free_port()?), (OTHER_REALM, free_port()?), (OLD_REALM, free_port()?)];
        let mut kdc = Self { folder, realms, process: None };
        kdc.configure()?;
        kdc.create_principals()?;
        kdc.process = Some(kdc.spawn()?);
        kdc.wait()?;
        Ok(kdc)
    }

    /// The lines of smb.conf that make the lab's smbd a service of [`REALM`], for clients that call it `localhost`.
    pub fn smb_conf(&self) -> Vec<String> {
        let folder = self.folder.display();
        vec![
            format!("realm = {REALM}"),
            "kerberos method = dedicated keytab".into(),
            format!("dedicated keytab file = FILE:{folder}/smb.keytab"),
            format!("username map = {folder}/username.map"),
        ]
    }

    /// A krb5.conf for clients that knows the realms; what is given goes into its `[libdefaults]`, in front.
    pub fn configuration(&self, defaults: &[&str]) -> Result<PathBuf> {
        self.configuration_with_kdc(defaults, &self.address())
    }

    /// Like [`Self::configuration`], with another address for the KDC of [`REALM`].
    pub fn configuration_with_kdc(&self, defaults: &[&str], address: &str) -> Result<PathBuf> {
        let place = format!("[domain_realm]\n localhost = {REALM}\n");
        self.write_configuration(defaults, address, &place)
    }

    /// Like [`Self::configuration`], without a word about the realm of the host: the KDCs have to say it.
    pub fn configuration_without_place(&self, defaults: &[&str]) -> Result<PathBuf> {
        self.write_configuration(defaults, &self.address(), "")
    }

    /// Like [`Self::configuration_with_kdc`], without a realm for users who name none.
    pub fn configuration_without_default_realm(&self, address: &str) -> Result<PathBuf> {
        let path = self.configuration_with_kdc(&[], address)?;
        let text = fs::read_to_string(&path)?;
        fs::write(&path, text.replace(&format!("default_realm = {REALM}"), ""))?;
        Ok(path)
    }

    /// A path in the KDC's folder that nobody has had yet, for a credential cache.
    pub fn fresh_path(&self) -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(0);

        self.folder.join(format!("fresh-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    /// Gets a ticket-granting ticket with MIT's kinit.
    pub fn kinit(&self, principal: &str, cache: &str, options: &[&str]) -> Result<()> {
        self.kinit_as(&self.configuration(&[])?, principal, cache, options)
    }

    /// Like [`Self::kinit`], with this krb5.conf.
    pub fn kinit_as(
        &self,
        configuration: &Path,
        principal: &str,
        cache: &str,
        options: &[&str],
    ) -> Result<()> {
        let mut kinit = Command::new("/usr/bin/kinit");
        kinit.env("KRB5_CONFIG", configuration).args(["-c", cache]).args(options).arg(principal);
        feed(&mut kinit, &format!("{PASSWORD}\n"))
    }

    /// Gets a ticket-granting ticket into a collection with MIT's kinit: into another cache for each principal.
    pub fn kinit_into(&self, collection: &str, principal: &str) -> Result<()> {
        let mut kinit = Command::new("/usr/bin/kinit");
        kinit.env("KRB5_CONFIG", self.configuration(&[])?).env("KRB5CCNAME", collection).arg(principal);
        feed(&mut kinit, &format!("{PASSWORD}\n"))
    }

    /// Destroys all caches of a collection with MIT's kdestroy.
    pub fn kdestroy(&self, collection: &str) -> Result<()> {
        feed(Command::new("/usr/bin/kdestroy").env("KRB5CCNAME", collection).args(["-A", "-q"]), "")
    }

    /// Gets a service ticket into a cache with MIT's kvno.
    pub fn kvno(&self, service: &str, cache: &str) -> Result<()> {
        self.kvno_as(&self.configuration(&[])?, service, cache)
    }

    /// Like [`Self::kvno`], with this krb5.conf.
    pub fn kvno_as(&self, configuration: &Path, service: &str, cache: &str) -> Result<()> {
        let mut kvno = Command::new("/usr/bin/kvno");
        feed(kvno.env("KRB5_CONFIG", configuration).args(["-c", cache]).arg(service), "")
    }

    /// What MIT's klist says of a cache, with encryption types.
    pub fn klist(&self, cache: &str) -> Result<String> {
        let output = Command::new("/usr/bin/klist").args(["-e", "-c", cache]).output()?;
        ensure!(output.status.success(), "klist failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The port of the KDC of [`REALM`].
    pub fn port(&self) -> u16 {
        let [(_, port), ..] = self.realms;
        port
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    fn configure(&self) -> Result<()> {
        let folder = self.folder.display();
        let mut kdc_conf = String::from("[realms]\n");
        for (realm, port) in self.realms {
            kdc_conf += &format!(
                "{realm} = {{\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n \
                 database_name = {folder}/{realm}\n key_stash_file = {folder}/{realm}.stash\n \
                 acl_file = {folder}/kadm5.acl\n disable_pac = true\n host_based_services = cifs\n \
                 supported_enctypes = aes256-cts:normal aes128-cts:normal arcfour-hmac:normal\n}}\n"
            );
        }
        fs::write(self.folder.join("kdc.conf"), kdc_conf)?;
        let krb5_conf = format!(
            "[libdefaults]\n default_realm = {REALM}\n allow_weak_crypto = true\n allow_rc4 = true\n dns_lookup_kdc = false\n\
             [domain_realm]\n {REFERRED_HOST} = {REALM}\n"
        );
        fs::write(self.folder.join("krb5.conf"), krb5_conf)?;
        let user = ADMINISTRATOR.name;
        // smbd puts its workgroup before the principals of its own realm, and before others their realm.
        let unicode = UNICODE_ADMINISTRATOR.name;
        // What it makes of an alias, in which it takes the first of two @ for the one before the realm.
        let alias = |alias: &str| {
            let (name, domain) = alias.split_once('@').unwrap_or((alias, ""));
            format!("{domain}@{REALM}\\{name}")
        };
        let aliases = [ALIAS, ALIAS_IN_REALM].map(alias).join(" ");
        let map = format!(
            "root = {aliases} {user} WORKGROUP\\{user} {OTHER_REALM}\\{user} {OLD_REALM}\\{user} WORKGROUP\\rc4 {user}@{REALM}\n\
             sync = {unicode} WORKGROUP\\{unicode} {unicode}@{REALM}\n"
        );
        fs::write(self.folder.join("username.map"), map)?;
        Ok(())
    }

    fn create_principals(&self) -> Result<()> {
        for (realm, _) in self.realms {
            let mut create = self.command("kdb5_util", realm);
            feed(create.args(["create", "-s", "-P", "master-key-of-a-lab"]), "")?;
        }
        let (user, unicode) = (ADMINISTRATOR.name, UNICODE_ADMINISTRATOR);
        let keytab = self.folder.join("smb.keytab");
        let keytab = keytab.display();
        // The key of a trust is the same on both sides.
        let trust = |realm: &str, options: &str| {
            format!(
                "addprinc {options} -pw trust krbtgt/{REALM}@{realm}\naddprinc {options} -pw trust krbtgt/{realm}@{REALM}\n"
            )
        };
        let old_session = format!("setstr krbtgt/{REALM}@{OLD_REALM} session_enctypes arcfour-hmac\n");
        let (new, old) = (trust(OTHER_REALM, ""), trust(OLD_REALM, "-e arcfour-hmac:normal"));
        let lab = format!(
            "addprinc +requires_preauth -pw {PASSWORD} {user}\n\
             addprinc +requires_preauth -pw \"{}\" {}\n\
             addprinc -e aes128-cts:normal -pw {PASSWORD} aes128\n\
             addprinc -e aes256-sha2:normal -pw {PASSWORD} aes256-sha2\n\
             addprinc -e arcfour-hmac:normal -pw {PASSWORD} rc4\n\
             addprinc +requires_preauth -pw {PASSWORD} {}\n\
             addprinc -pw {PASSWORD} {}\n\
             addprinc -allow_tix -pw {PASSWORD} locked\n\
             addprinc -pwexpire yesterday -pw {PASSWORD} expired\n\
             addprinc -randkey cifs/localhost\n\
             addprinc -randkey cifs/{REFERRED_HOST}\n\
             addprinc -e arcfour-hmac:normal -randkey cifs/{OLD_HOST}\n\
             setstr cifs/{OLD_HOST} session_enctypes arcfour-hmac\n\
             ktadd -k {keytab} cifs/localhost cifs/{REFERRED_HOST} cifs/{OLD_HOST}\n",
            unicode.password,
            unicode.name,
            ALIAS.replace('@', r"\@"),
            ALIAS_IN_REALM.replace('@', r"\@")
        );
        let other = format!("addprinc +requires_preauth -pw {PASSWORD} {user}\n");
        feed(&mut self.command("kadmin.local", REALM), &(lab + &new + &old))?;
        feed(&mut self.command("kadmin.local", OTHER_REALM), &(other.clone() + &new))?;
        feed(&mut self.command("kadmin.local", OLD_REALM), &(other + &old + &old_session))
    }

    /// The KDC, with a shell around it that ends it together with this program.
    fn spawn(&self) -> Result<Child> {
        let mut keeper = Command::new("/bin/sh");
        keeper.args(["-c", r#""$@" & read -r _; kill $!; wait; rm -rf "$FOLDER""#, "kdc-keeper"]);
        keeper
            .args(["/usr/sbin/krb5kdc", "-n"])
            .args(self.realms.iter().flat_map(|(realm, _)| ["-r", realm]));
        keeper.env("FOLDER", &self.folder).process_group(0);
        self.set_environment(&mut keeper);
        let log = fs::File::create(self.folder.join("kdc.log"))?;
        keeper.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        keeper.spawn().context("krb5kdc does not start")
    }

    fn wait(&self) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(20);

        let started = Instant::now();
        let answers = |port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        while !self.realms.iter().all(|(_, port)| answers(*port)) {
            if started.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.folder.join("kdc.log")).unwrap_or_default();
                bail!("krb5kdc is not ready:\n{log}");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn write_configuration(&self, defaults: &[&str], address: &str, place: &str) -> Result<PathBuf> {
        let path = self.fresh_path();
        let others = self.realms[1..].iter();
        let others = others.map(|(realm, port)| format!(" {realm} = {{\n  kdc = 127.0.0.1:{port}\n }}\n"));
        let text = format!(
            "[libdefaults]\n {}\n default_realm = {REALM}\n allow_weak_crypto = true\n dns_lookup_kdc = false\n \
             dns_lookup_realm = false\n dns_canonicalize_hostname = false\n\
             [realms]\n {REALM} = {{\n  kdc = {address}\n }}\n{}{place}",
            defaults.join("\n "),
            others.collect::<String>()
        );
        fs::write(&path, text)?;
        Ok(path)
    }

    fn command(&self, program: &str, realm: &str) -> Command {
        let mut command = Command::new(Path::new("/usr/sbin").join(program));
        command.args(["-r", realm]);
        self.set_environment(&mut command);
        command
    }

    fn set_environment(&self, command: &mut Command) {
        command.env("KRB5_CONFIG", self.folder.join("krb5.conf"));
        command.env("KRB5_KDC_PROFILE", self.folder.join("kdc.conf"));
    }
}

impl Drop for Kdc {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            let _ = process.wait();
        }
    }
}

/// Runs a program that reads this from its standard input.
fn feed(command: &mut Command, input: &str) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("{name} does not start"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    // kadmin.local succeeds whatever its commands do.
    let failed = !output.status.success() || name.ends_with("kadmin.local") && stderr.contains(" while ");
    ensure!(!failed, "{name} failed: {}", stderr.trim());
    Ok(())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
