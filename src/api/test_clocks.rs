//! `/v1/test_helpers/test_clocks`

use serde::Deserialize;

use super::{
    call::Call,
    reply::Reply,
    route::{At, Route, deleted},
};
use crate::{
    billing::{
        Books, Id, Moment, Refusal, Timestamp,
        id::Bucket,
        shape::{Text, Unsupported},
        test_clock::{Advancing, NOUN, Status, StatusDetails, Tag, TestClock},
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/test_helpers/test_clocks", &NOUN),
        Route::post("/v1/test_helpers/test_clocks", create, &NOUN),
        Route::retrieve("/v1/test_helpers/test_clocks/{id}", &NOUN),
        Route::delete("/v1/test_helpers/test_clocks/{id}", delete, deleted(&NOUN)),
        Route::post("/v1/test_helpers/test_clocks/{id}/advance", advance, &NOUN),
    ]
}

/// Clocks run from 1970 to the end of 9999: where every calendar agrees.
const LATEST: Timestamp = Timestamp::new(253_402_300_799);
const LIFE_SECONDS: i64 = 30 * 86_400;

#[derive(Clone, Debug, Deserialize)]
struct Create {
    frozen_time: Timestamp,
    name: Option<Text<300>>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    customer: Option<Unsupported>,
}

fn check_time(time: Timestamp) -> Result<(), Refusal> {
    if (Timestamp::new(0)..=LATEST).contains(&time) {
        return Ok(());
    }
    Err(Refusal::invalid("Invalid timestamp: it must lie between the years 1970 and 9999.").param("frozen_time"))
}

async fn create(call: Call, params: Create) -> Reply {
    if call.livemode() {
        return Err(Refusal::invalid("Test clocks exist in test mode only.").into());
    }
    let frozen_time = params.frozen_time;
    check_time(frozen_time)?;
    let verb = Decision::new(Owner::Nobody, Needs::default(), move |books, at| {
        let id: Id<TestClock> = Id::new(&mut at.ids, Bucket::SHARED);
        books
            .put(TestClock {
                id: id.clone(),
                object: Tag::TestClock,
                created: at.now,
                deletes_after: at.now.plus_seconds(LIFE_SECONDS),
                frozen_time,
                livemode: false,
                name: params.name.map(String::from),
                status: Status::Ready,
                status_details: StatusDetails::default(),
            })
            .tell("test_helpers.test_clock.created", at);
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Deserialize)]
struct Advance {
    frozen_time: Timestamp,
}

/// Starts the advance; the engine's clocks do the rest.
async fn advance(At(id): At<String>, call: Call, params: Advance) -> Reply {
    let target = params.frozen_time;
    check_time(target)?;
    let id: Id<TestClock> = Id::given(id);
    let mut needs = Needs::default();
    needs.document(&id);
    let verb = Decision::new(Owner::Nobody, needs, move |books, at| {
        let clock = books.at_path(&id)?.clone();
        if clock.status != Status::Ready {
            let message =
                format!("Test clock {id} is {}: wait until it is ready before advancing it again.", clock.status);
            return Err(Refusal::invalid(message).code("lock_timeout").status(429));
        }
        if target <= clock.frozen_time {
            let message =
                format!("The frozen_time must be later than the clock's current time, {}.", clock.frozen_time);
            return Err(Refusal::invalid(message).param("frozen_time"));
        }
        let status_details = StatusDetails { advancing: Some(Advancing { target_frozen_time: target }) };
        books
            .put(TestClock { status: Status::Advancing, status_details, ..clock })
            .tell("test_helpers.test_clock.advancing", at);
        Ok(Subject::document(&id))
    });
    let said = call.run(&NOUN, verb).await?;
    call.house.engine.clock_moved.notify_one();
    Ok(said)
}

/// Deletes a clock and the customers on it, also one that cannot go on. Repeated after a crash it goes on where
/// it stopped.
async fn delete(At(id): At<String>, call: Call) -> Reply {
    let id: Id<TestClock> = Id::given(id);
    let mut needs = Needs::default();
    needs.document(&id);
    let engine = &call.house.engine;
    let find = |books: &mut Books, _: &mut Moment| Ok(books.at_path(&id)?.clone());
    let clock = engine.preview(call.livemode(), Owner::Nobody, needs.clone(), find).await?;
    if clock.status == Status::Advancing {
        return Err(clock.not_ready().into());
    }
    engine.empty_clock(&id, &call.cause()).await?;
    let verb = Decision::new(Owner::Nobody, needs, move |books, at| {
        books.at_path(&id)?;
        TestClock::delete(books, &id, at);
        Ok(Subject::deleted(&id))
    });
    call.run(&NOUN, verb).await
}
