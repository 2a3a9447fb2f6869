//! Results and recordings as inputs: merged, edited, damaged.

use super::*;

#[test]
fn results_are_rendered_side_by_side() {
    let folder = Folder::new();
    folder.run(["run", "--select", STOP, "--out", "out"]).assert_exit_code(0);
    let arguments =
        ["report", "out/results-tencent-lkeap-2025-12.json", "out/results-deepseek-2025-12.json", "-o", "side"];
    let finished = folder.run(arguments).assert_exit_code(0);
    assert!(
        finished.stdout.find("tencent-lkeap@2025-12") < finished.stdout.find("deepseek@2025-12"),
        "{}",
        finished.stdout
    );
    let matrix = folder.read("side/matrix.md");
    assert!(matrix.contains("tencent-lkeap@2025-12") && matrix.contains("deepseek@2025-12"), "{matrix}");
}

#[test]
fn two_results_of_one_target_are_both_written() {
    let folder = Folder::new();
    folder.run(["run", "deepseek@2025-12", "--simulate", "--select", STOP, "--out", "old"]).assert_exit_code(0);
    let flip = ["--flip", "field.stop_sequences=ignored", "--out", "new"];
    folder.run(["run", "deepseek@2025-12", "--simulate", "--select", STOP].iter().chain(&flip)).assert_exit_code(1);
    let (old, new) =
        (folder.read("old/results-deepseek-2025-12.json"), folder.read("new/results-deepseek-2025-12.json"));
    let both = ["old/results-deepseek-2025-12.json", "new/results-deepseek-2025-12.json"];
    folder.run(["report", both[0], both[1], "-o", "side"]).assert_exit_code(0);
    assert_eq!(
        folder.file_names("side", "results-"),
        ["results-deepseek-2025-12-2.json", "results-deepseek-2025-12.json"]
    );
    // Not even into the folder of one of them.
    folder.run(["report", both[0], both[1], "-o", "new"]).assert_exit_code(0);
    assert_eq!(folder.read(both[1]), new);
    assert_eq!(folder.read("new/results-deepseek-2025-12-2.json"), old);
}

#[test]
fn edited_or_truncated_results_are_rejected() {
    let folder = folder_with_results();
    let text = folder.read("out/results-deepseek-2025-12.json");
    for (content, said) in [
        (text.replace(r#""outcome": "conforms""#, r#""outcome": "contradicts""#), "row field.stop_sequences"),
        (text.replace("fieldtest-results/2", "fieldtest-results/9"), "This version of fieldtest reads"),
        (text.replace(r#""rows": ["#, r#""lines": ["#), "rows"),
        (text[..text.len() / 2].to_owned(), "the file is incomplete"),
        (String::new(), "the file is incomplete"),
    ] {
        folder.write("edited.json", content);
        folder
            .run(["report", "edited.json", "-o", "x"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["edited.json", said]);
    }
    folder.write("edited.json", b"\xff\xfe");
    folder.run(["report", "edited.json", "-o", "x"]).assert_exit_code(2).assert_stderr_contains(&["edited.json"]);
    assert!(!folder.exists("x"));
}

#[test]
fn edited_recordings_are_rejected_with_the_line() {
    let folder = folder_with_results();
    let text = folder.read("out/recording-deepseek-2025-12.jsonl");
    let lines: Vec<&str> = text.lines().collect();
    let without = |n: usize| {
        let mut lines = lines.clone();
        lines.remove(n);
        lines.join("\n") + "\n"
    };
    for (content, said) in [
        (String::new(), "is not the header of a recording"),
        (without(0), "is not the header of a recording"),
        (without(1), "which is not in the file"),
        (
            without(lines.iter().position(|line| line.starts_with(r#"{"trial""#)).unwrap()),
            "It was edited; record it again",
        ),
        (text.replace("fieldtest-recording/1", "fieldtest-recording/9"), "this version reads"),
        (text.replacen("\n{\"exchange\"", "\n{\"exchanged\"", 1), "line 2 of the recording: column"),
        (
            text.replacen(r#""confidence":0.99"#, r#""confidence":0.0"#, 1),
            "line 1 of the recording: the confidence is 0",
        ),
        (format!("{text}{text}"), "a second header"),
        (format!("{text}{}\n", lines[1]), "something follows the footer"),
        (text.replace(r#""row":"field.stop_sequences""#, r#""row":"field.stop_sequences","arm":"none""#), "line "),
        (
            text.replace(r#""rows":["field.stop_sequences"]"#, r#""rows":["field.none"]"#),
            "Use the case files of the run",
        ),
    ] {
        folder.write("edited.jsonl", content);
        folder
            .run(["judge", "edited.jsonl", "--out", "x"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["edited.jsonl", said]);
    }
}

#[test]
fn an_endless_line_is_rejected_within_bounds() {
    let folder = folder_with_results();
    let path = folder.write("endless.jsonl", folder.read("out/recording-deepseek-2025-12.jsonl"));
    // A hole of a gigabyte: it costs no disk, and reads as zeros.
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
    let finished = folder
        .run(["judge", "endless.jsonl", "--out", "x"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["endless.jsonl", "longer than 64 MiB"]);
    assert!(finished.peak_kib < 256 * 1024, "{} KiB", finished.peak_kib);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens to a recording, judging it is no panic, and what comes of it can be rendered and read back.
    #[test]
    fn damaged_recordings_cause_no_panic(
        at in any::<prop::sample::Index>(),
        length in 0..12_usize,
        with in "[0-9a-z\"{}\\[\\],:\n. -]{0,6}",
    ) {
        let (catalog, text) = recorded_run();
        let mut bytes = text.clone();
        let at = at.index(bytes.len());
        let end = (at + length).min(bytes.len());
        bytes.splice(at..end, with.bytes());
        if let Ok(recording) = reader::read_recording(&bytes[..])
            && let Ok(results) = fieldtest::engine::judge(catalog, &recording)
        {
            let text = fieldtest::results::json::render(&results);
            prop_assert!(fieldtest::results::json::parse("x", &text).is_ok());
        }
    }
}

/// The bundled cases and a recording of two rows, made once.
fn recorded_run() -> &'static (fieldtest::catalog::Catalog, Vec<u8>) {
    static RECORDED: std::sync::OnceLock<(fieldtest::catalog::Catalog, Vec<u8>)> = std::sync::OnceLock::new();
    RECORDED.get_or_init(|| {
        let folder = Folder::new();
        run_simulated(&folder, &["--select", STOP, "--select", "field.metadata"]).assert_exit_code(0);
        let text = folder.read("out/recording-deepseek-2025-12.jsonl").into_bytes();
        (fieldtest::catalog::Catalog::load_bundled().unwrap(), text)
    })
}
