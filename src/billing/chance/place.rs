//! Which hour it is where a card comes from.

use super::circumstance::Country;

/// Countries by how many minutes they are ahead of UTC for most of their people in winter: close enough to
/// tell evening from night. The rest, and the unknown, are taken to live at UTC.
const MINUTES_AHEAD: &[(i64, &[&str])] = &[
    (-480, &["PN"]),
    (-360, &["US", "MX", "CR", "GT", "HN", "NI", "SV", "BZ"]),
    (-300, &["CA", "CO", "PE", "EC", "PA", "JM", "CU", "HT"]),
    (-240, &["BO", "VE", "DO", "PR", "PY", "CL", "GY", "TT", "BB"]),
    (-180, &["BR", "AR", "UY", "SR"]),
    (
        60,
        &[
            "AD", "AL", "AO", "AT", "BA", "BE", "BJ", "CH", "CM", "CZ", "DE", "DK", "DZ", "ES", "FR", "GA", "HR", "HU",
            "IT", "LI", "LU", "MA", "MC", "ME", "MK", "MT", "NE", "NG", "NL", "NO", "PL", "RS", "SE", "SI", "SK", "SM",
            "TN",
        ],
    ),
    (
        120,
        &[
            "BG", "BW", "CY", "EE", "EG", "FI", "GR", "IL", "LB", "LT", "LV", "LY", "MD", "MZ", "RO", "RW", "UA", "ZA",
            "ZM", "ZW",
        ],
    ),
    (180, &["BH", "BY", "ET", "IQ", "JO", "KE", "KW", "QA", "RU", "SA", "SY", "TR", "TZ", "UG", "YE"]),
    (210, &["IR"]),
    (240, &["AE", "AM", "AZ", "GE", "MU", "OM", "SC"]),
    (300, &["KZ", "MV", "PK", "TM", "UZ"]),
    (330, &["IN", "LK"]),
    (345, &["NP"]),
    (360, &["BD", "BT", "KG"]),
    (390, &["MM"]),
    (420, &["ID", "KH", "LA", "TH", "VN"]),
    (480, &["BN", "CN", "HK", "MN", "MO", "MY", "PH", "SG", "TW"]),
    (540, &["JP", "KR", "KP"]),
    (600, &["AU", "PG", "GU"]),
    (720, &["NZ", "FJ"]),
];

pub fn offset_seconds(country: Country) -> i64 {
    let letters = country.letters();
    let found = MINUTES_AHEAD.iter().find(|(_, countries)| countries.contains(&letters));
    found.map_or(0, |(minutes, _)| minutes * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_stands_once() {
        let mut all: Vec<&str> = MINUTES_AHEAD.iter().flat_map(|(_, countries)| *countries).copied().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(all.iter().all(|letters| Country::named(letters) != Country::UNKNOWN));
    }
}
