//! The processor of test mode: every outcome is decided by the card (the table of test cards).

mod cards;
mod disputes;

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};

use super::{CardSource, Gateway, Question, Tokenized, Unanswered};
use crate::billing::{
    Timestamp,
    answer::{Answer, Decline},
    charge::RiskLevel,
    payment_intent::Action,
    payment_method::{Card, Checks, Networks, RegulatedStatus, ThreeDSecureUsage},
    shape::Null,
};
use Behaviour::{
    Authenticates, AuthenticatesIfAsked, AuthenticatesOnSession, AuthenticatesUntilSetUp, ChargesFail, Delayed,
    Disputed, IncrementFails, RefundFails, RefundPends, Refused, Risky, Suspected, Works,
};
use cards::{Behaviour, TestCard};

/// How long a processor takes that does not know at once.
const DELAY_SECONDS: i64 = 60;

/// Faults for tests to inject, and where to keep the processor's own books.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// How long every answer takes.
    pub latency: Duration,
    /// One answer in so many is lost after the money has moved. 0: none.
    pub lose_one_in: u64,
    /// One file per key: what a real processor remembers. It outlives the server, so that tests can
    /// count what was really charged.
    pub ledger: Option<PathBuf>,
}

/// The test-card processor. Outcomes follow from the card alone, so the same question always gets the
/// same answer, also after a restart.
#[derive(Debug, Default)]
pub struct TestCards {
    faults: Faults,
    asked: AtomicU64,
}

impl TestCards {
    pub fn new(faults: Faults) -> Self {
        TestCards { faults, asked: AtomicU64::new(0) }
    }

    fn answer(question: &Question) -> Answer {
        match question.action {
            Action::Sale | Action::Authorize => Self::charge(question),
            Action::Inquire => Self::outcome(question),
            Action::Refund => Self::refund(question),
            Action::InquireRefund => Self::refunded(question),
            Action::Capture => match behaviour_of(&question.token) {
                Some(Disputed(_) | Suspected) => troubled(question.token.clone()),
                _ => approved(question.token.clone(), RiskLevel::Normal),
            },
            Action::Increment => match behaviour_of(&question.token) {
                Some(IncrementFails(code)) => Answer::Declined(decline(code)),
                _ => approved(question.token.clone(), RiskLevel::Normal),
            },
            Action::Concede | Action::Release => approved(question.token.clone(), RiskLevel::Normal),
            Action::Watch => disputes::news(question),
            Action::Contest => disputes::contested(question),
            Action::InquireDispute => disputes::ruled(question),
        }
    }

    fn charge(question: &Question) -> Answer {
        let Some(card) = cards::named(&question.token) else {
            return Answer::Declined(decline("generic_decline"));
        };
        // A reference is derived from the key: asking again finds the same payment.
        let reference = format!("{}.{}", question.key, card.name);
        let present = question.authenticated;
        match card.behaviour {
            Authenticates(_) if !present => Answer::NeedsAction,
            AuthenticatesUntilSetUp | AuthenticatesIfAsked if !present && question.three_d_secure => {
                Answer::NeedsAction
            }
            AuthenticatesUntilSetUp if !present && !question.set_up => Answer::NeedsAction,
            AuthenticatesOnSession if !present && !question.off_session => Answer::NeedsAction,
            Refused(code) | ChargesFail(code) | Authenticates(Some(code)) => Answer::Declined(decline(code)),
            Delayed(_) => Answer::Processing { reference, ask_again_after: DELAY_SECONDS },
            Risky(level) => approved(reference, level),
            Disputed(_) | Suspected if question.action == Action::Sale => troubled(reference),
            Works
            | Disputed(_)
            | Suspected
            | Authenticates(None)
            | AuthenticatesUntilSetUp
            | AuthenticatesOnSession
            | AuthenticatesIfAsked
            | IncrementFails(_)
            | RefundPends
            | RefundFails => approved(reference, RiskLevel::Normal),
        }
    }

    /// What became of a payment that was processing.
    fn outcome(question: &Question) -> Answer {
        match behaviour_of(&question.token) {
            Some(Delayed(Some(code))) => Answer::Declined(decline(code)),
            _ => approved(question.token.clone(), RiskLevel::Normal),
        }
    }

