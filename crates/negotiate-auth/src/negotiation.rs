use std::time::Duration;

use crate::credentials::Credentials;
use crate::error::AuthError;
use crate::kerberos::{self, KerberosError};
use crate::spnego::{self, Response};
use crate::target::Target;
use crate::{mechanism, ntlm};

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
    /// Why NTLM takes the place of Kerberos, where it does.
    pub instead_of_kerberos: Option<KerberosError>,
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

impl Negotiation {
    /// Chooses the mechanism and gets what it needs. `offer` is the host's NegTokenInit2, empty if it has sent none;
    /// each question to a KDC or name server takes `bound` at most.
    ///
    /// # Errors
    /// There is no ticket to be had, and no password that would do in its place.
    pub async fn start(
        credentials: &Credentials,
        target: &Target<'_>,
        offer: &[u8],
        bound: Duration,
    ) -> Result<Started, AuthError> {
        let kerberos = async || {
            if !spnego::is_offered(offer, mechanism::KERBEROS) {
                return Err(KerberosError::NotOffered);
            }
            let (initiator, token) = kerberos::start(credentials, target, bound).await?;
            Ok(Started::with(Initiator::Kerberos(Box::new(initiator)), &token))
        };
        let ntlm = |username, password| {
            let (initiator, token) = ntlm::Initiator::start(target, username, password);
            Started::with(Initiator::Ntlm(Box::new(initiator)), &token)
        };
        match credentials {
            Credentials::DefaultTicket | Credentials::TicketOf { .. } => Ok(kerberos().await?),
            Credentials::Password { username, password } if is_principal(username) => {
                match kerberos().await {
                    Err(error) if error.is_absence() => {
                        Ok(Started { instead_of_kerberos: Some(error), ..ntlm(username, password) })
                    }
                    started => Ok(started?),
                }
            }
            Credentials::Password { username, password } => Ok(ntlm(username, password)),
        }
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

impl Started {
    fn with(initiator: Initiator, token: &[u8]) -> Self {
        let negotiation = Negotiation { state: State::Offered(initiator), sent_mic: false };
        let token = spnego::initial_token(negotiation.identifier(), token);
        Started { negotiation, token, instead_of_kerberos: None }
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

/// `user@domain`, not `DOMAIN\user`.
fn is_principal(username: &str) -> bool {
    username.contains('@') && !username.contains('\\')
}

/// A token of the host, or what a KDC sends.
#[cfg(fuzzing)]
pub fn security_token(bytes: &[u8]) {
    use crate::target::{ChannelBindings, ServiceClass};

    let target =
        Target { service: ServiceClass::Cifs, host: "host", channel_bindings: ChannelBindings::NONE };
    let initiators = || {
        let (ntlm, _) = ntlm::Initiator::start(&target, "user", "password");
        let kerberos = kerberos::Initiator::any(17, 16).ok();
        [
            Some(Initiator::Ntlm(Box::new(ntlm))),
            kerberos.map(|kerberos| Initiator::Kerberos(Box::new(kerberos))),
        ]
    };
    let started =
        || initiators().into_iter().flatten().map(|initiator| Started::with(initiator, b"").negotiation);
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

    const TARGET: Target<'_> =
        Target { service: ServiceClass::Cifs, host: "host", channel_bindings: ChannelBindings::NONE };

    async fn ntlm() -> Negotiation {
        let password = Zeroizing::new("password".to_owned());
        let credentials = Credentials::Password { username: r".\user".to_owned(), password };
        let started = Negotiation::start(&credentials, &TARGET, b"", Duration::ZERO).await;
        started.expect("NTLM needs nobody").negotiation
    }

    fn kerberos() -> Negotiation {
        let initiator = kerberos::Initiator::any(18, 32).expect("an initiator");
        Started::with(Initiator::Kerberos(Box::new(initiator)), b"").negotiation
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
        let password = Zeroizing::new("password".to_owned());
        let credentials = Credentials::Password { username: "user@example.com".to_owned(), password };
        let offer = spnego::initial_token(mechanism::NTLM, b"");
        let started = Negotiation::start(&credentials, &TARGET, &offer, Duration::ZERO).await.expect("NTLM");
        assert!(matches!(started.instead_of_kerberos, Some(KerberosError::NotOffered)));
        assert_eq!(started.negotiation.mechanism(), Mechanism::Ntlm);
        let ticket = Credentials::TicketOf { username: "user@example.com".to_owned() };
        let refused = Negotiation::start(&ticket, &TARGET, &offer, Duration::ZERO).await;
        assert!(matches!(refused.err(), Some(AuthError::Kerberos(KerberosError::NotOffered))));
    }
}
