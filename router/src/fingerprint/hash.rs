//! The hash of fingerprints: every step can be undone, so that nothing is lost on the way but by folding in the next piece.

/// An odd constant of 128 bits: the multiplier of PCG-XSL-RR 128/64 (O'Neill 2014).
const FACTOR: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;

/// A hash of 128 bits over numbers and texts; not against an adversary. The same in every process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix(u128);

impl Default for Mix {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834)
    }
}

impl Mix {
    /// Takes in a number.
    #[inline]
    pub fn number(&mut self, number: u64) {
        self.word(u128::from(number) | 1 << 64);
    }

    /// Takes in 128 bits, such as another hash.
    #[inline]
    pub fn word(&mut self, word: u128) {
        // Multiplying carries upwards only; the shift brings what came of it down again.
        let mixed = (self.0 ^ word).wrapping_mul(FACTOR);
        self.0 = mixed ^ mixed >> 59;
    }

    /// Takes in a text and its length.
    pub fn text(&mut self, text: &str) {
        let bytes = text.as_bytes();
        self.word(bytes.len() as u128 | 2 << 64);
        let mut chunks = bytes.chunks_exact(16);
        for chunk in &mut chunks {
            let mut word = [0; 16];
            word.copy_from_slice(chunk);
            self.word(u128::from_le_bytes(word));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut word = [0; 16];
            word[..rest.len()].copy_from_slice(rest);
            self.word(u128::from_le_bytes(word));
        }
    }

    /// The hash of what was taken in.
    pub fn finish(self) -> u128 {
        let mut end = self;
        end.word(0);
        end.word(0);
        end.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, format};

    fn of(take: impl FnOnce(&mut Mix)) -> u128 {
        let mut mix = Mix::default();
        take(&mut mix);
        mix.finish()
    }

    #[test]
    fn neighbours_differ_in_half_of_their_bits() {
        let mut changed = 0;
        for bit in 0..64 {
            let (one, other) = (of(|mix| mix.number(0)), of(|mix| mix.number(1 << bit)));
            changed += (one ^ other).count_ones();
        }
        assert!((60 * 64..68 * 64).contains(&changed), "{changed} of {}", 128 * 64);
    }

    #[test]
    fn pieces_are_told_apart_from_their_neighbours() {
        let mut seen = BTreeSet::new();
        let mut new = |hash| assert!(seen.insert(hash));
        for text in ["", "a", "ab", "\0", "\0\0", "0123456789abcdef", "0123456789abcdef\0"] {
            new(of(|mix| mix.text(text)));
            new(of(|mix| {
                mix.text(text);
                mix.number(0);
            }));
        }
        new(of(|mix| {
            mix.text("a");
            mix.text("b");
        }));
        for number in 0..10_000 {
            new(of(|mix| mix.number(number)));
            new(of(|mix| mix.text(&format!("{number}"))));
        }
    }
}
