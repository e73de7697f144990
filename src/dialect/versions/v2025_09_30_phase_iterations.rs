use super::{Change, Route};
use crate::{
    billing::Refusal,
    dialect::{form::Form, version::Version},
};

pub static CHANGE: Change = Change {
    since: Version::of("2025-09-30.clover"),
    summary: "The length of a phase is a duration, and no longer a number of iterations of its price.",
    refuse,
    ..Change::NONE
};

const SCHEDULES: [&str; 2] = ["/v1/subscription_schedules", "/v1/subscription_schedules/{id}"];

fn refuse(route: &Route<'_>, form: &Form) -> Result<(), Refusal> {
    let Some(Form::List(phases)) = form.get("phases").filter(|_| route.posts_to(&SCHEDULES)) else { return Ok(()) };
    match phases.iter().position(|phase| phase.get("iterations").is_some()) {
        None => Ok(()),
        Some(index) => Err(Refusal::unknown(format!("phases[{index}][iterations]"))),
    }
}
