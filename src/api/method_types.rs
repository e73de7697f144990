//! What callers say about which kinds of payment method may be used. Each way of saying it excludes the others.

use serde::Deserialize;

use crate::{
    billing::{
        Refusal,
        method_types::{Choice, EXCLUDABLE, MethodType, SERVED},
        payment_intent::{AllowRedirects, AutomaticPaymentMethods},
        shape::Patch,
    },
    dialect::params::one_of,
};

#[derive(Clone, Debug, Deserialize)]
pub struct AutomaticMethods {
    enabled: bool,
    allow_redirects: Option<AllowRedirects>,
}

impl AutomaticMethods {
    /// What it is when nothing is said about it.
    const DEFAULT: AutomaticMethods = AutomaticMethods { enabled: true, allow_redirects: None };

    fn spoken(&self) -> AutomaticPaymentMethods {
        let allow_redirects = self.allow_redirects.unwrap_or(AllowRedirects::Always);
        AutomaticPaymentMethods { allow_redirects, enabled: self.enabled }
    }
}

/// What one call says.
#[derive(Clone, Debug)]
pub struct Controls {
    /// There is a list of types, which only older versions can write.
    listed: bool,
    allowed: Patch<Vec<MethodType>>,
    excluded: Patch<Vec<MethodType>>,
}

impl Controls {
    pub fn new(
        types: Option<&Vec<String>>,
        allowed: impl Into<Patch<Vec<MethodType>>>,
        excluded: impl Into<Patch<Vec<MethodType>>>,
    ) -> Result<Controls, Refusal> {
        check_types(types)?;
        let controls = Controls { listed: types.is_some(), allowed: allowed.into(), excluded: excluded.into() };
        let said = [
            ("allowed_payment_method_types", matches!(controls.allowed, Patch::Set(_))),
            ("excluded_payment_method_types", matches!(controls.excluded, Patch::Set(_))),
            ("payment_method_types", controls.listed),
        ];
        let said: Vec<&str> = said.into_iter().filter(|(_, said)| *said).map(|(name, _)| name).collect();
        if let [first, _, ..] = said[..] {
            return Err(Refusal::exclusive(&said).param(first));
        }
        if let Patch::Set(excluded) = &controls.excluded
            && let Some(place) = excluded.iter().position(|kind| !kind.is_excludable())
        {
            let name = "excluded_payment_method_types";
            let message = format!("Invalid {name}[{place}]: must be one of {}", one_of(EXCLUDABLE));
            return Err(Refusal::invalid(message).param(format!("{name}[{place}]")));
        }
        let is_served = |kinds: &[MethodType]| kinds.iter().any(MethodType::is_served);
        match (&controls.allowed, &controls.excluded) {
            (Patch::Set(allowed), _) if !is_served(allowed) => Err(nothing_left("allowed_payment_method_types")),
            (_, Patch::Set(excluded)) if is_served(excluded) => Err(nothing_left("excluded_payment_method_types")),
            _ => Ok(controls),
        }
    }

    /// Whether anything is to change; a list of types has nothing to say but that it is one of cards.
    pub fn say_nothing(&self) -> bool {
        self.allowed == Patch::Keep && self.excluded == Patch::Keep
    }

    /// What is chosen for something new.
    pub fn initial(self, automatic: Option<AutomaticMethods>) -> Result<Choice, Refusal> {
        let is_automatic = automatic.as_ref().is_some_and(|automatic| automatic.enabled);
        match (self.allowed.given(), self.listed) {
            (Some(_), _) if is_automatic => {
                Err(Refusal::exclusive(&["allowed_payment_method_types", "automatic_payment_methods"])
                    .param("allowed_payment_method_types"))
            }
            (None, true) if is_automatic => {
                Err(Refusal::exclusive(&["automatic_payment_methods", "payment_method_types"])
                    .param("automatic_payment_methods"))
            }
            (None, false) => Ok(Choice {
                allowed: None,
                excluded: self.excluded.given(),
                automatic: Some(automatic.unwrap_or(AutomaticMethods::DEFAULT).spoken()),
            }),
            (allowed, _) => Ok(Choice { allowed, ..Choice::default() }),
        }
    }

    /// What is chosen after this call. The last word takes the place of what was said otherwise before.
    pub fn over(self, current: Choice) -> Choice {
        let everything = || Some(AutomaticMethods::DEFAULT.spoken());
        match (self.allowed, self.excluded) {
            (Patch::Set(allowed), _) => Choice { allowed: Some(allowed), ..Choice::default() },
            (_, Patch::Set(excluded)) => {
                Choice { allowed: None, excluded: Some(excluded), automatic: current.automatic.or_else(everything) }
            }
            (allowed, excluded) => {
                let unset = allowed == Patch::Clear && current.allowed.is_some();
                Choice {
                    allowed: allowed.over(current.allowed),
                    excluded: excluded.over(current.excluded),
                    automatic: if unset { everything() } else { current.automatic },
                }
            }
        }
    }
}

fn nothing_left(param: &str) -> Refusal {
    let message = format!(
        "No payment method type is left: only {SERVED} is supported by this server yet, and `{param}` leaves it out."
    );
    Refusal::invalid(message).param(param)
}

/// Cards are what there is.
fn check_types(types: Option<&Vec<String>>) -> Result<(), Refusal> {
    match types.map(Vec::as_slice) {
        Some([]) => Err(Refusal::invalid("Invalid array").param("payment_method_types")),
        Some(types) => match types.iter().position(|kind| kind != SERVED) {
            Some(place) => {
                let kind = &types[place];
                let message = format!(
                    "The payment method type \"{kind}\" is invalid. Only {SERVED} is supported by this server yet."
                );
                Err(Refusal::invalid(message).param(format!("payment_method_types[{place}]")))
            }
            None => Ok(()),
        },
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(names: &[&str]) -> Vec<MethodType> {
        names.iter().map(|name| serde_json::from_value((*name).into()).unwrap()).collect()
    }

    fn names(kinds: Option<&Vec<MethodType>>) -> Option<usize> {
        kinds.map(Vec::len)
    }

    /// Lists, filters and exclusions each stand alone; what is said later takes the place of what was.
    #[test]
    fn the_last_word_counts() {
        let nothing = || Controls::new(None, None, None).unwrap();
        let allowed = || Controls::new(None, Some(kinds(&["link", "card"])), None).unwrap();
        let excluded = || Controls::new(None, None, Some(kinds(&["klarna"]))).unwrap();
        let everything = nothing().initial(None).unwrap();
        assert!(everything.automatic.is_some() && everything.allowed.is_none() && everything.excluded.is_none());
        let filtered = allowed().over(everything.clone());
        assert_eq!((names(filtered.allowed.as_ref()), filtered.automatic.is_some()), (Some(2), false));
        let without = excluded().over(filtered.clone());
        assert_eq!((without.allowed.is_some(), names(without.excluded.as_ref())), (false, Some(1)));
        assert!(without.automatic.is_some());
        assert!(allowed().over(without.clone()).excluded.is_none());
        let cleared = Controls::new(None, Patch::Clear, Patch::Clear).unwrap();
        assert!(cleared.clone().over(without).excluded.is_none());
        assert!(cleared.over(filtered).automatic.is_some());
        assert!(allowed().initial(Some(AutomaticMethods::DEFAULT)).is_err());
        assert!(excluded().initial(Some(AutomaticMethods::DEFAULT)).is_ok());
    }
}
