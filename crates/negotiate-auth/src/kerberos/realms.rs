//! Tickets from the KDCs: AES by the crate `krb5`, and where there is none, exchanges of our own with RC4-HMAC; likewise for
//! aliases.
use std::time::Duration;

use krb5::client::{MAX_HOPS, NT_SRV_HST, NT_SRV_INST};
use krb5::config::parse_enctype_list;
use krb5::{AsyncKdcClient, ConfigError, Credentials, KdcClient, Krb5Conf, Principal};
use tokio::time::timeout;

use super::configuration::is_true;
use super::error::{KerberosError, without_referral};
use super::exchange::{Kdc, Resolved};
use super::key::RC4_HMAC;
use super::ticket::{GRANTING_SERVICE, Ticket};

/// The KDCs of all realms, each question to them bounded.
pub(super) struct Realms {
    pub(super) configuration: Krb5Conf,
    /// How long a KDC may take to answer a question.
    pub(super) bound: Duration,
}

impl Realms {
    /// The AS exchange.
    pub(super) async fn log_in(&self, client: &Principal, password: &str) -> Result<Ticket, KerberosError> {
        match self.log_in_with_aes(client, password).await {
            Err(error) if lacks_aes(&error) && self.permits_rc4() => {
                let kdc = self.locate(&client.realm).await?;
                let enctypes = self.enctypes();
                let login =
                    within(self.bound, &client.realm, kdc.log_in(client, password, &enctypes)).await?;
                login.map_err(|error| KerberosError::from_login(error, client))
            }
            outcome => outcome,
        }
    }

    /// The AS exchange for an alias, `user@domain` whatever the domain is, in the realm whose KDC may know it or say which
    /// does.
    pub(super) async fn log_in_by_alias(
        &self,
        alias: &str,
        realm: &str,
        password: &str,
    ) -> Result<Ticket, KerberosError> {
        let mut realm = realm.to_owned();
        for _ in 0..MAX_HOPS {
            let client = Principal::new(NT_ENTERPRISE, [alias], &realm);
            let (kdc, enctypes) = (self.locate(&realm).await?, self.enctypes());
            let asked = within(self.bound, &realm, kdc.log_in_by_alias(&client, password, &enctypes)).await?;
            match asked.map_err(|error| KerberosError::from_login(error, &client))? {
                Resolved::Here(ticket) => return Ok(*ticket),
                Resolved::Elsewhere(next) => realm = next,
            }
        }
        Err(KerberosError::UnknownPrincipal { principal: alias.into() })
    }

    async fn log_in_with_aes(&self, client: &Principal, password: &str) -> Result<Ticket, KerberosError> {
        let kdc = self.kdc(&client.realm).await?;
        let login = within(self.bound, &client.realm, kdc.login_with_password(client, password)).await?;
        login.map(Ticket::from).map_err(|error| KerberosError::from_login(error, client))
    }

    /// The TGS exchange, across realms.
    pub(super) async fn grant(
        &self,
        granting: &Ticket,
        service: &Principal,
    ) -> Result<Ticket, KerberosError> {
        let Some(credentials) = &granting.credentials else {
            return match granting.session_key.enctype() == RC4_HMAC && !self.permits_rc4() {
                true => Err(KerberosError::EncryptionTypes { principal: granting.client.to_string() }),
                false => self.grant_with_any(granting, service).await,
            };
        };
        match self.grant_with_aes(granting, credentials, service).await {
            Err(error) if may_lack_aes(&error) && self.permits_rc4() => {
                // What the other way says is no more helpful if it fails too.
                self.grant_with_any(granting, service).await.or(Err(error))
            }
            outcome => outcome,
        }
    }

    async fn grant_with_aes(
        &self,
        granting: &Ticket,
        credentials: &Credentials,
        service: &Principal,
    ) -> Result<Ticket, KerberosError> {
        let realm = &granting.client.realm;
        let kdc = self.kdc(realm).await?;
        let asked = within(self.bound, realm, kdc.service_ticket(credentials, service)).await?;
        asked.map(Ticket::from).map_err(|error| KerberosError::from_kdc(error, &granting.client, service))
    }

