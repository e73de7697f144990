//! Parameters that a call does not have, and what was probably meant by them.

use crate::billing::Refusal;

/// The path of a parameter that nobody reads, and what was probably meant.
pub type Unknown = (String, Option<&'static str>);

/// Refuses what nobody reads.
pub fn known_only(unknown: &[Unknown]) -> Result<(), Refusal> {
    match unknown {
        [] => Ok(()),
        [(one, None)] => Err(Refusal::unknown(one)),
        [(one, Some(meant))] => {
            let refusal = Refusal::unknown(one);
            Err(Refusal { message: format!("{}. Did you mean {meant}?", refusal.message), ..refusal })
        }
        several => {
            let paths: Vec<&str> = several.iter().map(|(path, _)| path.as_str()).collect();
            let message = format!("Received unknown parameters: {}", paths.join(", "));
            Err(Refusal { message, ..Refusal::unknown(paths[0]) })
        }
    }
}

/// The one of these words that was probably meant: at most one letter in three is another.
pub fn meant(word: &str, words: &[&'static str]) -> Option<&'static str> {
    // What is far longer than any of ours is no slip of the pen.
    if word.len() > 64 {
        return None;
    }
    let near = words.iter().map(|known| (edits(word, known), *known)).min();
    near.filter(|(edits, known)| edits * 3 <= known.len()).map(|(_, known)| known)
}

/// How many letters must be changed, added or left out to make one word of another; two that changed places
/// count once.
fn edits(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut above: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, known) in other.iter().enumerate() {
            let swapped = i > 0 && j > 0 && other[j - 1] == *letter && one[i - 1] == *known;
            let swap = if swapped { above[j - 1] + 1 } else { usize::MAX };
            next.push(swap.min(row[j] + usize::from(letter != known)).min(row[j + 1] + 1).min(next[j] + 1));
        }
        above = std::mem::replace(&mut row, next);
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_recognised() {
        let words = ["email", "name", "payment_method", "source"];
        for (word, known) in [
            ("emial", Some("email")),
            ("nmae", Some("name")),
            ("payment_methods", Some("payment_method")),
            ("paymentMethod", Some("payment_method")),
            ("foo", None),
            ("", None),
        ] {
            assert_eq!(meant(word, &words), known, "{word}");
        }
        assert_eq!(meant(&"e".repeat(100), &words), None);
        assert_eq!(meant("x", &[]), None);
    }

    #[test]
    fn one_is_named_and_several_are_listed() {
        let said = |unknown: &[Unknown]| known_only(unknown).map_err(|refusal| (refusal.message, refusal.param));
        let of = |path: &str, meant| (path.to_owned(), meant);
        assert_eq!(said(&[]), Ok(()));
        let one = Some("items[0][prize]".to_owned());
        let message = "Received unknown parameter: items[0][prize]. Did you mean price?".to_owned();
        assert_eq!(said(&[of("items[0][prize]", Some("price"))]), Err((message, one)));
        let message = "Received unknown parameters: a, b".to_owned();
        assert_eq!(said(&[of("a", None), of("b", Some("c"))]), Err((message, Some("a".to_owned()))));
    }
}
