//! API keys: who calls, in which mode, and what they may do.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use super::{
    permissions::{Permission, Permissions},
    settings,
};
use crate::{
    billing::{
        Refusal,
        id::{Bucket, Ids},
    },
    dialect::version::Version,
    store::{Connection, Fault, Store, keys},
};

/// Whose key it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The id of the key.
    pub key: Arc<str>,
    /// Enough of the key to recognise it by.
    pub hint: Arc<str>,
    pub livemode: bool,
    /// A publishable key may be known to anybody; it may do very little.
    pub publishable: bool,
    /// What it is answered in when it does not ask for a version.
    pub version: Version,
    /// What a restricted key may do.
    pub permissions: Option<Arc<Permissions>>,
}

/// Keys that were seen a moment ago. A revoked key stops working within a second.
#[derive(Debug, Default)]
pub struct Keys {
    seen: Mutex<HashMap<[u8; 32], (Caller, Instant)>>,
}

const REMEMBERED: Duration = Duration::from_secs(1);
const MOST_REMEMBERED: usize = 10_000;

impl Keys {
    /// The caller that a key stands for.
    pub async fn caller(&self, store: &Store, key: &str) -> Result<Caller, crate::engine::Failure> {
        let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        if let Some(caller) = self.remembered(&hash) {
            return Ok(caller);
        }
        let mut reader = store.reader().await?;
        let Some(found) = keys::find(&mut reader, &hash).await? else { return Err(invalid(key).into()) };
        if found.revoked_at.is_some() {
            let message = format!("Expired API Key provided: {}", hint(key));
            return Err(Refusal::invalid(message).code("api_key_expired").status(401).into());
        }
        let settings = settings::in_force(&mut reader, found.livemode).await?;
        drop(reader);
        let caller = Caller {
            key: found.id.into(),
            hint: found.hint.into(),
            livemode: found.livemode,
            publishable: found.kind == PUBLISHABLE,
            version: settings.api_version.as_deref().and_then(Version::known).unwrap_or(Version::NEWEST),
            permissions: match (&*found.kind, found.permissions) {
                (RESTRICTED, text) => {
                    let read = Permissions::parse(text.as_deref().unwrap_or_default());
                    Some(Arc::new(read.map_err(Fault::Setup)?))
                }
                _ => None,
            },
        };
        if let Ok(mut seen) = self.seen.lock() {
            if seen.len() >= MOST_REMEMBERED {
                seen.clear();
            }
            seen.insert(hash, (caller.clone(), Instant::now()));
        }
        Ok(caller)
    }

    fn remembered(&self, hash: &[u8; 32]) -> Option<Caller> {
        let seen = self.seen.lock().ok()?;
        seen.get(hash).filter(|(_, at)| at.elapsed() < REMEMBERED).map(|(caller, _)| caller.clone())
    }
}

/// The key in the `Authorization` header: Bearer, or Basic with the key as user name.
pub fn key_in(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let value = value.to_str().map_err(|_| malformed())?;
    let (scheme, rest) = value.split_once(' ').ok_or_else(malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Some(rest.trim().to_owned()));
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = base64(rest.trim()).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(malformed)?;
        return Ok(Some(decoded.split(':').next().unwrap_or_default().to_owned()));
    }
    Err(malformed())
}

fn malformed() -> Refusal {
    Refusal::invalid(
        "The Authorization header could not be read. Use Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
    )
    .status(401)
}

