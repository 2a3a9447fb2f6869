//! Fuzzes the decoder of event streams with bytes in chunks of any size.

#![no_main]

#[path = "../../tests/it/common/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::verify_event_stream(bytes));
