//! Pairs of bytes: one pass over a text tells the few places at which a longer look is worth while.

/// A set of pairs.
pub struct Pairs(Box<[u64]>);

impl Pairs {
    /// No pairs.
    pub fn none() -> Self {
        Self(vec![0; 1 << 10].into_boxed_slice())
    }

    /// Adds a pair.
    pub fn add(&mut self, first: u8, second: u8) {
        let (word, bit) = Self::at(first, second);
        self.0[word] |= bit;
    }

    /// Adds a pair, in capitals or not.
    pub fn add_any_case(&mut self, first: u8, second: u8) {
        for first in [first.to_ascii_lowercase(), first.to_ascii_uppercase()] {
            self.add(first, second.to_ascii_lowercase());
            self.add(first, second.to_ascii_uppercase());
        }
    }

    /// The places of a text at which one of the pairs stands; and its last byte, which is half of one that may have been cut.
    pub fn places<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let is_pair = |pair: &[u8]| {
            let (word, bit) = Self::at(pair[0], pair[1]);
            self.0[word] & bit != 0
        };
        let pairs = bytes.windows(2).enumerate().filter(move |(_, pair)| is_pair(pair)).map(|(at, _)| at);
        pairs.chain(bytes.len().checked_sub(1))
    }

    fn at(first: u8, second: u8) -> (usize, u64) {
        let pair = usize::from(first) << 8 | usize::from(second);
        (pair >> 6, 1 << (pair & 63))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_found_where_it_stands() {
        let mut pairs = Pairs::none();
        pairs.add_any_case(b'a', b'b');
        pairs.add(0xff, 0);
        assert_eq!(pairs.places(b"ab.AB.aXb.\xff\0.ba.c").collect::<Vec<_>>(), [0, 3, 10, 16]);
        assert_eq!(pairs.places(b"").count(), 0);
    }
}
