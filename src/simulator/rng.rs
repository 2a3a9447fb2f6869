//! Everything that is left to chance, from one seed.
//!
//! The draws of a request follow from the server's seed, the request's bytes and how often they came before. So a
//! run can be repeated whatever the order in which its requests arrive, and a retry draws anew.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::simulator::hash::Digest;

/// The most requests that are remembered; after that, counting starts again.
const MEMORY: usize = 1 << 20;

/// The source of every request's draws.
#[derive(Debug)]
pub(super) struct Fate {
    seed: u64,
    seen: Mutex<HashMap<u64, u64>>,
}

impl Fate {
    pub fn new(seed: u64) -> Self {
        Self { seed, seen: Mutex::default() }
    }

    /// The draws of a request.
    pub fn of(&self, path: &str, body: &[u8]) -> Draws {
        let request = Digest::new("request").number(self.seed).text(path).bytes(body);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MEMORY {
            seen.clear();
        }
        let times = seen.entry(request.value()).or_default();
        *times += 1;
        Draws::new(request.number(*times).value())
    }
}

/// One request's draws.
#[derive(Debug)]
pub(super) struct Draws(ChaCha8Rng);

impl Draws {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number from 0 up to, but not including, 1.
    pub fn unit(&mut self) -> f64 {
        self.0.random()
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A number below a bound; 0 when there is none below it.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { self.0.random_range(0..bound) }
    }

    pub fn bits(&mut self) -> u64 {
        self.0.random()
    }

    /// A fresh id.
    pub fn id(&mut self, prefix: &str) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz123456789";
        let tail: String = (0..22).map(|_| char::from(LETTERS[self.below(LETTERS.len())])).collect();
        format!("{prefix}_01{tail}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_requests_draw_the_same_in_any_order() {
        let draw = |order: &[&str]| {
            let fate = Fate::new(3);
            let mut drawn: Vec<u64> = order.iter().map(|body| fate.of("/", body.as_bytes()).bits()).collect();
            drawn.sort_unstable();
            drawn
        };
        assert_eq!(draw(&["a", "b", "a"]), draw(&["a", "a", "b"]));
        let again = draw(&["a", "a"]);
        assert_ne!(again[0], again[1]);
    }
}
