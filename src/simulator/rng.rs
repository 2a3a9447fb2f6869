//! Everything that is left to chance, from one seed.
//!
//! The draws of a request follow from the server's seed, the request's bytes and how often they came before. So a
//! run can be repeated whatever the order in which its requests arrive, and a retry draws anew.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::simulator::hash::RunningHash;

/// The most requests that are remembered; after that, counting starts again.
const MAX_REMEMBERED_REQUESTS: usize = 1 << 20;

/// The source of every request's draws.
#[derive(Debug)]
pub(super) struct RngSource {
    seed: u64,
    request_counts: Mutex<HashMap<u64, u64>>,
}

impl RngSource {
    pub fn new(seed: u64) -> Self {
        Self { seed, request_counts: Mutex::default() }
    }

    /// The draws of a request.
    pub fn request_rng(&self, path: &str, body: &[u8]) -> RequestRng {
        let request = RunningHash::new("request").with_number(self.seed).with_text(path).with_bytes(body);
        let mut seen = self.request_counts.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MAX_REMEMBERED_REQUESTS {
            seen.clear();
        }
        let times = seen.entry(request.value()).or_default();
        *times += 1;
        RequestRng::new(request.with_number(*times).value())
    }
}

/// One request's draws.
#[derive(Debug)]
pub(super) struct RequestRng(ChaCha8Rng);

impl RequestRng {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number from 0 up to, but not including, 1.
    pub fn next_unit(&mut self) -> f64 {
        self.0.random()
    }

    /// True with this probability.
    pub fn bernoulli(&mut self, probability: f64) -> bool {
        self.next_unit() < probability
    }

    /// A number below a bound; 0 when there is none below it.
    pub fn next_below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { self.0.random_range(0..bound) }
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0.random()
    }

    /// A fresh id.
    pub fn generate_id(&mut self, prefix: &str) -> String {
        const ID_ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz123456789";
        let tail: String = (0..22).map(|_| char::from(ID_ALPHABET[self.next_below(ID_ALPHABET.len())])).collect();
        format!("{prefix}_01{tail}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_requests_draw_the_same_in_any_order() {
        let draw = |order: &[&str]| {
            let fate = RngSource::new(3);
            let mut drawn: Vec<u64> =
                order.iter().map(|body| fate.request_rng("/", body.as_bytes()).next_u64()).collect();
            drawn.sort_unstable();
            drawn
        };
        assert_eq!(draw(&["a", "b", "a"]), draw(&["a", "a", "b"]));
        let again = draw(&["a", "a"]);
        assert_ne!(again[0], again[1]);
    }
}
