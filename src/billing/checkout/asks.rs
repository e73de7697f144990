//! What else the page of a session says and asks. It is passed through: kept, and shown as it was given.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::billing::{Refusal, edit::within};
use crate::words;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Consent {
    pub promotions: Option<Promotions>,
    pub terms_of_service: Option<Terms>,
}

words!(Promotions { OptIn = "opt_in", OptOut = "opt_out" });
words!(Terms { Accepted = "accepted" });

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConsentCollection {
    #[serde(default)]
    pub payment_method_reuse_agreement: Option<ReuseAgreement>,
    #[serde(default)]
    pub promotions: Option<PromotionsWanted>,
    #[serde(default)]
    pub terms_of_service: Option<TermsWanted>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReuseAgreement {
    pub position: Position,
}

words!(Position { Auto = "auto", Hidden = "hidden" });
words!(PromotionsWanted { Auto = "auto", None = "none" });
words!(TermsWanted { None = "none", Required = "required" });

impl ConsentCollection {
    /// Whether the customer must accept the terms of service.
    pub fn asks_for_terms(&self) -> bool {
        self.terms_of_service == Some(TermsWanted::Required)
    }
}

/// A field that the merchant wants filled in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CustomField {
    pub key: String,
    pub label: Label,
    pub optional: bool,
    #[serde(rename = "type")]
    pub kind: FieldType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropdown: Option<Dropdown>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numeric: Option<Entry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Entry>,
}

words!(FieldType { Dropdown = "dropdown", Numeric = "numeric", Text = "text" });

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Label {
    pub custom: String,
    #[serde(rename = "type")]
    pub kind: LabelType,
}

words!(LabelType { Custom = "custom" });

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dropdown {
    pub default_value: Option<String>,
    pub options: Vec<DropdownOption>,
    pub value: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DropdownOption {
    pub label: String,
    pub value: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Entry {
    pub default_value: Option<String>,
    pub maximum_length: Option<i64>,
    pub minimum_length: Option<i64>,
    pub value: Option<String>,
}

const MAXIMUM_FIELDS: usize = 3;

impl CustomField {
    /// What it holds when nothing is filled in.
    pub fn usual(&self) -> Option<&str> {
        match self.kind {
            FieldType::Dropdown => self.dropdown.as_ref()?.default_value.as_deref(),
            FieldType::Numeric => self.numeric.as_ref()?.default_value.as_deref(),
            FieldType::Text => self.text.as_ref()?.default_value.as_deref(),
        }
    }

    /// The field filled in; an empty value leaves it empty.
    pub fn filled(mut self, value: Option<&str>) -> Result<CustomField, Refusal> {
        let value = value.map(str::trim).filter(|value| !value.is_empty());
        let param = || format!("custom_fields[{}]", self.key);
        let Some(value) = value else {
            return if self.optional { Ok(self) } else { Err(Refusal::missing(param())) };
        };
        let invalid = || Refusal::invalid(format!("Invalid value for the field {}.", self.label.custom)).param(param());
        let length = i64::try_from(value.chars().count()).unwrap_or(i64::MAX);
        let fits = |entry: &Entry| {
            length <= entry.maximum_length.unwrap_or(255) && length >= entry.minimum_length.unwrap_or(0)
        };
        let fine = match self.kind {
            FieldType::Dropdown => {
                self.dropdown.as_ref().is_some_and(|one| one.options.iter().any(|option| option.value == value))
            }
            FieldType::Numeric => {
                value.bytes().all(|byte| byte.is_ascii_digit()) && self.numeric.as_ref().is_none_or(fits)
            }
            FieldType::Text => self.text.as_ref().is_none_or(fits),
        };
        if !fine {
            return Err(invalid());
        }
        let value = Some(value.to_owned());
        match self.kind {
            FieldType::Dropdown => self.dropdown.iter_mut().for_each(|one| one.value.clone_from(&value)),
            FieldType::Numeric => self.numeric.get_or_insert_default().value = value,
            FieldType::Text => self.text.get_or_insert_default().value = value,
        }
        Ok(self)
    }
}

/// At most three fields, each with a key of its own.
pub fn check_fields(fields: &[CustomField]) -> Result<(), Refusal> {
    if fields.len() > MAXIMUM_FIELDS {
        let message = format!("Array custom_fields exceeded maximum {MAXIMUM_FIELDS} allowed elements.");
        return Err(Refusal::invalid(message).param("custom_fields"));
    }
    let mut keys = BTreeSet::new();
    for (place, field) in fields.iter().enumerate() {
        let param = format!("custom_fields[{place}]");
        let named = (1..=200).contains(&field.key.len()) && field.key.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !named || !keys.insert(&field.key) {
            let message = "A key has up to 200 letters and digits, and is that of one field only.";
            return Err(Refusal::invalid(message).param(within(&param, "key")));
        }
        if field.kind == FieldType::Dropdown && field.dropdown.as_ref().is_none_or(|one| one.options.is_empty()) {
            return Err(Refusal::missing(within(&param, "dropdown")));
        }
    }
    Ok(())
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CustomText {
    pub after_submit: Option<Words>,
    pub shipping_address: Option<Words>,
    pub submit: Option<Words>,
    pub terms_of_service_acceptance: Option<Words>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Words {
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: FieldType) -> CustomField {
        let options = vec![DropdownOption { label: "Small".to_owned(), value: "s".to_owned() }];
        CustomField {
            key: "size".to_owned(),
            label: Label { custom: "Size".to_owned(), kind: LabelType::Custom },
            optional: false,
            kind,
            dropdown: (kind == FieldType::Dropdown).then_some(Dropdown { default_value: None, options, value: None }),
            numeric: None,
            text: Some(Entry { maximum_length: Some(3), ..Entry::default() }).filter(|_| kind == FieldType::Text),
        }
    }

    #[test]
    fn fields_take_what_they_are_for() {
        for (kind, good, bad) in
            [(FieldType::Dropdown, "s", "m"), (FieldType::Numeric, "12", "1.5"), (FieldType::Text, "abc", "abcd")]
        {
            assert!(field(kind).filled(Some(good)).is_ok(), "{kind}");
            assert!(field(kind).filled(Some(bad)).is_err(), "{kind}");
            assert!(field(kind).filled(None).is_err(), "{kind} is required");
            assert!(CustomField { optional: true, ..field(kind) }.filled(Some(" ")).is_ok(), "{kind}");
        }
    }

    /// Up to three custom fields, with keys of their own.
    #[test]
    fn fields_have_names_of_their_own() {
        let named = |key: &str| CustomField { key: key.to_owned(), ..field(FieldType::Text) };
        assert!(check_fields(&[named("a"), named("b"), named("c")]).is_ok());
        for bad in [vec![named("a"), named("a")], vec![named("a b")], ["a", "b", "c", "d"].map(named).to_vec()] {
            assert!(check_fields(&bad).is_err());
        }
    }
}
