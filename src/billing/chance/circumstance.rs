//! What is known about a retry before it is made.

use chrono::{DateTime, Datelike as _, Days, Timelike as _, Weekday};

use super::place;
use crate::{
    billing::{Timestamp, payment_method::Card},
    words,
};

/// Everything a retry's chance is estimated from. Times are those of the card's country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Circumstance {
    pub decline: Group,
    pub funding: Funding,
    pub brand: Brand,
    pub country: Country,
    /// 0 to 23.
    pub hour: u8,
    /// 0 is Monday.
    pub weekday: u8,
    /// 1 to 30; the last day of a month is [`LAST_DAY`].
    pub day: u8,
    /// How long after the failure before it: a place in [`SINCE`].
    pub since: u8,
    /// Whether one of the [`PAYDAYS`] has come since that failure.
    pub payday: bool,
    /// 1 for the first retry; from [`MOST_RETRIES`] on they count as one.
    pub retry: u8,
}

/// The last day of a month, whichever it is: many are paid on it.
pub const LAST_DAY: u8 = 31;
pub const MOST_RETRIES: u8 = 8;
/// The days of a month on which many are paid.
pub const PAYDAYS: [u8; 4] = [1, 15, 25, LAST_DAY];

/// Stretches between a failure and the next attempt: how long they last at most, in hours, and their names.
pub const SINCE: [(i64, &str); 9] = [
    (6, "hours"),
    (18, "half a day"),
    (36, "1 day"),
    (60, "2 days"),
    (84, "3 days"),
    (132, "4 to 5 days"),
    (180, "6 to 7 days"),
    (252, "8 to 10 days"),
    (i64::MAX, "longer"),
];

words!(
    /// What kind of failure came before.
    #[derive(PartialOrd, Ord, Hash)]
    Group {
        /// There was not enough money, or too much was spent at a time.
        Funds = "insufficient_funds",
        /// The issuer said no, and not why.
        Issuer = "issuer",
        /// Something on the way failed.
        Technical = "technical",
        /// The card's data are wrong or outdated.
        CardData = "card_data",
        /// The customer must authenticate.
        Authentication = "authentication",
        /// This card will never do: a new one is needed.
        Hard = "hard",
        /// There is no payment method.
        Missing = "no_payment_method",
    }
);

words!(
    #[derive(PartialOrd, Ord, Hash)]
    Funding { Credit = "credit", Debit = "debit", Prepaid = "prepaid", Unknown = "unknown" }
);

words!(
    #[derive(PartialOrd, Ord, Hash)]
    Brand {
        Amex = "amex",
        Diners = "diners",
        Discover = "discover",
        Jcb = "jcb",
        Mastercard = "mastercard",
        Unionpay = "unionpay",
        Visa = "visa",
        Other = "other",
    }
);

/// The two letters of a country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Group {
    pub const ALL: [Group; 7] = [
        Group::Funds,
        Group::Issuer,
        Group::Technical,
        Group::CardData,
        Group::Authentication,
        Group::Hard,
        Group::Missing,
    ];

    /// The group of a decline, by its most precise word.
    pub fn of(reason: &str) -> Group {
        match reason {
            "insufficient_funds" | "withdrawal_count_limit_exceeded" | "card_velocity_exceeded" => Group::Funds,
            "processing_error" | "issuer_not_available" | "reenter_transaction" => Group::Technical,
            "expired_card"
            | "incorrect_cvc"
            | "invalid_cvc"
            | "invalid_number"
            | "invalid_expiry_month"
            | "invalid_expiry_year" => Group::CardData,
            "authentication_required" | "payment_intent_authentication_failure" => Group::Authentication,
            _ if crate::billing::answer::is_hard(reason) => Group::Hard,
            _ => Group::Issuer,
        }
    }

    pub fn named(word: &str) -> Option<Group> {
        Group::ALL.into_iter().find(|group| group.word() == word)
    }
}

impl Funding {
    pub const ALL: [Funding; 4] = [Funding::Credit, Funding::Debit, Funding::Prepaid, Funding::Unknown];

    pub fn named(word: &str) -> Funding {
        Funding::ALL.into_iter().find(|funding| funding.word() == word).unwrap_or(Funding::Unknown)
    }
}

