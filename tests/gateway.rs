//! Runs `fieldtest gateway` as users do, between itself and small gateways: a faithful one for each shape, and each way
//! of being bad. Each must lead to the right fate of the right rows, and of no others.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may fail loudly")]

#[path = "common/binary.rs"]
mod binary;
mod sandwich;

use std::collections::BTreeMap;

use serde_json::Value;

use binary::{Ended, Folder, Running};
use sandwich::quirk::Quirk;
use sandwich::{Gateway, Shape};

/// What the client sends as its credential.
const CLIENT_KEY: &str = "sk-client-very-secret";

/// A run against a gateway.
struct Run {
    folder: Folder,
    ended: Ended,
}

fn command(folder: &Folder, gateway: &Gateway, shape: Shape, more: &[&str]) -> std::process::Command {
    let port = gateway.upstream_port.to_string();
    let shape = if shape == Shape::Anthropic { "anthropic" } else { "openai" };
    let mut arguments = vec!["gateway", "--via", &gateway.url, "--upstream-port", &port, "--shape", shape];
    arguments.extend([
        "--model",
        "m",
        "--name",
        "g",
        "--out",
        "out",
        "--api-key-env",
        "KEY",
        "--timeout",
        "4",
        "--seed",
        "1",
    ]);
    arguments.extend(more);
    let mut command = folder.command(arguments);
    command.env("KEY", CLIENT_KEY);
    command
}

impl Run {
    fn of(shape: Shape, quirk: Quirk, more: &[&str]) -> Self {
        let gateway = Gateway::start(shape, quirk);
        let folder = Folder::new();
        let ended = Running::start(command(&folder, &gateway, shape, more)).ended();
        Self { folder, ended }
    }

    fn results(&self) -> Value {
        self.folder.results("out")
    }

    /// Each row's fate, with the code where it is undetermined.
    fn fates(&self) -> BTreeMap<String, String> {
        let results = self.results();
        let rows = results["rows"].as_array().unwrap().iter();
        rows.map(|row| {
            let fate = row["fate"]["kind"].as_str().unwrap();
            let code = row["verdict"]["code"].as_str().map_or(String::new(), |code| format!(" {code}"));
            (row["id"].as_str().unwrap().to_owned(), format!("{fate}{code}"))
        })
        .collect()
    }

    fn row(&self, id: &str) -> Value {
        let results = self.results();
        results["rows"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("{id}")).clone()
    }
}

/// The rows whose fates differ from those behind a faithful gateway.
fn differing(shape: Shape, quirk: Quirk, more: &[&str]) -> (Run, Vec<(String, String)>) {
    let faithful = Run::of(shape, Quirk::None, more).fates();
    let run = Run::of(shape, quirk, more);
    let fates = run.fates();
    assert_eq!(fates.keys().collect::<Vec<_>>(), faithful.keys().collect::<Vec<_>>());
    let differing = fates.into_iter().filter(|(row, fate)| faithful[row] != *fate).collect();
    (run, differing)
}

fn strings(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter().map(|(row, fate)| ((*row).to_owned(), (*fate).to_owned())).collect()
}

#[test]
fn a_faithful_gateway_forwards_everything() {
    let run = Run::of(Shape::Anthropic, Quirk::None, &[]);
    let ended = &run.ended;
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    let fates = run.fates();
    assert!(fates.len() > 200, "{}", fates.len());
    let others: Vec<_> = fates.iter().filter(|(_, fate)| *fate != "forwarded").collect();
    assert_eq!(others, [] as [(&String, &String); 0]);
    let results = run.results();
    assert_eq!(results["summary"]["contradicts"], 0);
    assert_eq!(results["findings"], serde_json::json!([]), "the answers that are scripted break no rule");
    assert_eq!(results["gateway"]["shape"], "anthropic");
    assert!(ended.stderr.contains("configure the gateway with http://127.0.0.1:"), "{}", ended.stderr);
    assert!(ended.stdout.contains("forwarded") && !ended.stdout.contains("supported    supported"), "{}", ended.stdout);
    assert!(
        run.folder.read("out/matrix.md").contains("**Forwarded**")
            || run.folder.read("out/matrix.md").contains("| forwarded |")
    );
}

#[test]
fn a_faithful_translation_carries_what_the_shape_has_a_place_for() {
    let run = Run::of(Shape::Openai, Quirk::None, &[]);
    let ended = &run.ended;
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    let fates = run.fates();
    assert!(fates.values().filter(|fate| *fate == "forwarded").count() > 70, "{fates:?}");
    assert_eq!(fates["field.top_k"], "dropped");
    assert_eq!(fates["field.stop_sequences"], "forwarded");
    let undetermined: Vec<_> = fates.iter().filter(|(_, fate)| fate.starts_with("undetermined")).collect();
    assert_eq!(undetermined, [(&"models".to_owned(), &"undetermined not_asked".to_owned())]);
}
