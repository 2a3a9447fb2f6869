//! Fuzzes the parser of responses and every passive check.

#![no_main]

#[path = "../../tests/it/common/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::verify_exchange(bytes));
