//! Decompresses gzip and deflate bodies, so that their content can be inspected.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// Replaces a compressed body that cannot be decompressed.
pub(super) const UNREADABLE_BODY_MARKER: &str = "<compressed body removed: it could not be decompressed>";

/// The limit of a decompressed body: twice the size of the bodies that are kept.
const MAX_DECOMPRESSED_BYTES: u64 = 8 * 1024 * 1024;

/// More layers of compression than any server uses.
const MAX_COMPRESSION_LAYERS: usize = 8;

/// The first bytes of gzip data, whether or not a header announces it.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Decompresses a body with the encoding of its `content-encoding` header. A truncated body gives
/// the part before its end. `None` if the encoding is unknown or nothing can be decompressed.
pub(crate) fn decompress_once(encoding: &str, body: &[u8]) -> Option<Vec<u8>> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => read_decoded(MultiGzDecoder::new(body)),
        "deflate" => read_decoded(ZlibDecoder::new(body)),
        _ => None,
    }
}

/// True if the body is neither announced as compressed nor looks compressed.
pub(super) fn is_uncompressed(encodings: &str, body: &[u8]) -> bool {
    body.is_empty()
        || (parse_encodings(encodings).next().is_none() && !looks_compressed(body) && std::str::from_utf8(body).is_ok())
}

/// Decompresses a body layer by layer until nothing compressed remains. Returns true as soon as
/// `has_secret` is true for a layer. It does not rely on the header, because some clients ignore the
/// header. `None` if the header names an unknown encoding, or if the body is too large or has too
/// many layers.
pub(super) fn search_layers(encodings: &str, body: &[u8], has_secret: impl Fn(&[u8]) -> bool) -> Option<bool> {
    let encodings: Vec<String> = parse_encodings(encodings).collect();
    if !encodings.iter().all(|encoding| matches!(encoding.as_str(), "gzip" | "x-gzip" | "deflate")) {
        return None;
    }
    let says_deflate = encodings.iter().any(|encoding| encoding == "deflate");
    let mut layer: Option<Vec<u8>> = None;
    for _ in 0..MAX_COMPRESSION_LAYERS {
        let Some(plain) = decompress_layer(layer.as_deref().unwrap_or(body), says_deflate) else {
            return Some(false);
        };
        if plain.len() as u64 >= MAX_DECOMPRESSED_BYTES {
            return None;
        }
        if has_secret(&plain) {
            return Some(true);
        }
        layer = Some(plain);
    }
    // Some plain data can be read as raw deflate again and again, so check the signature.
    layer.is_none_or(|last| !looks_compressed(&last)).then_some(false)
}

fn parse_encodings(encodings: &str) -> impl Iterator<Item = String> {
    let encodings = encodings.split(',').map(|encoding| encoding.trim().to_ascii_lowercase());
    encodings.filter(|encoding| !matches!(encoding.as_str(), "" | "identity"))
}

/// True if the body begins like gzip or zlib data.
fn looks_compressed(body: &[u8]) -> bool {
    body.starts_with(&GZIP_MAGIC) || is_zlib(body)
}

/// Checks the method and the checksum of a zlib header.
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [first, second, ..] if first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31))
}

/// Removes one layer. `None` if there is none. Raw deflate has no signature, so it is tried if the
/// header announces deflate or the data is not text.
fn decompress_layer(data: &[u8], says_deflate: bool) -> Option<Vec<u8>> {
    let non_empty = |plain: &Vec<u8>| !plain.is_empty();
    let gzip = data.starts_with(&GZIP_MAGIC).then(|| read_decoded(MultiGzDecoder::new(data)));
    let zlib = || is_zlib(data).then(|| read_decoded(ZlibDecoder::new(data)));
    let may_be_raw = || says_deflate || std::str::from_utf8(data).is_err();
    let raw = || may_be_raw().then(|| read_decoded(DeflateDecoder::new(data)));
    let gzip = gzip.flatten().filter(non_empty);
    gzip.or_else(|| zlib().flatten().filter(non_empty)).or_else(|| raw().flatten().filter(non_empty))
}

/// The decoded data up to the size limit. A truncated stream gives the part before its end.
fn read_decoded(decoder: impl Read) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let result = decoder.take(MAX_DECOMPRESSED_BYTES).read_to_end(&mut plain);
    (result.is_ok() || !plain.is_empty()).then_some(plain)
}
