//! How often the card networks let one payment be tried on one card.
//!
//! Visa allows 15 attempts within 30 days, Mastercard 10 within 24 hours and 35 within 30 days. The others
//! publish none: they are held to Visa's. What an issuer will never approve ([`is_hard`]) is not charged
//! again at all before there is another card.
//!
//! [`is_hard`]: super::answer::is_hard

use super::{Timestamp, chance::circumstance::Brand};

/// So many attempts within so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    pub attempts: usize,
    pub seconds: i64,
}

const DAY: i64 = 86_400;

pub const fn caps(brand: Brand) -> &'static [Cap] {
    match brand {
        Brand::Mastercard => &[Cap { attempts: 10, seconds: DAY }, Cap { attempts: 35, seconds: 30 * DAY }],
        Brand::Amex | Brand::Diners | Brand::Discover | Brand::Jcb | Brand::Unionpay | Brand::Visa | Brand::Other => {
            &[Cap { attempts: 15, seconds: 30 * DAY }]
        }
    }
}

/// Whether one more attempt may be made after those that were made, and `planned` ones yet to be made.
pub fn allows(brand: Brand, made: &[Timestamp], planned: usize, time: Timestamp) -> bool {
    caps(brand).iter().all(|cap| {
        let from = time.plus_seconds(-cap.seconds);
        made.iter().filter(|made| **made > from).count() + planned < cap.attempts
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_networks_set_bounds() {
        let made = |count: i64| (0..count).map(|hour| Timestamp::new(hour * 3600)).collect::<Vec<_>>();
        let time = |hours: i64| Timestamp::new(hours * 3600);
        for (what, brand, count, hours, allowed) in [
            ("the 15th", Brand::Visa, 14, 20, true),
            ("the 16th", Brand::Visa, 15, 20, false),
            ("30 days after the first", Brand::Visa, 15, 30 * 24, true),
            ("the 10th of a day", Brand::Mastercard, 9, 9, true),
            ("the 11th of a day", Brand::Mastercard, 10, 10, false),
            ("the day after", Brand::Mastercard, 10, 24, true),
            ("the 36th of a month", Brand::Mastercard, 35, 300, false),
            ("a network that says nothing", Brand::Other, 15, 20, false),
        ] {
            assert_eq!(allows(brand, &made(count), 0, time(hours)), allowed, "{what}");
        }
        assert!(!allows(Brand::Visa, &made(10), 5, time(10)));
    }
}
