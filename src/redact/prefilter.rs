//! Pairs of bytes: one pass over a text tells the few places at which a longer look is worth while.

/// A set of pairs.
pub struct BytePairFilter(Box<[u64; WORD_COUNT]>);

const WORD_COUNT: usize = 1 << 10;

impl BytePairFilter {
    /// No pairs.
    pub fn empty() -> Self {
        Self(Box::new([0; WORD_COUNT]))
    }

    /// Adds a pair.
    pub fn add(&mut self, first: u8, second: u8) {
        let (word, bit) = Self::bit_position(first, second);
        self.0[word] |= bit;
    }

    /// Adds a pair, in capitals or not.
    pub fn add_any_case(&mut self, first: u8, second: u8) {
        for first in [first.to_ascii_lowercase(), first.to_ascii_uppercase()] {
            self.add(first, second.to_ascii_lowercase());
            self.add(first, second.to_ascii_uppercase());
        }
    }

    /// Calls with the places of a text at which one of the pairs stands.
    pub fn for_each_candidate(&self, bytes: &[u8], mut found: impl FnMut(usize)) {
        for (at, pair) in bytes.windows(2).enumerate() {
            let (word, bit) = Self::bit_position(pair[0], pair[1]);
            if self.0[word] & bit != 0 {
                found(at);
            }
        }
    }

    fn bit_position(first: u8, second: u8) -> (usize, u64) {
        // The same word and bit for no other pair.
        (usize::from(first) << 2 | usize::from(second >> 6), 1 << (second & 63))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_found_where_it_stands() {
        let mut pairs = BytePairFilter::empty();
        pairs.add_any_case(b'a', b'b');
        pairs.add(0xff, 0);
        let places = |text: &[u8]| {
            let mut places = Vec::new();
            pairs.for_each_candidate(text, |at| places.push(at));
            places
        };
        assert_eq!(places(b"ab.AB.aXb.\xff\0.ba.c"), [0, 3, 10]);
        assert_eq!(places(b""), [0; 0]);
    }
}
