//! Events that are decided now and told later, or never.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use super::{Books, Told};
use crate::billing::{Moment, event, event_types, hold};

/// An event that waits: everything but its id and its time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Withheld {
    #[serde(rename = "type")]
    pub kind: String,
    pub about: String,
    livemode: bool,
    /// The document as it was, as text.
    object: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<Map<String, Value>>,
}

impl Books {
    /// How many events this decision has told so far.
    pub fn told_so_far(&self) -> usize {
        self.told.len()
    }

    /// Takes back the events that this decision has told, but for the first few; oldest first.
    pub fn withhold(&mut self, but: usize) -> Vec<Withheld> {
        let withheld = |told: Told| Withheld {
            kind: told.kind.to_owned(),
            about: told.about,
            livemode: told.livemode,
            object: told.object.get().to_owned(),
            previous: told.previous,
        };
        self.told.drain(but.min(self.told.len())..).map(withheld).collect()
    }

    /// Tells events that were withheld, now.
    pub fn release(&mut self, withheld: Vec<Withheld>, at: &mut Moment) {
        let Some(bucket) = self.customer().ok().map(|customer| customer.id.bucket()) else { return };
        for waiting in withheld {
            let Some(kind) = event_types::known(&waiting.kind) else { continue };
            let Ok(object) = RawValue::from_string(waiting.object) else { continue };
            let sequence = self.next_sequence_of(&waiting.about);
            let id = at.ids.next(event::NOUN.prefix, bucket);
            hold::await_released(self, kind, &waiting.about, &id);
            self.told.push(Told {
                id,
                created: at.now,
                kind,
                livemode: waiting.livemode,
                about: waiting.about,
                sequence,
                object: object.into(),
                previous: waiting.previous,
            });
        }
    }
}
