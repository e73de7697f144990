//! `mandate_data`: what a customer has agreed to, as it is sent with a confirmation.

use std::net::IpAddr;

use serde::Deserialize;

use crate::billing::{
    Refusal, Timestamp,
    mandate::{Acceptance, AcceptanceType, Online},
    shape::{Patch, Text},
};

#[derive(Clone, Debug, Deserialize)]
pub struct MandateData {
    customer_acceptance: AcceptanceParams,
}

#[derive(Clone, Debug, Deserialize)]
struct AcceptanceParams {
    accepted_at: Option<Timestamp>,
    offline: Option<Offline>,
    online: Option<OnlineParams>,
    #[serde(rename = "type")]
    kind: AcceptanceType,
}

/// There is nothing to say of it.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Offline {}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct OnlineParams {
    ip_address: Option<IpAddr>,
    user_agent: Option<Text<5000>>,
}

const PLACE: &str = "mandate_data[customer_acceptance]";

/// What was agreed to, if it could be. A browser is there with its customer, and need not say from where.
pub fn accepted(data: Patch<MandateData>, is_browser: bool, now: Timestamp) -> Result<Patch<Acceptance>, Refusal> {
    let given = match data {
        Patch::Keep => return Ok(Patch::Keep),
        Patch::Clear => return Ok(Patch::Clear),
        Patch::Set(data) => data.customer_acceptance,
    };
    let misplaced = |member: &str, kind: AcceptanceType| {
        let message = format!("`{member}` cannot be given with the type `{kind}`.");
        Err(Refusal::invalid(message).param(format!("{PLACE}[{member}]")))
    };
    let online = match (given.kind, given.online, given.offline) {
        (AcceptanceType::Offline, _, _) if is_browser => {
            let message = "Invalid type: must be online with a publishable key.";
            return Err(Refusal::invalid(message).param(format!("{PLACE}[type]")));
        }
        (AcceptanceType::Offline, Some(_), _) => return misplaced("online", given.kind),
        (AcceptanceType::Online, _, Some(_)) => return misplaced("offline", given.kind),
        (AcceptanceType::Offline, None, _) => None,
        (AcceptanceType::Online, Some(online), None) => Some(online),
        (AcceptanceType::Online, None, None) if is_browser => Some(OnlineParams::default()),
        (AcceptanceType::Online, None, None) => return Err(Refusal::missing(format!("{PLACE}[online]"))),
    };
    let online = online.map(|one| Online {
        ip_address: one.ip_address.map(|address| address.to_string()),
        user_agent: one.user_agent.map(String::from),
    });
    if let Some(online) = online.as_ref().filter(|_| !is_browser) {
        let parts = [("ip_address", &online.ip_address), ("user_agent", &online.user_agent)];
        if let Some((member, _)) = parts.into_iter().find(|(_, said)| said.is_none()) {
            return Err(Refusal::missing(format!("{PLACE}[online][{member}]")));
        }
    }
    Ok(Patch::Set(Acceptance { accepted_at: given.accepted_at.unwrap_or(now), kind: given.kind, online }))
}
