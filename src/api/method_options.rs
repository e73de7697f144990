//! `payment_method_options`, as they are sent. Those of kinds that are not served are refused, and so is what
//! nothing here could keep.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use crate::billing::{
    Refusal,
    method_options::{
        Ability, ByHand, CardOptions, CardSetupOptions, CardUsage, OptionsOf, PaymentOptions, SetupOptions,
        SubscriptionCard, ThreeDSecure,
    },
    method_types::{KINDS, SERVED},
    payment_intent::{PaymentIntent, SetupFutureUsage},
    shape::{Patch, Unsupported},
};

/// By the kind of payment method.
#[derive(Clone, Debug)]
pub struct MethodOptions<C> {
    card: Option<C>,
}

impl<'de, C: Deserialize<'de>> Deserialize<'de> for MethodOptions<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Kinds<C>(PhantomData<C>);
        impl<'de, C: Deserialize<'de>> Visitor<'de> for Kinds<C> {
            type Value = MethodOptions<C>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("options by the kind of payment method")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<MethodOptions<C>, M::Error> {
                let mut card = None;
                while let Some(kind) = members.next_key::<String>()? {
                    if kind == SERVED {
                        card = Some(members.next_value()?);
                    } else {
                        members.next_value::<Unsupported>()?;
                    }
                }
                Ok(MethodOptions { card })
            }
        }
        deserializer.deserialize_struct("MethodOptions", KINDS, Kinds(PhantomData))
    }
}

/// Of a payment by card.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CardParams {
    capture_method: Patch<ByHand>,
    request_extended_authorization: Option<Ability>,
    request_incremental_authorization: Option<Ability>,
    request_multicapture: Option<Ability>,
    request_overcapture: Option<Ability>,
    request_three_d_secure: Option<ThreeDSecure>,
    setup_future_usage: Patch<CardUsage>,
    cvc_token: Option<Unsupported>,
    installments: Option<Unsupported>,
    mandate_options: Option<Unsupported>,
    moto: Option<Unsupported>,
    network: Option<Unsupported>,
    require_cvc_recollection: Option<Unsupported>,
    setup_credential_usage: Option<Unsupported>,
    statement_descriptor_suffix_kana: Option<Unsupported>,
    statement_descriptor_suffix_kanji: Option<Unsupported>,
    stored_credential_usage: Option<Unsupported>,
    three_d_secure: Option<Unsupported>,
}

/// Of a card that is set up.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CardSetupParams {
    request_three_d_secure: Option<ThreeDSecure>,
    mandate_options: Option<Unsupported>,
    moto: Option<Unsupported>,
    network: Option<Unsupported>,
    setup_credential_usage: Option<Unsupported>,
    three_d_secure: Option<Unsupported>,
}

impl CardParams {
    /// What not every card, or processor, can do, and whether it is asked for or ruled out.
    fn abilities(&self) -> [(&'static str, bool); 4] {
        [
            (
                "payment_method_options[card][request_extended_authorization]",
                self.request_extended_authorization.is_some(),
            ),
            (
                "payment_method_options[card][request_incremental_authorization]",
                self.request_incremental_authorization.is_some(),
            ),
            ("payment_method_options[card][request_multicapture]", self.request_multicapture.is_some()),
            ("payment_method_options[card][request_overcapture]", self.request_overcapture.is_some()),
        ]
    }
}

impl MethodOptions<CardParams> {
    /// The options after the call: what it does not name stays.
    pub fn over(self, current: PaymentOptions) -> PaymentOptions {
        let Some(said) = self.card else { return current };
        let now = current.card;
        PaymentOptions {
            card: CardOptions {
                capture_method: said.capture_method.over(now.capture_method),
                request_extended_authorization: said
                    .request_extended_authorization
                    .or(now.request_extended_authorization),
                request_incremental_authorization: said
                    .request_incremental_authorization
                    .or(now.request_incremental_authorization),
                request_multicapture: said.request_multicapture.or(now.request_multicapture),
                request_overcapture: said.request_overcapture.or(now.request_overcapture),
                request_three_d_secure: said.request_three_d_secure.unwrap_or(now.request_three_d_secure),
                setup_future_usage: said.setup_future_usage.over(now.setup_future_usage),
                ..now
            },
        }
    }

    /// Whether something is said that setups do not know.
    pub fn are_of_payments(&self) -> bool {
        self.capture_by_hand()
            || self.card.as_ref().is_some_and(|said| {
                matches!(said.setup_future_usage, Patch::Set(_)) || said.abilities().iter().any(|(_, asked)| *asked)
            })
    }

