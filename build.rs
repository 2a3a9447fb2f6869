//! Converts the bundled case files to JSON, which the binary parses faster than YAML (docs/performance.md).
//!
//! Only checks that a file is YAML. The tests of `src/catalog/load` compare the JSON with the YAML and
//! validate every file.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("cases");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut files = String::new();
    for kind in ["experiments", "gateway", "targets"] {
        for name in names(&root.join(kind))? {
            let path = root.join(kind).join(&name);
            let yaml = fs::read_to_string(&path)?;
            let content: serde_json::Value =
                serde_yaml::from_str(&yaml).map_err(|error| format!("{}: {error}", path.display()))?;
            let json = out.join(format!("{kind}-{name}.json"));
            fs::write(&json, content.to_string())?;
            writeln!(
                files,
                "BundledFile {{ path: {:?}, yaml: include_str!({path:?}), json: include_str!({json:?}) }},",
                format!("{kind}/{name}")
            )?;
        }
    }
    fs::write(out.join("bundled.rs"), format!("&[{files}]"))?;
    println!("cargo::rerun-if-changed=cases");
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

/// The names of the files in a folder, in order.
fn names(folder: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().into_string().map_err(|name| format!("{}: no UTF-8", name.display()))?;
        if name.ends_with(".yaml") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
