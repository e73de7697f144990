//! `payment_method_options`: what is asked for of a payment, or of a setup, if it is made with a card.

use serde::{Deserialize, Serialize};

use super::{
    Amount,
    payment_intent::{CaptureMethod, PaymentIntent, SetupFutureUsage},
    shape::Null,
};
use crate::words;

/// Those of a payment intent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PaymentOptions {
    #[serde(default)]
    pub card: CardOptions,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CardOptions {
    /// Instead of the intent's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_method: Option<ByHand>,
    pub installments: Null,
    pub mandate_options: Null,
    pub network: Null,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_extended_authorization: Option<Ability>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_incremental_authorization: Option<Ability>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_multicapture: Option<Ability>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_overcapture: Option<Ability>,
    pub request_three_d_secure: ThreeDSecure,
    /// Instead of the intent's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup_future_usage: Option<CardUsage>,
}

/// Those of a setup intent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SetupOptions {
    pub card: CardSetupOptions,
}

/// What a subscription or an invoice asks for of its payments, by the kind of payment method. Of kinds that are
/// not served there is nothing to ask.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OptionsOf<C> {
    pub acss_debit: Null,
    pub bancontact: Null,
    pub card: C,
    pub customer_balance: Null,
    pub konbini: Null,
    pub payto: Null,
    pub pix: Null,
    pub sepa_debit: Null,
    pub upi: Null,
    pub us_bank_account: Null,
}

/// Of a subscription.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SubscriptionCard {
    pub network: Null,
    pub request_three_d_secure: Option<ThreeDSecure>,
}

/// Of an invoice.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct InvoiceCard {
    pub request_three_d_secure: Option<ThreeDSecure>,
}

impl OptionsOf<SubscriptionCard> {
    /// What a setup for later payments is asked for with.
    pub fn of_setup(&self) -> SetupOptions {
        SetupOptions::asking(self.card.request_three_d_secure.unwrap_or_default())
    }
}

impl OptionsOf<InvoiceCard> {
    /// What an invoice takes over from its subscription.
    pub fn of(subscription: &OptionsOf<SubscriptionCard>) -> OptionsOf<InvoiceCard> {
        OptionsOf::asking(subscription.card.request_three_d_secure)
    }

    pub fn asking(request_three_d_secure: Option<ThreeDSecure>) -> OptionsOf<InvoiceCard> {
        OptionsOf { card: InvoiceCard { request_three_d_secure }, ..OptionsOf::default() }
    }

    /// What its payment is asked for with.
    pub fn of_payment(&self) -> PaymentOptions {
        let request_three_d_secure = self.card.request_three_d_secure.unwrap_or_default();
        PaymentOptions { card: CardOptions { request_three_d_secure, ..CardOptions::default() } }
    }
}

/// Of a Checkout session: what its payment, setup or subscription is to be asked with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SessionOptions {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<SessionCard>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SessionCard {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_method: Option<ByHand>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_extended_authorization: Option<Ability>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_incremental_authorization: Option<Ability>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_multicapture: Option<Ability>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_overcapture: Option<Ability>,
    pub request_three_d_secure: ThreeDSecure,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup_future_usage: Option<CardUsage>,
}

impl SessionOptions {
    pub fn of(asked: &CardOptions) -> SessionOptions {
        let card = SessionCard {
            capture_method: asked.capture_method,
            request_extended_authorization: asked.request_extended_authorization,
            request_incremental_authorization: asked.request_incremental_authorization,
            request_multicapture: asked.request_multicapture,
            request_overcapture: asked.request_overcapture,
            request_three_d_secure: asked.request_three_d_secure,
            setup_future_usage: asked.setup_future_usage,
        };
        SessionOptions { card: Some(card) }
    }

    pub fn of_payment(&self) -> PaymentOptions {
        let Some(asked) = self.card.clone() else { return PaymentOptions::default() };
        let card = CardOptions {
            capture_method: asked.capture_method,
            request_extended_authorization: asked.request_extended_authorization,
            request_incremental_authorization: asked.request_incremental_authorization,
            request_multicapture: asked.request_multicapture,
            request_overcapture: asked.request_overcapture,
            request_three_d_secure: asked.request_three_d_secure,
            setup_future_usage: asked.setup_future_usage,
            ..CardOptions::default()
        };
        PaymentOptions { card }
    }

    pub fn of_setup(&self) -> SetupOptions {
        SetupOptions::asking(self.three_d_secure().unwrap_or_default())
    }

    pub fn of_subscription(&self) -> Option<OptionsOf<SubscriptionCard>> {
        let request_three_d_secure = Some(self.three_d_secure()?);
        let card = SubscriptionCard { request_three_d_secure, ..SubscriptionCard::default() };
        Some(OptionsOf { card, ..OptionsOf::default() })
    }

