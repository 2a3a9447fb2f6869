//! README and the pages of `docs/`: example files load, commands are valid, and links lead to
//! files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::binary::Folder;
use crate::workflows::{assert_accepted, fieldtest_calls};

/// Returns README and all hand-written pages, with their texts.
fn read_pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = docs.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    paths.extend(["README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/ci/README.md"].map(|name| root.join(name)));
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// Returns the fenced blocks of a page in these languages.
fn fenced_blocks<'a>(page: &'a str, languages: &'a [&str]) -> impl Iterator<Item = &'a str> {
    page.split("\n```").skip(1).step_by(2).filter_map(|block| {
        let (language, text) = block.split_once('\n')?;
        languages.contains(&language).then_some(text)
    })
}

/// Returns the complete YAML files of a page: a line with the path in backticks, then the file in a
/// fenced block.
fn example_files(page: &str) -> Vec<(&str, &str)> {
    let lines: Vec<&str> = page.split_inclusive('\n').collect();
    let mut files = Vec::new();
    let mut at = 0;
    for (number, line) in lines.iter().enumerate() {
        let path = line.trim().strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
        if let Some(path) = path.filter(|path| path.ends_with(".yaml") && !path.contains(' ')) {
            let start: usize = at + line.len() + lines[number + 1].len() + lines[number + 2].len();
            assert_eq!(lines[number + 2], "```yaml\n", "{path}: a fenced YAML block must follow the path");
            let length = page[start..].find("```").expect("the end of the block");
            files.push((path, &page[start..start + length]));
        }
        at += line.len();
    }
    files
}

fn write_example_files(folder: &Folder, page: &str) -> usize {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let files = example_files(&text);
    files.iter().for_each(|(path, content)| {
        folder.write(path, content);
    });
    files.len()
}

/// The commands of a console block, which start with `$`. A backslash continues a command.
fn without_output(block: &str) -> String {
    let mut is_continued = false;
    let mut commands = String::new();
    for line in block.lines() {
        if is_continued || line.starts_with("$ ") {
            commands.push_str(line);
            commands.push('\n');
            is_continued = line.ends_with('\\');
        }
    }
    commands
}

#[test]
fn example_case_files_load_and_every_example_row_can_fail() {
    let folder = Folder::new();
    let written = ["docs/add-target.md", "docs/add-row.md"].map(|page| write_example_files(&folder, page));
    assert_eq!(written, [2, 2]);
    folder
        .run(["check", "--cases", "my-cases", "--select", "my.*", "--target", "anthropic", "--no-progress"])
        .assert_exit_code(0);
    let rows = folder.run(["rows", "--cases", "my-cases"]).assert_exit_code(0);
    assert!(rows.stdout.contains("my-provider"), "{}", rows.stdout);
}

#[test]
fn the_example_simulator_file_is_accepted() {
    let folder = Folder::new();
    assert_eq!(write_example_files(&folder, "docs/simulator.md"), 1);
    let arguments =
        ["run", "deepseek@2025-12", "--simulate", "--simulator", "slow-and-noisy.yaml", "--select", "header.*"];
    folder.run(arguments.into_iter().chain(["--no-progress"])).assert_exit_code(0);
}

#[test]
fn the_command_line_accepts_every_command_of_the_pages() {
    let mut commands = 0;
    for (path, text) in read_pages() {
        for block in fenced_blocks(&text, &["console"]) {
            for call in fieldtest_calls(&without_output(block)) {
                assert_accepted(&call, &path.display().to_string());
                commands += 1;
            }
        }
    }
    assert!(commands > 40, "{commands}");
}

#[test]
fn every_link_leads_to_a_file() {
    let pattern = regex::Regex::new(r"\]\(([^)#: ]+)(#[^)]*)?\)").unwrap();
    let mut links = 0;
    for (path, text) in read_pages() {
        for link in pattern.captures_iter(&text) {
            let target = path.parent().unwrap().join(&link[1]);
            assert!(target.exists(), "{}: {}", path.display(), &link[1]);
            links += 1;
        }
    }
    assert!(links > 100, "{links}");
}
