//! The case files that come with the binary, so that an installed `fieldtest` needs no checkout.
//!
//! `build.rs` reads them, and writes them as JSON for those who only want what is in them. Places are the YAML's alone.

/// A case file of the bundle.
pub struct BundledFile {
    /// Its path below `cases/`.
    pub path: &'static str,
    /// The file.
    pub yaml: &'static str,
    /// What is in it.
    pub json: &'static str,
}

/// All of them, in the order of the tables.
pub const BUNDLED_FILES: &[BundledFile] = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));
