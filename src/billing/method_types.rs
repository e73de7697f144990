//! Which kinds of payment method may be used: whatever is enabled, those that a list names, or all but those
//! that it names. Only cards are served, so what is chosen must leave them.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{EnumAccess, VariantAccess, Visitor},
};

use super::payment_intent::AutomaticPaymentMethods;

/// Every kind that the API knows, so that a typing error is told from a kind that is not served.
#[rustfmt::skip]
pub const KINDS: &[&str] = &[
    "acss_debit", "affirm", "afterpay_clearpay", "alipay", "alma", "amazon_pay", "au_becs_debit", "bacs_debit",
    "bancontact", "billie", "bizum", "blik", "boku_promptpay", "boleto", "capchase_pay", "card", "card_present",
    "cashapp", "check_scan", "click_to_pay", "crypto", "customer_balance", "demo_pay", "duitnow", "dummy_auth_push",
    "dummy_passthrough_card", "edenred", "eps", "fpx", "gcash", "getbalance", "gift_card", "giropay", "gopay",
    "grabpay", "id_bank_transfer", "ideal", "interac_present", "kakao_pay", "klarna", "knet", "konbini", "kr_card",
    "kr_market", "kriya", "link", "mb_way", "mobilepay", "momo", "mondu", "multibanco", "naver_pay", "netbanking",
    "ng_bank", "ng_bank_transfer", "ng_card", "ng_market", "ng_ussd", "ng_wallet", "nz_bank_account", "octopus",
    "oxxo", "p24", "paper_check", "pay_by_bank", "payco", "paynow", "paypal", "paypay", "payto", "pix", "promptpay",
    "qris", "rechnung", "revolut_pay", "samsung_pay", "satispay", "scalapay", "sepa_debit", "sequra", "shop_pay",
    "shopeepay", "sofort", "south_korea_market", "stripe_balance", "sunbit", "swish", "tamara", "test_pay",
    "touch_n_go", "truemoney", "twint", "upi", "us_bank_account", "us_cash_voucher", "vipps", "wechat_pay", "wero",
    "zip",
];

/// Those that can be named as what is not wanted.
#[rustfmt::skip]
pub const EXCLUDABLE: &[&str] = &[
    "acss_debit", "affirm", "afterpay_clearpay", "alipay", "alma", "amazon_pay", "au_becs_debit", "bacs_debit",
    "bancontact", "billie", "bizum", "blik", "boleto", "card", "cashapp", "crypto", "customer_balance", "eps", "fpx",
    "giropay", "grabpay", "ideal", "kakao_pay", "klarna", "konbini", "kr_card", "mb_way", "mobilepay", "multibanco",
    "naver_pay", "nz_bank_account", "oxxo", "p24", "pay_by_bank", "payco", "paynow", "paypal", "paypay", "payto",
    "pix", "promptpay", "revolut_pay", "samsung_pay", "satispay", "scalapay", "sepa_debit", "sequra", "sofort",
    "sunbit", "swish", "twint", "upi", "us_bank_account", "wechat_pay", "zip",
];

/// The kind that is served.
pub const SERVED: &str = "card";

/// The name of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct MethodType(String);

impl MethodType {
    pub fn is_served(&self) -> bool {
        self.0 == SERVED
    }

    pub fn is_excludable(&self) -> bool {
        EXCLUDABLE.contains(&self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for MethodType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl<'de> Visitor<'de> for Name {
            type Value = MethodType;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a kind of payment method")
            }
            fn visit_enum<A: EnumAccess<'de>>(self, kind: A) -> Result<MethodType, A::Error> {
                let (name, rest) = kind.variant()?;
                rest.unit_variant()?;
                Ok(MethodType(name))
            }
        }
        deserializer.deserialize_enum("MethodType", KINDS, Name)
    }
}

/// What was chosen. One of the three at most says something, but for what is excluded from all that is enabled.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// A filter: what of it is not served is passed over.
    pub allowed: Option<Vec<MethodType>>,
    pub excluded: Option<Vec<MethodType>>,
    /// None where the kinds were listed.
    pub automatic: Option<AutomaticPaymentMethods>,
}