impl Brand {
    pub const ALL: [Brand; 8] = [
        Brand::Amex,
        Brand::Diners,
        Brand::Discover,
        Brand::Jcb,
        Brand::Mastercard,
        Brand::Unionpay,
        Brand::Visa,
        Brand::Other,
    ];

    pub fn named(word: &str) -> Brand {
        Brand::ALL.into_iter().find(|brand| brand.word() == word).unwrap_or(Brand::Other)
    }
}

impl Country {
    pub const UNKNOWN: Country = Country(*b"--");
    /// How many different numbers there are.
    pub const COUNT: usize = 26 * 26 + 1;

    pub fn named(letters: &str) -> Country {
        match letters.as_bytes() {
            [first @ b'A'..=b'Z', second @ b'A'..=b'Z'] => Country([*first, *second]),
            _ => Country::UNKNOWN,
        }
    }

    pub fn letters(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or("--")
    }

    /// 0 where it is unknown.
    pub const fn number(self) -> usize {
        match self.0 {
            [b'-', _] => 0,
            [first, second] => (first - b'A') as usize * 26 + (second - b'A') as usize + 1,
        }
    }

    pub const fn numbered(number: usize) -> Country {
        match number {
            1..Country::COUNT => {
                let number = number - 1;
                // Both are below 26.
                #[expect(clippy::cast_possible_truncation)]
                Country([b'A' + (number / 26) as u8, b'A' + (number % 26) as u8])
            }
            _ => Country::UNKNOWN,
        }
    }
}

impl Circumstance {
    /// Whether every number is one that there is.
    pub const fn is_possible(&self) -> bool {
        self.hour < 24
            && self.weekday < 7
            && 0 < self.day
            && self.day <= LAST_DAY
            && (self.since as usize) < SINCE.len()
            && 0 < self.retry
            && self.retry <= MOST_RETRIES
    }

    /// The same time, where another attempt failed before it.
    #[must_use]
    pub fn follows(self, failed_at: Timestamp, time: Timestamp, payday: bool, retry: usize) -> Circumstance {
        let since = since(time.unix_seconds() - failed_at.unix_seconds());
        Circumstance { since, payday, retry: numbered(retry), ..self }
    }
}

fn numbered(retry: usize) -> u8 {
    u8::try_from(retry).unwrap_or(MOST_RETRIES).clamp(1, MOST_RETRIES)
}

/// What does not depend on when the retry is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub decline: Group,
    pub funding: Funding,
    pub brand: Brand,
    pub country: Country,
    pub at: Timestamp,
}

impl Failure {
    /// A failure with this card, or with none.
    pub fn of(decline: Group, card: Option<&Card>, at: Timestamp) -> Failure {
        Failure {
            decline,
            funding: card.map_or(Funding::Unknown, |card| Funding::named(&card.funding)),
            brand: card.map_or(Brand::Other, |card| Brand::named(&card.brand)),
            country: card.and_then(|card| card.country.as_deref()).map_or(Country::UNKNOWN, Country::named),
            at,
        }
    }

    /// The circumstance of a retry, `retry` being 1 for the first.
    pub fn retried_at(&self, time: Timestamp, retry: usize) -> Circumstance {
        let local = Local::of(time, self.country);
        Circumstance {
            decline: self.decline,
            funding: self.funding,
            brand: self.brand,
            country: self.country,
            hour: local.hour,
            weekday: local.weekday,
            day: local.day,
            since: since(time.unix_seconds() - self.at.unix_seconds()),
            payday: Local::of(self.at, self.country).latest_payday < local.latest_payday,
            retry: numbered(retry),
        }
    }
}

/// The stretch that so many seconds fall into.
pub fn since(seconds: i64) -> u8 {
    let place = SINCE.iter().position(|(hours, _)| seconds < hours.saturating_mul(3600));
    u8::try_from(place.unwrap_or(SINCE.len() - 1)).unwrap_or(0)
}

/// A time as the calendar of a country has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    pub hour: u8,
    pub weekday: u8,
    pub day: u8,
    /// Days since 1970.
    pub date: i64,
    /// The same of the latest of the [`PAYDAYS`].
    pub latest_payday: i64,
}

