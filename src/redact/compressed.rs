//! Looking into compressed bodies.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// What stands in the place of a body that was packed in a way that cannot be undone here.
pub const UNREADABLE_BODY_MARKER: &str = "<packed body, taken out: it could not be looked into>";

/// So much of a packed body is looked into: many times what is kept of one.
const MAX_DECOMPRESSED_BYTES: u64 = 64 * 1024 * 1024;

/// More layers than anybody packs; what is packed more often is not looked into.
const MAX_COMPRESSION_LAYERS: usize = 8;

/// How gzip begins, whether or not a header says so.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// True of a body that is neither said to be packed nor looks so.
pub fn is_uncompressed(encodings: &str, body: &[u8]) -> bool {
    body.is_empty()
        || (parse_encodings(encodings).next().is_none() && !looks_compressed(body) && std::str::from_utf8(body).is_ok())
}

/// What comes to light when a body is unpacked, layer by layer, until nothing is packed any more; whatever the header
/// says, since not every client believes it. `None` where it names an encoding that cannot be undone, or where there is
/// more than can be looked into.
pub fn decompress_layers(encodings: &str, body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let named: Vec<String> = parse_encodings(encodings).collect();
    if !named.iter().all(|encoding| matches!(encoding.as_str(), "gzip" | "x-gzip" | "deflate")) {
        return None;
    }
    let says_deflate = named.iter().any(|encoding| encoding == "deflate");
    let mut layers: Vec<Vec<u8>> = Vec::new();
    for _ in 0..MAX_COMPRESSION_LAYERS {
        let Some(plain) = decompress_layer(layers.last().map_or(body, Vec::as_slice), says_deflate) else {
            return Some(layers);
        };
        if plain.len() as u64 >= MAX_DECOMPRESSED_BYTES {
            return None;
        }
        layers.push(plain);
    }
    // What nobody said to be packed, and does not look so, may be taken for it again and again.
    layers.last().is_none_or(|last| !looks_compressed(last)).then_some(layers)
}

/// Decompresses a body with a single encoding. `None` if the encoding is unknown, or if nothing can
/// be decompressed. A truncated body gives its beginning.
pub fn decompress_once(encoding: &str, body: &[u8]) -> Option<Vec<u8>> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => read_decoded(MultiGzDecoder::new(body)),
        "deflate" => read_decoded(ZlibDecoder::new(body)),
        _ => None,
    }
}

fn parse_encodings(encodings: &str) -> impl Iterator<Item = String> {
    let encodings = encodings.split(',').map(|encoding| encoding.trim().to_ascii_lowercase());
    encodings.filter(|encoding| !matches!(encoding.as_str(), "" | "identity"))
}

/// Whether it begins as gzip or zlib do.
fn looks_compressed(body: &[u8]) -> bool {
    body.starts_with(&GZIP_MAGIC) || is_zlib(body)
}

/// A zlib header: its method, and its sum.
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [first, second, ..] if first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31))
}

/// One layer less; `None` where there is none to take off. Bare deflate has no sign of its own: it is tried where the
/// header says it, and on what is no text.
fn decompress_layer(packed: &[u8], says_deflate: bool) -> Option<Vec<u8>> {
    let gzip = packed.starts_with(&GZIP_MAGIC).then(|| read_decoded(MultiGzDecoder::new(packed)));
    let zlib = || is_zlib(packed).then(|| read_decoded(ZlibDecoder::new(packed)));
    let may_be_bare = || says_deflate || std::str::from_utf8(packed).is_err();
    let bare = || may_be_bare().then(|| read_decoded(DeflateDecoder::new(packed)));
    gzip.flatten().or_else(|| zlib().flatten()).or_else(|| bare().flatten())
}

/// What comes out, if anything does. Packed bodies may end anywhere; what came out before counts.
fn read_decoded(decoder: impl Read) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let _ = decoder.take(MAX_DECOMPRESSED_BYTES).read_to_end(&mut plain);
    (!plain.is_empty()).then_some(plain)
}
