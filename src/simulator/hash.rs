//! [`RunningHash`]: a hash of texts and numbers, for cache keys, random values and signatures.

use std::hash::{DefaultHasher, Hasher};

/// A hash that grows by parts. The borders of parts count: `ab` + `c` is not `a` + `bc`.
#[derive(Debug, Clone)]
pub(super) struct RunningHash(DefaultHasher);

impl RunningHash {
    /// Starts a hash for one purpose. Hashes for different purposes differ.
    pub fn new(purpose: &str) -> Self {
        Self(DefaultHasher::new()).with_text(purpose)
    }

    pub fn with_text(self, text: &str) -> Self {
        self.with_bytes(text.as_bytes())
    }

    pub fn with_bytes(mut self, bytes: &[u8]) -> Self {
        self.0.write_usize(bytes.len());
        self.0.write(bytes);
        self
    }

    pub fn with_number(mut self, number: u64) -> Self {
        self.0.write_u64(number);
        self
    }

    pub fn value(&self) -> u64 {
        self.0.finish()
    }
}