    fn refund(question: &Question) -> Answer {
        let reference = question.token.clone();
        match behaviour_of(&reference) {
            Some(RefundPends) => Answer::Processing { reference, ask_again_after: DELAY_SECONDS },
            Some(RefundFails) => Answer::Provisional { reference, ask_again_after: DELAY_SECONDS },
            _ => approved(reference, RiskLevel::Normal),
        }
    }

    /// What became of a refund.
    fn refunded(question: &Question) -> Answer {
        match behaviour_of(&question.token) {
            Some(RefundFails) => Answer::Declined(Decline {
                code: "expired_or_canceled_card".to_owned(),
                decline_code: None,
                message: "The card was closed.".to_owned(),
            }),
            _ => approved(question.token.clone(), RiskLevel::Normal),
        }
    }

    /// One file per key, and in it a line per question. A link appears whole or not at all, whenever
    /// the process is killed: it is the processor's idempotency.
    fn remember(&self, question: &Question, answer: &Answer, asked: u64) -> std::io::Result<()> {
        let Some(ledger) = &self.faults.ledger else { return Ok(()) };
        let path = ledger.join(&question.key);
        // The same may be asked twice at once.
        let draft = ledger.join(format!(".{}.{}.{asked}", question.key, std::process::id()));
        let verdict = match (answer, question.action) {
            (
                Answer::Approved { .. } | Answer::Provisional { .. },
                Action::Sale | Action::Capture | Action::Inquire,
            ) => "captured",
            (Answer::Approved { .. }, Action::Refund) => "refunded",
            _ => "refused",
        };
        fs::write(&draft, format!("{verdict} {} {}\n", question.amount, question.currency))?;
        let linked = fs::hard_link(&draft, &path);
        fs::remove_file(&draft)?;
        match linked {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                writeln!(fs::OpenOptions::new().append(true).open(&path)?, "again")
            }
            other => other,
        }
    }
}

/// The card that a payment was made with, by the payment's reference.
fn behaviour_of(reference: &str) -> Option<Behaviour> {
    let (_, name) = reference.rsplit_once('.')?;
    cards::named(name).map(|card| card.behaviour)
}

/// Whether a card must be authenticated before it is kept for later.
const fn authenticates(card: &TestCard) -> bool {
    matches!(card.behaviour, Authenticates(_) | AuthenticatesUntilSetUp | AuthenticatesOnSession)
}

/// Whether a card can be authenticated where a seller wants that.
const fn may_authenticate(card: &TestCard) -> bool {
    authenticates(card) || matches!(card.behaviour, AuthenticatesIfAsked)
}

impl Gateway for TestCards {
    fn tokenize<'a>(&'a self, source: &'a CardSource, now: Timestamp) -> BoxFuture<'a, Result<Tokenized, Decline>> {
        Box::pin(async move {
            match source {
                CardSource::Name(name) => {
                    let card = cards::named(name).ok_or_else(|| decline("incorrect_number"))?;
                    let year = year_of(now) + 1;
                    Ok(Tokenized {
                        authenticates: authenticates(card),
                        card: shown(card, 12, year, card.checks[2].is_some()),
                        may_authenticate: may_authenticate(card),
                        token: card.name.to_owned(),
                    })
                }
                CardSource::Number { number, exp_month, exp_year, cvc } => {
                    let digits: String = number.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
                    check_number(&digits)?;
                    let year = check_expiry(*exp_month, *exp_year, now)?;
                    let card = cards::numbered(&digits).ok_or_else(not_a_test_card)?;
                    if cvc.as_ref().is_some_and(|cvc| !is_cvc(cvc, card.brand)) {
                        return Err(decline("invalid_cvc"));
                    }
                    Ok(Tokenized {
                        authenticates: authenticates(card),
                        card: shown(card, *exp_month, year, cvc.is_some()),
                        may_authenticate: may_authenticate(card),
                        token: card.name.to_owned(),
                    })
                }
            }
        })
    }

    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<(), Decline>> {
        Box::pin(async move {
            match cards::named(token).map(|card| card.behaviour) {
                Some(Refused(code)) => Err(decline(code)),
                _ => Ok(()),
            }
        })
    }

    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Answer, Unanswered>> {
        Box::pin(async move {
            if !self.faults.latency.is_zero() {
                tokio::time::sleep(self.faults.latency).await;
            }
            let answer = Self::answer(question);
            let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
            self.remember(question, &answer, asked).map_err(|_| Unanswered)?;
            if self.faults.lose_one_in > 0 && asked.is_multiple_of(self.faults.lose_one_in) {
                return Err(Unanswered);
            }
            Ok(answer)
        })
    }
}

