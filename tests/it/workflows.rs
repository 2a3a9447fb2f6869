//! The workflows of `docs/ci`, the action, the hooks and the commands of their page: each is what it is said to be, every
//! call of `fieldtest` in them is one that the command line takes, and no secret stands on a command line.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Where a workflow uses the action of this repository.
const ACTION_PREFIX: &str = "OWNER/fieldtest@v";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/ci")
}

fn read_file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn read_yaml(name: &str) -> Value {
    serde_yaml::from_str(&read_file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The call of `fieldtest` that the action makes of its inputs, without the endpoint and the key.
fn action_call(step: &Value) -> Option<Vec<String>> {
    step["uses"].as_str().filter(|action| action.starts_with(ACTION_PREFIX))?;
    let input = |name: &str| step["with"][name].as_str().unwrap_or_default();
    let options = [("--format", input("formats")), ("--baseline", input("baseline"))];
    let options =
        options.into_iter().filter(|(_, value)| !value.is_empty()).flat_map(|(option, value)| [option, value]);
    let words = ["run"].into_iter().chain(input("target").split_whitespace()).chain(options);
    Some(words.chain(input("arguments").lines()).map(str::to_owned).collect())
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
fn each_purpose_has_a_workflow() {
    let names: Vec<String> = workflows().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["gateway-pull-request.yml", "provider-nightly.yml", "publish-matrix.yml"]);
    let page = fs::read_to_string(folder().join("README.md")).unwrap();
    assert!(names.iter().all(|name| page.contains(&format!("]({name})"))), "the page names each");
}

#[test]
fn the_command_line_accepts_every_call() {
    for (name, workflow) in workflows() {
        let steps = steps(&workflow);
        let scripts = steps.iter().filter_map(|step| step["run"].as_str()).flat_map(fieldtest_calls);
        let calls: Vec<Vec<String>> = scripts.chain(steps.iter().filter_map(|step| action_call(step))).collect();
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
fn an_unknown_call_is_detected() {
    let [call] = fieldtest_calls("fieldtest run deepseek@2025-12 \\\n  --formats junit || true").try_into().unwrap();
    assert_eq!(call, ["run", "deepseek@2025-12", "--formats", "junit"]);
    let words = ["fieldtest"].into_iter().chain(call.iter().map(String::as_str)).map(OsString::from);
    assert!(fieldtest::cli::accepts(words).unwrap_err().contains("--formats"));
}

#[test]
fn secrets_are_only_in_the_environment_and_permissions_are_minimal() {
    for (name, workflow) in workflows() {
        assert_eq!(workflow["permissions"], serde_json::json!({ "contents": "read" }), "{name}");
        for step in steps(&workflow) {
            let script = step["run"].as_str().unwrap_or_default();
            // Whatever is put into a script by the engine is read by the shell.
            assert!(!script.contains("${{"), "{name}: {script}");
            if let Some(action) = step["uses"].as_str() {
                let (_, version) = action.split_once('@').unwrap();
                let numbers = version.strip_prefix('v').unwrap_or_else(|| panic!("{name}: {action}"));
                assert!(numbers.split('.').all(|number| number.parse::<u32>().is_ok()), "{name}: {action}");
            }
        }
        for job in workflow["jobs"].as_object().unwrap().values() {
            let rights = job["permissions"].as_object();
            assert!(rights.is_none_or(|rights| !rights.contains_key("contents")), "{name}");
        }
    }
}

#[test]
fn the_action_gives_its_inputs_to_its_script_and_workflows_use_no_others() {
    let action = read_yaml("action.yml");
    let inputs: Vec<&String> = action["inputs"].as_object().unwrap().keys().collect();
    let steps = action["runs"]["steps"].as_array().unwrap();
    let text = read_file("action.yml");
    let script = read_file("scripts/action");
    let page = read_file("docs/ci/README.md");
    for input in &inputs {
        assert!(text.contains(&format!("inputs.{input} ")), "{input} has no effect");
        assert!(page.contains(&format!("`{input}`")), "{input} is not on the page");
    }
    for (variable, value) in steps.iter().filter_map(|step| step["env"].as_object()).flatten() {
        let input = variable.strip_prefix("INPUT_").unwrap().to_lowercase().replace('_', "-");
        assert_eq!(value, &format!("${{{{ inputs.{input} }}}}"));
        assert!(script.contains(&format!("${{{variable}:-")), "{variable}");
    }
    for step in steps.iter().filter_map(|step| step["run"].as_str()) {
        // The engine would put the text of an input into the script.
        assert!(!step.contains("${{"), "{step}");
    }
    let workflows = workflows();
    let all = workflows.iter().flat_map(|(_, workflow)| self::steps(workflow));
    let used: Vec<&Value> = all.filter(|step| action_call(step).is_some()).collect();
    assert!(!used.is_empty(), "no workflow uses the action");
    for input in used.iter().flat_map(|step| step["with"].as_object().unwrap().keys()) {
        assert!(inputs.contains(&input), "the action has no input {input}");
    }
}

#[test]
fn the_command_line_takes_the_entries_of_the_hooks() {
    let hooks = read_yaml(".pre-commit-hooks.yaml");
    for hook in hooks.as_array().unwrap() {
        let [mut call] = fieldtest_calls(hook["entry"].as_str().unwrap()).try_into().unwrap();
        if call.starts_with(&["baseline".to_owned()]) {
            call.push("known.yaml".to_owned());
        }
        assert_accepted(&call, hook["id"].as_str().unwrap());
        assert_eq!(hook["pass_filenames"], Value::Bool(false), "the arguments name the folder or the file");
    }
}
