//! The sides from which a retry is looked at. Each has cells; a retry lies in one cell of each.

use super::circumstance::{Brand, Circumstance, Country, Funding, Group, LAST_DAY, MOST_RETRIES, SINCE};

/// A side of a circumstance. Those with `Decline` in front say what of a decline group differs from
/// what all have in common, as those in narrower terms say what differs from the wider ones: an hour
/// from its part of the day, a day from its part of the month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facet {
    Decline,
    Funding,
    Brand,
    Country,
    PartOfDay,
    Hour,
    Weekday,
    PartOfMonth,
    Day,
    Since,
    Payday,
    Retry,
    DeclineFunding,
    DeclinePartOfDay,
    DeclineWeekday,
    DeclineDay,
    DeclineSince,
    DeclinePayday,
    DeclineRetry,
}

const HOURS_IN_PART: u8 = 4;
const DAYS_IN_PART: u8 = 5;
const PARTS_OF_DAY: usize = 6;
const PARTS_OF_MONTH: usize = 7;

impl Facet {
    pub const ALL: [Facet; 19] = [
        Facet::Decline,
        Facet::Funding,
        Facet::Brand,
        Facet::Country,
        Facet::PartOfDay,
        Facet::Hour,
        Facet::Weekday,
        Facet::PartOfMonth,
        Facet::Day,
        Facet::Since,
        Facet::Payday,
        Facet::Retry,
        Facet::DeclineFunding,
        Facet::DeclinePartOfDay,
        Facet::DeclineWeekday,
        Facet::DeclineDay,
        Facet::DeclineSince,
        Facet::DeclinePayday,
        Facet::DeclineRetry,
    ];

    /// Those that depend on nothing but when the retry is made.
    pub const CALENDAR: [Facet; 8] = [
        Facet::PartOfDay,
        Facet::Hour,
        Facet::Weekday,
        Facet::PartOfMonth,
        Facet::Day,
        Facet::DeclinePartOfDay,
        Facet::DeclineWeekday,
        Facet::DeclineDay,
    ];

    /// Those that depend on the attempts before.
    pub const SEQUENCE: [Facet; 6] =
        [Facet::Since, Facet::Payday, Facet::Retry, Facet::DeclineSince, Facet::DeclinePayday, Facet::DeclineRetry];

    /// Those that are the same whenever it is made.
    pub const GIVEN: [Facet; 5] = [Facet::Decline, Facet::Funding, Facet::Brand, Facet::Country, Facet::DeclineFunding];

    /// How many cells there are.
    pub const fn cells(self) -> usize {
        let days = LAST_DAY as usize + 1;
        let retries = MOST_RETRIES as usize + 1;
        let groups = Group::ALL.len();
        match self {
            Facet::Decline => groups,
            Facet::Funding => Funding::ALL.len(),
            Facet::Brand => Brand::ALL.len(),
            Facet::Country => Country::COUNT,
            Facet::PartOfDay => PARTS_OF_DAY,
            Facet::Hour => 24,
            Facet::Weekday => 7,
            Facet::PartOfMonth => PARTS_OF_MONTH,
            Facet::Day => days,
            Facet::Since => SINCE.len(),
            Facet::Payday => 2,
            Facet::Retry => retries,
            Facet::DeclineFunding => groups * Funding::ALL.len(),
            Facet::DeclinePartOfDay => groups * PARTS_OF_DAY,
            Facet::DeclineWeekday => groups * 7,
            Facet::DeclineDay => groups * days,
            Facet::DeclineSince => groups * SINCE.len(),
            Facet::DeclinePayday => groups * 2,
            Facet::DeclineRetry => groups * retries,
        }
    }

    /// The cell that a circumstance lies in.
    pub const fn cell(self, of: &Circumstance) -> usize {
        let decline = of.decline as usize;
        let plain = match self {
            Facet::Decline => return decline,
            Facet::Funding | Facet::DeclineFunding => of.funding as usize,
            Facet::Brand => of.brand as usize,
            Facet::Country => of.country.number(),
            Facet::PartOfDay | Facet::DeclinePartOfDay => (of.hour / HOURS_IN_PART) as usize,
            Facet::Hour => of.hour as usize,
            Facet::Weekday | Facet::DeclineWeekday => of.weekday as usize,
            Facet::PartOfMonth => ((of.day - 1) / DAYS_IN_PART) as usize,
            Facet::Day | Facet::DeclineDay => of.day as usize,
            Facet::Since | Facet::DeclineSince => of.since as usize,
            Facet::Payday | Facet::DeclinePayday => of.payday as usize,
            Facet::Retry | Facet::DeclineRetry => of.retry as usize,
        };
        match self.wider() {
            Some(wider) if self.is_of_a_decline() => decline * wider.cells() + plain,
            _ => plain,
        }
    }

    /// Whether it says what differs for one decline group.
    pub const fn is_of_a_decline(self) -> bool {
        matches!(
            self,
            Facet::DeclineFunding
                | Facet::DeclinePartOfDay
                | Facet::DeclineWeekday
                | Facet::DeclineDay
                | Facet::DeclineSince
                | Facet::DeclinePayday
                | Facet::DeclineRetry
        )
    }

    /// What it differs from: where little is known the wider one speaks alone.
    pub const fn wider(self) -> Option<Facet> {
        match self {
            Facet::Hour | Facet::DeclinePartOfDay => Some(Facet::PartOfDay),
            Facet::DeclineDay => Some(Facet::Day),
            Facet::Day => Some(Facet::PartOfMonth),
            Facet::DeclineFunding => Some(Facet::Funding),
            Facet::DeclineWeekday => Some(Facet::Weekday),
            Facet::DeclineSince => Some(Facet::Since),
            Facet::DeclinePayday => Some(Facet::Payday),
            Facet::DeclineRetry => Some(Facet::Retry),
            Facet::Decline
            | Facet::Funding
            | Facet::Brand
            | Facet::Country
            | Facet::PartOfDay
            | Facet::Weekday
            | Facet::PartOfMonth
            | Facet::Since
            | Facet::Payday
            | Facet::Retry => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::{Timestamp, chance::circumstance::Failure};

    #[test]
    fn every_circumstance_lies_in_a_cell_of_each() {
        for (country, decline) in Group::ALL.into_iter().enumerate() {
            let country = Country::numbered(country * 96);
            let at = Timestamp::new(1_800_000_000);
            let failure = Failure { decline, funding: Funding::Unknown, brand: Brand::Other, country, at };
            for hour in 0..24 * 70 {
                let circumstance = failure.retried_at(at.plus_seconds(hour * 3600), usize::try_from(hour).unwrap());
                for facet in Facet::ALL {
                    assert!(facet.cell(&circumstance) < facet.cells(), "{facet:?} {circumstance:?}");
                }
            }
        }
    }

    #[test]
    fn every_facet_is_of_one_kind() {
        let at = Timestamp::new(1_800_000_000);
        let failure = Failure {
            decline: Group::Funds,
            funding: Funding::Debit,
            brand: Brand::Visa,
            country: Country::UNKNOWN,
            at,
        };
        let (one, other) = (failure.retried_at(at, 1), failure.retried_at(at.plus_seconds(1_000_000), 4));
        for facet in Facet::ALL {
            let differs = facet.cell(&one) != facet.cell(&other);
            assert_eq!(differs, !Facet::GIVEN.contains(&facet), "{facet:?}");
            let kinds = [&Facet::GIVEN[..], &Facet::CALENDAR, &Facet::SEQUENCE];
            assert_eq!(kinds.iter().filter(|kind| kind.contains(&facet)).count(), 1, "{facet:?}");
        }
    }
}
