//! Runs that end with 3: the target could not be tested. `hostile.rs` tests broken endpoints.

use super::*;

#[test]
fn an_exhausted_budget_leaves_partial_results() {
    let folder = Folder::new();
    let needed = {
        run_simulated(&folder, &["--select", STOP]).assert_exit_code(0);
        folder.results("out")["totals"]["requests"].as_u64().unwrap()
    };
    for (option, value) in [("--max-requests", (needed - 1).to_string()), ("--max-tokens", "20".to_owned())] {
        let arguments = ["--select", STOP, option, &value];
        let finished = run_simulated(&folder, &arguments)
            .assert_exit_code(3)
            .assert_stderr_contains(&["partial results: the budget was used up"]);
        assert!(finished.stdout.contains("PARTIAL RUN"), "{}", finished.stdout);
        let results = folder.results("out");
        let partial = results["partial"].as_str().unwrap();
        assert!(partial.starts_with("the budget was used up: "), "{partial}");
        assert!(partial.contains("not finished"), "{partial}");
        assert!(results["totals"]["requests"].as_u64().unwrap() < needed, "{results}");
        assert_eq!(results["rows"][0]["outcome"], "undetermined");
        assert!(folder.read("out/matrix.md").contains("the budget was used up"));
        // Spending all of it counts as not tested however strict one is.
        run_simulated(&folder, &[&arguments[..], &["--strict"]].concat()).assert_exit_code(3);
    }
    // A run that needs exactly what it may spend is whole.
    run_simulated(&folder, &["--select", STOP, "--max-requests", &needed.to_string()]).assert_exit_code(0);
    assert_eq!(folder.results("out")["partial"], Value::Null);
}

#[test]
fn a_model_that_never_obeys_decides_nothing() {
    let folder = Folder::new();
    let arguments = ["--select", "field.system", "--default-max-tokens", "1"];
    run_simulated(&folder, &arguments)
        .assert_exit_code(3)
        .assert_stderr_contains(&["no row is decided: field.system: "]);
    assert_eq!(folder.results("out")["summary"]["decided"], 0);
}
