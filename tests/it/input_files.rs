//! Files that the command line names: huge files, devices without an end, named pipes and symlinks.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use binary::Folder;

use crate::common::binary;

const MAX_PEAK_KIB: u64 = 256 * 1024;

#[test]
fn huge_files_and_endless_devices_are_rejected() {
    let folder = Folder::new();
    let huge = fs::File::create(folder.path().join("huge.yaml")).unwrap();
    huge.set_len(200 << 20).unwrap();
    for (arguments, problem) in [
        (&["run", "--targets", "huge.yaml"][..], "larger than 32 MiB"),
        (&["report", "huge.yaml"], "larger than 32 MiB"),
        (&["report", "/dev/zero"], "larger than 32 MiB"),
        (&["run", "--targets", "/dev/zero"], "larger than 32 MiB"),
        (&["run", "deepseek@2025-12", "--simulate", "--simulator", "/dev/zero"], "larger than 32 MiB"),
        (&["judge", "/dev/zero"], "longer than 64 MiB"),
        (&["judge", "huge.yaml"], "longer than 64 MiB"),
    ] {
        let finished = folder.run(arguments).assert_exit_code(2).assert_stderr_contains(&[problem]);
        assert!(finished.peak_kib < MAX_PEAK_KIB, "{arguments:?}: {} KiB", finished.peak_kib);
    }
}

#[test]
fn named_pipes_are_rejected_at_once() {
    let folder = Folder::new();
    assert!(Command::new("mkfifo").arg(folder.path().join("pipe.yaml")).status().unwrap().success());
    for arguments in [
        &["run", "--targets", "pipe.yaml"][..],
        &["report", "pipe.yaml"],
        &["judge", "pipe.yaml"],
        &["run", "--base-url", "http://127.0.0.1:9", "--model", "m", "--ca-file", "pipe.yaml"],
    ] {
        folder.run(arguments).assert_exit_code(2).assert_stderr_contains(&["pipe.yaml: it is a named pipe"]);
    }
}

#[test]
fn written_files_replace_symlinks() {
    let folder = Folder::new();
    for name in ["victim-1", "victim-2", "victim-3"] {
        folder.write(name, "untouched");
    }
    fs::create_dir(folder.path().join("out")).unwrap();
    for (name, victim) in [
        ("matrix.md", "../victim-1"),
        ("matrix.partial", "../victim-2"),
        ("recording-deepseek-2025-12.jsonl", "../victim-3"),
        ("results-deepseek-2025-12.json", "../missing"),
    ] {
        symlink(victim, folder.path().join("out").join(name)).unwrap();
    }
    folder
        .run(["run", "deepseek@2025-12", "--simulate", "--select", "field.top_k", "--out", "out"])
        .assert_exit_code(0);
    for name in ["victim-1", "victim-2", "victim-3"] {
        assert_eq!(folder.read(name), "untouched");
    }
    assert!(!folder.exists("missing"));
    for name in ["matrix.md", "recording-deepseek-2025-12.jsonl", "results-deepseek-2025-12.json"] {
        let found = fs::symlink_metadata(folder.path().join("out").join(name)).unwrap();
        assert!(found.is_file(), "{name} is a file of its own");
    }
}
