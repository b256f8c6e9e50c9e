//! Maps names to slots of a table.

/// Hashes a text to one of `slots` slots, eight bytes at a time. Visitors choose
/// some of these texts and can provoke collisions; the only effect is repeated work
/// or a copy that is not kept.
pub fn slot(text: &str, slots: usize) -> usize {
    /// 2⁶⁴ by the golden ratio (Knuth, The Art of Computer Programming, 6.4).
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(GOLDEN).rotate_left(29);
    let sum = rest.iter().fold(rest.len() as u64, |sum, byte| mix(sum, u64::from(*byte)));
    let sum = words.iter().fold(sum, |sum, word| mix(sum, u64::from_le_bytes(*word)));
    // Every byte reaches the upper half.
    (sum.wrapping_mul(GOLDEN) >> 32) as usize % slots
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn similar_texts_spread_over_all_slots() {
        let names: [fn(usize) -> String; 5] = [
            |n| format!("profile:{n}"),
            |n| format!("profile:user-{n:03}"),
            |n| format!("profile:user-{n}"),
            |n| format!("profile:{n:016}"),
            |n| format!("trial:{n:08}"),
        ];
        for name in names {
            let used: BTreeSet<_> = (0..1_000).map(|n| slot(&name(n), 256)).collect();
            // By chance it would be 251.
            assert!(used.len() > 230, "{}: {} of 256", name(0), used.len());
        }
    }
}
