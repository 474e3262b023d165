use std::time::Duration;

use crate::credentials::Credentials;
use crate::error::AuthError;
use crate::kerberos::{self, Kerberos, KerberosError, ServiceTicket};
use crate::spnego::{self, Response};
use crate::target::Target;
use crate::{mechanism, ntlm};

/// What an authentication with a host begins with: who logs on, with whom, and by what.
#[derive(Clone)]
pub struct Authentication {
    /// Who logs on.
    pub credentials: Credentials,
    /// With whom.
    pub target: Target,
    /// Whether NTLM may take the place of Kerberos.
    pub ntlm: Ntlm,
    /// How long a KDC or a name server may take to answer a question.
    pub bound: Duration,
}

/// Whether a password may be used for NTLM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ntlm {
    /// Where Kerberos is not called for, or not to be had.
    Allowed,
    /// Never.
    Forbidden,
}

/// What came of Kerberos for a user with a password.
enum Tried {
    Started(Box<Started>),
    /// There is none to be had.
    Absent(KerberosError),
    /// Neither the user's name nor krb5.conf speaks of a realm.
    NotCalledFor,
}

/// One authentication with one host.
pub struct Negotiation {
    state: State,
    sent_mic: bool,
}

/// A negotiation and its first token.
pub struct Started {
    /// What takes the host's answer.
    pub negotiation: Negotiation,
    /// For the host.
    pub token: Vec<u8>,
    /// Why NTLM takes the place of Kerberos, where Kerberos was called for.
    pub instead_of_kerberos: Option<KerberosError>,
    /// How the same is done once more.
    pub renewal: Renewal,
}

/// An authentication by the mechanism that has been chosen once: for a session that has outlived its ticket.
#[derive(Clone)]
pub struct Renewal {
    authentication: Authentication,
    is_kerberos: bool,
}

/// The mechanism that is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mechanism {
    /// NTLMv2
    Ntlm,
    /// Kerberos
    Kerberos {
        /// Service principal of the ticket.
        service: String,
    },
}

/// The host has accepted us and has proved, where the mechanism lets it, who it is.
pub struct SecurityContext(Proven);

enum State {
    /// The host has proved nothing yet.
    Offered(Initiator),
    Proven(Proven),
}

enum Initiator {
    Ntlm(Box<ntlm::Initiator>),
    Kerberos(Box<kerberos::Initiator>),
}

enum Proven {
    Ntlm(ntlm::Session),
    Kerberos(Box<kerberos::Session>),
}

impl Authentication {
    /// Chooses the mechanism and gets what it needs. `offer` is the host's NegTokenInit2, empty if it has sent none.
    ///
    /// Nothing protects the offer: where Kerberos is called for, the KDC is asked, whatever the host offers. Once it has
    /// issued a ticket for the host, no other mechanism is taken.
    ///
    /// # Errors
    /// There is no ticket to be had, and no password that may do in its place.
    pub async fn start(&self, offer: &[u8]) -> Result<Started, AuthError> {
        let Credentials::Password { username, password } = &self.credentials else {
            return Ok(self.start_kerberos(&Kerberos::configured()?, self.bound, offer).await?);
        };
        let instead_of_kerberos = match self.try_kerberos(username, offer).await? {
            Tried::Started(started) => return Ok(*started),
            Tried::Absent(error) => Some(error),
            Tried::NotCalledFor => None,
        };
        match self.ntlm {
            Ntlm::Allowed => Ok(Started { instead_of_kerberos, ..self.start_ntlm(username, password) }),
            Ntlm::Forbidden => Err(AuthError::NtlmForbidden(instead_of_kerberos)),
        }
    }

    /// Kerberos for a user with a password.
    async fn try_kerberos(&self, username: &str, offer: &[u8]) -> Result<Tried, KerberosError> {
        if username.contains('\\') {
            return Ok(Tried::NotCalledFor);
        }
        let is_in_realm = username.contains('@');
        // Nobody has spoken of a realm, and there is no name that one could know.
        if !is_in_realm && kerberos::is_nameless(&self.target) {
            return Ok(Tried::NotCalledFor);
        }
        let kerberos = match Kerberos::configured() {
            Ok(kerberos) => kerberos,
            Err(error) => return Ok(Tried::Absent(error)),
        };
        if !is_in_realm && !kerberos.has_default_realm() {
            return Ok(Tried::NotCalledFor);
        }
        let bound = if is_in_realm { self.bound } else { self.bound.min(ASSUMED) };
        match self.start_kerberos(&kerberos, bound, offer).await {
            Ok(started) => Ok(Tried::Started(Box::new(started))),
            Err(error) if error.is_absence() => Ok(Tried::Absent(error)),
            // That the user is in the default realm was our guess: what its KDC says of this name may be said of another.
            Err(error) if !is_in_realm && error.is_before_ticket() => Ok(Tried::Absent(error)),
            Err(error) => Err(error),
        }
    }

