//! API versions: which there are, and which of them is meant. The core knows only the newest; what an
//! older one says otherwise is in `versions`.

use std::fmt;

use crate::billing::{Refusal, event::API_VERSION};

/// A version that is spoken. Versions compare by their dates: there is one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(&'static str);

/// What a client is shown: the objects of a mode, in the shapes of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    pub livemode: bool,
    pub version: Version,
}

/// All that can be asked for, oldest first. Those that share a name differ by additions alone.
const SPOKEN: [&str; 34] = [
    "2020-08-27",
    "2022-08-01",
    "2022-11-15",
    "2023-08-16",
    "2023-10-16",
    "2024-04-10",
    "2024-06-20",
    "2024-09-30.acacia",
    "2024-10-28.acacia",
    "2024-11-20.acacia",
    "2024-12-18.acacia",
    "2025-01-27.acacia",
    "2025-02-24.acacia",
    "2025-03-01.dashboard",
    "2025-03-31.basil",
    "2025-04-30.basil",
    "2025-05-28.basil",
    "2025-06-30.basil",
    "2025-07-30.basil",
    "2025-08-27.basil",
    "2025-09-30.clover",
    "2025-10-29.clover",
    "2025-11-17.clover",
    "2025-12-15.clover",
    "2026-01-28.clover",
    "2026-02-25.clover",
    "2026-03-25.dahlia",
    "2026-04-22.dahlia",
    "2026-05-27.dahlia",
    "2026-06-24.dahlia",
    "2026-07-29.dahlia",
    "2026-08-26.dahlia",
    "2026-09-30.endive",
    API_VERSION,
];

impl Version {
    /// What documents rest in.
    pub const NEWEST: Version = Version(API_VERSION);

    /// A version that stands in the list: for the changes between them.
    pub const fn of(text: &'static str) -> Version {
        Version(text)
    }

    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The version of this name, if it is spoken.
    pub fn known(text: &str) -> Option<Version> {
        SPOKEN.iter().find(|known| **known == text).map(|known| Version(known))
    }

    /// The version that a client asks for.
    pub fn asked(text: &str) -> Result<Version, Refusal> {
        if let Some(version) = Version::known(text) {
            return Ok(version);
        }
        if looks_like_a_date(text) && text < SPOKEN[0] {
            return Err(Refusal::invalid(format!(
                "The API version {text} is not supported by this server: the oldest that it speaks is {}.",
                SPOKEN[0]
            )));
        }
        Err(Refusal::invalid(format!("Invalid Stripe API version: {text}")))
    }

    /// All that are spoken, oldest first.
    pub fn all() -> impl Iterator<Item = Version> {
        SPOKEN.iter().map(|text| Version(text))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

fn looks_like_a_date(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(place, byte)| if matches!(place, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_known_by_their_whole_names() {
        let said = |text| Version::asked(text).map(Version::as_str).map_err(|refusal| refusal.message);
        assert_eq!(said("2025-02-24.acacia"), Ok("2025-02-24.acacia"));
        assert_eq!(said("2020-08-27"), Ok("2020-08-27"));
        for unknown in ["2025-02-24", "2025-02-24.basil", "2021-01-01", "newest", "", "2020-08-27 "] {
            assert_eq!(said(unknown), Err(format!("Invalid Stripe API version: {unknown}")));
        }
        assert!(said("2019-12-03").is_err_and(|message| message.contains("the oldest that it speaks is 2020-08-27")));
    }

    #[test]
    fn versions_are_listed_from_the_oldest_to_the_newest() {
        let all: Vec<Version> = Version::all().collect();
        assert!(all.is_sorted_by(|one, next| one < next));
        assert_eq!(all.last(), Some(&Version::NEWEST));
    }
}