impl Local {
    pub fn of(time: Timestamp, country: Country) -> Local {
        let seconds = time.unix_seconds().saturating_add(place::offset_seconds(country));
        let time = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        let is_last = time.checked_add_days(Days::new(1)).is_some_and(|next| next.day() == 1);
        let small = |number: u32| u8::try_from(number).unwrap_or(0);
        let (day, date) = (small(time.day()), seconds.div_euclid(86_400));
        // A last day that is over is the first of the next month, or later.
        let payday = PAYDAYS.into_iter().rfind(|payday| *payday < LAST_DAY && *payday <= day).unwrap_or(1);
        Local {
            hour: small(time.hour()),
            weekday: small(time.weekday().days_since(Weekday::Mon)),
            day: if is_last { LAST_DAY } else { day },
            date,
            latest_payday: if is_last { date } else { date - i64::from(day - payday) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decline codes: the table, and what each group waits for.
    #[test]
    fn declines_fall_into_groups() {
        for (group, reasons) in [
            (Group::Funds, &["insufficient_funds", "withdrawal_count_limit_exceeded", "card_velocity_exceeded"][..]),
            (
                Group::Issuer,
                &[
                    "generic_decline",
                    "do_not_honor",
                    "try_again_later",
                    "call_issuer",
                    "no_action_taken",
                    "fraudulent",
                    "card_declined",
                ],
            ),
            (Group::Technical, &["processing_error", "issuer_not_available", "reenter_transaction"]),
            (Group::CardData, &["expired_card", "incorrect_cvc", "invalid_cvc", "invalid_number"]),
            (Group::Authentication, &["authentication_required"]),
            (
                Group::Hard,
                &[
                    "incorrect_number",
                    "lost_card",
                    "stolen_card",
                    "pickup_card",
                    "revocation_of_authorization",
                    "revocation_of_all_authorizations",
                    "highest_risk_level",
                    "transaction_not_allowed",
                ],
            ),
        ] {
            for reason in reasons {
                assert_eq!(Group::of(reason), group, "{reason}");
            }
        }
    }

    #[test]
    fn words_and_numbers_lead_back() {
        assert!(Group::ALL.iter().all(|group| Group::named(group.word()) == Some(*group)));
        for letters in ["US", "DE", "AA", "ZZ"] {
            let country = Country::named(letters);
            assert_eq!((Country::numbered(country.number()), country.letters()), (country, letters));
        }
        assert_eq!(Country::named("usa"), Country::UNKNOWN);
        assert_eq!(Country::numbered(0), Country::UNKNOWN);
        assert_eq!(Country::named("ZZ").number() + 1, Country::COUNT);
    }

    #[test]
    fn times_are_those_of_the_country() {
        // Sunday 31 January 2027, 23:30 UTC.
        let time = Timestamp::new(1_801_438_200);
        let local = |country: &str| {
            let local = Local::of(time, Country::named(country));
            (local.day, local.hour, local.weekday)
        };
        assert_eq!(local("GB"), (LAST_DAY, 23, 6));
        assert_eq!(local("JP"), (1, 8, 0));
        assert_eq!(local("US"), (LAST_DAY, 17, 6));
        assert_eq!(local("??"), (LAST_DAY, 23, 6));
    }

    #[test]
    fn a_payday_may_lie_between() {
        let first_of_january = 1_798_761_600;
        let time = |day: i64| Timestamp::new(first_of_january + (day - 1) * 86_400 + 40_000);
        for (failed, retried, expected) in [
            (2, 14, false),
            (2, 15, true),
            (15, 15, false),
            (15, 24, false),
            (24, 26, true),
            (26, 30, false),
            (30, 31, true),
            (31, 32, true),
            (32, 33, false),
        ] {
            let failure = Failure::of(Group::Funds, None, time(failed));
            assert_eq!(failure.retried_at(time(retried), 1).payday, expected, "{failed} {retried}");
        }
    }

    #[test]
    fn stretches_have_no_gaps() {
        for (hours, name) in [(0, "hours"), (12, "half a day"), (24, "1 day"), (72, "3 days"), (1000, "longer")] {
            assert_eq!(SINCE[usize::from(since(hours * 3600))].1, name);
        }
        assert_eq!(since(-5), 0);
    }
}
