//! Fuzzes the reader of JSON of a limited size.

#![no_main]

#[path = "../../tests/it/common/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::verify_json(bytes));
