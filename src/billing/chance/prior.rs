//! What is believed before anything was seen, so that the first retry is made at a sensible time.
//!
//! - Half of all technical failures pass by themselves, within hours. Of other soft declines one retry
//!   in five or six succeeds, and each further one less often; where the card itself is the trouble, few
//!   do, and more the longer its holder had to replace it.
//! - Wages come on the 1st, the 15th, the 25th or the last day of a month: money that was missing is
//!   there then, and for some days after; a little of that goes for every other decline.
//! - Issuers and accounts are in better order from the morning to the evening than at night, hours of the
//!   card's country, and on working days.
//! - What was declined a moment ago will be declined again.
//!
//! Each belief is a log-odds effect in thousandths: +700 doubles the odds.

use super::{
    circumstance::{Group, LAST_DAY},
    facet::Facet,
    log_odds::LogOdds,
};

/// How firmly a belief is held, in thousandths of an outcome's information (an outcome that was quite open
/// tells a quarter of one). As a spread: 12,000 lets an effect be off by 0.3 of log-odds, 24,000 by 0.2.
pub const fn weight(facet: Facet) -> i64 {
    match facet {
        Facet::Decline | Facet::PartOfDay | Facet::PartOfMonth | Facet::Since | Facet::Payday | Facet::Retry => 12_000,
        Facet::Day | Facet::DeclineDay | Facet::DeclinePartOfDay | Facet::DeclinePayday => 16_000,
        Facet::Funding | Facet::Brand | Facet::Country | Facet::Weekday | Facet::DeclineSince | Facet::DeclineRetry => {
            20_000
        }
        Facet::Hour | Facet::DeclineFunding | Facet::DeclineWeekday => 30_000,
    }
}

/// The belief about a cell.
pub fn belief(facet: Facet, cell: usize) -> LogOdds {
    let (decline, plain) = match facet.wider() {
        Some(wider) if facet.is_of_a_decline() => (Group::ALL.get(cell / wider.cells()).copied(), cell % wider.cells()),
        _ => (Group::ALL.get(cell).copied(), cell),
    };
    let thousandths = match facet {
        Facet::Decline => decline.map_or(0, recovers),
        Facet::PartOfDay => at(&[-300, -100, 100, 50, 150, 100], plain),
        Facet::Weekday => at(&[0, 0, 0, 0, 50, -50, -50], plain),
        Facet::Day => payday(plain) / 4,
        Facet::DeclineDay if decline == Some(Group::Funds) => payday(plain),
        // Who had no money on a payday will have none before the next.
        Facet::DeclinePayday if decline == Some(Group::Funds) => at(&[-200, 200], plain),
        Facet::Since => at(&[-800, -400, -100, 0, 0, 0, 0, 50, 100], plain),
        Facet::Retry => at(&[0, 0, -150, -300, -400, -500, -600, -650, -700], plain),
        Facet::DeclineSince => match decline {
            Some(Group::Technical) => at(&[900, 500, 100, 0, 0, 0, 0, 0, 0], plain),
            Some(Group::CardData | Group::Hard | Group::Authentication | Group::Missing) => {
                at(&[-400, -300, -200, -100, 0, 150, 250, 300, 300], plain)
            }
            Some(Group::Funds | Group::Issuer) | None => 0,
        },
        Facet::Funding
        | Facet::Brand
        | Facet::Country
        | Facet::Hour
        | Facet::PartOfMonth
        | Facet::DeclineFunding
        | Facet::DeclinePartOfDay
        | Facet::DeclineWeekday
        | Facet::DeclineDay
        | Facet::Payday
        | Facet::DeclinePayday
        | Facet::DeclineRetry => 0,
    };
    LogOdds::thousandths(thousandths)
}

fn at(effects: &[i32], place: usize) -> i32 {
    effects.get(place).copied().unwrap_or(0)
}

/// How likely the first retry is to succeed, all else being average.
const fn recovers(decline: Group) -> i32 {
    match decline {
        Group::Technical => 0,
        Group::Funds => -1400,
        Group::Issuer => -1600,
        Group::CardData => -2500,
        Group::Authentication | Group::Hard | Group::Missing => -3000,
    }
}

/// What a payday adds where money was missing, and the days after it.
fn payday(day: usize) -> i32 {
    match u8::try_from(day).unwrap_or(0) {
        1 => 600,
        2 | 15 | 25 | LAST_DAY => 500,
        3 | 16 | 26 => 400,
        4 | 17 | 27 => 250,
        5 | 18 | 28 => 100,
        _ => 0,
    }
}
