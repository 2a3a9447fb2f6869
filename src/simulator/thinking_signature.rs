//! Signatures of thinking: a [`ThinkingSigner`] makes keyed hashes, so that a server recognizes its
//! own thinking and rejects any other.
//!
//! Strong enough for a simulator and no stronger: the hash is fast, and the key is the seed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::simulator::hash::RunningHash;

/// Signs thinking and verifies its own signatures.
#[derive(Debug)]
pub(super) struct ThinkingSigner {
    key: u64,
}

impl ThinkingSigner {
    pub fn new(seed: u64) -> Self {
        Self { key: RunningHash::new("signer").with_number(seed).value() }
    }

    /// Signs the text of a thinking block. The nonce makes two signatures of the same text differ.
    pub fn sign(&self, text: &str, nonce: u64) -> String {
        let mut bytes = nonce.to_be_bytes().to_vec();
        for round in 0..4 {
            let part = RunningHash::new("thinking")
                .with_number(self.key)
                .with_number(round)
                .with_number(nonce)
                .with_text(text)
                .value();
            bytes.extend(part.to_be_bytes());
        }
        STANDARD.encode(bytes)
    }

    /// Whether this signer made the signature for this text.
    pub fn verify(&self, text: &str, signature: &str) -> bool {
        let Ok(bytes) = STANDARD.decode(signature) else { return false };
        let Some(nonce) = bytes.first_chunk::<8>() else { return false };
        self.sign(text, u64::from_be_bytes(*nonce)) == signature
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_belongs_to_one_text_and_one_server() {
        let signer = ThinkingSigner::new(1);
        let signature = signer.sign("so be it", 42);
        assert!(signer.verify("so be it", &signature));
        assert!(!signer.verify("so be it.", &signature));
        assert!(!ThinkingSigner::new(2).verify("so be it", &signature));
        assert!(!signer.verify("so be it", "c2lnbmF0dXJl"));
        assert!(!signer.verify("so be it", "no base64!"));
        assert_ne!(signature, signer.sign("so be it", 43));
    }
}