    async fn start_kerberos(
        &self,
        kerberos: &Kerberos,
        bound: Duration,
        offer: &[u8],
    ) -> Result<Started, KerberosError> {
        let tickets = ServiceTicket::OfCacheOrNew;
        let (initiator, token) = kerberos.start(&self.credentials, &self.target, tickets, bound).await?;
        if !spnego::is_offered(offer, mechanism::KERBEROS) {
            return Err(KerberosError::NotOffered { service: initiator.service() });
        }
        Ok(self.started(Initiator::Kerberos(Box::new(initiator)), &token))
    }

    fn start_ntlm(&self, username: &str, password: &str) -> Started {
        let (initiator, token) = ntlm::Initiator::start(&self.target, username, password);
        self.started(Initiator::Ntlm(Box::new(initiator)), &token)
    }

    fn started(&self, initiator: Initiator, token: &[u8]) -> Started {
        let renewal = Renewal {
            authentication: self.clone(),
            is_kerberos: matches!(initiator, Initiator::Kerberos(_)),
        };
        let negotiation = Negotiation::with(initiator);
        let token = spnego::initial_token(negotiation.identifier(), token);
        Started { negotiation, token, instead_of_kerberos: None, renewal }
    }
}

impl Renewal {
    /// Starts anew, with a new ticket.
    ///
    /// # Errors
    /// There is none to be had any more.
    pub async fn start(&self) -> Result<Started, AuthError> {
        let Authentication { credentials, target, bound, .. } = &self.authentication;
        match credentials {
            Credentials::Password { username, password } if !self.is_kerberos => {
                Ok(self.authentication.start_ntlm(username, password))
            }
            credentials => {
                let kerberos = Kerberos::configured()?;
                let (initiator, token) =
                    kerberos.start(credentials, target, ServiceTicket::New, *bound).await?;
                Ok(self.authentication.started(Initiator::Kerberos(Box::new(initiator)), &token))
            }
        }
    }
}

impl Negotiation {
    fn with(initiator: Initiator) -> Self {
        Negotiation { state: State::Offered(initiator), sent_mic: false }
    }

    /// The mechanism that was chosen.
    pub fn mechanism(&self) -> Mechanism {
        match &self.state {
            State::Offered(Initiator::Ntlm(_)) | State::Proven(Proven::Ntlm(_)) => Mechanism::Ntlm,
            State::Offered(Initiator::Kerberos(initiator)) => {
                Mechanism::Kerberos { service: initiator.service() }
            }
            State::Proven(Proven::Kerberos(session)) => Mechanism::Kerberos { service: session.service() },
        }
    }

    /// The token that answers the host's.
    ///
    /// # Errors
    /// The host refuses us, or its token proves nothing.
    pub fn next(&mut self, token: &[u8]) -> Result<Vec<u8>, AuthError> {
        let response = self.parse(token)?;
        let answer = response.token.map(|token| self.take(token)).transpose()?.flatten();
        let list = self.mechanism_list();
        let proven = self.proven()?;
        proven.verify_mic(&list, &response)?;
        let mic = if self.sent_mic { None } else { Some(proven.make_mic(&list)?) };
        self.sent_mic = true;
        Ok(spnego::response_token(answer.as_deref(), mic.as_deref()))
    }

    /// The host has accepted us, with this token, which may be empty.
    ///
    /// # Errors
    /// It has not proved who it is.
    pub fn finish(mut self, token: &[u8]) -> Result<SecurityContext, AuthError> {
        if !token.is_empty() {
            let response = self.parse(token)?;
            if let Some(token) = response.token {
                self.take(token)?;
            }
            self.proven()?.verify_mic(&self.mechanism_list(), &response)?;
        }
        match self.state {
            State::Proven(proven) => Ok(SecurityContext(proven)),
            State::Offered(initiator) => Err(initiator.unproven()),
        }
    }

