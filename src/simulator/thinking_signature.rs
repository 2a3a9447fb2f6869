//! Signatures of thinking: a keyed hash, so that a server knows its own thinking again and nobody else can make any.
//!
//! Strong enough for a simulator and no stronger: the hash is a fast one, and the key comes from a seed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::simulator::hash::Digest;

/// Signs thinking and knows its own signatures.
#[derive(Debug)]
pub(super) struct Signer {
    key: u64,
}

impl Signer {
    pub fn new(seed: u64) -> Self {
        Self { key: Digest::new("signer").number(seed).value() }
    }

    /// The signature of a thinking block's text. The nonce makes two signatures of the same text differ.
    pub fn sign(&self, text: &str, nonce: u64) -> String {
        let mut bytes = nonce.to_be_bytes().to_vec();
        for round in 0..4 {
            let part = Digest::new("thinking").number(self.key).number(round).number(nonce).text(text).value();
            bytes.extend(part.to_be_bytes());
        }
        STANDARD.encode(bytes)
    }

    /// True when this signer signed this text with this signature.
    pub fn is_own(&self, text: &str, signature: &str) -> bool {
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
        let signer = Signer::new(1);
        let signature = signer.sign("so be it", 42);
        assert!(signer.is_own("so be it", &signature));
        assert!(!signer.is_own("so be it.", &signature));
        assert!(!Signer::new(2).is_own("so be it", &signature));
        assert!(!signer.is_own("so be it", "c2lnbmF0dXJl"));
        assert!(!signer.is_own("so be it", "no base64!"));
        assert_ne!(signature, signer.sign("so be it", 43));
    }
}