/// Three digits, and four of American Express.
fn is_cvc(cvc: &str, brand: &str) -> bool {
    cvc.len() == if brand == "amex" { 4 } else { 3 } && cvc.bytes().all(|byte| byte.is_ascii_digit())
}

/// Approved, and that will not be the last that is heard of it.
const fn troubled(reference: String) -> Answer {
    Answer::Provisional { reference, ask_again_after: DELAY_SECONDS }
}

const fn approved(reference: String, risk: RiskLevel) -> Answer {
    Answer::Approved { reference, risk }
}

fn shown(card: &TestCard, exp_month: i64, exp_year: i64, cvc_given: bool) -> Card {
    let [line1, postal_code, cvc] = card.checks;
    let hash = Sha256::digest(card.number.as_bytes());
    let fingerprint = hash.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    Card {
        brand: card.brand.to_owned(),
        checks: Checks {
            address_line1_check: line1.map(ToOwned::to_owned),
            address_postal_code_check: postal_code.map(ToOwned::to_owned),
            cvc_check: cvc_given.then(|| cvc.unwrap_or("pass").to_owned()),
        },
        country: Some(card.country.to_owned()),
        display_brand: card.brand.to_owned(),
        exp_month,
        exp_year,
        fingerprint,
        funding: card.funding.to_owned(),
        generated_from: Null,
        last4: card.number[card.number.len() - 4..].to_owned(),
        networks: Networks { available: vec![card.brand.to_owned()], preferred: Null },
        regulated_status: RegulatedStatus::Unregulated,
        three_d_secure_usage: ThreeDSecureUsage { supported: card.brand != "amex" },
        wallet: Null,
    }
}

fn check_number(digits: &str) -> Result<(), Decline> {
    let valid = (12..=19).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte.saturating_sub(b'0')) * (1 + u32::from(place % 2 == 1));
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    if valid && sum.is_multiple_of(10) { Ok(()) } else { Err(decline("incorrect_number")) }
}

fn check_expiry(month: i64, year: i64, now: Timestamp) -> Result<i64, Decline> {
    if !(1..=12).contains(&month) {
        return Err(decline("invalid_expiry_month"));
    }
    let year = if (0..100).contains(&year) { 2000 + year } else { year };
    if !(year_of(now)..=year_of(now) + 50).contains(&year) {
        return Err(decline("invalid_expiry_year"));
    }
    Ok(year)
}

fn year_of(now: Timestamp) -> i64 {
    use chrono::Datelike as _;
    chrono::DateTime::from_timestamp(now.unix_seconds(), 0).map_or(1970, |time| i64::from(time.year()))
}

fn not_a_test_card() -> Decline {
    Decline {
        code: "card_declined".to_owned(),
        decline_code: Some("test_mode_live_card".to_owned()),
        message:
            "Your card was declined. Your request was in test mode, but used a non test card. For a list of valid test \
                  cards, visit: https://stripe.com/docs/testing."
                .to_owned(),
    }
}

