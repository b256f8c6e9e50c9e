//! What was made of texts lately: a text that comes again and again is worked on once.

/// Places for texts; each has one, which it may share.
const PLACES: usize = 64;
/// A longer text is worked on each time.
const LONGEST: usize = 512;

/// Texts, and what was made of them.
pub struct Lately<T>(Vec<Option<(String, T)>>);

impl<T> Default for Lately<T> {
    fn default() -> Self {
        Self((0..PLACES).map(|_| None).collect())
    }
}

impl<T> Lately<T> {
    /// What `make` makes of the text, now or before.
    pub fn made(&mut self, text: &str, make: impl FnOnce(&str) -> T) -> &T {
        let place = &mut self.0[place(text)];
        if place.as_ref().is_none_or(|(known, _)| known != text) {
            *place = None;
        }
        &place.get_or_insert_with(|| (text.to_owned(), make(text))).1
    }
}

/// Whether a text is short enough to be kept.
pub fn keeps(text: &str) -> bool {
    text.len() <= LONGEST
}

/// Mixed of eight bytes at a time: it is for short texts, and nothing depends on it.
fn place(text: &str) -> usize {
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let mix =
        |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let sum = rest.iter().fold(rest.len() as u64, |sum, byte| mix(sum, u64::from(*byte)));
    words.iter().fold(sum, |sum, word| mix(sum, u64::from_le_bytes(*word))) as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_worked_on_once_until_another_takes_its_place() {
        let (mut lately, mut times) = (Lately::default(), 0);
        let texts: Vec<_> = (0..1_000).map(|n| format!("text number {n}")).collect();
        for text in texts.iter().flat_map(|text| [text, text]) {
            let made = lately.made(text, |text| {
                times += 1;
                text.to_uppercase()
            });
            assert_eq!(*made, text.to_uppercase());
        }
        assert_eq!(times, 1_000);
    }
}
