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
    let (phases, param) = if route.posts_to(&SCHEDULES) {
        (form.get("phases"), "phases")
    } else if route.previews() {
        (form.get("schedule_details").and_then(|details| details.get("phases")), "schedule_details[phases]")
    } else {
        return Ok(());
    };
    let Some(Form::List(phases)) = phases else { return Ok(()) };
    match phases.iter().position(|phase| phase.get("iterations").is_some()) {
        None => Ok(()),
        Some(index) => Err(Refusal::unknown(format!("{param}[{index}][iterations]"))),
    }
}
