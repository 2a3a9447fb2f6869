//! `fieldtest check`, the real binary: it passes if every experiment can fail, and each rule of a
//! proof has a case that breaks it.

use binary::{FinishedRun, Folder};
use serde_json::Value;

use crate::common::binary;

/// An experiment that cannot fail: the label is in the question too, so the effect appears without
/// the field.
const BLIND: &str = r#"
  - row: my.blind
    title: blind
    field: { at: { row: field.top_k } }
    ask: What is today's label? Reply with the label alone.
    treatment: { ask: "Today's label is {{label}}. What is today's label? Reply with the label alone.", body: { top_k: 1 } }
    effect: { text: { contains: ["{{label}}"] } }
    by_chance: rare
"#;

/// The location of its field.
const AT: &str = "    field: { at: { row: field.top_k } }\n";

/// A folder with these rows in the case files of a user.
fn with_rows(rows: &str) -> Folder {
    let folder = Folder::new();
    folder.write("mine/experiments/mine.yaml", format!("section: Mine\nrows:{rows}"));
    folder
}

/// Checks some rows on one target.
fn check(folder: &Folder, select: &str, more: &[&str]) -> FinishedRun {
    let always = ["check", "--cases", "mine", "--target", "anthropic", "--select", select];
    folder.run(always.iter().chain(more))
}

fn json(folder: &Folder, select: &str, code: i32) -> Value {
    let ended = check(folder, select, &["--format", "json"]).assert_exit_code(code);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {}", ended.stdout))
}

/// The outcomes of the mutants of a row that were not killed, with their expected statuses.
fn fates(row: &Value) -> Vec<(&str, &str)> {
    let failures = row["failures"].as_array().unwrap().iter();
    failures.map(|f| (f["expected"].as_str().unwrap(), f["fate"].as_str().unwrap())).collect()
}

