//! Which API versions are spoken. The core knows only the newest; releases of its generation differ
//! from it by additions alone.

use crate::billing::{Refusal, event::API_VERSION};

/// Versions whose shapes are those of the newest.
const SPOKEN: [&str; 2] = [API_VERSION, "2026-09-30.endive"];

/// The version a request asks for; the newest when it asks for none.
pub fn check(asked: Option<&str>) -> Result<&'static str, Refusal> {
    let Some(asked) = asked else { return Ok(API_VERSION) };
    if let Some(known) = SPOKEN.iter().find(|known| **known == asked) {
        return Ok(known);
    }
    if looks_like_a_version(asked) {
        return Err(Refusal::invalid(format!(
            "The API version {asked} is not supported by this server yet: it speaks {}.",
            SPOKEN.join(" and ")
        )));
    }
    Err(Refusal::invalid(format!("Invalid Stripe API version: {asked}")))
}

fn looks_like_a_version(text: &str) -> bool {
    let date = text.get(..10).unwrap_or_default();
    date.len() == 10
        && date
            .bytes()
            .enumerate()
            .all(|(place, byte)| if matches!(place, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() })
}
