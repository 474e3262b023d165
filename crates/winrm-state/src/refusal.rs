/// Why nothing is done: what was asked for cannot be, which shows before anything is changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no setting of this name.
    #[error(
        "{option} is no setting of WinRM. Those of the service, its authentication and the shell are known, under their \
         own names (MaxConnections) or in small letters (max_connections)"
    )]
    UnknownSetting {
        /// The name.
        option: String,
    },
    /// One setting under both of its names.
    #[error("{option} and {original} are one setting: leave one of them out")]
    NamedTwice {
        /// Our name.
        option: String,
        /// WinRM's.
        original: String,
    },
    /// A value of another type.
    #[error("{option} takes {wanted}, not {given}")]
    WrongType {
        /// The option.
        option: String,
        /// What it takes.
        wanted: &'static str,
        /// What was given.
        given: String,
    },
    /// A number that WinRM does not take.
    #[error("{option} takes numbers from {lowest} to {highest}, not {given}")]
    OutOfRange {
        /// The option.
        option: String,
        /// The least.
        lowest: i64,
        /// The most.
        highest: i64,
        /// What was given.
        given: i64,
    },
    /// None of the words that the option takes.
    #[error("{option} is one of {choices}, not {given}")]
    NotAChoice {
        /// The option.
        option: String,
        /// The words.
        choices: String,
        /// What was given.
        given: String,
    },
    /// Text that is no thumbprint.
    #[error("{option} takes a thumbprint, 40 hexadecimal digits with or without spaces, not {given}")]
    BadThumbprint {
        /// The option.
        option: String,
        /// What was given.
        given: String,
    },
    /// Text that is no filter of addresses.
    #[error(
        "{option} takes *, an empty text for no address at all, or ranges such as {example}, each from the lower to the \
         higher address, not {given}"
    )]
    BadFilter {
        /// The option.
        option: String,
        /// What it could be.
        example: &'static str,
        /// What was given.
        given: String,
    },
    /// An address as listeners do not have it.
    #[error("address takes *, IP:10.0.0.1, IP:fe80::1 or MAC:00-11-22-33-44-55, not {given}")]
    BadAddress {
        /// What was given.
        given: String,
    },
    /// A path that WinRM does not take.
    #[error("url_prefix takes letters, digits, _ and /, without a slash at either end, not {given}")]
    BadUrlPrefix {
        /// What was given.
        given: String,
    },
    /// A name that no host has.
    #[error("{option} takes the name of a host as clients call it, such as web1.example.org, not {given}")]
    BadHostname {
        /// The option.
        option: &'static str,
        /// What was given.
        given: String,
    },
    /// A certificate for a listener that has no use for one.
    #[error("A listener for HTTP has no certificate: leave certificate out, or set transport to https")]
    HttpWithCertificate,
    /// A new listener for HTTPS without a certificate.
    #[error(
        "A listener for HTTPS needs a certificate, and {address} has none yet: set certificate to a thumbprint, pfx or \
         generate"
    )]
    HttpsWithoutCertificate {
        /// On what it was to listen.
        address: String,
    },
    /// More than one certificate for one listener.
    #[error("A listener has one certificate, and certificate names several: {given}. Leave one of them")]
    SeveralCertificates {
        /// Which ones.
        given: String,
    },
    /// `certificate` without anything in it.
    #[error("certificate says nothing: set one of thumbprint, pfx and generate")]
    NoCertificateNamed,
    /// A common name that no certificate can have.
    #[error(
        "certificate.generate.subject takes up to {longest} letters, not {given}: put the name into \
         certificate.generate.names, and a shorter one here"
    )]
    SubjectTooLong {
        /// What X.509 allows.
        longest: usize,
        /// What was given.
        given: String,
    },
    /// A certificate that would be replaced by every run.
    #[error(
        "certificate.generate.renew_before_days is {renew_before_days}, and the certificate would be valid for {days} \
         days: it would be replaced each time. Set renew_before_days below days"
    )]
    AlwaysRenewed {
        /// The days at whose beginning it is replaced.
        renew_before_days: u32,
        /// The days of its validity.
        days: u32,
    },
    /// The host has not got the address.
    #[error("address is {address}, which the host has not got. It has {there}")]
    AddressNotOnHost {
        /// The address.
        address: String,
        /// Those of the host.
        there: String,
    },
    /// Somebody else has the port.
    #[error("port is {port}, which {owner} has already: choose another port, or stop that first")]
    PortTaken {
        /// The port.
        port: u16,
        /// Who has it.
        owner: String,
    },
    /// The port has a certificate already, and another one.
    #[error(
        "port is {port}, where {owner} has the certificate {thumbprint}, and a port of one address has one certificate \
         (0x803380E8): choose another port, or that certificate"
    )]
    PortHasCertificate {
        /// The port.
        port: u16,
        /// Who has it.
        owner: String,
        /// The certificate.
        thumbprint: String,
    },
    /// The password does not open the PFX.
    #[error(
        "certificate.pfx cannot be opened with this password: set the password that it was exported with"
    )]
    WrongPfxPassword,
    /// The PFX is none, or has no certificate with a key.
    #[error("certificate.pfx has no certificate with a private key that the host can read")]
    UnreadablePfx,
    /// The store does not have it.
    #[error(
        "{option} is {thumbprint}, which is not in the host's store LocalMachine\\My: import the certificate there with \
         its key, or set certificate to pfx or generate"
    )]
    CertificateNotFound {
        /// The option.
        option: String,
        /// The thumbprint.
        thumbprint: String,
    },
    /// It is not valid any more.
    #[error("The certificate {thumbprint} has ended {days} days ago: choose one that is valid")]
    CertificateExpired {
        /// Which one.
        thumbprint: String,
        /// The whole days since then.
        days: i64,
    },
    /// It is not valid yet.
    #[error(
        "The certificate {thumbprint} is valid in {days} days only: choose another one, or look at the host's clock"
    )]
    CertificateNotYetValid {
        /// Which one.
        thumbprint: String,
        /// The days until then, begun ones too.
        days: i64,
    },
    /// The store has no key for it.
    #[error("The certificate {thumbprint} has no private key on the host: import it with its key, as a PFX")]
    CertificateWithoutKey {
        /// Which one.
        thumbprint: String,
    },
    /// It is for other things.
    #[error(
        "The certificate {thumbprint} is not for server authentication (0x803380EE): choose one whose extended key \
         usage has it"
    )]
    CertificateNotForServers {
        /// Which one.
        thumbprint: String,
    },
    /// It is for other hosts.
    #[error(
        "hostname is {hostname}, and the certificate {thumbprint} is for {names}: WinRM takes a name only that the \
         certificate has (0x803380E9). Set hostname to one of these, leave it out, or choose another certificate"
    )]
    HostnameNotInCertificate {
        /// The name.
        hostname: String,
        /// Which certificate.
        thumbprint: String,
        /// What it is for.
        names: String,
    },
    /// The host has no service of that name.
    #[error("The host has no service WinRM: it was removed, or this Windows comes without it")]
    NoWinRm,
    /// It may not be started.
    #[error(
        "The service WinRM is disabled, by somebody or by a policy: set its start type to automatic, or enable it where \
         it was disabled"
    )]
    ServiceDisabled,
    /// WinRM changes its configuration itself.
    #[error(
        "The service WinRM is stopped, and changes its configuration only while it runs: have it started, too"
    )]
    ServiceStopped,
    /// A setting that the next run could not read.
    #[error(
        "{option} can be read only while WinRM runs, and the same task is to leave it stopped: set it in a task before \
         that one"
    )]
    UnreadableWhileStopped {
        /// The option.
        option: String,
    },
    /// A service that runs and is not to be started.
    #[error(
        "A disabled service cannot be started: set the start type to another than disabled, or the state to stopped"
    )]
    StartedAndDisabled,
    /// A policy has another value.
    #[error(
        "{option} is to be {wanted}, and {policy} holds it at {held}: change it there, or set on_policy to warn to have \
         the rest done"
    )]
    HeldByPolicy {
        /// The option.
        option: String,
        /// What was asked for.
        wanted: String,
        /// What there is.
        held: String,
        /// The policy, as the registry names it.
        policy: String,
    },
    /// A policy has made the listener.
    #[error(
        "The listener {listener} comes from {policy} and cannot be changed or removed on the host: change it there, or \
         set on_policy to warn to have the rest done"
    )]
    ListenerHeldByPolicy {
        /// Its keys.
        listener: String,
        /// The policy, as the registry names it.
        policy: String,
    },
    /// A setting that is there to be read only.
    #[error("{option} cannot be {wanted}, as the host has {value}: {reason}. Leave it out")]
    Unchangeable {
        /// The option.
        option: String,
        /// What was asked for.
        wanted: String,
        /// What there is.
        value: String,
        /// Why nobody can change it.
        reason: &'static str,
    },
    /// A setting of other versions of WinRM.
    #[error("The WinRM of this host has no {option}: leave it out")]
    SettingNotOnHost {
        /// The option.
        option: String,
    },
}
