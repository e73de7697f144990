//! What the customer has to do before a payment or a set-up can go on.

use serde::{Deserialize, Serialize};

use super::{Moment, Refusal};
use crate::words;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NextAction {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_to_url: Option<RedirectToUrl>,
    #[serde(rename = "type")]
    pub kind: NextActionType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_stripe_sdk: Option<UseStripeSdk>,
}

words!(NextActionType { RedirectToUrl = "redirect_to_url", UseStripeSdk = "use_stripe_sdk" });

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RedirectToUrl {
    pub return_url: Option<String>,
    pub url: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UseStripeSdk {
    /// Where the customer authenticates.
    pub stripe_js: String,
    #[serde(rename = "type")]
    pub kind: SdkActionType,
}

words!(SdkActionType { ThreeDSecureRedirect = "three_d_secure_redirect" });

impl NextAction {
    /// Authentication on our page. Who gave a `return_url` is redirected there and back; everybody else
    /// has a client that opens the page by itself.
    pub fn authenticate(id: &str, client_secret: &str, return_url: Option<&str>, at: &Moment) -> NextAction {
        let url = format!("{}/authenticate/{id}?client_secret={client_secret}", at.address);
        match return_url {
            Some(return_url) => NextAction {
                redirect_to_url: Some(RedirectToUrl { return_url: Some(return_url.to_owned()), url }),
                kind: NextActionType::RedirectToUrl,
                use_stripe_sdk: None,
            },
            None => NextAction {
                redirect_to_url: None,
                kind: NextActionType::UseStripeSdk,
                use_stripe_sdk: Some(UseStripeSdk { stripe_js: url, kind: SdkActionType::ThreeDSecureRedirect }),
            },
        }
    }

    /// Where the customer wants to be afterwards.
    pub fn into_return_url(self) -> Option<String> {
        self.redirect_to_url?.return_url
    }
}

words!(
    /// How an authentication ended.
    Authentication { Succeed = "succeed", Fail = "fail" }
);

/// A web address, or the scheme of an app (`myapp://done`).
pub fn check_return_url(url: &str) -> Result<(), Refusal> {
    let scheme = url.split_once("://").filter(|(_, rest)| !rest.is_empty()).map(|(scheme, _)| scheme);
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    let printable = url.bytes().all(|byte| byte.is_ascii_graphic());
    if printable && scheme.is_some_and(is_scheme) && url.len() <= 5000 {
        return Ok(());
    }
    Err(Refusal::invalid("Not a valid URL").code("url_invalid").param("return_url"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::{Timestamp, id::Ids};

    /// `redirect_to_url` for clients that gave an address to come back to, `use_stripe_sdk` for the rest.
    #[test]
    fn whoever_can_be_redirected_is() {
        let at = Moment::new(Timestamp::new(0), Ids::new(0, [0; 32]));
        let page = format!("{}/authenticate/pi_1?client_secret=s", at.address);
        let redirect = NextAction::authenticate("pi_1", "s", Some("https://shop.test/done"), &at);
        assert_eq!(redirect.kind, NextActionType::RedirectToUrl);
        assert_eq!(redirect.redirect_to_url.as_ref().unwrap().url, page);
        assert_eq!(redirect.into_return_url().unwrap(), "https://shop.test/done");
        let sdk = NextAction::authenticate("pi_1", "s", None, &at);
        assert_eq!(sdk.kind, NextActionType::UseStripeSdk);
        assert_eq!(sdk.use_stripe_sdk.as_ref().unwrap().stripe_js, page);
        assert_eq!(sdk.into_return_url(), None);
    }

    #[test]
    fn a_return_url_must_lead_somewhere() {
        for good in ["https://shop.test/done?a=b", "http://127.0.0.1:3000", "my-app.v2://done"] {
            assert!(check_return_url(good).is_ok(), "{good}");
        }
        for bad in
            ["", "shop.test", "javascript:alert(1)", "https://", "1a://x", "https://a b", "http://x\r\ny: z", "://x"]
        {
            assert_eq!(check_return_url(bad).unwrap_err().code.as_deref(), Some("url_invalid"), "{bad}");
        }
    }
}
