//! The tokens of a search's pages: where the last one ended, and which search it was.

use sha2::{Digest, Sha256};

use crate::{
    billing::{Noun, Refusal},
    store::search::Place,
};

/// A search whose pages follow each other.
#[derive(Debug)]
pub struct Page {
    fingerprint: [u8; FINGERPRINT],
}

/// How many bytes say which search it was.
const FINGERPRINT: usize = 8;

impl Page {
    pub fn of(noun: &Noun, livemode: bool, query: &str) -> Page {
        let digest = Sha256::digest(format!("{} {livemode} {query}", noun.url));
        let mut fingerprint = [0; FINGERPRINT];
        fingerprint.iter_mut().zip(digest).for_each(|(byte, digested)| *byte = digested);
        Page { fingerprint }
    }

    /// The token of the page after the one that ends here.
    pub fn token(&self, last: &Place) -> String {
        let text = format!("{} {}", last.created, last.id);
        let bytes = self.fingerprint.iter().copied().chain(text.bytes());
        let digits = bytes.flat_map(|byte| [byte >> 4, byte & 15]);
        digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
    }

    /// Where the page before ended.
    pub fn read(&self, token: &str) -> Result<Place, Refusal> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = |pair: &[u8]| match pair {
            [high, low] => Some(digit(*high)? * 16 + digit(*low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = token.as_bytes().chunks(2).map(byte).collect();
        let text = bytes.as_deref().and_then(|bytes| bytes.strip_prefix(&self.fingerprint));
        let text = text.and_then(|text| str::from_utf8(text).ok()).filter(|text| !text.contains('\0'));
        let place = text.and_then(|text| {
            let (created, id) = text.split_once(' ')?;
            Some(Place { created: created.parse().ok()?, id: id.to_owned() })
        });
        place.ok_or_else(|| {
            Refusal::invalid("Invalid page: it must be the `next_page` of a search with the same query.").param("page")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::{customer, product};

    /// A page token continues the search that gave it, and no other.
    #[test]
    fn a_token_is_bound_to_its_search() {
        let page = Page::of(&customer::NOUN, false, "email:\"a\"");
        let place = Place { created: 7, id: "cus_1".to_owned() };
        let token = page.token(&place);
        assert_eq!(page.read(&token).unwrap(), place);
        for other in [
            Page::of(&customer::NOUN, false, "email:\"b\""),
            Page::of(&customer::NOUN, true, "email:\"a\""),
            Page::of(&product::NOUN, false, "email:\"a\""),
        ] {
            assert_eq!(other.read(&token).unwrap_err().param.as_deref(), Some("page"));
        }
        for garbage in ["", "x", "zz", "é", &token[1..], &token[..6], &format!("g{}", &token[1..]), "cus_1"] {
            assert!(page.read(garbage).is_err(), "{garbage}");
        }
    }
}
