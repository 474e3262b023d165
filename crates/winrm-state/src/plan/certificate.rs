use super::Planner;
use crate::action::{Action, CertificateReference};
use crate::certificate::{Certificate, DAY, Generated};
use crate::desired::{CertificateWish, GenerateWish, LONGEST_SUBJECT, PresentListener, parse_thumbprint};
use crate::listener::{Listener, Transport};
use crate::refusal::Refusal;
use crate::state::Pfx;
use crate::thumbprint::Thumbprint;
use crate::value::same_name;

/// The certificate of a listener, and where it comes from.
pub(super) enum Chosen<'a> {
    /// The store has it.
    InStore(&'a Certificate),
    /// The PFX has it.
    InPfx(&'a Certificate),
    /// It is made.
    Made(Generated),
}

impl Chosen<'_> {
    /// What brings it into the store.
    pub(super) fn action(&self) -> Option<Action> {
        match self {
            Self::InStore(_) => None,
            Self::InPfx(certificate) => Some(Action::ImportCertificate((*certificate).clone())),
            Self::Made(generated) => Some(Action::MakeCertificate(generated.clone())),
        }
    }

    /// How the listener's action names it.
    pub(super) fn reference(&self) -> CertificateReference {
        match self {
            Self::InStore(certificate) | Self::InPfx(certificate) => {
                CertificateReference::Thumbprint(certificate.thumbprint.clone())
            }
            Self::Made(_) => CertificateReference::Made,
        }
    }

    /// Its thumbprint, or what stands for it until it is made.
    pub(super) fn thumbprint(&self) -> Thumbprint {
        match self {
            Self::InStore(certificate) | Self::InPfx(certificate) => certificate.thumbprint.clone(),
            Self::Made(_) => Thumbprint::not_yet_made(),
        }
    }
}

impl<'a> Planner<'a> {
    /// The certificate that a listener is to have; `None` if it has none, or keeps the one it has.
    pub(super) fn certificate(
        &self,
        wish: &PresentListener,
        existing: Option<&Listener>,
    ) -> Result<Option<Chosen<'a>>, Refusal> {
        if wish.transport == Transport::Http {
            return Ok(None);
        }
        let hostname = wish.hostname.as_deref().or(existing.map(|listener| listener.hostname.as_str()));
        let hostname = hostname.unwrap_or_default();
        let present = existing.and_then(|listener| listener.certificate_thumbprint.as_ref());
        let chosen = match (&wish.certificate, present) {
            (Some(certificate), _) => self.chosen(certificate, hostname, present)?,
            (None, Some(present)) => {
                if existing.is_some_and(|listener| same_name(&listener.hostname, hostname)) {
                    return Ok(None);
                }
                // A new name goes with the certificate (0x803380EA), which has to have it.
                Chosen::InStore(self.in_store(present, "The listener's certificate")?)
            }
            (None, None) => {
                return Err(Refusal::HttpsWithoutCertificate { address: wish.address.clone() });
            }
        };
        let certificate = match &chosen {
            Chosen::InStore(certificate) | Chosen::InPfx(certificate) => (*certificate).clone(),
            Chosen::Made(generated) => generated.foreseen(self.state.now),
        };
        if !hostname.is_empty() && !certificate.is_for(hostname) {
            return Err(Refusal::HostnameNotInCertificate {
                hostname: hostname.to_owned(),
                thumbprint: certificate.thumbprint.to_string(),
                names: certificate.listed_names(),
            });
        }
        Ok(Some(chosen))
    }

    /// The certificate of that thumbprint, which the option names.
    pub(super) fn in_store(&self, thumbprint: &Thumbprint, option: &str) -> Result<&'a Certificate, Refusal> {
        let found = self.state.certificates.iter().find(|certificate| certificate.thumbprint == *thumbprint);
        found.ok_or_else(|| Refusal::CertificateNotFound {
            option: option.to_owned(),
            thumbprint: thumbprint.to_string(),
        })
    }

    /// Whether a server can use it, today.
    pub(super) fn check_usable(&self, certificate: &Certificate) -> Result<(), Refusal> {
        let thumbprint = certificate.thumbprint.to_string();
        let now = self.state.now;
        if certificate.not_after < now {
            let days = now.saturating_sub(certificate.not_after) / DAY;
            return Err(Refusal::CertificateExpired { thumbprint, days });
        }
        if certificate.not_before > now {
            let days = (certificate.not_before.saturating_sub(now) / DAY).saturating_add(1);
            return Err(Refusal::CertificateNotYetValid { thumbprint, days });
        }
        if !certificate.has_private_key {
            return Err(Refusal::CertificateWithoutKey { thumbprint });
        }
        match certificate.server_authentication {
            true => Ok(()),
            false => Err(Refusal::CertificateNotForServers { thumbprint }),
        }
    }

    fn chosen(
        &self,
        wish: &CertificateWish,
        hostname: &str,
        present: Option<&Thumbprint>,
    ) -> Result<Chosen<'a>, Refusal> {
        if let Some(text) = &wish.thumbprint {
            let certificate = self.in_store(&parse_thumbprint(text)?, "certificate.thumbprint")?;
            self.check_usable(certificate)?;
            return Ok(Chosen::InStore(certificate));
        }
        if let Some(generate) = &wish.generate {
            return Ok(self.generated(generate, hostname, present));
        }
        match &self.state.pfx {
            Some(Pfx::WrongPassword) => Err(Refusal::WrongPfxPassword),
            Some(Pfx::Unreadable) | None => Err(Refusal::UnreadablePfx),
            Some(Pfx::Certificate(certificate)) => {
                self.check_usable(certificate)?;
                let there = self
                    .state
                    .certificates
                    .iter()
                    .find(|there| there.thumbprint == certificate.thumbprint && there.has_private_key);
                Ok(there.map_or(Chosen::InPfx(certificate), Chosen::InStore))
            }
        }
    }

    /// One that a task has made and that still fits, the listener's own first; or a new one.
    fn generated(&self, wish: &GenerateWish, hostname: &str, present: Option<&Thumbprint>) -> Chosen<'a> {
        let mut names: Vec<&str> = wish.names.iter().map(String::as_str).collect();
        if names.is_empty() {
            let of_host = self.state.host_names.iter().map(String::as_str);
            names.extend([hostname].into_iter().filter(|name| !name.is_empty()).chain(of_host));
        }
        let short = names.iter().copied().find(|name| name.len() <= LONGEST_SUBJECT);
        let subject = wish.subject.as_deref().or(short).unwrap_or(LOCALHOST);
        let generated = Generated {
            subject: subject.to_owned(),
            names: names.into_iter().map(str::to_owned).collect(),
            days: wish.days,
        };
        let (now, renew_before_days) = (self.state.now, wish.renew_before_days);
        let fitting = self.state.certificates.iter().filter(|there| {
            there.serves(&generated.names, now, renew_before_days)
                && wish.subject.as_ref().is_none_or(|subject| same_name(subject, &there.subject))
        });
        let best = fitting.max_by_key(|there| (Some(&there.thumbprint) == present, there.not_after));
        best.map_or(Chosen::Made(generated), Chosen::InStore)
    }
}

/// What a host is called that does not say its name.
const LOCALHOST: &str = "localhost";
