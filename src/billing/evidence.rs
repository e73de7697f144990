//! What a dispute is answered with.

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Refusal,
    shape::{Null, Patch, Text, Unsupported, Verbatim},
};

/// How long all of it may be together, in characters.
const MAXIMUM_CHARACTERS: usize = 150_000;

/// Text of at most 20,000 characters, which is more than other parameters may have.
#[derive(Clone, Debug)]
pub struct Passage(String);

impl<'de> Deserialize<'de> for Passage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Verbatim(text) = Verbatim::deserialize(deserializer)?;
        Text::<20_000>::within(text).map(|text| Passage(text.into()))
    }
}

/// `enhanced_evidence`: no dispute here is of a kind that has any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enhanced {}

macro_rules! kept {
    (text) => { Option<String> };
    (file) => { Null };
    (enhanced) => { Enhanced };
}

macro_rules! given {
    (text) => { Patch<Passage> };
    // Files cannot be uploaded to this server.
    (file) => { Option<Unsupported> };
    (enhanced) => { Option<Unsupported> };
}

macro_rules! over {
    (text, $patch:expr, $current:expr) => {
        $patch.map(|passage| passage.0).over($current)
    };
    (file, $patch:expr, $current:expr) => {
        $current
    };
    (enhanced, $patch:expr, $current:expr) => {
        $current
    };
}

macro_rules! is_given {
    (text, $patch:expr) => {
        !matches!($patch, Patch::Keep)
    };
    (file, $patch:expr) => {
        false
    };
    (enhanced, $patch:expr) => {
        false
    };
}

macro_rules! characters {
    (text, $value:expr) => {
        $value.as_ref().map_or(0, |text| text.chars().count())
    };
    (file, $value:expr) => {
        0
    };
    (enhanced, $value:expr) => {
        0
    };
}

macro_rules! evidence {
    ($($name:ident: $kind:ident),+ $(,)?) => {
        /// All that may be said.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Evidence { $(pub $name: kept!($kind)),+ }

        /// What a request says about it.
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(default)]
        pub struct EvidencePatch {
            // Known, and refused rather than ignored, as are files.
            appeal: Option<Unsupported>,
            $($name: given!($kind)),+
        }

        impl EvidencePatch {
            /// Whether it says anything.
            pub fn is_given(&self) -> bool {
                [$(is_given!($kind, self.$name)),+].contains(&true)
            }

            /// The evidence after the patch.
            pub fn over(self, current: Evidence) -> Result<Evidence, Refusal> {
                let evidence = Evidence { $($name: over!($kind, self.$name, current.$name)),+ };
                let characters: usize = [$(characters!($kind, evidence.$name)),+].iter().sum();
                if characters > MAXIMUM_CHARACTERS {
                    let message = format!("Evidence can have at most {MAXIMUM_CHARACTERS} characters in all.");
                    return Err(Refusal::invalid(message).param("evidence"));
                }
                Ok(evidence)
            }
        }
    };
}

evidence! {
    access_activity_log: text,
    billing_address: text,
    cancellation_policy: file,
    cancellation_policy_disclosure: text,
    cancellation_rebuttal: text,
    customer_communication: file,
    customer_email_address: text,
    customer_name: text,
    customer_purchase_ip: text,
    customer_signature: file,
    duplicate_charge_documentation: file,
    duplicate_charge_explanation: text,
    duplicate_charge_id: text,
    enhanced_evidence: enhanced,
    product_description: text,
    receipt: file,
    refund_policy: file,
    refund_policy_disclosure: text,
    refund_refusal_explanation: text,
    service_date: text,
    service_documentation: file,
    shipping_address: text,
    shipping_carrier: text,
    shipping_date: text,
    shipping_documentation: file,
    shipping_tracking_number: text,
    uncategorized_file: file,
    uncategorized_text: text,
}

impl Evidence {
    /// Whether there is any.
    pub fn is_any(&self) -> bool {
        *self != Evidence::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(name: &str, text: &str) -> EvidencePatch {
        let patch = Patch::Set(Passage(text.to_owned()));
        match name {
            "uncategorized_text" => EvidencePatch { uncategorized_text: patch, ..EvidencePatch::default() },
            _ => EvidencePatch { service_date: patch, ..EvidencePatch::default() },
        }
    }

    /// What is said later is added to what was said before; an empty string takes it back.
    #[test]
    fn evidence_is_gathered_piece_by_piece() {
        let first = patch("uncategorized_text", "They wrote to us.").over(Evidence::default()).unwrap();
        let both = patch("service_date", "In May").over(first.clone()).unwrap();
        assert_eq!(both.uncategorized_text.as_deref(), Some("They wrote to us."));
        assert_eq!(both.service_date.as_deref(), Some("In May"));
        let cleared = EvidencePatch { service_date: Patch::Clear, ..EvidencePatch::default() };
        assert!(cleared.is_given() && !EvidencePatch::default().is_given());
        assert_eq!(cleared.over(both).unwrap(), first);
        assert!(first.is_any() && !Evidence::default().is_any());
    }

    /// All fields together have at most 150,000 characters.
    #[test]
    fn evidence_has_its_limits() {
        let (first, second) = ("é".repeat(MAXIMUM_CHARACTERS - 1), "xx");
        let much = patch("uncategorized_text", &first).over(Evidence::default()).unwrap();
        assert!(patch("service_date", "x").over(much.clone()).is_ok());
        assert_eq!(patch("service_date", second).over(much).unwrap_err().param.as_deref(), Some("evidence"));
    }
}
