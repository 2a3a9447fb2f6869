//! Images as the simulated model sees them: a [`PromptImage`] has a size and the colour of its
//! centre.
//!
//! PNG is decoded. Other formats are only recognized: no experiment needs their content.

use png::{ColorType, Decoder, Limits, Transformations};

use crate::simulator::hash::RunningHash;

/// The media types that the API accepts.
pub(crate) const IMAGE_MEDIA_TYPES: &[&str] = &["image/jpeg", "image/png", "image/gif", "image/webp"];

/// The longest accepted side, in pixels.
const MAX_SIDE_PIXELS: u32 = 8000;

/// The largest size of a decoded image, in bytes.
const MAX_DECODED_BYTES: usize = 64 << 20;

/// The visible properties of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PromptImage {
    /// Width and height, if the format is decoded.
    pub size: Option<(u32, u32)>,
    /// The name of the colour in the centre, if the format is decoded.
    pub colour: Option<&'static str>,
    /// Identifies the bytes in cache keys: two images can have the same colour.
    pub content_hash: u64,
}

impl PromptImage {
    /// An image by URL. Nothing is fetched, so nothing is visible.
    pub fn undecodable(url: &str) -> Self {
        Self { size: None, colour: None, content_hash: RunningHash::new("picture").with_text(url).value() }
    }

    /// The tokens of the image, by its area.
    pub fn tokens(&self) -> u64 {
        match self.size {
            Some((width, height)) => (u64::from(width) * u64::from(height)).div_ceil(750).max(1),
            None => 500,
        }
    }
}

/// Decodes an image of a media type. The error says what is wrong with the bytes.
pub(crate) fn decode_image(bytes: &[u8], media_type: &str) -> Result<PromptImage, String> {
    let format = match bytes {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        _ => return Err("not an image".to_owned()),
    };
    if format != media_type {
        return Err(format!("the data is {format}, not {media_type}"));
    }
    let (size, colour) = if format == "image/png" { decode_png(bytes)? } else { (None, None) };
    Ok(PromptImage { size, colour, content_hash: RunningHash::new("picture").with_bytes(bytes).value() })
}

/// Width and height, and the name of a colour.
type DecodedPng = (Option<(u32, u32)>, Option<&'static str>);

fn decode_png(bytes: &[u8]) -> Result<DecodedPng, String> {
    let to_message = |error: png::DecodingError| format!("not a readable PNG: {error}");
    let mut decoder = Decoder::new_with_limits(std::io::Cursor::new(bytes), Limits { bytes: MAX_DECODED_BYTES });
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(to_message)?;
    let (width, height) = reader.info().size();
    if width > MAX_SIDE_PIXELS || height > MAX_SIDE_PIXELS {
        return Err(format!("{width} x {height} pixels are more than {MAX_SIDE_PIXELS} on a side"));
    }
    let length = reader.output_buffer_size().filter(|l| *l <= MAX_DECODED_BYTES).ok_or("too large to decode")?;
    let mut pixels = vec![0; length];
    let frame = reader.next_frame(&mut pixels).map_err(to_message)?;
    let bytes_per_pixel = match frame.color_type {
        ColorType::Grayscale | ColorType::Indexed => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
    };
    let centre = (height as usize / 2) * frame.line_size + (width as usize / 2) * bytes_per_pixel;
    let colour = pixels.get(centre..centre + bytes_per_pixel).map(|pixel| match pixel {
        [grey] | [grey, _] => nearest_colour([*grey; 3]),
        [r, g, b, ..] => nearest_colour([*r, *g, *b]),
        [] => "black",
    });
    Ok((Some((width, height)), colour))
}

/// Named colours. Some names have several shades.
const NAMED_COLOURS: &[(&str, [u8; 3])] = &[
    ("red", [255, 0, 0]),
    ("green", [0, 128, 0]),
    ("green", [0, 255, 0]),
    ("blue", [0, 0, 255]),
    ("yellow", [255, 255, 0]),
    ("orange", [255, 140, 0]),
    ("purple", [128, 0, 128]),
    ("purple", [160, 32, 240]),
    ("black", [0, 0, 0]),
    ("white", [255, 255, 255]),
];

/// The known colour with this name.
pub(crate) fn find_colour(word: &str) -> Option<&'static str> {
    NAMED_COLOURS.iter().map(|(name, _)| *name).find(|name| name.eq_ignore_ascii_case(word))
}

fn nearest_colour(pixel: [u8; 3]) -> &'static str {
    let distance =
        |colour: &[u8; 3]| -> u32 { colour.iter().zip(pixel).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum() };
    NAMED_COLOURS.iter().min_by_key(|(_, colour)| distance(colour)).map_or("black", |(name, _)| name)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A PNG with one colour.
    pub fn solid_png(colour: [u8; 3], side: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, side, side);
        encoder.set_color(ColorType::Rgb);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&colour.repeat((side * side) as usize)).unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn the_colour_in_the_centre_is_named_and_the_area_has_a_cost() {
        let image = decode_image(&solid_png([250, 10, 5], 64), "image/png").unwrap();
        assert_eq!(image.colour, Some("red"));
        assert_eq!(image.tokens(), 6);
        assert_eq!(decode_image(&solid_png([255, 165, 0], 8), "image/png").unwrap().colour, Some("orange"));
    }

    #[test]
    fn invalid_data_is_rejected() {
        let mut bytes = solid_png([0, 0, 255], 16);
        assert!(decode_image(&bytes, "image/jpeg").unwrap_err().contains("image/png"));
        bytes.truncate(bytes.len() / 2);
        assert!(decode_image(&bytes, "image/png").is_err());
        assert!(decode_image(b"hello", "image/png").is_err());
    }
}
