//! Currencies: three lower-case letters, and what is the least that may be charged.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Amount, Refusal, decimal::Decimal};

/// A supported currency, as its lower-case ISO 4217 code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(&'static str);

/// Every currency that prices can be in, most used first (the order in which errors list them).
const SUPPORTED: [&str; 136] = [
    "usd", "aed", "afn", "all", "amd", "ang", "aoa", "ars", "aud", "awg", "azn", "bam", "bbd", "bdt", "bgn", "bhd",
    "bif", "bmd", "bnd", "bob", "brl", "bsd", "bwp", "byn", "bzd", "cad", "cdf", "chf", "clp", "cny", "cop", "crc",
    "cve", "czk", "djf", "dkk", "dop", "dzd", "egp", "etb", "eur", "fjd", "fkp", "gbp", "gel", "gip", "gmd", "gnf",
    "gtq", "gyd", "hkd", "hnl", "htg", "huf", "idr", "ils", "inr", "isk", "jmd", "jod", "jpy", "kes", "kgs", "khr",
    "kmf", "krw", "kwd", "kyd", "kzt", "lak", "lbp", "lkr", "lrd", "lsl", "mad", "mdl", "mga", "mkd", "mmk", "mnt",
    "mop", "mur", "mvr", "mwk", "mxn", "myr", "mzn", "nad", "ngn", "nio", "nok", "npr", "nzd", "omr", "pab", "pen",
    "pgk", "php", "pkr", "pln", "pyg", "qar", "ron", "rsd", "rub", "rwf", "sar", "sbd", "scr", "sek", "sgd", "shp",
    "sle", "sos", "srd", "std", "szl", "thb", "tjs", "tnd", "top", "try", "ttd", "twd", "tzs", "uah", "ugx", "uyu",
    "uzs", "vnd", "vuv", "wst", "xaf", "xcd", "xof", "xpf",
];

impl Currency {
    /// Case does not matter on the way in.
    pub fn parse(code: &str) -> Option<Currency> {
        let code = code.to_ascii_lowercase();
        SUPPORTED.iter().find(|known| **known == code).map(|known| Currency(known))
    }

