//! The properties of the fuzz targets without a fuzzer: for every corpus file, and for damaged
//! corpus files.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::common::properties;

/// Texts with a special meaning in one of the formats.
const SPECIAL_TEXTS: [&str; 24] = [
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    ":",
    " ",
    "\u{feff}",
    "\0",
    "\u{85}",
    "\u{2028}",
    "é",
    "\\ud800",
    "\"",
    "{",
    "}",
    "[",
    "]",
    "null",
    "-1",
    "18446744073709551616",
    "1e999",
    "- ",
    "&a ",
    "*a ",
];

/// Reads the corpus of a fuzz target, sorted by file name.
fn read_corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

fn assert_for_corpus(target: &str, property: fn(&[u8])) {
    let files = read_corpus(target);
    assert!(files.len() >= 10, "the corpus of {target} has {} files", files.len());
    let failed: Vec<&str> = files
        .iter()
        .filter(|(_, bytes)| catch_unwind(|| property(bytes)).is_err())
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(failed.is_empty(), "{target}: {failed:?}");
}

#[test]
fn the_decoder_accepts_its_corpus() {
    assert_for_corpus("sse", properties::verify_event_stream);
}

#[test]
fn the_readers_and_checks_accept_their_corpus() {
    assert_for_corpus("message", properties::verify_exchange);
}

#[test]
fn the_case_loader_accepts_its_corpus() {
    assert_for_corpus("cases", properties::verify_case_files);
}

#[test]
fn the_redaction_accepts_its_corpus() {
    assert_for_corpus("redaction", properties::verify_redaction);
}

#[test]
fn the_json_reader_accepts_its_corpus() {
    assert_for_corpus("json", properties::verify_json);
}

/// Generates corpus files with some parts removed, replaced, inserted, repeated or copied from
/// another file.
fn damaged_files(target: &str) -> impl Strategy<Value = Vec<u8>> {
    let files: Vec<Vec<u8>> = read_corpus(target).into_iter().map(|(_, bytes)| bytes).collect();
    let changes = prop::collection::vec((0..5usize, any::<Index>(), 0..40usize, any::<Index>(), any::<u8>()), 1..6);
    (prop::sample::select(files.clone()), prop::sample::select(files), changes).prop_map(
        |(mut bytes, other, changes)| {
            for (change, at, length, pick, byte) in changes {
                let at = at.index(bytes.len() + 1);
                let end = (at + length).min(bytes.len());
                match change {
                    0 => drop(bytes.drain(at..end)),
                    1 => drop(bytes.splice(at..end, [byte])),
                    2 => drop(bytes.splice(at..at, SPECIAL_TEXTS[pick.index(SPECIAL_TEXTS.len())].bytes())),
                    3 => {
                        let piece = bytes[at..end].to_vec();
                        drop(bytes.splice(end..end, piece));
                    }
                    _ => {
                        let from = pick.index(other.len());
                        let piece = &other[from..(from + 4 * length).min(other.len())];
                        drop(bytes.splice(at..end, piece.iter().copied()));
                    }
                }
            }
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_decoder_accepts_a_damaged_corpus(bytes in damaged_files("sse")) {
        properties::verify_event_stream(&bytes);
    }

    #[test]
    fn the_readers_and_checks_accept_a_damaged_corpus(bytes in damaged_files("message")) {
        properties::verify_exchange(&bytes);
    }

    #[test]
    fn the_redaction_accepts_a_damaged_corpus(bytes in damaged_files("redaction")) {
        properties::verify_redaction(&bytes);
    }

    #[test]
    fn the_json_reader_accepts_a_damaged_corpus(bytes in damaged_files("json")) {
        properties::verify_json(&bytes);
    }

    #[test]
    fn the_case_loader_accepts_a_damaged_corpus(bytes in damaged_files("cases")) {
        properties::verify_case_files(&bytes);
    }
}