    fn parse<'a>(&self, token: &'a [u8]) -> Result<Response<'a>, AuthError> {
        let response = Response::parse(token).ok_or(AuthError::Malformed)?;
        if !response.chose(self.identifier()) {
            return Err(AuthError::NotOffered);
        }
        if response.rejected && response.token.is_none() {
            return Err(AuthError::Rejected { mechanism: self.mechanism().name() });
        }
        Ok(response)
    }

    /// Takes the mechanism's token of the host; answers ours, if there is another.
    fn take(&mut self, token: &[u8]) -> Result<Option<Vec<u8>>, AuthError> {
        let State::Offered(initiator) = &self.state else { return Err(AuthError::Malformed) };
        let (proven, answer) = match initiator {
            Initiator::Ntlm(initiator) => {
                let (session, answer) = initiator.authenticate(token)?;
                (Proven::Ntlm(session), Some(answer))
            }
            Initiator::Kerberos(initiator) => (Proven::Kerberos(Box::new(initiator.accept(token)?)), None),
        };
        self.state = State::Proven(proven);
        Ok(answer)
    }

    fn proven(&self) -> Result<&Proven, AuthError> {
        match &self.state {
            State::Proven(proven) => Ok(proven),
            State::Offered(initiator) => Err(initiator.unproven()),
        }
    }

    fn identifier(&self) -> &'static [u8] {
        match &self.state {
            State::Offered(Initiator::Ntlm(_)) | State::Proven(Proven::Ntlm(_)) => mechanism::NTLM,
            State::Offered(Initiator::Kerberos(_)) | State::Proven(Proven::Kerberos(_)) => {
                mechanism::KERBEROS
            }
        }
    }

    /// What the mechListMIC is made over.
    fn mechanism_list(&self) -> Vec<u8> {
        spnego::mechanism_list(self.identifier())
    }
}

impl SecurityContext {
    /// The session key, as long as the mechanism makes it.
    pub fn session_key(&self) -> &[u8] {
        match &self.0 {
            Proven::Ntlm(session) => session.key(),
            Proven::Kerberos(session) => session.key(),
        }
    }
}

impl Mechanism {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Mechanism::Ntlm => "NTLMv2",
            Mechanism::Kerberos { .. } => "Kerberos",
        }
    }
}

impl Initiator {
    /// The host goes on although it has proved nothing.
    fn unproven(&self) -> AuthError {
        match self {
            // It does not know us: it has not even sent its challenge.
            Initiator::Ntlm(_) => AuthError::Malformed,
            Initiator::Kerberos(initiator) => initiator.not_genuine().into(),
        }
    }
}

impl Proven {
    fn make_mic(&self, message: &[u8]) -> Result<Vec<u8>, AuthError> {
        match self {
            Proven::Ntlm(session) => Ok(session.make_mic(message)),
            Proven::Kerberos(session) => Ok(session.make_mic(message)?),
        }
    }

    /// Checks the mechListMIC, if the host has sent one.
    fn verify_mic(&self, message: &[u8], response: &Response<'_>) -> Result<(), AuthError> {
        let Some(mic) = response.mic else { return Ok(()) };
        match self {
            Proven::Ntlm(session) if session.is_mic(message, mic) => Ok(()),
            Proven::Ntlm(_) => Err(AuthError::BadMic),
            Proven::Kerberos(session) => Ok(session.verify_mic(message, mic)?),
        }
    }
}

/// How long the KDC of the default realm may take for a question about a user who may be none of its own.
const ASSUMED: Duration = Duration::from_secs(5);