/// Standard base 64, padded or not.
fn base64(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = ALPHABET.iter().position(|known| *known == byte)?;
        bits = (bits << 6) | u32::try_from(digit).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

pub fn no_key() -> Refusal {
    Refusal::invalid(
        "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. \
         'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for details, or we can help at \
         https://support.stripe.com/.",
    )
    .status(401)
}

pub fn publishable_not_allowed() -> Refusal {
    Refusal::invalid(
        "This API call cannot be made with a publishable API key. Please use a secret API key. You can find a list of your API keys \
         at https://dashboard.stripe.com/account/apikeys.",
    )
    .code("secret_key_required")
    .status(401)
}

/// There is one account here: a call that names another has no access to it.
pub fn check_account(headers: &HeaderMap, caller: &Caller, own: &str) -> Result<(), Refusal> {
    let named = ["stripe-account", "stripe-context"].map(|name| headers.get(name));
    match named {
        [Some(_), Some(_)] => {
            Err(Refusal::invalid("You may only specify one of these headers: Stripe-Account, Stripe-Context."))
        }
        [Some(account), None] | [None, Some(account)] if account.as_bytes() != own.as_bytes() => {
            Err(no_access(caller, &String::from_utf8_lossy(account.as_bytes())))
        }
        _ => Ok(()),
    }
}

pub fn no_access(caller: &Caller, account: &str) -> Refusal {
    Refusal::invalid(format!(
        "The provided key '{}' does not have access to account '{account}' (or that account does not exist). Application access \
         may have been revoked.",
        caller.hint
    ))
    .code("account_invalid")
    .status(403)
}

/// What a restricted key lacks.
pub fn not_permitted(caller: &Caller, account: &str, resource: &str, permission: Permission) -> Refusal {
    Refusal::invalid(format!(
        "The provided key '{}' does not have the required permissions for this endpoint on account '{account}'. A key with \
         {resource}={permission} may make this request.",
        caller.hint
    ))
    .status(403)
}

fn invalid(key: &str) -> Refusal {
    Refusal::invalid(format!("Invalid API Key provided: {}", hint(key))).status(401)
}

/// Enough of a key to recognise it by: its prefix and its last four characters.
pub fn hint(key: &str) -> String {
    let known = ["sk_test_", "sk_live_", "pk_test_", "pk_live_", "rk_test_", "rk_live_"];
    let prefix = known.into_iter().find(|prefix| key.starts_with(prefix)).unwrap_or("");
    let rest: Vec<char> = key[prefix.len()..].chars().take(256).collect();
    let shown = if rest.len() >= 8 { 4 } else { 0 };
    let (hidden, tail) = rest.split_at(rest.len() - shown);
    format!("{prefix}{}{}", "*".repeat(hidden.len()), tail.iter().collect::<String>())
}

const SECRET: &str = "secret";
const PUBLISHABLE: &str = "publishable";
const RESTRICTED: &str = "restricted";

/// Which key to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Secret,
    Publishable,
    Restricted(Permissions),
}

impl KeyKind {
    const fn prefix(&self) -> &'static str {
        match self {
            KeyKind::Secret => "sk_test_",
            KeyKind::Publishable => "pk_test_",
            KeyKind::Restricted(_) => "rk_test_",
        }
    }
}

/// A key that was just made: the only time its text is known.
#[derive(Debug)]
pub struct NewKey {
    pub id: String,
    pub text: String,
}

/// Makes a test key: 256 bits of chance and more.
pub async fn create(connection: &mut Connection, kind: &KeyKind, ids: &mut Ids, now: i64) -> Result<NewKey, Fault> {
    let text = format!("{}{}", kind.prefix(), ids.secret(48));
    add(connection, &text, kind, ids, now).await
}

/// Keeps a given secret or publishable key.
pub async fn keep(connection: &mut Connection, text: &str, ids: &mut Ids, now: i64) -> Result<NewKey, Fault> {
    let known = [KeyKind::Secret, KeyKind::Publishable].into_iter().find(|kind| text.starts_with(kind.prefix()));
    let Some(kind) = known else {
        return Err(Fault::Setup(
            "a key must start with sk_test_ or pk_test_: there is no live processor yet".to_owned(),
        ));
    };
    add(connection, text, &kind, ids, now).await
}

async fn add(
    connection: &mut Connection,
    text: &str,
    kind: &KeyKind,
    ids: &mut Ids,
    now: i64,
) -> Result<NewKey, Fault> {
    if text.len() < 16 || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(Fault::Setup("a key needs at least 8 letters and digits after its prefix".to_owned()));
    }
    let id = ids.next("key_", Bucket::SHARED);
    let key = keys::Key {
        id: id.clone(),
        kind: match kind {
            KeyKind::Secret => SECRET,
            KeyKind::Publishable => PUBLISHABLE,
            KeyKind::Restricted(_) => RESTRICTED,
        }
        .to_owned(),
        permissions: match kind {
            KeyKind::Restricted(permissions) => Some(permissions.to_string()),
            KeyKind::Secret | KeyKind::Publishable => None,
        },
        livemode: false,
        hint: hint(text),
        created: now,
        revoked_at: None,
    };
    keys::add(connection, &key, &Sha256::digest(text.as_bytes())).await?;
    Ok(NewKey { id, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_kinds_of_authorization() {
        let key = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            key_in(&headers).map_err(|refusal| refusal.status)
        };
        assert_eq!(key("Bearer sk_test_x"), Ok(Some("sk_test_x".to_owned())));
        assert_eq!(key("Basic c2tfdGVzdF94Og=="), Ok(Some("sk_test_x".to_owned())));
        assert_eq!(key("Digest x"), Err(401));
        assert_eq!(key("Basic ***"), Err(401));
        assert_eq!(key_in(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn hints_hide_the_key() {
        assert_eq!(hint("sk_test_abcdefghijkl1234"), "sk_test_************1234");
        assert_eq!(hint("sk_test_abc"), "sk_test_***");
        assert_eq!(hint("ключ"), "****");
    }
}
