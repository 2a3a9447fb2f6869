//! All random values, from one seed: an [`RngSource`] creates a [`RequestRng`] for each request.
//!
//! The random values of a request depend on the seed, its bytes, and how often it was sent before.
//! So a run is reproducible in any order of its requests, and a retry gets new values.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::simulator::hash::RunningHash;

/// The number of remembered requests at which counting starts again.
const MAX_REMEMBERED_REQUESTS: usize = 1 << 20;

/// Creates the random values of every request.
#[derive(Debug)]
pub(super) struct RngSource {
    seed: u64,
    request_counts: Mutex<HashMap<u64, u64>>,
}

impl RngSource {
    pub fn new(seed: u64) -> Self {
        Self { seed, request_counts: Mutex::default() }
    }

    /// The random values of a request.
    pub fn request_rng(&self, path: &str, body: &[u8]) -> RequestRng {
        let request = RunningHash::new("request").with_number(self.seed).with_text(path).with_bytes(body);
        let mut counts = self.request_counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_REMEMBERED_REQUESTS {
            counts.clear();
        }
        let count = counts.entry(request.value()).or_default();
        *count += 1;
        RequestRng::new(request.with_number(*count).value())
    }
}

/// The random values of one request.
#[derive(Debug)]
pub(super) struct RequestRng(ChaCha8Rng);

impl RequestRng {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number from 0 (inclusive) to 1 (exclusive).
    pub fn next_unit(&mut self) -> f64 {
        self.0.random()
    }

    /// True with this probability.
    pub fn bernoulli(&mut self, probability: f64) -> bool {
        self.next_unit() < probability
    }

    /// A number below a bound. 0 if the bound is 0.
    pub fn next_below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { self.0.random_range(0..bound) }
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0.random()
    }

    /// A new id.
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
    fn equal_requests_get_the_same_values_in_any_order() {
        let draw = |bodies: &[&str]| {
            let source = RngSource::new(3);
            let mut values: Vec<u64> =
                bodies.iter().map(|body| source.request_rng("/", body.as_bytes()).next_u64()).collect();
            values.sort_unstable();
            values
        };
        assert_eq!(draw(&["a", "b", "a"]), draw(&["a", "a", "b"]));
        let repeated = draw(&["a", "a"]);
        assert_ne!(repeated[0], repeated[1]);
    }
}