/// The error of a decline (decline codes and messages). Some reasons are error codes of their own; of
/// lost and stolen cards the cardholder must only hear the generic message.
pub fn decline(reason: &str) -> Decline {
    let of_its_own =
        |message: &str| Decline { code: reason.to_owned(), decline_code: None, message: message.to_owned() };
    match reason {
        "expired_card" => Decline { decline_code: Some(reason.to_owned()), ..of_its_own("Your card has expired.") },
        "incorrect_cvc" => {
            Decline { decline_code: Some(reason.to_owned()), ..of_its_own("Your card's security code is incorrect.") }
        }
        "invalid_cvc" => of_its_own("Your card's security code is invalid."),
        "incorrect_number" => of_its_own("Your card number is incorrect."),
        "invalid_expiry_month" => of_its_own("Your card's expiration month is invalid."),
        "invalid_expiry_year" => of_its_own("Your card's expiration year is invalid."),
        "processing_error" => Decline {
            decline_code: Some(reason.to_owned()),
            ..of_its_own("An error occurred while processing your card. Try again in a little bit.")
        },
        _ => Decline {
            code: "card_declined".to_owned(),
            decline_code: Some(reason.to_owned()),
            message: match reason {
                "insufficient_funds" => "Your card has insufficient funds.",
                "card_velocity_exceeded" => {
                    "Your card was declined for making repeated attempts too frequently or exceeding its amount limit."
                }
                _ => "Your card was declined.",
            }
            .to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::{Amount, Currency};

    #[test]
    fn every_card_passes_the_checks_it_must() {
        for card in cards::CARDS {
            assert_eq!(check_number(card.number), Ok(()), "{}", card.name);
        }
        assert_eq!(check_number("4242424242424241"), Err(decline("incorrect_number")));
        assert_eq!(check_number(""), Err(decline("incorrect_number")));
        assert_eq!(check_number("４２４２"), Err(decline("incorrect_number")));
    }

    fn sale(card: &str) -> Question {
        Question {
            key: "pi_1-1".to_owned(),
            action: Action::Sale,
            amount: Amount::new(1000),
            authenticated: false,
            currency: Currency::parse("usd").unwrap(),
            evidence: None,
            off_session: false,
            set_up: false,
            three_d_secure: false,
            token: card.to_owned(),
        }
    }

    fn ask(question: &Question) -> String {
        match TestCards::answer(question) {
            Answer::Approved { .. } => "works".to_owned(),
            Answer::NeedsAction => "asks".to_owned(),
            Answer::Declined(decline) => decline.reason().to_owned(),
            other => format!("{other:?}"),
        }
    }

    /// Authentication cards: on session, off session, off session once set up, and authenticated.
    #[test]
    fn cards_differ_in_when_they_want_authentication() {
        for (card, on, off, set_up, authenticated) in [
            ("visa", "works", "works", "works", "works"),
            ("authenticationRequired", "asks", "asks", "asks", "works"),
            ("authenticationRequiredOnSetup", "asks", "asks", "works", "works"),
            ("authenticationRequiredSetupForOffSession", "asks", "works", "works", "works"),
            ("threeDSecure2Required", "asks", "asks", "asks", "works"),
            ("authenticationRequiredChargeDeclinedInsufficientFunds", "asks", "asks", "asks", "insufficient_funds"),
            ("threeDSecureRequiredChargeDeclined", "asks", "asks", "asks", "generic_decline"),
            ("threeDSecureOptional", "works", "works", "works", "works"),
            ("chargeCustomerFail", "generic_decline", "generic_decline", "generic_decline", "generic_decline"),
        ] {
            let sale = sale(card);
            let later = Question { off_session: true, ..sale.clone() };
            assert_eq!(ask(&sale), on, "{card} on session");
            assert_eq!(ask(&later), off, "{card} off session");
            assert_eq!(ask(&Question { set_up: true, ..later }), set_up, "{card} set up");
            let sure = Question { authenticated: true, three_d_secure: true, ..sale };
            assert_eq!(ask(&sure), authenticated, "{card} authenticated");
        }
    }

    /// Where the seller wants it, those that can be are authenticated, set up or not.
    #[test]
    fn some_cards_are_authenticated_when_that_is_asked_for() {
        for (card, asked) in [
            ("visa", "works"),
            ("amex", "works"),
            ("threeDSecureFrictionless", "works"),
            ("threeDSecureOptional", "asks"),
            ("authenticationRequiredOnSetup", "asks"),
        ] {
            assert_eq!(ask(&Question { set_up: true, three_d_secure: true, ..sale(card) }), asked, "{card}");
        }
    }

    #[test]
    fn an_expiry_must_be_possible() {
        let now = Timestamp::new(1_793_491_200);
        assert_eq!(check_expiry(12, 34, now), Ok(2034));
        assert_eq!(check_expiry(13, 2034, now), Err(decline("invalid_expiry_month")));
        assert_eq!(check_expiry(1, 95, now), Err(decline("invalid_expiry_year")));
        assert_eq!(check_expiry(1, i64::MAX, now), Err(decline("invalid_expiry_year")));
    }
}
