//! Key-value pairs that belong to the caller (limits and merge rule: the request-encoding rules).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Refusal;

const MAXIMUM_KEYS: usize = 50;
const MAXIMUM_KEY_CHARACTERS: usize = 40;
const MAXIMUM_VALUE_CHARACTERS: usize = 500;

pub type Metadata = BTreeMap<String, String>;

/// What a request says about metadata.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum MetadataPatch {
    /// The parameter was not sent.
    #[default]
    Keep,
    /// `metadata=`: forget all keys.
    Clear,
    /// `metadata[key]=value`: merged key by key; an empty value deletes its key.
    Merge(Metadata),
}

impl MetadataPatch {
    /// The metadata after the patch, or a refusal when it leaves the limits.
    pub fn apply(self, mut current: Metadata) -> Result<Metadata, Refusal> {
        match self {
            MetadataPatch::Keep => return Ok(current),
            MetadataPatch::Clear => current.clear(),
            MetadataPatch::Merge(pairs) => {
                for (key, value) in pairs {
                    if value.is_empty() {
                        current.remove(&key);
                        continue;
                    }
                    check_pair(&key, &value)?;
                    current.insert(key, value);
                }
            }
        }
        if current.len() > MAXIMUM_KEYS {
            return Err(Refusal::invalid(format!("Metadata can have at most {MAXIMUM_KEYS} keys.")).param("metadata"));
        }
        Ok(current)
    }

    /// The metadata of something new.
    pub fn initial(self) -> Result<Metadata, Refusal> {
        self.apply(Metadata::new())
    }
}

fn check_pair(key: &str, value: &str) -> Result<(), Refusal> {
    let param = || format!("metadata[{key}]");
    if key.is_empty() || key.chars().count() > MAXIMUM_KEY_CHARACTERS {
        let message = format!("Metadata keys must be between 1 and {MAXIMUM_KEY_CHARACTERS} characters long.");
        return Err(Refusal::invalid(message).param(param()));
    }
    if value.chars().count() > MAXIMUM_VALUE_CHARACTERS {
        let message = format!("Metadata values can be at most {MAXIMUM_VALUE_CHARACTERS} characters long.");
        return Err(Refusal::invalid(message).param(param()));
    }
    Ok(())
}

impl<'de> Deserialize<'de> for MetadataPatch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use super::shape::{Patch, Verbatim};
        Ok(match Patch::<BTreeMap<String, Verbatim>>::deserialize(deserializer)? {
            Patch::Keep => MetadataPatch::Keep,
            Patch::Clear => MetadataPatch::Clear,
            Patch::Set(pairs) => MetadataPatch::Merge(pairs.into_iter().map(|(key, value)| (key, value.0)).collect()),
        })
    }
}

impl Serialize for MetadataPatch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            MetadataPatch::Keep => serializer.serialize_none(),
            MetadataPatch::Clear => serializer.serialize_str(""),
            MetadataPatch::Merge(pairs) => pairs.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Metadata {
        list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn merges_deletes_and_clears() {
        let current = pairs(&[("a", "1"), ("b", "2")]);
        assert_eq!(MetadataPatch::Keep.apply(current.clone()).unwrap(), current);
        let merged = MetadataPatch::Merge(pairs(&[("a", ""), ("c", "3")])).apply(current.clone()).unwrap();
        assert_eq!(merged, pairs(&[("b", "2"), ("c", "3")]));
        assert!(MetadataPatch::Clear.apply(current).unwrap().is_empty());
    }

    #[test]
    fn keeps_its_limits() {
        let long_key = "k".repeat(41);
        assert!(MetadataPatch::Merge(pairs(&[(&long_key, "v")])).initial().is_err());
        assert!(MetadataPatch::Merge(pairs(&[("k", &"v".repeat(501))])).initial().is_err());
        let many: Metadata = (0..51).map(|n| (n.to_string(), "v".to_owned())).collect();
        assert!(MetadataPatch::Merge(many).initial().is_err());
    }
}
