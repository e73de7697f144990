//! Numbers that look like chance and are the same for the same seed, on every machine.

/// A number from a seed (splitmix64).
pub const fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The seed that belongs to a text.
pub fn of_text(text: &str) -> u64 {
    let offset = 0xcbf2_9ce4_8422_2325;
    text.bytes().fold(offset, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Thousandths of a standard deviation around 0, nearly a bell curve: the sum of four even numbers.
pub fn bell(seed: u64) -> i64 {
    let sum: i64 = mixed(seed).to_be_bytes().chunks(2).map(|two| i64::from(two[0]) << 8 | i64::from(two[1])).sum();
    (sum - 2 * 65_535) * 1000 / 37_837
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_is_even_and_as_wide_as_it_says() {
        let drawn: Vec<i64> = (0..10_000).map(bell).collect();
        let mean = drawn.iter().sum::<i64>() / 10_000;
        let variance = drawn.iter().map(|one| one * one).sum::<i64>() / 10_000;
        assert!(mean.abs() < 30 && (950_000..1_050_000).contains(&variance), "{mean} {variance}");
    }
}
