//! The workflows of `docs/ci` and the commands of its page: each is what it is said to be, every call of `fieldtest` in
//! them is one that the command line takes, and no secret stands on a command line.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/ci")
}

/// The workflows, by file name.
fn workflows() -> Vec<(String, Value)> {
    let paths = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<(String, Value)> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "yml"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let value = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path.file_name().unwrap().to_str().unwrap().to_owned(), value)
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn steps(workflow: &Value) -> Vec<&Value> {
    let jobs = workflow["jobs"].as_object().unwrap().values();
    jobs.flat_map(|job| job["steps"].as_array().unwrap()).collect()
}

/// The calls of `fieldtest` in a script, each as its arguments.
pub fn fieldtest_calls(script: &str) -> Vec<Vec<String>> {
    let joined = script.replace("\\\n", " ");
    let calls = joined.lines().filter_map(|line| {
        let line = line.trim().trim_start_matches(['$', '-']).trim();
        let call = line.strip_prefix("fieldtest ")?;
        // What follows is the shell's.
        let call = [" | ", " || ", " && ", " > ", " >> ", " &", " #"].iter().fold(call, |call, end| {
            match call.split_once(end) {
                Some((call, _)) => call,
                None => call,
            }
        });
        Some(call.split_whitespace().map(|word| word.trim_matches(['\'', '"']).to_owned()).collect())
    });
    calls.collect()
}

pub fn assert_accepted(call: &[String], place: &str) {
    let words = std::iter::once("fieldtest").chain(call.iter().map(String::as_str)).map(OsString::from);
    if let Err(error) = fieldtest::cli::accepts(words) {
        panic!("{place}: fieldtest {}:\n{error}", call.join(" "));
    }
}

#[test]
fn there_is_one_for_each_purpose() {
    let names: Vec<String> = workflows().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["gateway-pull-request.yml", "provider-nightly.yml", "publish-matrix.yml"]);
    let page = fs::read_to_string(folder().join("README.md")).unwrap();
    assert!(names.iter().all(|name| page.contains(&format!("]({name})"))), "the page names each");
}

#[test]
fn the_command_line_takes_every_call() {
    for (name, workflow) in workflows() {
        let calls: Vec<Vec<String>> =
            steps(&workflow).iter().filter_map(|step| step["run"].as_str()).flat_map(fieldtest_calls).collect();
        assert!(!calls.is_empty(), "{name} does not test anything");
        calls.iter().for_each(|call| assert_accepted(call, &name));
    }
    let page = fs::read_to_string(folder().join("README.md")).unwrap();
    let on_page = fieldtest_calls(&page);
    assert!(on_page.len() >= 4, "{on_page:?}");
    on_page.iter().for_each(|call| assert_accepted(call, "README.md"));
}

/// The test above would be worth nothing if it took anything.
#[test]
fn a_call_that_does_not_exist_is_noticed() {
    let [call] = fieldtest_calls("fieldtest run deepseek \\\n  --formats junit || true").try_into().unwrap();
    assert_eq!(call, ["run", "deepseek", "--formats", "junit"]);
    let words = ["fieldtest"].into_iter().chain(call.iter().map(String::as_str)).map(OsString::from);
    assert!(fieldtest::cli::accepts(words).unwrap_err().contains("--formats"));
}

#[test]
fn secrets_are_in_the_environment_alone_and_rights_are_few() {
    for (name, workflow) in workflows() {
        assert_eq!(workflow["permissions"], serde_json::json!({ "contents": "read" }), "{name}");
        for step in steps(&workflow) {
            let script = step["run"].as_str().unwrap_or_default();
            // Whatever is put into a script by the engine is read by the shell.
            assert!(!script.contains("${{"), "{name}: {script}");
            if let Some(action) = step["uses"].as_str() {
                let (_, version) = action.split_once('@').unwrap();
                assert!(version.starts_with('v') && version[1..].parse::<u32>().is_ok(), "{name}: {action}");
            }
        }
        for job in workflow["jobs"].as_object().unwrap().values() {
            let rights = job["permissions"].as_object();
            assert!(rights.is_none_or(|rights| !rights.contains_key("contents")), "{name}");
        }
    }
}
