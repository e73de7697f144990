//! Payments that are called into question. What becomes of a dispute is decided by the text that it is answered
//! with, and remembered in its reference, so that the same question always gets the same answer.

use super::{
    DELAY_SECONDS, behaviour_of,
    cards::{Behaviour, Complaint},
};
use crate::{
    billing::{
        Amount,
        answer::{Answer, Claim, News, Ruling},
        dispute::Reason,
        early_fraud_warning::FraudType,
    },
    gateway::Question,
};

const DAY_SECONDS: i64 = 86_400;
/// How long a dispute may be answered.
const RESPOND_WITHIN: i64 = 7 * DAY_SECONDS;
/// An inquiry from which nothing more is heard for so long has come to nothing.
const INQUIRY_LASTS: i64 = 120 * DAY_SECONDS;
/// 15.00 in a currency with two decimals.
const FEE: Amount = Amount::new(1500);

const WON: &str = "won";
const LOST: &str = "lost";
const ESCALATED: &str = "escalated";
/// An inquiry that has become a dispute about money.
const CHARGEBACK: &str = "chargeback";

/// What is heard of a payment that had succeeded. Several disputes share its amount.
pub fn news(question: &Question) -> Answer {
    let news = match behaviour_of(&question.token) {
        Some(Behaviour::Suspected) => vec![News::Suspected(FraudType::MadeWithStolenCard)],
        Some(Behaviour::Disputed(complaints)) => {
            let disputes = parts(question.amount, complaints.len()).into_iter().zip(complaints.iter()).enumerate();
            disputes
                .map(|(place, (amount, complaint))| {
                    News::Disputed(claim(format!("{}/{place}", question.token), amount, *complaint))
                })
                .collect()
        }
        _ => Vec::new(),
    };
    Answer::News(news)
}

/// An amount in equal parts; what is over goes to the first.
fn parts(amount: Amount, count: usize) -> Vec<Amount> {
    let (amount, count) = (amount.minor_units(), i64::try_from(count).unwrap_or(1).max(1));
    (0..count).map(|place| Amount::new(amount / count + i64::from(place < amount % count))).collect()
}

fn claim(reference: String, amount: Amount, complaint: Complaint) -> Claim {
    let (reason, code) = match complaint {
        Complaint::Fraud | Complaint::Inquiry => (Reason::Fraudulent, "10.4"),
        Complaint::NotReceived => (Reason::ProductNotReceived, "13.1"),
    };
    let is_inquiry = complaint == Complaint::Inquiry;
    Claim {
        reference,
        amount,
        fee: FEE,
        is_inquiry,
        network_reason_code: code.to_owned(),
        reason,
        respond_within: RESPOND_WITHIN,
        ask_again_after: if is_inquiry { INQUIRY_LASTS } else { RESPOND_WITHIN },
    }
}

/// The last word of a dispute's reference, and whether that is an inquiry.
fn standing(reference: &str) -> (&str, bool) {
    let mut words = reference.split('/');
    let payment = words.next().unwrap_or_default();
    let place = words.next().and_then(|place| place.parse::<usize>().ok());
    let complaint = match (behaviour_of(payment), place) {
        (Some(Behaviour::Disputed(complaints)), Some(place)) => complaints.get(place),
        _ => None,
    };
    let last = reference.rsplit('/').next().unwrap_or_default();
    (last, complaint == Some(&Complaint::Inquiry) && !words.any(|word| word == CHARGEBACK))
}

/// The bank has the evidence, and looks at it for a moment.
pub fn contested(question: &Question) -> Answer {
    let said = question.evidence.as_ref().and_then(|evidence| evidence.uncategorized_text.as_deref());
    let (_, is_inquiry) = standing(&question.token);
    let outcome = match said.map(str::trim) {
        Some("winning_evidence") => WON,
        Some("losing_evidence" | "escalate_inquiry_evidence") if is_inquiry => ESCALATED,
        _ if is_inquiry => WON,
        _ => LOST,
    };
    Answer::Processing { reference: format!("{}/{outcome}", question.token), ask_again_after: DELAY_SECONDS }
}

