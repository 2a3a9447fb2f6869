//! Turns the YAML files of the binary into forms that it reads faster.
//!
//! The bundled case files become JSON, which shortens the start of the binary (docs/performance.md).
//! The texts of the checks become a static table. Only the syntax is verified here; tests in
//! `src/catalog/load` and `src/checks` verify the content.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    bundle_cases(&root.join("cases"), &out)?;
    describe_checks(&root.join("src/checks/checks.yaml"), &out)?;
    println!("cargo::rerun-if-changed=cases");
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

/// Writes the case files as JSON, and the list of them.
fn bundle_cases(root: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let mut files = String::new();
    for kind in ["experiments", "gateway", "targets"] {
        for name in list_yaml_files(&root.join(kind))? {
            let path = root.join(kind).join(&name);
            let json = out.join(format!("{kind}-{name}.json"));
            fs::write(&json, read_yaml(&path)?.to_string())?;
            writeln!(
                files,
                "BundledFile {{ path: {:?}, yaml: include_str!({path:?}), json: include_str!({json:?}) }},",
                format!("{kind}/{name}")
            )?;
        }
    }
    fs::write(out.join("bundled.rs"), format!("&[{files}]"))?;
    Ok(())
}

/// Writes the texts of the checks as a list of `CheckDescription`.
fn describe_checks(path: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", path.display());
    let yaml = read_yaml(path)?;
    let mut checks = String::new();
    for check in yaml.as_array().ok_or("checks.yaml: not a list")? {
        let keys = ["id", "severity", "failures", "source", "summary", "rationale", "client_impact", "example"];
        let entry = check.as_object().filter(|entry| entry.keys().eq(keys));
        let entry = entry.ok_or_else(|| format!("checks.yaml: the keys must be {keys:?} in {check}"))?;
        let text = |key: &str| entry[key].as_str().ok_or_else(|| format!("checks.yaml: {key} is not text in {check}"));
        writeln!(
            checks,
            "CheckDescription {{ id: {:?}, severity: CheckSeverity::{}, failures: &{}, summary: {:?}, rationale: {:?}, \
             client_impact: {:?}, example: {:?}, source: SpecDocument::{} }},",
            text("id")?,
            variant(text("severity")?),
            entry["failures"],
            text("summary")?,
            text("rationale")?,
            text("client_impact")?,
            text("example")?,
            variant(text("source")?),
        )?;
    }
    fs::write(out.join("checks.rs"), format!("&[{checks}]"))?;
    Ok(())
}

/// The name of the variant for a kebab-case name.
fn variant(name: &str) -> String {
    let words = name.split('-').filter_map(|word| word.split_at_checked(1));
    words.map(|(first, rest)| first.to_uppercase() + rest).collect()
}

fn read_yaml(path: &Path) -> Result<Value, Box<dyn Error>> {
    let yaml = fs::read_to_string(path)?;
    Ok(serde_yaml::from_str(&yaml).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// The names of the YAML files in a folder, sorted.
fn list_yaml_files(folder: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().into_string().map_err(|name| format!("{}: not UTF-8", name.display()))?;
        if name.ends_with(".yaml") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
