//! The `Stripe-Signature` header: HMAC-SHA256 over the time and the exact bytes.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::billing::Timestamp;

/// `t=<unix>,v1=<hex>`, with one `v1` for each secret: the key is the whole secret, `whsec_` included.
pub fn header<'s>(secrets: impl Iterator<Item = &'s str>, now: Timestamp, body: &str) -> String {
    let mut header = format!("t={now}");
    for secret in secrets {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { continue };
        mac.update(format!("{now}.").as_bytes());
        mac.update(body.as_bytes());
        header.push_str(",v1=");
        for byte in mac.finalize().into_bytes() {
            // Writing to a string cannot fail.
            let _ = write!(header, "{byte:02x}");
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with another implementation: `printf '1700000000.{}' | openssl dgst -sha256 -hmac whsec_test`.
    #[test]
    fn agrees_with_openssl() {
        let signed = "v1=35495024f4ef3f94e5a93e22221544c4b75e9a42300cd965ab81cb85cd994e91";
        let now = Timestamp::new(1_700_000_000);
        assert_eq!(header(["whsec_test"].into_iter(), now, "{}"), format!("t=1700000000,{signed}"));
        let both = header(["whsec_new", "whsec_test"].into_iter(), now, "{}");
        assert_eq!((both.matches(",v1=").count(), both.ends_with(signed)), (2, true));
    }
}
