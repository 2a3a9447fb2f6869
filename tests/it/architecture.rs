//! The direction of dependencies in `src/`: which folder may use which, and that no files import each other in a circle.
//!
//! Reads the sources as text. An import is a `use` declaration or a path that begins with `crate::`; names that a
//! `mod.rs` re-exports count as imports of the file that defines them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// Each folder (or file) directly under `src/`, and the ones that it may use.
///
/// The simulator must not know experiments, recordings or the judge; the engine and the gateway judge must not know the
/// simulator. Otherwise a proof by mutation would be worthless.
const MAY_USE: [(&str, &[&str]); 17] = [
    ("string_enum", &[]),
    ("loopback", &[]),
    ("wire", &["string_enum"]),
    ("catalog", &["string_enum", "wire"]),
    ("checks", &["string_enum", "wire"]),
    ("redact", &["wire"]),
    ("variables", &["catalog"]),
    ("results", &["catalog", "checks", "redact", "string_enum", "wire"]),
    ("published_schemas", &["catalog", "results"]),
    ("client", &["redact", "wire"]),
    ("recording", &["catalog", "client", "redact", "results", "string_enum", "wire"]),
    ("engine", &["catalog", "checks", "client", "recording", "redact", "results", "string_enum", "variables", "wire"]),
    (
        "gateway",
        &[
            "catalog",
            "checks",
            "client",
            "loopback",
            "recording",
            "redact",
            "results",
            "string_enum",
            "variables",
            "wire",
        ],
    ),
    ("simulator", &["catalog", "loopback", "string_enum", "wire"]),
    ("mutation", &["catalog", "client", "engine", "recording", "results", "simulator", "wire"]),
    ("report", &["catalog", "checks", "redact", "results", "string_enum", "wire"]),
    (
        "cli",
        &[
            "catalog",
            "checks",
            "client",
            "engine",
            "gateway",
            "mutation",
            "recording",
            "redact",
            "report",
            "results",
            "simulator",
            "variables",
            "wire",
        ],
    ),
];

/// A module, as the segments of its path behind `crate`.
type Module = Vec<String>;

/// The modules of the crate, with their sources, re-exports and imports.
struct CrateSources {
    text_of: BTreeMap<Module, String>,
    files: BTreeMap<Module, PathBuf>,
    /// From a module and a name that it re-exports to the path of the original.
    re_exports: BTreeMap<(Module, String), Module>,
}

static SOURCES: LazyLock<CrateSources> = LazyLock::new(CrateSources::read);

impl CrateSources {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = BTreeMap::new();
        collect_files(&root, &root, &mut files);
        let text_of: BTreeMap<Module, String> = files
            .iter()
            .map(|(module, file): (&Module, &PathBuf)| {
                (module.clone(), product_code(&fs::read_to_string(file).expect("a source file")))
            })
            .collect();
        let mut sources = Self { text_of, files, re_exports: BTreeMap::new() };
        for (module, text) in &sources.text_of {
            for (is_public, tree) in use_declarations(text) {
                for path in flatten(&tree).iter().filter(|_| is_public) {
                    if let (Some(name), Some(target)) = (path.last(), sources.absolute(module, path)) {
                        sources.re_exports.insert((module.clone(), name.clone()), target);
                    }
                }
            }
        }
        sources
    }

    /// A path as written in a module, from the root of the crate. `None` for paths into other crates.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Module> {
        let mut base = module.clone();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            first => {
                let child: Module = base.iter().cloned().chain([first.to_owned()]).collect();
                if !self.text_of.contains_key(&child) {
                    return None;
                }
            }
        }
        Some(base.into_iter().chain(rest.iter().cloned()).collect())
    }

    /// The module that defines what an absolute path names.
    fn defining_module(&self, path: &Module) -> Module {
        let mut path = path.clone();
        // Re-exports of re-exports are few; a bound keeps a circle of them from hanging the test.
        for _ in 0..8 {
            let known = (0..=path.len()).rev().find(|n| self.text_of.contains_key(&path[..*n])).unwrap_or(0);
            let (module, rest) = path.split_at(known);
            let Some(target) = rest.first().and_then(|name| self.re_exports.get(&(module.to_vec(), name.clone())))
            else {
                return module.to_vec();
            };
            path = target.iter().chain(&rest[1..]).cloned().collect();
        }
        path
    }

    /// Every module that a module imports, with itself left out.
    fn imports(&self, module: &Module) -> BTreeSet<Module> {
        static PATHS: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"\b(?:crate|super)(?:::\w+)+").expect("a pattern"));
        let text = &self.text_of[module];
        let used = use_declarations(text).into_iter().flat_map(|(_, tree)| flatten(&tree));
        let written = PATHS.find_iter(text).map(|path| path.as_str().split("::").map(str::to_owned).collect());
        used.chain(written)
            .filter_map(|path: Vec<String>| self.absolute(module, &path))
            .map(|path| self.defining_module(&path))
            .filter(|imported| imported != module)
            .collect()
    }
}

