//! The case files that come with the binary, so that an installed `fieldtest` needs no checkout.

macro_rules! embed {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../cases/", $path)))),*]
    };
}

/// Paths below `cases/`, and their texts, in the order of the tables.
pub const FILES: &[(&str, &str)] = embed![
    "experiments/01-headers.yaml",
    "experiments/02-simple-fields.yaml",
    "experiments/03-tools.yaml",
    "experiments/04-tool-choice.yaml",
    "experiments/05-message-content.yaml",
    "experiments/06-limits.yaml",
    "experiments/07-streaming.yaml",
    "experiments/08-errors.yaml",
    "experiments/09-turns.yaml",
    "experiments/10-side-endpoints.yaml",
    "experiments/11-newer-fields.yaml",
    "gateway/01-headers.yaml",
    "gateway/02-fields.yaml",
    "gateway/03-tools.yaml",
    "gateway/04-content.yaml",
    "gateway/05-turns.yaml",
    "gateway/06-values.yaml",
    "gateway/07-answers.yaml",
    "gateway/08-streams.yaml",
    "gateway/09-errors.yaml",
    "gateway/10-conduct.yaml",
    "targets/anthropic.yaml",
    "targets/deepseek.yaml",
    "targets/tencent-lkeap.yaml",
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn every_case_file_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
        let mut found = Vec::new();
        for folder in ["experiments", "gateway", "targets"] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                found.push(format!("{folder}/{name}"));
            }
        }
        found.sort();
        let embedded: Vec<String> = super::FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(embedded, found);
    }
}
