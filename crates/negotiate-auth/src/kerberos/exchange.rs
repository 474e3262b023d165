//! Exchanges with the KDC where the crate `krb5` cannot have them: an account, a service or a trust has no AES key, or a
//! name is an alias that the KDC is to resolve.
//!
//! [RFC 4120] 3.1 (AS), 3.3 (TGS) and 5.4, referrals of [RFC 6806]; over TCP, 7.2.2.
//!
//! [RFC 4120]: https://www.rfc-editor.org/rfc/rfc4120
//! [RFC 6806]: https://www.rfc-editor.org/rfc/rfc6806
use std::io;
use std::time::Duration;

use krb5::{ClientError, Principal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::error::KerberosError;
use super::key::Key;
use super::message::{
    self, Authenticator, ErrorMessage, KdcReply, KeyRecipe, VERSION, encrypted_data, kerberos_time,
    principal_name, random_number,
};
use super::ticket::Ticket;
use crate::der::{GENERAL_STRING, OCTET_STRING, application, element, field, flags, integer, sequence};

/// The KDCs of a realm.
pub(super) struct Kdc {
    pub(super) realm: String,
    /// `host:port`, in the order in which they are to be tried.
    pub(super) addresses: Vec<String>,
}

/// Whom a KDC takes a name for.
pub(super) enum Resolved {
    /// Somebody of its realm, who gets a ticket-granting ticket.
    Here(Box<Ticket>),
    /// Somebody of this realm.
    Elsewhere(String),
}

/// What is asked of a KDC.
struct KdcRequest<'a> {
    /// msg-type: AS or TGS.
    kind: u8,
    client: Option<&'a Principal>,
    server: &'a Principal,
    options: u32,
    enctypes: &'a [i32],
    nonce: u32,
}

impl Kdc {
    /// The AS exchange, for an account that has a key of RC4-HMAC.
    pub(super) async fn log_in(
        &self,
        client: &Principal,
        password: &str,
        enctypes: &[i32],
    ) -> Result<Ticket, ClientError> {
        let key = Key::rc4_from_password(password);
        let server = Principal::krbtgt(&self.realm);
        let request = KdcRequest {
            kind: AS,
            client: Some(client),
            server: &server,
            options: 0,
            enctypes,
            nonce: nonce()?,
        };
        let sealed = key.encrypt(TIMESTAMP_USAGE, &timestamp()).map_err(protocol)?;
        let proof = pre_authentication(ENC_TIMESTAMP, &encrypted_data(key.enctype(), &sealed));
        let body = request.body();
        let reply = self.exchange(&request.message(Some(proof), &body)).await?;
        let reply = KdcReply::parse(&reply, AS_REPLY)?;
        reply.open(&key, AS_REPLY_USAGE, request.nonce, Some(client), &server)
    }

    /// The AS exchange for an alias, which the KDC resolves ([RFC 6806] 5 and 7): asked without a proof first, it says of
    /// what the account's key is made.
    pub(super) async fn log_in_by_alias(
        &self,
        alias: &Principal,
        password: &str,
        enctypes: &[i32],
    ) -> Result<Resolved, ClientError> {
        let server = Principal::krbtgt(&self.realm);
        let mut request = KdcRequest {
            kind: AS,
            client: Some(alias),
            server: &server,
            options: CANONICALIZE,
            enctypes,
            nonce: nonce()?,
        };
        let mut reply = self.exchange(&request.message(None, &request.body())).await?;
        let key = match ErrorMessage::parse(&reply) {
            Some(ErrorMessage { code: KDC_ERR_WRONG_REALM, client_realm: Some(realm), .. }) => {
                return Ok(Resolved::Elsewhere(realm));
            }
            Some(ErrorMessage { code: KDC_ERR_PREAUTH_REQUIRED, data: Some(data), .. }) => {
                let key = key_of(alias, password, data, enctypes)?;
                let sealed = key.encrypt(TIMESTAMP_USAGE, &timestamp()).map_err(protocol)?;
                let proof = pre_authentication(ENC_TIMESTAMP, &encrypted_data(key.enctype(), &sealed));
                request.nonce = nonce()?;
                reply = self.exchange(&request.message(Some(proof), &request.body())).await?;
                key
            }
            Some(error) => return Err(error.into()),
            // It does without a proof, as it may.
            None => {
                let data = KdcReply::parse(&reply, AS_REPLY)?.method_data.unwrap_or_default();
                key_of(alias, password, data, enctypes)?
            }
        };
        let reply = KdcReply::parse(&reply, AS_REPLY)?;
        let ticket = reply.open(&key, AS_REPLY_USAGE, request.nonce, None, &server)?;
        Ok(Resolved::Here(Box::new(ticket)))
    }

    /// One TGS exchange: the ticket that was asked for, or one for another realm's KDC.
    pub(super) async fn grant(
        &self,
        granting: &Ticket,
        server: &Principal,
        enctypes: &[i32],
    ) -> Result<Ticket, ClientError> {
        let request =
            KdcRequest { kind: TGS, client: None, server, options: CANONICALIZE, enctypes, nonce: nonce()? };
        let body = request.body();
        let key = &granting.session_key;
        let (kind, checksum) = key.checksum(BODY_CHECKSUM_USAGE, &body).map_err(protocol)?;
        let authenticator = Authenticator {
            client: &granting.client,
            checksum: (kind.into(), &checksum),
            stamp: &message::stamp(),
            subkey: None,
            sequence_number: None,
        };
        let sealed = key.encrypt(AUTHENTICATOR_USAGE, &authenticator.encode()).map_err(protocol)?;
        let proof = pre_authentication(TGS_REQ, &message::application_request(0, granting, &sealed));
        let reply = self.exchange(&request.message(Some(proof), &body)).await?;
        let reply = KdcReply::parse(&reply, TGS_REPLY)?;
        reply.open(key, TGS_REPLY_USAGE, request.nonce, Some(&granting.client), server)
    }

