//! How we prove who we are: a sequence of SPNEGO tokens, and the session key at its end.
//!
//! | user name | password | mechanism |
//! |---|---|---|
//! | none | none | Kerberos, default principal of the credential cache |
//! | `user@REALM`, `user` | none | Kerberos, ticket of this principal in the credential caches |
//! | `user@domain` | given | Kerberos with the password; NTLM if there is no Kerberos to be had |
//! | `DOMAIN\user`, `.\user`, `user` | given | NTLM |
//!
//! INVARIANT: a refusal stands. Only where Kerberos is absent (no KDC, no such service, not offered by the host, an
//! address in place of a name) is the password used for NTLM.
mod der;
mod kerberos;
mod md;
mod ntlm;
mod spnego;

use zeroize::Zeroizing;

use crate::Connection;
use crate::error::{ErrorKind, Loss, NtStatus, PeerMisbehaved};
use crate::trace::Trace;
use kerberos::Identity;
pub use kerberos::KerberosError;
use ntlm::Ntlm;
use spnego::{Response, mechanism};

/// One authentication with one host.
pub(crate) struct Authenticator {
    mechanism: Mechanism,
    first_token: Vec<u8>,
    sent_mic: bool,
}

enum Mechanism {
    Ntlm(Box<Ntlm>),
    Kerberos(Box<kerberos::Context>),
}

impl Authenticator {
    /// Chooses the mechanism and gets what it needs; `offer` is the security buffer of the host's SMB2 NEGOTIATE.
    pub(crate) async fn new(connection: &Connection, offer: &[u8], trace: &Trace) -> Result<Self, ErrorKind> {
        let kerberos = async |identity| {
            if !spnego::is_offered(offer, mechanism::KERBEROS) {
                return Err(KerberosError::NotOffered);
            }
            let (context, token) = kerberos::start(identity, &connection.host, connection.timeout).await?;
            Ok(Authenticator::with(Mechanism::Kerberos(Box::new(context)), token))
        };
        let ntlm = |username: &str, password: &str| {
            let (ntlm, token) = Ntlm::start(&connection.host, username, password);
            Authenticator::with(Mechanism::Ntlm(Box::new(ntlm)), token)
        };
        match (&connection.username, &connection.password) {
            (None, None) => Ok(kerberos(Identity::Default).await?),
            (Some(username), None) => Ok(kerberos(Identity::Cached(username.clone())).await?),
            (None, Some(_)) => Err(ErrorKind::Credentials("there is a password, but no user name".into())),
            (Some(username), Some(password)) if is_principal(username) => {
                match kerberos(Identity::Password(username.clone(), password.clone())).await {
                    Err(error) if error.is_absence() => {
                        trace.note(format!("NTLM in place of Kerberos: {error}"));
                        Ok(ntlm(username, password))
                    }
                    outcome => Ok(outcome?),
                }
            }
            (Some(username), Some(password)) => Ok(ntlm(username, password)),
        }
    }

