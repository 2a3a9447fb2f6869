//! Looking into compressed bodies.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// What stands in the place of a body that was packed in a way that cannot be undone here.
pub const UNKNOWN: &str = "<packed body, taken out: it could not be looked into>";

/// So much of a packed body is looked into: many times what is kept of one.
const MOST: u64 = 64 * 1024 * 1024;

/// How gzip begins, whether or not a header says so.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// True of a body that is neither said to be packed nor looks so.
pub fn is_plain(encodings: &str, body: &[u8]) -> bool {
    matches!(encodings.trim(), "" | "identity") && !body.starts_with(&GZIP)
}

/// The body as it was before these encodings, in the order in which the header names them; `None` where one of them is
/// none that can be undone. A body that is not what its header says is left as it is.
pub fn unpacked(encodings: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut plain = body.to_vec();
    for encoding in encodings.rsplit(',').map(|encoding| encoding.trim().to_ascii_lowercase()) {
        plain = match encoding.as_str() {
            "" | "identity" if plain.starts_with(&GZIP) => read(MultiGzDecoder::new(plain.as_slice()), &plain),
            "" | "identity" => plain,
            "gzip" | "x-gzip" => read(MultiGzDecoder::new(plain.as_slice()), &plain),
            "deflate" => {
                let zlib = read(ZlibDecoder::new(plain.as_slice()), &plain);
                // Some leave the wrapping out.
                if zlib == plain { read(DeflateDecoder::new(plain.as_slice()), &plain) } else { zlib }
            }
            _ => return None,
        };
    }
    Some(plain)
}

/// What comes out. Packed bodies may end anywhere; what came out before counts.
fn read(decoder: impl Read, packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let _ = decoder.take(MOST).read_to_end(&mut plain);
    if plain.is_empty() { packed.to_vec() } else { plain }
}
