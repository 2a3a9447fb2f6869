//! Event streams: the decoder, whatever pieces the bytes come in.

#![no_main]

#[path = "../../tests/it/common/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::sse(bytes));