    /// Name of the mechanism, for the trace.
    pub(crate) fn name(&self) -> &'static str {
        match self.mechanism {
            Mechanism::Ntlm(_) => "NTLMv2",
            Mechanism::Kerberos(_) => "Kerberos",
        }
    }

    /// The token that begins.
    pub(crate) fn start(&mut self) -> Vec<u8> {
        spnego::initial_token(self.mechanism.identifier(), &std::mem::take(&mut self.first_token))
    }

    /// The token that answers the host's.
    pub(crate) fn next(&mut self, token: &[u8]) -> Result<Vec<u8>, ErrorKind> {
        let response = self.parse(token)?;
        let answer = response.token.map(|token| self.mechanism.next(token)).transpose()?.flatten();
        self.verify_mic(&response)?;
        let list = spnego::mechanism_list(self.mechanism.identifier());
        let mic = if self.sent_mic { None } else { Some(self.mechanism.make_mic(&list)?) };
        self.sent_mic = true;
        Ok(spnego::response_token(answer.as_deref(), mic.as_deref()))
    }

    /// Checks the token that came with the host's acceptance; it may be empty.
    pub(crate) fn finish(&mut self, token: &[u8]) -> Result<(), ErrorKind> {
        if token.is_empty() {
            return Ok(());
        }
        let response = self.parse(token)?;
        if let Some(token) = response.token {
            self.mechanism.next(token)?;
        }
        self.verify_mic(&response)
    }

    /// The session key, as long as the mechanism makes it. There is none for a host that has not proved, where the
    /// mechanism lets it, who it is.
    pub(crate) fn session_key(&self) -> Result<Zeroizing<Vec<u8>>, ErrorKind> {
        match &self.mechanism {
            Mechanism::Ntlm(ntlm) => ntlm.session_key(),
            Mechanism::Kerberos(context) => Ok(context.session_key()?),
        }
    }

    /// What a failed SESSION_SETUP says about the credentials.
    pub(crate) fn explain(&self, error: ErrorKind) -> ErrorKind {
        match (&self.mechanism, error) {
            (
                Mechanism::Kerberos(context),
                ErrorKind::Status {
                    status: status @ (NtStatus::LOGON_FAILURE | NtStatus::ACCESS_DENIED),
                    ..
                },
            ) => KerberosError::from_status(status, context.service()).into(),
            (_, error) => error,
        }
    }

    fn with(mechanism: Mechanism, first_token: Vec<u8>) -> Self {
        Authenticator { mechanism, first_token, sent_mic: false }
    }

    fn parse<'a>(&self, token: &'a [u8]) -> Result<Response<'a>, ErrorKind> {
        let response = Response::parse(token).ok_or(MALFORMED)?;
        if !response.chose(self.mechanism.identifier()) {
            return Err(Loss::Misbehaved(PeerMisbehaved::NotOffered).into());
        }
        if response.rejected && response.token.is_none() {
            return Err(ErrorKind::Credentials(format!("the host does not accept {}", self.name())));
        }
        Ok(response)
    }

    fn verify_mic(&mut self, response: &Response<'_>) -> Result<(), ErrorKind> {
        let list = spnego::mechanism_list(self.mechanism.identifier());
        response.mic.map_or(Ok(()), |mic| self.mechanism.verify_mic(&list, mic))
    }
}

const MALFORMED: Loss = Loss::Misbehaved(PeerMisbehaved::Malformed);

impl Mechanism {
    fn identifier(&self) -> &'static [u8] {
        match self {
            Mechanism::Ntlm(_) => mechanism::NTLM,
            Mechanism::Kerberos(_) => mechanism::KERBEROS,
        }
    }

    fn next(&mut self, token: &[u8]) -> Result<Option<Vec<u8>>, ErrorKind> {
        match self {
            Mechanism::Ntlm(ntlm) => ntlm.next(token).map(Some),
            Mechanism::Kerberos(context) => {
                context.accept(token)?;
                Ok(None)
            }
        }
    }

    fn make_mic(&mut self, message: &[u8]) -> Result<Vec<u8>, ErrorKind> {
        match self {
            Mechanism::Ntlm(ntlm) => ntlm.make_mic(message),
            Mechanism::Kerberos(context) => Ok(context.make_mic(message)?),
        }
    }

    fn verify_mic(&mut self, message: &[u8], mic: &[u8]) -> Result<(), ErrorKind> {
        match self {
            Mechanism::Ntlm(ntlm) => ntlm.verify_mic(message, mic),
            Mechanism::Kerberos(context) => Ok(context.verify_mic(message, mic)?),
        }
    }
}

/// `user@domain`, not `DOMAIN\user`.
fn is_principal(username: &str) -> bool {
    username.contains('@') && !username.contains('\\')
}

/// Bytes of a stranger through everything that takes them apart.
#[cfg(fuzzing)]
pub(crate) mod fuzzing {
    use super::*;

    /// A token of the host, or what a KDC sends.
    pub fn security_token(bytes: &[u8]) {
        let _ = spnego::is_offered(bytes, mechanism::KERBEROS);
        let (ntlm, token) = Ntlm::start("host", "user", "password");
        let mut authenticators = vec![Authenticator::with(Mechanism::Ntlm(Box::new(ntlm)), token)];
        if let Ok(context) = kerberos::Context::any(17, 16) {
            authenticators.push(Authenticator::with(Mechanism::Kerberos(Box::new(context)), Vec::new()));
        }
        for mut authenticator in authenticators {
            let _ = authenticator.mechanism.next(bytes);
            let _ = authenticator.next(bytes);
            let _ = authenticator.finish(bytes);
        }
        kerberos::accept_fields(bytes);
        kerberos::parse_reply(bytes);
    }

    /// A Kerberos credential cache, as a file or a daemon has it.
    pub fn credential_cache(bytes: &[u8]) {
        kerberos::use_cache(bytes);
    }
}