    fn three_d_secure(&self) -> Option<ThreeDSecure> {
        self.card.as_ref().map(|asked| asked.request_three_d_secure)
    }
}

impl SetupOptions {
    fn asking(request_three_d_secure: ThreeDSecure) -> SetupOptions {
        SetupOptions { card: CardSetupOptions { request_three_d_secure, ..CardSetupOptions::default() } }
    }

    pub const fn asks_for_authentication(&self) -> bool {
        self.card.request_three_d_secure.is_asked_for()
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CardSetupOptions {
    pub mandate_options: Null,
    pub network: Null,
    pub request_three_d_secure: ThreeDSecure,
}

words!(ByHand { Manual = "manual" });
words!(
    /// Whether something is wanted that not every card, or processor, can do.
    Ability { IfAvailable = "if_available", Never = "never" }
);
words!(
    /// When the customer is to authenticate.
    #[derive(Default)]
    ThreeDSecure {
        /// Wherever the issuer can, and preferably so that the customer has to do something.
        Challenge = "challenge",
        /// Wherever the issuer can.
        Any = "any",
        /// Where the issuer wants it.
        #[default]
        Automatic = "automatic",
    }
);
words!(CardUsage { None = "none", OffSession = "off_session", OnSession = "on_session" });

impl ThreeDSecure {
    pub const fn is_asked_for(self) -> bool {
        matches!(self, ThreeDSecure::Any | ThreeDSecure::Challenge)
    }
}

impl PaymentIntent {
    /// Whether the money is only reserved until somebody captures it.
    pub fn captures_by_hand(&self) -> bool {
        self.capture_method == CaptureMethod::Manual || self.payment_method_options.card.capture_method.is_some()
    }

    /// What the card is kept for.
    pub fn future_usage(&self) -> Option<SetupFutureUsage> {
        match self.payment_method_options.card.setup_future_usage {
            None => self.setup_future_usage,
            Some(CardUsage::None) => None,
            Some(CardUsage::OffSession) => Some(SetupFutureUsage::OffSession),
            Some(CardUsage::OnSession) => Some(SetupFutureUsage::OnSession),
        }
    }
}

words!(Availability { Available = "available", Unavailable = "unavailable" });
words!(Extension { Disabled = "disabled" });

/// What a charge says of an ability that was asked for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Available {
    pub status: Availability,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Extended {
    pub status: Extension,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Overcapture {
    pub maximum_amount_capturable: Amount,
    pub status: Availability,
}

/// What became of all that was asked for. Only reserving more is there yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Abilities {
    pub extended_authorization: Option<Extended>,
    pub incremental_authorization: Option<Available>,
    pub multicapture: Option<Available>,
    pub overcapture: Option<Overcapture>,
}

impl Abilities {
    /// Of a payment of so much that was reserved, or was not.
    pub fn of(options: &CardOptions, amount: Amount, is_reserved: bool) -> Abilities {
        let unavailable = Available { status: Availability::Unavailable };
        let more = |asked| match asked {
            Ability::IfAvailable if is_reserved => Available { status: Availability::Available },
            Ability::IfAvailable | Ability::Never => unavailable,
        };
        Abilities {
            extended_authorization: options
                .request_extended_authorization
                .map(|_| Extended { status: Extension::Disabled }),
            incremental_authorization: options.request_incremental_authorization.map(more),
            multicapture: options.request_multicapture.map(|_| unavailable),
            overcapture: options
                .request_overcapture
                .map(|_| Overcapture { maximum_amount_capturable: amount, status: Availability::Unavailable }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Documents of before there were options hold an empty object.
    #[test]
    fn nothing_said_is_automatic() {
        let options: PaymentOptions = serde_json::from_str("{}").unwrap();
        assert_eq!(options.card.request_three_d_secure, ThreeDSecure::Automatic);
        let expected = r#"{"card":{"installments":null,"mandate_options":null,"network":null,"request_three_d_secure":"automatic"}}"#;
        assert_eq!(serde_json::to_string(&options).unwrap(), expected);
    }

    #[test]
    fn only_what_is_reserved_can_become_more() {
        let options = |ability| CardOptions { request_incremental_authorization: ability, ..CardOptions::default() };
        for (asked, is_reserved, status) in [
            (None, true, None),
            (Some(Ability::Never), true, Some(Availability::Unavailable)),
            (Some(Ability::IfAvailable), false, Some(Availability::Unavailable)),
            (Some(Ability::IfAvailable), true, Some(Availability::Available)),
        ] {
            let abilities = Abilities::of(&options(asked), Amount::new(100), is_reserved);
            assert_eq!(abilities.incremental_authorization.map(|one| one.status), status, "{asked:?} {is_reserved}");
        }
    }
}
