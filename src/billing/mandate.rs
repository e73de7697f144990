//! What a customer has agreed to. Cards need no mandate, so none is shown; what was said of it is kept with
//! the intent, for whoever must prove it.

use serde::{Deserialize, Serialize};

use super::Timestamp;
use crate::words;

words!(AcceptanceType { Offline = "offline", Online = "online" });

/// When and how a customer has agreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    pub accepted_at: Timestamp,
    #[serde(rename = "type")]
    pub kind: AcceptanceType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<Online>,
}

/// From where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Online {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}