/// What has become of a dispute. One that was not answered is lost; an inquiry comes to nothing.
pub fn ruled(question: &Question) -> Answer {
    let reference = &question.token;
    Answer::Ruled(match standing(reference) {
        (ESCALATED, _) => {
            let reference = format!("{reference}/{CHARGEBACK}");
            Ruling::Escalated(claim(reference, question.amount, Complaint::Fraud))
        }
        (WON, _) | (_, true) => Ruling::Won,
        _ => Ruling::Lost,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::{Currency, evidence::Evidence, payment_intent::Action};

    fn question(action: Action, token: &str, said: Option<&str>) -> Question {
        let evidence = Evidence { uncategorized_text: said.map(ToOwned::to_owned), ..Evidence::default() };
        Question {
            key: "pi_1-2".to_owned(),
            action,
            amount: Amount::new(1001),
            authenticated: false,
            currency: Currency::parse("usd").unwrap(),
            evidence: Some(Box::new(evidence)),
            off_session: true,
            set_up: false,
            three_d_secure: false,
            token: token.to_owned(),
        }
    }

    /// Radar, disputes, refunds: what each card brings.
    #[test]
    fn each_card_brings_its_own_trouble() {
        let told = |card: &str| match news(&question(Action::Watch, &format!("pi_1-1.{card}"), None)) {
            Answer::News(news) => news
                .into_iter()
                .map(|one| match one {
                    News::Suspected(kind) => kind.to_string(),
                    News::Disputed(claim) => format!("{} {} {}", claim.reason, claim.amount, claim.is_inquiry),
                })
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(told("createDispute"), ["fraudulent 1001 false"]);
        assert_eq!(told("createDisputeProductNotReceived"), ["product_not_received 1001 false"]);
        assert_eq!(told("createDisputeInquiry"), ["fraudulent 1001 true"]);
        assert_eq!(told("createMultipleDisputes"), ["fraudulent 501 false", "fraudulent 500 false"]);
        assert_eq!(told("createIssuerFraudRecord"), ["made_with_stolen_card"]);
        assert!(told("visa").is_empty());
    }

    /// Evidence text decides the outcome.
    #[test]
    fn the_evidence_decides() {
        let outcome = |token: &str, said: Option<&str>| {
            let reference = match said {
                None => token.to_owned(),
                Some(_) => match contested(&question(Action::Contest, token, said)) {
                    Answer::Processing { reference, .. } => reference,
                    other => panic!("{other:?}"),
                },
            };
            match ruled(&question(Action::InquireDispute, &reference, None)) {
                Answer::Ruled(Ruling::Won) => "won",
                Answer::Ruled(Ruling::Lost) => "lost",
                Answer::Ruled(Ruling::Escalated(claim)) if !claim.is_inquiry => "escalated",
                other => panic!("{other:?}"),
            }
        };
        let (dispute, inquiry) = ("pi_1-1.createDispute/0", "pi_1-1.createDisputeInquiry/0");
        let escalated = "pi_1-1.createDisputeInquiry/0/escalated/chargeback";
        for (said, of_dispute, of_inquiry) in [
            (Some("winning_evidence"), "won", "won"),
            (Some("losing_evidence"), "lost", "escalated"),
            (Some("escalate_inquiry_evidence"), "lost", "escalated"),
            (Some("They never wrote to us."), "lost", "won"),
            (None, "lost", "won"),
        ] {
            assert_eq!(outcome(dispute, said), of_dispute, "{said:?}");
            assert_eq!(outcome(inquiry, said), of_inquiry, "{said:?} of an inquiry");
            assert_eq!(outcome(escalated, said), of_dispute, "{said:?} of what was an inquiry");
        }
    }
}
