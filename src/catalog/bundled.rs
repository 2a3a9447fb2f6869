//! The case files in the binary, so that an installed `fieldtest` needs no checkout.
//!
//! `build.rs` converts each to JSON, which is faster to parse. Only the YAML has line numbers.

/// A bundled case file.
pub struct BundledFile {
    /// The path below `cases/`.
    pub path: &'static str,
    /// The text of the file.
    pub yaml: &'static str,
    /// Its content as JSON.
    pub json: &'static str,
}

/// All bundled files, in the order of the published tables.
pub const BUNDLED_FILES: &[BundledFile] = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));
