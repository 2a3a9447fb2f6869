//! Fuzzes the loader of case files.

#![no_main]

#[path = "../../tests/it/common/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::verify_case_files(bytes));
