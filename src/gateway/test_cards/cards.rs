//! The table of test cards.

use crate::billing::charge::RiskLevel;

/// A test card and how it behaves.
pub struct TestCard {
    /// What follows `pm_card_` and `tok_`.
    pub name: &'static str,
    pub number: &'static str,
    pub brand: &'static str,
    pub funding: &'static str,
    pub country: &'static str,
    pub behaviour: Behaviour,
    /// What its checks say of the first line of an address, of the postal code, and of the CVC.
    pub checks: [Option<&'static str>; 3],
}

#[derive(Clone, Copy)]
pub enum Behaviour {
    Works,
    /// Works, and the risk check frowns.
    Risky(RiskLevel),
    /// Refused from the start: it cannot even be attached.
    Refused(&'static str),
    /// Attaches, but every charge fails.
    ChargesFail(&'static str),
    /// Every payment must be authenticated; then it works, or is declined all the same.
    Authenticates(Option<&'static str>),
    /// Authenticates until it has been set up.
    AuthenticatesUntilSetUp,
    /// Authenticates on session; off session it works.
    AuthenticatesOnSession,
    /// Authenticates where the seller asks for it.
    AuthenticatesIfAsked,
    /// The outcome of a payment is known later.
    Delayed(Option<&'static str>),
    /// What is reserved cannot become more.
    IncrementFails(&'static str),
    /// Works; a refund takes its time.
    RefundPends,
    /// Works; a refund seems to, and comes back.
    RefundFails,
    /// Works; then its cardholder complains.
    Disputed(&'static [Complaint]),
    /// Works; then its issuer suspects it.
    Suspected,
}

/// What a cardholder complains of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    Fraud,
    /// As much, but only as a question.
    Inquiry,
    NotReceived,
}

use Behaviour::{
    Authenticates, AuthenticatesIfAsked, AuthenticatesOnSession, AuthenticatesUntilSetUp, ChargesFail, Delayed,
    Disputed, IncrementFails, RefundFails, RefundPends, Refused, Risky, Suspected, Works,
};

const fn card(name: &'static str, number: &'static str, brand: &'static str, behaviour: Behaviour) -> TestCard {
    TestCard { name, number, brand, funding: "credit", country: "US", behaviour, checks: [None; 3] }
}

const fn debit(name: &'static str, number: &'static str, brand: &'static str) -> TestCard {
    TestCard { funding: "debit", ..card(name, number, brand, Works) }
}

const fn of_country(name: &'static str, country: &'static str, number: &'static str) -> TestCard {
    TestCard { country, ..card(name, number, "visa", Works) }
}

const fn checked(name: &'static str, number: &'static str, checks: [Option<&'static str>; 3]) -> TestCard {
    TestCard { checks, ..card(name, number, "visa", Works) }
}

pub const CARDS: &[TestCard] = &[
    card("visa", "4242424242424242", "visa", Works),
    debit("visa_debit", "4000056655665556", "visa"),
    card("mastercard", "5555555555554444", "mastercard", Works),
    card("mastercard_2_series", "2223003122003222", "mastercard", Works),
    debit("mastercard_debit", "5200828282828210", "mastercard"),
    TestCard { funding: "prepaid", ..card("mastercard_prepaid", "5105105105105100", "mastercard", Works) },
    card("amex", "378282246310005", "amex", Works),
    card("amex_2", "371449635398431", "amex", Works),
    card("discover", "6011111111111117", "discover", Works),
    card("discover_2", "6011000990139424", "discover", Works),
    debit("discover_debit", "6011981111111113", "discover"),
    card("diners", "3056930009020004", "diners", Works),
    card("diners_14", "36227206271667", "diners", Works),
    card("jcb", "3566002020360505", "jcb", Works),
    card("unionpay", "6200000000000005", "unionpay", Works),
    debit("unionpay_debit", "6200000000000047", "unionpay"),
    card("unionpay_19", "6205500000000000004", "unionpay", Works),
    card("us", "4242424242424242", "visa", Works),
    TestCard { country: "JP", ..card("jcb_jp", "3530111333300000", "jcb", Works) },
    card("bccard", "6555900000604105", "discover", Works),
    of_country("ae", "AE", "4000007840000001"),
    of_country("ar", "AR", "4000000320000021"),
    of_country("at", "AT", "4000000400000008"),
    of_country("au", "AU", "4000000360000006"),
    of_country("be", "BE", "4000000560000004"),
    of_country("bg", "BG", "4000001000000000"),
    of_country("br", "BR", "4000000760000002"),
    of_country("by", "BY", "4000001120000005"),
    of_country("ca", "CA", "4000001240000000"),
    of_country("ch", "CH", "4000007560000009"),
    of_country("cl", "CL", "4000001520000001"),
    of_country("cn", "CN", "4000001560000002"),
    of_country("co", "CO", "4000001700000003"),
    of_country("cr", "CR", "4000001880000005"),
    of_country("cy", "CY", "4000001960000008"),
    of_country("cz", "CZ", "4000002030000002"),
    of_country("de", "DE", "4000002760000016"),
    of_country("dk", "DK", "4000002080000001"),
    of_country("ec", "EC", "4000002180000000"),
    of_country("ee", "EE", "4000002330000009"),
    of_country("es", "ES", "4000007240000007"),
    of_country("fi", "FI", "4000002460000001"),
    of_country("fr", "FR", "4000002500000003"),
    of_country("gb", "GB", "4000008260000000"),
    of_country("gi", "GI", "4000002920000005"),
    of_country("gr", "GR", "4000003000000030"),
    of_country("hk", "HK", "4000003440000004"),
    of_country("hr", "HR", "4000001910000009"),
    of_country("hu", "HU", "4000003480000005"),
    of_country("ie", "IE", "4000003720000005"),
    of_country("in", "IN", "4000003560000008"),
    of_country("it", "IT", "4000003800000008"),
    of_country("jp", "JP", "4000003920000003"),
    of_country("li", "LI", "4000004380000004"),
    of_country("lt", "LT", "4000004400000000"),
    of_country("lu", "LU", "4000004420000006"),
    of_country("lv", "LV", "4000004280000005"),
    of_country("mt", "MT", "4000004700000007"),
    of_country("mx", "MX", "4000004840008001"),
    of_country("my", "MY", "4000004580000002"),
    of_country("nl", "NL", "4000005280000002"),
    of_country("no", "NO", "4000005780000007"),
    of_country("nz", "NZ", "4000005540000008"),
    of_country("pa", "PA", "4000005910000000"),
    of_country("pe", "PE", "4000006040000068"),
    of_country("pl", "PL", "4000006160000005"),
    of_country("pt", "PT", "4000006200000007"),
    of_country("py", "PY", "4000006000000066"),
    of_country("ro", "RO", "4000006420000001"),
    of_country("sa", "SA", "4000006820000007"),
    of_country("se", "SE", "4000007520000008"),
    of_country("sg", "SG", "4000007020000003"),
    of_country("si", "SI", "4000007050000006"),
    of_country("sk", "SK", "4000007030000001"),
    of_country("th", "TH", "4000007640000003"),
    of_country("tw", "TW", "4000001580000008"),
    of_country("uy", "UY", "4000008580000003"),
    card("bypassPending", "4000000000000077", "visa", Works),
    card("visa_chargeDeclined", "4000000000000002", "visa", Refused("generic_decline")),
    card("visa_chargeDeclinedInsufficientFunds", "4000000000009995", "visa", Refused("insufficient_funds")),
    card("visa_chargeDeclinedLostCard", "4000000000009987", "visa", Refused("lost_card")),
    card("visa_chargeDeclinedStolenCard", "4000000000009979", "visa", Refused("stolen_card")),
    card("chargeDeclinedExpiredCard", "4000000000000069", "visa", Refused("expired_card")),
    card("chargeDeclinedIncorrectCvc", "4000000000000127", "visa", Refused("incorrect_cvc")),
    card("chargeDeclinedProcessingError", "4000000000000119", "visa", Refused("processing_error")),
    card("visa_chargeDeclinedVelocityLimitExceeded", "4000000000006975", "visa", Refused("card_velocity_exceeded")),
    card("chargeCustomerFail", "4000000000000341", "visa", ChargesFail("generic_decline")),
    card("visa_chargeCustomerFailLostCard", "4000000000000341", "visa", ChargesFail("lost_card")),
    card("visa_chargeCustomerFailStolenCard", "4000000000000341", "visa", ChargesFail("stolen_card")),
    card("authenticationRequired", "4000002760003184", "visa", Authenticates(None)),
    card("authenticationRequiredOnSetup", "4000002500003155", "visa", AuthenticatesUntilSetUp),
    card("authenticationRequiredSetupForOffSession", "4000003800000446", "visa", AuthenticatesOnSession),
    card(
        "authenticationRequiredChargeDeclinedInsufficientFunds",
        "4000008260003178",
        "visa",
        Authenticates(Some("insufficient_funds")),
    ),
    card("threeDSecure2Required", "4000000000003220", "visa", Authenticates(None)),
    card("threeDSecure2Required_us", "4000008400000027", "visa", Authenticates(None)),
    card("threeDSecureRequiredChargeDeclined", "4000008400001629", "visa", Authenticates(Some("generic_decline"))),
    card("threeDSecureRequiredProcessingError", "4000008400001280", "visa", ChargesFail("generic_decline")),
    card("threeDSecureOptional", "4000000000003055", "visa", AuthenticatesIfAsked),
    card("threeDSecureOptionalProcessingError", "4000000000003097", "visa", Works),
    card("threeDSecureFrictionless", "4000000032200000", "visa", Works),
    card("radarBlock", "4100000000000019", "visa", ChargesFail("highest_risk_level")),
    card("riskLevelHighest", "4000000000004954", "visa", Risky(RiskLevel::Highest)),
    card("riskLevelElevated", "4000000000009235", "visa", Risky(RiskLevel::Elevated)),
    checked("cvcCheckFail", "4000000000000101", [None, None, Some("fail")]),
    checked("avsZipFail", "4000000000000036", [Some("pass"), Some("fail"), None]),
    checked("avsLine1Fail", "4000000000000028", [Some("fail"), Some("pass"), None]),
    checked("avsFail", "4000000000000010", [Some("fail"), Some("fail"), None]),
    checked("avsUnchecked", "4000000000000044", [Some("unavailable"), Some("unavailable"), None]),
    card("createDispute", "4000000000000259", "visa", Disputed(&[Complaint::Fraud])),
    card("createDisputeProductNotReceived", "4000000000002685", "visa", Disputed(&[Complaint::NotReceived])),
    card("createDisputeInquiry", "4000000000001976", "visa", Disputed(&[Complaint::Inquiry])),
    card("createMultipleDisputes", "4000000404000079", "visa", Disputed(&[Complaint::Fraud, Complaint::Fraud])),
    card("createIssuerFraudRecord", "4000000000005423", "visa", Suspected),
    card("pendingRefund", "4000000000007726", "visa", RefundPends),
    card("refundFail", "4000000000005126", "visa", RefundFails),
    // Of this server only: what no card of Stripe's does.
    card("incrementFails", "4000000000001307", "visa", IncrementFails("insufficient_funds")),
    card("processing", "4000000000001109", "visa", Delayed(None)),
    card("processingFails", "4000000000001208", "visa", Delayed(Some("insufficient_funds"))),
];

/// The card of a shared name.
pub fn named(name: &str) -> Option<&'static TestCard> {
    let shorter = |card: &&TestCard| name.starts_with("charge") && card.name.strip_prefix("visa_") == Some(name);
    CARDS.iter().find(|card| card.name == name).or_else(|| CARDS.iter().find(shorter))
}

/// The first card with this number.
pub fn numbered(digits: &str) -> Option<&'static TestCard> {
    CARDS.iter().find(|card| card.number == digits)
}
