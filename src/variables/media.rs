//! The smallest useful test files: a PNG and a PDF with text.

use std::fmt::Write as _;
use std::sync::OnceLock;

use base64::Engine as _;

/// The colours of test images, with their RGB values. They are far enough apart that no viewer
/// confuses two of them.
pub(super) const COLOURS: [(&str, [u8; 3]); 8] = [
    ("red", [220, 20, 20]),
    ("green", [20, 160, 20]),
    ("blue", [20, 40, 220]),
    ("yellow", [250, 230, 20]),
    ("orange", [255, 140, 0]),
    ("purple", [130, 20, 150]),
    ("black", [0, 0, 0]),
    ("white", [255, 255, 255]),
];

/// The side of a one-colour image. Real servers reject tiny images, and count tokens by area.
const IMAGE_SIDE_PX: u32 = 256;

/// A PNG of one of the [`COLOURS`], by its name. It is encoded once, because that takes longer than
/// the rest of a request.
pub(super) fn png_image(colour: &str) -> Option<&'static [u8]> {
    static CACHED_IMAGES: [OnceLock<Vec<u8>>; COLOURS.len()] = [const { OnceLock::new() }; COLOURS.len()];
    let index = COLOURS.iter().position(|(name, _)| *name == colour)?;
    let encode = || encode_png(IMAGE_SIDE_PX, &COLOURS[index].1.repeat((IMAGE_SIDE_PX * IMAGE_SIDE_PX) as usize));
    Some(CACHED_IMAGES[index].get_or_init(encode))
}

/// A square PNG of RGB pixels.
pub(super) fn encode_png(side: u32, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let result = encoder.write_header().and_then(|mut writer| writer.write_image_data(pixels));
    // Writing into memory cannot fail. Every endpoint would reject an empty image, so a failure
    // would be noticed.
    if result.is_err() { Vec::new() } else { bytes }
}

/// A one-page PDF with lines of text. The content is not compressed, and the offsets are correct.
pub(super) fn pdf(lines: &[&str]) -> Vec<u8> {
    let printable = |line: &str| line.chars().filter(|c| c.is_ascii() && !"()\\".contains(*c)).collect::<String>();
    let lines: Vec<String> = lines.iter().map(|line| format!("({}) Tj", printable(line))).collect();
    let content = format!("BT /F1 14 Tf 20 TL 50 740 Td {} ET", lines.join(" T* "));
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut file = "%PDF-1.4\n".to_owned();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (i, object) in objects.iter().enumerate() {
        // Writing into a String does not fail.
        let _ = writeln!(table, "{:010} 00000 n ", file.len());
        let _ = write!(file, "{} 0 obj\n{object}\nendobj\n", i + 1);
    }
    let start = file.len();
    let _ = write!(file, "{table}trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1);
    file.into_bytes()
}

pub(super) fn encode_base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_is_a_png_of_its_colour() {
        for (name, rgb) in COLOURS {
            let file = std::io::Cursor::new(png_image(name).unwrap());
            let mut reader = png::Decoder::new(file).read_info().unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut pixels).unwrap();
            assert_eq!((info.width, info.height), (IMAGE_SIDE_PX, IMAGE_SIDE_PX), "{name}");
            assert!(pixels.chunks(3).all(|p| p == rgb), "{name}");
        }
        assert_eq!(png_image("mauve"), None);
    }

    #[test]
    fn the_cross_reference_table_of_a_pdf_points_to_its_objects() {
        let file = String::from_utf8(pdf(&["Hello.", "Today's label is (amber) falcon 4821."])).unwrap();
        assert!(file.contains("(Today's label is amber falcon 4821.) Tj"));
        let table = file.split("xref\n").nth(1).unwrap();
        for (i, line) in table.lines().skip(2).take(5).enumerate() {
            let offset: usize = line[..10].parse().unwrap();
            assert!(file[offset..].starts_with(&format!("{} 0 obj", i + 1)), "object {i}");
        }
    }
}