    pub const fn code(self) -> &'static str {
        self.0
    }

    /// The least that can be charged, in minor units: the table of minimum charges, and for currencies
    /// that it does not name what half a US dollar is worth, roughly and for good.
    pub fn minimum_charge(self) -> Amount {
        Amount::new(match self.0 {
            "gbp" => 30,
            "fkp" | "gip" | "kyd" | "shp" => 40,
            "vuv" => 60,
            "bnd" => 70,
            "ang" | "awg" | "azn" | "bam" | "djf" => 90,
            "bbd" | "bgn" | "bzd" => 100,
            "fjd" | "top" => 120,
            "gel" | "wst" | "xcd" => 140,
            "byn" | "kwd" => 150,
            "ils" => 170,
            "pen" | "qar" => 180,
            "bhd" | "omr" | "sar" => 190,
            "aed" | "kmf" | "myr" | "pgk" | "pln" | "ron" => 200,
            "dkk" => 250,
            "xaf" | "xof" => 280,
            "nok" | "sek" => 300,
            "ttd" => 340,
            "bob" | "cny" | "jod" => 350,
            "gtq" | "hkd" | "mop" | "sbd" => 400,
            "mad" => 450,
            "tjs" => 480,
            "clp" => 500,
            "bwp" | "krw" | "rwf" | "scr" => 700,
            "mvr" => 770,
            "mdl" => 850,
            "lsl" | "nad" | "szl" => 900,
            "mxn" | "thb" => 1000,
            "sle" => 1100,
            "hnl" => 1300,
            "tnd" => 1450,
            "bif" | "czk" | "twd" => 1500,
            "nio" => 1800,
            "srd" => 1900,
            "try" | "uyu" => 2000,
            "uah" => 2100,
            "mga" => 2200,
            "mur" => 2300,
            "egp" => 2500,
            "mkd" => 2600,
            "dop" | "php" => 3000,
            "mzn" => 3200,
            "afn" | "gmd" | "pyg" => 3500,
            "rub" => 4000,
            "all" | "gnf" | "kgs" => 4500,
            "cve" | "rsd" => 5000,
            "bdt" => 6000,
            "dzd" | "htg" | "isk" | "kes" => 6500,
            "npr" => 7000,
            "etb" => 7500,
            "jmd" => 8000,
            "lrd" => 9000,
            "gyd" => 10_000,
            "vnd" => 13_000,
            "pkr" => 14_000,
            "lkr" => 15_000,
            "huf" => 17_500,
            "amd" => 20_000,
            "crc" => 25_000,
            "kzt" => 26_000,
            "sos" => 28_500,
            "aoa" => 45_000,
            "ars" => 70_000,
            "ngn" => 75_000,
            "mwk" => 85_000,
            "mmk" => 105_000,
            "tzs" => 120_000,
            "cdf" => 125_000,
            "ugx" => 175_000,
            "mnt" => 180_000,
            "cop" | "khr" => 200_000,
            "uzs" => 600_000,
            "idr" => 825_000,
            "std" => 1_000_000,
            "lak" => 1_100_000,
            "lbp" => 4_500_000,
            _ => 50,
        })
    }

    /// What every amount that is charged must be a multiple of: the last digit of three-decimal
    /// currencies is 0, and those written with two decimals that they do not have end in 00.
    pub fn step(self) -> i64 {
        match self.0 {
            "isk" | "ugx" => 100,
            _ if self.places() == 3 => 10,
            _ => 1,
        }
    }

    /// Whether an amount can be charged or credited to the last digit.
    pub fn holds(self, amount: Amount) -> bool {
        amount.minor_units() % self.step() == 0
    }

    /// Refuses an amount that no payment could have.
    pub fn check(self, amount: Amount, param: &str) -> Result<(), Refusal> {
        if self.holds(amount) {
            return Ok(());
        }
        let (step, code) = (self.step(), self.0.to_uppercase());
        let message = format!("Invalid amount: amounts in {code} must be divisible by {step}.");
        Err(Refusal::invalid(message).code("invalid_charge_amount").param(param))
    }

    /// How many decimal places people write it with.
    const fn places(self) -> usize {
        match self.0.as_bytes() {
            b"bif" | b"clp" | b"djf" | b"gnf" | b"jpy" | b"kmf" | b"krw" | b"mga" | b"pyg" | b"rwf" | b"vnd"
            | b"vuv" | b"xaf" | b"xof" | b"xpf" => 0,
            b"bhd" | b"jod" | b"kwd" | b"omr" | b"tnd" => 3,
            _ => 2,
        }
    }

    /// An amount as people read it, in invoice line descriptions: `$20.00`, `¥1400`, `20.00 CHF`.
    pub fn readable(self, amount: Amount) -> String {
        let places = self.places();
        let digits = format!("{:0>width$}", amount.minor_units().unsigned_abs(), width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let point = if places == 0 { "" } else { "." };
        let sign = if amount.is_negative() { "-" } else { "" };
        self.marked(sign, &format!("{whole}{point}{fraction}"))
    }

    /// A price per unit, with all its decimal places: half a cent is `$0.005`.
    pub fn readable_decimal(self, amount: Decimal) -> String {
        let text = amount.to_string();
        let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
        let (minor, parts) = digits.split_once('.').unwrap_or((digits, ""));
        let minor = format!("{minor:0>width$}", width = self.places() + 1);
        let (whole, fraction) = minor.split_at(minor.len() - self.places());
        let point = if fraction.is_empty() && parts.is_empty() { "" } else { "." };
        self.marked(sign, &format!("{whole}{point}{fraction}{parts}"))
    }

    fn marked(self, sign: &str, number: &str) -> String {
        match self.0 {
            "usd" => format!("{sign}${number}"),
            "eur" => format!("{sign}€{number}"),
            "gbp" => format!("{sign}£{number}"),
            "jpy" => format!("{sign}¥{number}"),
            code => format!("{sign}{number} {}", code.to_uppercase()),
        }
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Currency::parse(&code).ok_or_else(|| {
            de::Error::custom(format_args!(
                "Invalid currency: {code}. Stripe currently supports these currencies: {}",
                SUPPORTED.join(", ")
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Zero-decimal and three-decimal currencies, and the two that are written with decimals they lack.
    #[test]
    fn some_currencies_have_digits_that_must_be_zero() {
        for (code, amount, holds) in [
            ("usd", 1234, true),
            ("jpy", 1401, true),
            ("kwd", 1230, true),
            ("kwd", 1231, false),
            ("tnd", -5, false),
            ("isk", 500, true),
            ("isk", 550, false),
            ("ugx", 101, false),
            ("huf", 17_501, true),
        ] {
            let currency = Currency::parse(code).unwrap();
            assert_eq!(currency.check(Amount::new(amount), "amount").is_ok(), holds, "{amount} {code}");
        }
    }

    /// The table of minimum charges; of all others it is the equivalent of half a US dollar.
    #[test]
    fn the_least_that_can_be_charged_is_worth_half_a_dollar() {
        for (code, least) in [
            ("usd", 50),
            ("eur", 50),
            ("gbp", 30),
            ("jpy", 50),
            ("inr", 50),
            ("huf", 17_500),
            ("sek", 300),
            ("krw", 700),
            ("idr", 825_000),
            ("cny", 350),
            ("kwd", 150),
            ("isk", 6500),
            ("ugx", 175_000),
            ("bmd", 50),
        ] {
            assert_eq!(Currency::parse(code).unwrap().minimum_charge(), Amount::new(least), "{code}");
        }
        for currency in SUPPORTED.map(Currency) {
            assert!(currency.holds(currency.minimum_charge()), "{currency} can be charged");
        }
    }

    #[test]
    fn reads_as_people_write_it() {
        for (code, amount, text) in [
            ("usd", 2000, "$20.00"),
            ("USD", -5, "-$0.05"),
            ("jpy", 1400, "¥1400"),
            ("kwd", 1230, "1.230 KWD"),
            ("eur", 0, "€0.00"),
        ] {
            assert_eq!(Currency::parse(code).unwrap().readable(Amount::new(amount)), text);
        }
        assert_eq!(Currency::parse("xyz"), None);
        for (code, amount, text) in [
            ("usd", "0.5", "$0.005"),
            ("usd", "1050.5", "$10.505"),
            ("eur", "-3", "-€0.03"),
            ("jpy", "2.25", "¥2.25"),
            ("kwd", "1.5", "0.0015 KWD"),
        ] {
            assert_eq!(Currency::parse(code).unwrap().readable_decimal(amount.parse().unwrap()), text);
        }
    }
}