    /// From realm to realm, as each KDC refers to the next.
    async fn grant_with_any(&self, granting: &Ticket, service: &Principal) -> Result<Ticket, KerberosError> {
        let (mut granting, mut service) = (granting.clone(), service.clone());
        for _ in 0..MAX_HOPS {
            let here = granting.granting_realm()?.to_owned();
            let asked = match service.realm.is_empty() || service.realm == here {
                true => Principal::new(NT_SRV_HST, service.components.clone(), &here),
                false => Principal::new(NT_SRV_INST, [GRANTING_SERVICE, &service.realm], &here),
            };
            match self.grant_with_any_once(&granting, &asked, &here).await {
                Ok(ticket) if ticket.server.components == service.components => return Ok(ticket),
                Ok(ticket) => granting = ticket,
                // A KDC that does not refer: the host's domain may be the name of its realm.
                Err(KerberosError::UnknownService { .. }) if service.realm.is_empty() => {
                    service.realm = self.guess_realm(&service).filter(|realm| *realm != here).unwrap_or(here);
                }
                Err(error) => return Err(error),
            }
        }
        Err(KerberosError::UnknownService { service: without_referral(&service) })
    }

    async fn grant_with_any_once(
        &self,
        granting: &Ticket,
        asked: &Principal,
        realm: &str,
    ) -> Result<Ticket, KerberosError> {
        let (kdc, enctypes) = (self.locate(realm).await?, self.enctypes());
        let ticket = within(self.bound, realm, kdc.grant(granting, asked, &enctypes)).await?;
        ticket.map_err(|error| KerberosError::from_kdc(error, &granting.client, asked))
    }

    /// The domain of a service's host in capitals; the default realm if it has none.
    fn guess_realm(&self, service: &Principal) -> Option<String> {
        let domain = service.components.last()?.split_once('.').map(|(_, domain)| domain.to_uppercase());
        domain.or_else(|| self.configuration.default_realm().map(Into::into))
    }

    fn permits_rc4(&self) -> bool {
        self.enctypes().contains(&RC4_HMAC)
    }

    /// The encryption types that krb5.conf permits and we know, best first.
    fn enctypes(&self) -> Vec<i32> {
        let setting = |name| self.configuration.get(&["libdefaults", name]);
        let permitted = parse_enctype_list(setting("permitted_enctypes").unwrap_or("DEFAULT"));
        let is_rc4_allowed = setting("allow_rc4").is_none_or(is_true);
        let is_known = |enctype: &i32| matches!(enctype, 17..=20) || *enctype == RC4_HMAC && is_rc4_allowed;
        permitted.into_iter().filter(is_known).collect()
    }

    async fn kdc(&self, realm: &str) -> Result<AsyncKdcClient, KerberosError> {
        let located =
            within(self.bound, realm, AsyncKdcClient::from_config(&self.configuration, realm)).await?;
        let client: KdcClient = located.map_err(KerberosError::from_configuration)?.into_client();
        Ok(client.with_timeout(self.bound).into())
    }

    /// The KDCs of a realm for our own exchanges, also where krb5.conf leaves no AES.
    async fn locate(&self, realm: &str) -> Result<Kdc, KerberosError> {
        let addresses = match self.configuration.kdcs(realm) {
            Ok(addresses) => addresses,
            Err(_) => self.kdc(realm).await?.client().kdcs().to_vec(),
        };
        Ok(Kdc { realm: realm.into(), addresses })
    }
}

/// Name type of an alias, [RFC 6806] 5.
///
/// [RFC 6806]: https://www.rfc-editor.org/rfc/rfc6806
const NT_ENTERPRISE: i32 = 10;

/// Whether the KDC has no AES key of whom we asked for, or krb5.conf permits none.
fn lacks_aes(error: &KerberosError) -> bool {
    match error {
        KerberosError::EncryptionTypes { .. } => true,
        KerberosError::Configuration(ConfigError::BadValue { tag, .. }) => tag.ends_with("enctypes"),
        _ => false,
    }
}

/// In the TGS exchange the same may show in other ways: where a KDC has no key, the crate guesses another realm, which
/// then is not there or does not have the service.
fn may_lack_aes(error: &KerberosError) -> bool {
    lacks_aes(error)
        || matches!(error, KerberosError::UnknownRealm { .. } | KerberosError::UnknownService { .. })
}

/// Bounds what asks a KDC.
async fn within<T>(
    bound: Duration,
    realm: &str,
    asking: impl Future<Output = T>,
) -> Result<T, KerberosError> {
    timeout(bound, asking).await.map_err(|_| KerberosError::KdcAway {
        realm: realm.into(),
        reason: format!("no answer within {} seconds", bound.as_secs()),
    })
}