fn collect_files(root: &Path, folder: &Path, files: &mut BTreeMap<Module, PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8").to_owned();
        if path.is_dir() && name != "tests" && name != "fixtures" {
            collect_files(root, &path, files);
        }
        if name.ends_with(".rs") && name != "tests.rs" && name != "fixtures.rs" && name != "main.rs" {
            let below = path.strip_prefix(root).expect("a path below the root").with_extension("");
            let segments = below.iter().map(|segment| segment.to_string_lossy().into_owned());
            files.insert(segments.filter(|segment| segment != "mod" && segment != "lib").collect(), path);
        }
    }
}

/// The text without comments and without the inline tests at its end.
fn product_code(text: &str) -> String {
    let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    product.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The `use` declarations of a text: whether each is a re-export, and its tree.
fn use_declarations(text: &str) -> Vec<(bool, String)> {
    static USE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?m)^\s*(pub(?:\([a-z ]+\))?\s+)?use\s+([^;]+);").expect("a pattern"));
    USE.captures_iter(text).map(|found| (found.get(1).is_some(), found[2].to_owned())).collect()
}

/// The paths of a `use` tree, without aliases.
fn flatten(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![path.split("::").map(|segment| segment.trim().to_owned()).collect()];
    };
    let prefix: Vec<String> = tree[..open]
        .split("::")
        .map(|segment| segment.trim().to_owned())
        .filter(|segment| !segment.is_empty())
        .collect();
    let inner = tree[open + 1..].trim_end().trim_end_matches('}');
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for character in inner.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match character {
            ',' if depth == 0 => parts.push(String::new()),
            _ => parts.last_mut().expect("at least one part").push(character),
        }
    }
    let branches = parts.iter().filter(|part| !part.trim().is_empty()).flat_map(|part| flatten(part));
    branches.map(|branch| prefix.iter().cloned().chain(branch).collect()).collect()
}

fn show(module: &Module) -> String {
    format!(
        "src/{}",
        SOURCES.files[module].strip_prefix(env!("CARGO_MANIFEST_DIR").to_owned() + "/src").unwrap().display()
    )
}

#[test]
fn folders_use_only_the_folders_that_they_may() {
    let may_use: BTreeMap<&str, &[&str]> = MAY_USE.into();
    let mut wrong = Vec::new();
    for module in SOURCES.text_of.keys().filter(|module| !module.is_empty()) {
        let folder = module[0].as_str();
        let allowed =
            may_use.get(folder).unwrap_or_else(|| panic!("{folder}: add it to MAY_USE, with what it may use"));
        for imported in SOURCES.imports(module) {
            let used = imported.first().map_or("lib.rs", String::as_str);
            if used != folder && !allowed.contains(&used) {
                wrong.push(format!("{} uses {}", show(module), show(&imported)));
            }
        }
    }
    assert!(wrong.is_empty(), "imports against the direction:\n{}", wrong.join("\n"));
}

#[test]
fn the_table_lists_folders_in_the_order_in_which_they_may_use_each_other() {
    for (at, (folder, used)) in MAY_USE.iter().enumerate() {
        for name in *used {
            let place = MAY_USE.iter().position(|(other, _)| other == name);
            assert!(place.is_some_and(|place| place < at), "{folder} may use {name}, which must be above it");
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let is_own_child = |a: &Module, b: &Module| a.starts_with(b) || b.starts_with(a);
    let arrows: BTreeMap<&Module, BTreeSet<Module>> = SOURCES
        .text_of
        .keys()
        .map(|module| {
            (module, SOURCES.imports(module).into_iter().filter(|other| !is_own_child(module, other)).collect())
        })
        .collect();
    // Files that reach themselves are in a circle; what each of them uses in the same circle is what ties it.
    let reaches = |from: &Module| {
        let mut seen = BTreeSet::new();
        let mut open: Vec<Module> = arrows[from].iter().cloned().collect();
        while let Some(next) = open.pop() {
            if seen.insert(next.clone()) {
                open.extend(arrows[&next].iter().cloned());
            }
        }
        seen
    };
    let reached: BTreeMap<&Module, BTreeSet<Module>> = arrows.keys().map(|module| (*module, reaches(module))).collect();
    let mut ties = Vec::new();
    for (module, used) in &arrows {
        for other in used.iter().filter(|other| reached[*other].contains(*module)) {
            ties.push(format!("{} uses {}", show(module), show(other)));
        }
    }
    assert!(ties.is_empty(), "circles of imports:\n{}", ties.join("\n"));
}

#[test]
fn type_names_are_unique() {
    static TYPE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)^(?:pub(?:\([a-z ]+\))? )?(?:struct|enum|trait|type|union) ([A-Z]\w*)").expect("a pattern")
    });
    let mut modules_of: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (module, text) in &SOURCES.text_of {
        for found in TYPE.captures_iter(text) {
            modules_of.entry(found.get(1).expect("a name").as_str()).or_default().push(show(module));
        }
    }
    assert!(modules_of.len() > 500, "{}", modules_of.len());
    let shared: Vec<_> = modules_of.iter().filter(|(_, modules)| modules.len() > 1).collect();
    assert!(shared.is_empty(), "{shared:#?}");
}