#[test]
fn bundled_rows_pass_with_both_controls_and_the_kill_rate_at_the_end() {
    let folder = Folder::new();
    let ended =
        folder.run(["check", "--target", "anthropic", "--select", "field.t{op_k,emperature}"]).assert_exit_code(0);
    let last = ended.stdout.trim_end().lines().last().unwrap();
    assert_eq!(last, "✓ 4 mutants, 4 killed: kill rate 100 %");
    for part in [
        "without mutation: passes",
        "survives as required (2 rows unchanged)",
        "canary",
        "supported, ignored, rejected",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    // A row that depends on another may change with it, and is named.
    let line = ended.stdout.lines().find(|line| line.contains("field.temperature ")).unwrap();
    assert!(line.contains("field.temperature.range"), "{line}");
}

#[test]
fn the_json_format_has_the_totals_and_every_row() {
    let folder = Folder::new();
    let arguments = ["check", "--target", "deepseek@2025-12", "--select", "field.top_k", "--format", "json"];
    let ended = folder.run(arguments).assert_exit_code(0);
    let proof: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(proof["schema"], "fieldtest-proof/2");
    let wrong = ["survived", "accused", "kept", "unnamed", "changed", "void", "unproved", "untried"];
    assert_eq!(wrong.map(|key| &proof[key]), [0; 8]);
    assert_eq!((&proof["mutants"], &proof["killed"], &proof["carried"]), (&2.into(), &2.into(), &0.into()));
    assert!(proof["compared"].as_u64().unwrap() > 100, "{proof}");
    assert_eq!(proof["kill_rate"], 1.0);
    assert_eq!(proof["rows"][0]["id"], "field.top_k");
    let statuses: Vec<&str> =
        proof["rows"][0]["statuses"].as_array().unwrap().iter().map(|s| s["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["supported", "ignored", "rejected"]);
    assert_eq!(proof["grounds"][0]["target"], "deepseek@2025-12");
    assert_eq!(folder.run(arguments).assert_exit_code(0).stdout, ended.stdout, "the same check has the same output");
}

#[test]
fn files_are_written_with_out() {
    let folder = Folder::new();
    let select = ["check", "--target", "anthropic", "--select", "field.top_k"];
    let more = ["--format", "terminal,markdown,json", "--out", "out"];
    let ended = folder
        .run(select.iter().chain(&more))
        .assert_exit_code(0)
        .assert_stderr_contains(&["written to out: check.md, check.json"]);
    assert!(ended.stdout.contains("kill rate 100 %"), "{}", ended.stdout);
    assert!(folder.read("out/check.md").contains("**2 mutants, 2 killed: kill rate 100 %**"));
    let proof: Value = serde_json::from_str(&folder.read("out/check.json")).unwrap();
    assert_eq!(proof["killed"], 2);
}

#[test]
fn an_experiment_that_cannot_fail_is_named_with_its_insensitive_arm() {
    let folder = with_rows(BLIND);
    let ended = check(&folder, "{my.*,field.top_k}", &[]).assert_exit_code(1);
    let said: Vec<&str> = ended.stdout.lines().map(str::trim).collect();
    let i = said.iter().position(|line| *line == "✗ my.blind").unwrap_or_else(|| panic!("{}", ended.stdout));
    assert!(said[i + 1].starts_with("on anthropic: expected ignored, reached supported: "), "{}", said[i + 1]);
    assert!(said[i + 2].starts_with("these arms did not notice the change: treatment ("), "{}", said[i + 2]);
    // The other row still passes, and the canary names the deceived row.
    assert!(said.iter().any(|line| line.starts_with("✓  field.top_k") && line.contains("2 of 2")), "{}", ended.stdout);
    assert!(ended.stdout.contains("still supported: my.blind"), "{}", ended.stdout);
    assert_eq!(said.iter().rfind(|line| !line.is_empty()), Some(&"✗ 4 mutants, 3 killed; 1 survived: kill rate 75 %"));
}

#[test]
fn a_mutant_whose_field_is_never_sent_is_void() {
    // Replaces the bundled row by one that never sends the field.
    let rows = BLIND.replace("my.blind", "field.top_k").replace(", body: { top_k: 1 }", "").replace(AT, "");
    let folder = with_rows(&rows);
    let proof = json(&folder, "field.top_k", 1);
    assert_eq!(fates(&proof["rows"][0]), [("ignored", "void"), ("rejected", "void")]);
    assert_eq!((&proof["void"], &proof["killed"], &proof["kill_rate"]), (&2.into(), &0.into(), &0.0.into()));
    let ended = check(&folder, "field.top_k", &[]).assert_exit_code(1);
    assert!(ended.stdout.contains("void: the mutation was never applied"), "{}", ended.stdout);
}

#[test]
fn no_mutant_runs_if_the_unmutated_run_fails() {
    // An effect that never appears, on a server that supports the field.
    let rows = BLIND.replace("contains: [\"{{label}}\"]", "contains: [farewell]");
    let folder = with_rows(&rows);
    let proof = json(&folder, "{my.*,field.top_k}", 1);
    assert_eq!(proof["grounds"][0]["unmutated"][0]["row"], "my.blind");
    assert_eq!((&proof["grounds"][0]["canary"], &proof["grounds"][0]["control"]), (&Value::Null, &Value::Null));
    assert_eq!((&proof["killed"], &proof["untried"]), (&0.into(), &proof["mutants"]));
    assert!(proof["untried"].as_u64().unwrap() > 2, "{proof}");
}

#[test]
fn a_dependency_is_found_in_the_requests() {
    // It sends the field of another row only in its treatment, and declares nothing.
    let rows = r#"
  - row: my.leaky
    title: leaky
    field: { at: { body: my_region }, supported_by: { values: [eu] } }
    ask: Say hello in one word.
    treatment: { body: { my_region: eu, metadata: { user_id: someone } } }
    challenge: [{ body: { my_region: nowhere } }]
"#;
    let folder = with_rows(rows);
    let proof = json(&folder, "field.metadata", 0);
    let followers = proof["rows"][0]["followers"].as_array().unwrap();
    assert!(followers.iter().any(|follower| follower["row"] == "my.leaky"), "{followers:?}");
}

#[test]
fn a_row_that_is_accused_because_of_another_field_fails() {
    // Its field is never ignored, and without the other field its effect does not appear.
    let rows = r#"
  - row: my.accuser
    title: accuser
    field: { at: { body: my_region }, supported_by: { values: [eu] } }
    ask: Count from 1 to 20, separated by single spaces. Write only the numbers.
    treatment: { body: { my_region: eu, stop_sequences: [" 9"] } }
    effect: { stop_reason: stop_sequence }
    contrary: { stop_reason: end_turn }
    by_chance: never
"#;
    let folder = with_rows(rows);
    let proof = json(&folder, "field.stop_sequences", 1);
    assert_eq!(fates(&proof["rows"][0])[0], ("ignored", "accused"), "{proof}");
    let other = &proof["rows"][0]["failures"][0]["others"][0];
    assert_eq!((&other["fate"], &other["row"]), (&"accused".into(), &"my.accuser".into()));
    let ended = check(&folder, "field.stop_sequences", &[]).assert_exit_code(1);
    assert!(ended.stdout.contains("accused: my.accuser: expected supported, reached ignored"), "{}", ended.stdout);
    assert!(ended.stdout.contains("1 with another row accused"), "{}", ended.stdout);
}

#[test]
fn fields_that_rows_only_carry_are_changed_too() {
    let folder = Folder::new();
    let check = ["check", "--target", "anthropic", "--select", "tools.name", "--format", "json"];
    let proof: Value = serde_json::from_str(&folder.run(check).assert_exit_code(0).stdout).unwrap();
    // The row cannot be rejected, but its field can.
    assert_eq!((&proof["mutants"], &proof["carried"]), (&1.into(), &1.into()));
    let ground = &proof["grounds"][0];
    assert!(ground["sentinels"]["forged"].as_u64().unwrap() > 3, "{ground}");
    assert_eq!(ground["sentinels"]["forged"], ground["sentinels"]["noticed"]);
    assert_eq!(ground["left_out"][0]["row"], "stream.gradual", "{ground}");
}

#[test]
fn a_row_that_the_simulator_does_not_know_fails() {
    let rows = BLIND.replace(AT, "");
    let folder = with_rows(&rows);
    let ended = check(&folder, "my.*", &[]).assert_exit_code(1);
    assert!(ended.stdout.contains("the simulator does not know this row"), "{}", ended.stdout);
    assert!(ended.stdout.contains("NOT supported, NOT ignored, NOT rejected"), "{}", ended.stdout);
    let proof = json(&folder, "my.*", 1);
    assert_eq!((&proof["mutants"], &proof["unproved"]), (&3.into(), &3.into()));
}

#[test]
fn rows_of_users_are_proved_if_they_locate_their_field() {
    let folder = with_rows(
        r#"
  - row: my.effort
    title: a key of the body, checked
    field: { at: { body: output_config.zeal }, supported_by: { values: [low, high] } }
    ask: &hello Say hello in one word.
    treatment: { body: { output_config: { zeal: low } } }
    challenge: [{ body: { output_config: { zeal: no_such_zeal } } }]
  - row: my.policy
    title: a header, checked
    field: { at: { header: x-policy }, supported_by: { values: [strict] } }
    ask: *hello
    treatment: { headers: { x-policy: strict } }
    challenge: [{ headers: { x-policy: no-such-policy } }]
  - row: my.tool_tier
    title: a key of tools, checked
    field: { at: { tool: tier }, supported_by: { values: [1, 2] } }
    ask: *hello
    negative: { body: { tools: [{ name: look, input_schema: { type: object } }] } }
    treatment: { body: { tools: [{ name: look, input_schema: { type: object }, tier: 1 }] } }
    challenge: [{ body: { tools: [{ name: look, input_schema: { type: object }, tier: 9 }] } }]
  - row: my.audio
    title: a kind of block, read
    field: { at: { block: audio }, supported_by: read }
    ask: What is today's label? Reply with the label alone.
    treatment:
      turns:
        - user: [{ type: audio, transcript: "Today's label is {{label}}." }]
        - assistant: Noted.
        - user: What is today's label? Reply with the label alone.
    positive: { ask: "Today's label is {{label}}. What is today's label? Reply with the label alone." }
    effect: { text: { contains: ["{{label}}"] } }
    by_chance: rare
  - row: my.second-opinion
    title: a second row for a field that the reference knows
    field: { at: { row: field.stop_sequences } }
    ask: Count from 1 to 20, separated by single spaces. Write only the numbers.
    treatment: { body: { stop_sequences: [" 9"] } }
    effect: { stop_reason: stop_sequence }
    contrary: { text: { contains: ["8 9 10"] } }
    by_chance: never
"#,
    );
    let proof = json(&folder, "my.*", 0);
    assert_eq!((&proof["mutants"], &proof["killed"]), (&10.into(), &10.into()));
    // Other commands can flip these rows too.
    let run = ["run", "anthropic", "--simulate", "--out", "out", "--cases", "mine", "--select", "my.effort"];
    folder.run(run.iter().chain(&["--flip", "my.effort=ignored"])).assert_exit_code(0);
    assert_eq!(folder.results("out")["rows"][0]["verdict"]["status"], "ignored");
}

#[test]
fn a_row_that_no_target_can_test_fails() {
    let folder = Folder::new();
    let arguments = ["check", "--target", "deepseek@2025-12", "--select", "limit.*", "--format", "json"];
    let proof: Value = serde_json::from_str(&folder.run(arguments).assert_exit_code(1).stdout).unwrap();
    assert_eq!(fates(&proof["rows"][0]), [("supported", "unproved"), ("rejected", "unproved")]);
}

#[test]
fn no_proof_only_validates_the_case_files() {
    let folder = with_rows(BLIND);
    let ended = folder.run(["check", "--cases", "mine", "--no-proof"]).assert_exit_code(0);
    let catalog = fieldtest::catalog::Catalog::load_bundled().unwrap();
    let claims: usize = catalog.targets.values().map(|target| target.claims.len()).sum();
    let rows = catalog.rows.len() + 1;
    let targets = catalog.targets.len();
    assert_eq!(ended.stdout, format!("{rows} rows, {targets} targets, {claims} claims: the case files are valid\n"));
}

#[test]
fn wrong_arguments_are_rejected_before_any_run() {
    let folder = Folder::new();
    let wrong: [(&[&str], &str); 5] = [
        (&["--target", "nobody"], "unknown target `nobody`"),
        (&["--target", "deepseek@2025-12", "--target", "deepseek@2025-12"], "named twice"),
        (&["--select", "no.such.row"], "selects no row"),
        (&["--format", "json,markdown"], "several values of --format need --out"),
        (&["--no-proof", "--target", "deepseek@2025-12"], "cannot be used with"),
    ];
    for (arguments, said) in wrong {
        folder.run(["check"].iter().chain(arguments)).assert_exit_code(2).assert_stderr_contains(&[said]);
    }
    let folder = with_rows(&BLIND.replace("row: field.top_k }", "body: top_k. }"));
    folder
        .run(["check", "--cases", "mine"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["the location in `field` is empty, or has an extra dot"]);
    let folder = with_rows(&BLIND.replace("row: field.top_k }", "row: my.blind }"));
    folder
        .run(["check", "--cases", "mine"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["which has no field of its own"]);
}
