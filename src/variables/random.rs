//! [`RandomSource`]: random words, ids and bytes that follow from a seed and a purpose.

use std::fmt::{self, Write as _};

use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

const FIRST_WORDS: [&str; 40] = [
    "amber", "azure", "brisk", "calm", "cedar", "clear", "coral", "crisp", "dusty", "eager", "early", "faint", "fancy",
    "frosty", "gentle", "golden", "hazel", "humble", "ivory", "jolly", "keen", "lilac", "lively", "lunar", "mellow",
    "misty", "mossy", "noble", "olive", "pearl", "plain", "quiet", "rapid", "rustic", "silver", "solar", "sunny",
    "tidal", "velvet", "windy",
];

const SECOND_WORDS: [&str; 40] = [
    "anchor", "badger", "basket", "beacon", "bridge", "candle", "canyon", "castle", "comet", "falcon", "feather",
    "ferry", "forest", "garden", "harbor", "heron", "island", "jacket", "kettle", "ladder", "lantern", "maple",
    "meadow", "mirror", "needle", "orchard", "otter", "paddle", "pebble", "pepper", "pillow", "planet", "quartz",
    "ribbon", "saddle", "sparrow", "temple", "thunder", "tunnel", "walnut",
];

/// Plain words for text without meaning.
const FILLER_WORDS: [&str; 32] = [
    "table", "window", "paper", "stone", "water", "light", "garden", "street", "chair", "river", "summer", "bread",
    "letter", "market", "music", "cloud", "field", "glass", "house", "island", "corner", "leaf", "bridge", "number",
    "orange", "flower", "road", "season", "train", "forest", "winter", "yard",
];

/// Letters and digits without characters that look alike.
const ID_ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";

/// A random generator for one purpose. The same seed and purpose give the same values.
pub(super) struct RandomSource(ChaCha8Rng);

impl RandomSource {
    pub fn new(seed: u64, purpose: &str) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed ^ hash(purpose)))
    }

    /// Two words and a number of four digits.
    pub fn code_word(&mut self, separator: &str) -> String {
        let first = self.choose(&FIRST_WORDS).copied().unwrap_or_default();
        let second = self.choose(&SECOND_WORDS).copied().unwrap_or_default();
        format!("{first}{separator}{second}{separator}{}", self.number(1000, 10_000))
    }

    /// 24 letters and digits that cannot be taken for words.
    pub fn id(&mut self) -> String {
        self.string(ID_ALPHABET, 24)
    }

    pub fn string(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length).map(|_| char::from(self.choose(alphabet).copied().unwrap_or(b'A'))).collect()
    }

    /// Words without meaning, separated by blanks.
    pub fn filler_words(&mut self, count: usize) -> String {
        let words: Vec<&str> = (0..count).filter_map(|_| self.choose(&FILLER_WORDS).copied()).collect();
        words.join(" ")
    }

    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.choose(&mut self.0)
    }

    /// A number from `start` to the one before `end`.
    pub fn number(&mut self, start: u32, end: u32) -> u32 {
        self.0.random_range(start..end)
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.0.random()).collect()
    }
}

/// A hash that is the same in every build, which the hasher of the standard library does not
/// promise (FNV-1a, 64 bits).
pub fn hash(text: impl fmt::Display) -> u64 {
    struct FnvHasher(u64);
    impl fmt::Write for FnvHasher {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = text.bytes().fold(self.0, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
            Ok(())
        }
    }
    let mut hash = FnvHasher(0xcbf2_9ce4_8422_2325);
    // Hashing does not fail.
    let _ = write!(hash, "{text}");
    hash.0
}
