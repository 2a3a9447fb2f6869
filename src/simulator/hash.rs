//! A running hash of texts and numbers, for cache keys, draws and signatures.

use std::hash::{DefaultHasher, Hasher};

/// A hash that grows part by part. Parts are told apart: `ab` + `c` is not `a` + `bc`.
#[derive(Debug, Clone)]
pub(super) struct Digest(DefaultHasher);

impl Digest {
    /// Starts a hash for one purpose, so that hashes for different purposes never meet.
    pub fn new(purpose: &str) -> Self {
        Self(DefaultHasher::new()).text(purpose)
    }

    pub fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.write_usize(bytes.len());
        self.0.write(bytes);
        self
    }

    pub fn number(mut self, number: u64) -> Self {
        self.0.write_u64(number);
        self
    }

    pub fn value(&self) -> u64 {
        self.0.finish()
    }
}