    /// Asks one KDC after the other.
    async fn exchange(&self, request: &[u8]) -> Result<Vec<u8>, ClientError> {
        let mut last = io::ErrorKind::NotFound.into();
        for address in &self.addresses {
            match exchange(address, request).await {
                Ok(reply) => return Ok(reply),
                Err(error) => last = error,
            }
        }
        Err(ClientError::Unreachable { realm: self.realm.clone(), last })
    }
}

impl KdcRequest<'_> {
    /// KDC-REQ-BODY.
    fn body(&self) -> Vec<u8> {
        let enctypes: Vec<_> = self.enctypes.iter().map(|&enctype| integer(enctype.into())).collect();
        let mut fields = vec![field(0, flags(self.options))];
        fields.extend(self.client.map(|client| field(1, principal_name(client))));
        fields.extend([
            field(2, element(GENERAL_STRING, self.server.realm.as_bytes())),
            field(3, principal_name(self.server)),
            field(5, kerberos_time(message::now() + LIFETIME)),
            field(7, integer(self.nonce.into())),
            field(8, sequence(&enctypes)),
        ]);
        sequence(&fields)
    }

    /// AS-REQ or TGS-REQ.
    fn message(&self, proof: Option<Vec<u8>>, body: &[u8]) -> Vec<u8> {
        let mut fields = vec![field(1, integer(VERSION)), field(2, integer(self.kind.into()))];
        fields.extend(proof.map(|proof| field(3, sequence(&[proof]))));
        fields.push(field(4, body.to_vec()));
        element(application(self.kind), &sequence(&fields))
    }
}

/// PA-ENC-TS-ENC: our time, which proves that a message is not an old one.
fn timestamp() -> Vec<u8> {
    let (time, microseconds) = message::stamp();
    sequence(&[field(0, time), field(1, microseconds)])
}

/// The account's key, of what the KDC says in METHOD-DATA.
fn key_of(
    client: &Principal,
    password: &str,
    method_data: &[u8],
    enctypes: &[i32],
) -> Result<Key, ClientError> {
    let no_key = || ClientError::Kdc { code: KDC_ERR_ETYPE_NOSUPP, text: None };
    let recipe = KeyRecipe::find(method_data, enctypes).ok_or_else(no_key)?;
    let salt = recipe.salt.map_or_else(|| client.default_salt(), <[u8]>::to_vec);
    Key::from_password(recipe.enctype, password, &salt, recipe.parameters).map_err(protocol)
}

/// PA-DATA.
fn pre_authentication(kind: i64, value: &[u8]) -> Vec<u8> {
    sequence(&[field(1, integer(kind)), field(2, element(OCTET_STRING, value))])
}

/// Message types and application tags of requests and replies.
const AS: u8 = 10;
const AS_REPLY: u8 = 11;
const TGS: u8 = 12;
const TGS_REPLY: u8 = 13;
/// Error codes, [RFC 4120] 7.5.9 and [RFC 6806].
const KDC_ERR_ETYPE_NOSUPP: i32 = 14;
const KDC_ERR_PREAUTH_REQUIRED: i32 = 25;
const KDC_ERR_WRONG_REALM: i32 = 68;
/// PA-DATA types.
const TGS_REQ: i64 = 1;
const ENC_TIMESTAMP: i64 = 2;
/// Key usages, [RFC 4120] 7.5.1.
const TIMESTAMP_USAGE: u32 = 1;
const AS_REPLY_USAGE: u32 = 3;
const BODY_CHECKSUM_USAGE: u32 = 6;
const AUTHENTICATOR_USAGE: u32 = 7;
const TGS_REPLY_USAGE: u32 = 8;
/// KDCOptions: canonicalize, which lets a KDC refer to another realm, and resolve aliases.
const CANONICALIZE: u32 = 0x0001_0000;
/// A run takes hours at most, and the KDC has its own limit.
const LIFETIME: Duration = Duration::from_secs(10 * 3600);
/// More than any reply.
const MAXIMUM: u32 = 1 << 20;
/// For one of several KDCs; the caller bounds the whole.
const PATIENCE: Duration = Duration::from_secs(5);

async fn exchange(address: &str, request: &[u8]) -> io::Result<Vec<u8>> {
    let asking = async {
        let mut kdc = TcpStream::connect(address).await?;
        let length = u32::try_from(request.len()).map_err(io::Error::other)?;
        kdc.write_all(&[&length.to_be_bytes(), request].concat()).await?;
        let length = kdc.read_u32().await?;
        if length > MAXIMUM {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut reply = vec![0; length as usize];
        kdc.read_exact(&mut reply).await?;
        Ok(reply)
    };
    tokio::time::timeout(PATIENCE, asking).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Positive as a signed number, which is what some KDCs read.
fn nonce() -> Result<u32, ClientError> {
    random_number().map_err(protocol)
}

fn protocol(error: KerberosError) -> ClientError {
    ClientError::Protocol(error.to_string())
}