    /// A browser may say what its customer wants kept; how money is taken is for servers to say.
    pub fn check_browser(&self, intent: &PaymentIntent) -> Result<(), Refusal> {
        let Some(said) = &self.card else { return Ok(()) };
        for_servers(&[(BY_HAND, said.capture_method != Patch::Keep)])?;
        for_servers(&said.abilities())?;
        for_servers(&[(THREE_D_SECURE, said.request_three_d_secure.is_some())])?;
        let keeps = |usage: &CardUsage| match (usage, intent.future_usage()) {
            (CardUsage::OffSession, _) | (_, None) => true,
            (CardUsage::OnSession, Some(now)) => now == SetupFutureUsage::OnSession,
            (CardUsage::None, Some(_)) => false,
        };
        match &said.setup_future_usage {
            Patch::Keep => Ok(()),
            Patch::Set(usage) if keeps(usage) => Ok(()),
            Patch::Clear if intent.payment_method_options.card.setup_future_usage.is_none() => Ok(()),
            Patch::Set(_) | Patch::Clear => Err(usage_is_set("payment_method_options[card][setup_future_usage]")),
        }
    }

    /// Whether the money is only to be reserved.
    pub fn capture_by_hand(&self) -> bool {
        self.card.as_ref().is_some_and(|said| matches!(said.capture_method, Patch::Set(_)))
    }
}

impl MethodOptions<CardSetupParams> {
    /// The options after the call.
    pub fn over(self, current: Option<SetupOptions>) -> SetupOptions {
        let current = current.unwrap_or_default();
        let Some(said) = self.card else { return current };
        let request_three_d_secure = said.request_three_d_secure.unwrap_or(current.card.request_three_d_secure);
        SetupOptions { card: CardSetupOptions { request_three_d_secure, ..current.card } }
    }

    /// The same for a browser.
    pub fn check_browser(&self) -> Result<(), Refusal> {
        let asks = self.card.as_ref().is_some_and(|said| said.request_three_d_secure.is_some());
        for_servers(&[(THREE_D_SECURE, asks)])
    }
}

/// Of the payments of a subscription by card.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SubscriptionCardParams {
    request_three_d_secure: Option<ThreeDSecure>,
    mandate_options: Option<Unsupported>,
    network: Option<Unsupported>,
}

/// Of the payment of an invoice by card.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct InvoiceCardParams {
    request_three_d_secure: Option<ThreeDSecure>,
    installments: Option<Unsupported>,
}

impl MethodOptions<SubscriptionCardParams> {
    /// The options after the call.
    pub fn over(self, current: Option<&OptionsOf<SubscriptionCard>>) -> OptionsOf<SubscriptionCard> {
        let asked = self.card.and_then(|said| said.request_three_d_secure);
        let known = current.and_then(|known| known.card.request_three_d_secure);
        let card = SubscriptionCard { request_three_d_secure: asked.or(known), ..SubscriptionCard::default() };
        OptionsOf { card, ..OptionsOf::default() }
    }
}

impl MethodOptions<InvoiceCardParams> {
    pub fn request_three_d_secure(&self) -> Option<ThreeDSecure> {
        self.card.as_ref()?.request_three_d_secure
    }
}

pub const BY_HAND: &str = "payment_method_options[card][capture_method]";
const THREE_D_SECURE: &str = "payment_method_options[card][request_three_d_secure]";

/// Refuses the first of these parameters that a browser has sent nevertheless.
pub fn for_servers(params: &[(&str, bool)]) -> Result<(), Refusal> {
    match params.iter().find(|(_, sent)| *sent) {
        None => Ok(()),
        Some((name, _)) => Err(Refusal::invalid("This parameter cannot be used with a publishable key.").param(*name)),
    }
}

/// A browser may add to what the card is kept for, and take nothing away from it.
pub fn check_browser_usage(said: &Patch<SetupFutureUsage>, current: Option<SetupFutureUsage>) -> Result<(), Refusal> {
    match (said, current) {
        (Patch::Keep | Patch::Set(SetupFutureUsage::OffSession), _) | (_, None) => Ok(()),
        (Patch::Set(usage), Some(now)) if *usage == now => Ok(()),
        _ => Err(usage_is_set("setup_future_usage")),
    }
}

fn usage_is_set(param: &str) -> Refusal {
    let message =
        "With a publishable key, `setup_future_usage` can only be changed from `on_session` to `off_session`.";
    Refusal::invalid(message).param(param)
}
