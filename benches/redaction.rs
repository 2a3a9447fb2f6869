//! Measures how long the redaction of a body takes for each kind of text, from 1 KiB to 4 MiB. The
//! time per byte must not grow with the length.
//!
//! Run it with `cargo bench --bench redaction`. It compares nothing; a unit test counts the steps.

#![allow(clippy::expect_used, reason = "benchmarks may fail loudly")]

use divan::Bencher;
use divan::counter::BytesCount;
use fieldtest::redact::SecretRedactor;

const SECRET: &str = "sk-Q7w/x+Zt9=Lm3_Bv8.Kd2";

/// A kind of text, and its repeated unit.
const TEXTS: [(&str, &str); 9] = [
    ("prose", "The quick brown fox jumps over the lazy dog. "),
    ("escaped newlines", "\\n"),
    ("base64", "c2stUTd3L3grWnQ5PUxtM19Cdjgu"),
    ("hexadecimal", "736b2d5137772f782b"),
    ("decimal", "115, 107, 45, 81, "),
    ("HTML escapes", "&#115"),
    ("tiny JSON", "{\"\":0},"),
    ("events", "data: {\"delta\":{\"text\":\"s\"}}\n\n"),
    ("secrets", "sk-Q7w/x+Zt9=Lm3_Bv8.Kd2 "),
];

fn main() {
    divan::main();
}

#[divan::bench(args = 0..TEXTS.len(), consts = [1 << 10, 1 << 16, 1 << 22], sample_count = 5, sample_size = 1)]
fn redact_body<const LENGTH: usize>(bencher: Bencher, text: usize) {
    let redactor = SecretRedactor::new(Some(&SECRET.into()), &[]);
    let unit = TEXTS[text].1;
    let body = unit.repeat(LENGTH / unit.len()).into_bytes();
    bencher
        .counter(BytesCount::new(body.len()))
        .with_inputs(|| body.clone())
        .bench_local_values(|body| redactor.redact_body(body, &mut [], false));
}