/// A token of the host, or what a KDC sends.
#[cfg(fuzzing)]
pub fn security_token(bytes: &[u8]) {
    use crate::target::{ChannelBindings, ServiceClass};

    let target = Target {
        service: ServiceClass::Cifs,
        host: "host".to_owned(),
        principal: None,
        channel_bindings: ChannelBindings::NONE,
    };
    let initiators = || {
        let (ntlm, _) = ntlm::Initiator::start(&target, "user", "password");
        let kerberos = kerberos::Initiator::any(17, 16).ok();
        [
            Some(Initiator::Ntlm(Box::new(ntlm))),
            kerberos.map(|kerberos| Initiator::Kerberos(Box::new(kerberos))),
        ]
    };
    let started = || initiators().into_iter().flatten().map(Negotiation::with);
    let _ = spnego::is_offered(bytes, mechanism::KERBEROS);
    for mut negotiation in started() {
        let _ = negotiation.take(bytes);
        let _ = negotiation.next(bytes);
        let _ = negotiation.finish(bytes);
    }
    for mut negotiation in started() {
        let _ = negotiation.next(bytes);
        let _ = negotiation.finish(bytes);
    }
    for negotiation in started() {
        let _ = negotiation.finish(bytes);
    }
    kerberos::accept_fields(bytes);
    kerberos::parse_reply(bytes);
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::ntlm::tests::valid_challenge;
    use crate::target::{ChannelBindings, ServiceClass};

    fn authentication(username: &str, ntlm: Ntlm) -> Authentication {
        let password = Zeroizing::new("password".to_owned());
        let credentials = Credentials::Password { username: username.to_owned(), password };
        let target = Target {
            service: ServiceClass::Cifs,
            host: "10.0.0.1".to_owned(),
            principal: None,
            channel_bindings: ChannelBindings::NONE,
        };
        Authentication { credentials, target, ntlm, bound: Duration::ZERO }
    }

    async fn ntlm() -> Negotiation {
        let started = authentication(r".\user", Ntlm::Allowed).start(b"").await;
        started.expect("NTLM needs nobody").negotiation
    }

    fn kerberos() -> Negotiation {
        let initiator = kerberos::Initiator::any(18, 32).expect("an initiator");
        Negotiation::with(Initiator::Kerberos(Box::new(initiator)))
    }

    #[tokio::test]
    async fn a_host_that_sends_no_challenge_proves_nothing() {
        assert!(matches!(ntlm().await.finish(b""), Err(AuthError::Malformed)));
        assert!(matches!(ntlm().await.next(&spnego::response_token(None, None)), Err(AuthError::Malformed)));
        let without_proof = kerberos().finish(b"");
        assert!(matches!(without_proof, Err(AuthError::Kerberos(KerberosError::NotGenuine { .. }))));
    }

    #[tokio::test]
    async fn a_host_that_is_answered_may_accept() {
        let mut negotiation = ntlm().await;
        assert_eq!(negotiation.mechanism(), Mechanism::Ntlm);
        negotiation.next(&spnego::response_token(Some(&valid_challenge()), None)).expect("an answer");
        let context = negotiation.finish(b"").expect("a context");
        assert_eq!(context.session_key().len(), 16);
    }

    #[tokio::test]
    async fn a_challenge_is_taken_once() {
        let challenge = spnego::response_token(Some(&valid_challenge()), None);
        let mut negotiation = ntlm().await;
        negotiation.next(&challenge).expect("an answer");
        assert!(matches!(negotiation.next(&challenge), Err(AuthError::Malformed)));
    }

    #[tokio::test]
    async fn a_list_of_mechanisms_that_was_altered_is_noticed() {
        let mut negotiation = ntlm().await;
        negotiation.next(&spnego::response_token(Some(&valid_challenge()), None)).expect("an answer");
        let forged = spnego::response_token(None, Some(&[0; 16]));
        assert!(matches!(negotiation.finish(&forged), Err(AuthError::BadMic)));
    }

    #[tokio::test]
    async fn without_kerberos_to_be_had_a_password_does_for_ntlm() {
        let started = authentication("user@example.com", Ntlm::Allowed).start(b"").await.expect("NTLM");
        assert!(matches!(started.instead_of_kerberos, Some(KerberosError::HostIsAddress { .. })));
        assert_eq!(started.negotiation.mechanism(), Mechanism::Ntlm);
        let ticket = Authentication {
            credentials: Credentials::TicketOf { username: "user@example.com".to_owned() },
            ..authentication("", Ntlm::Allowed)
        };
        let refused = ticket.start(b"").await.err();
        assert!(matches!(refused, Some(AuthError::Kerberos(KerberosError::HostIsAddress { .. }))));
    }

    #[tokio::test]
    async fn ntlm_that_is_forbidden_is_never_taken() {
        for (username, is_called_for) in
            [(r".\user", false), (r"DOMAIN\user", false), ("user", false), ("user@example.com", true)]
        {
            let allowed = authentication(username, Ntlm::Allowed).start(b"").await.expect("NTLM");
            assert_eq!(allowed.instead_of_kerberos.is_some(), is_called_for, "{username}");
            match authentication(username, Ntlm::Forbidden).start(b"").await.err() {
                Some(AuthError::NtlmForbidden(instead_of)) => {
                    assert_eq!(instead_of.is_some(), is_called_for, "{username}");
                }
                other => panic!("{username}: {other:?}"),
            }
        }
    }
}
