//! File names made from the name of a target.
//!
//! The name comes from the user or is a host and port, so it must not be used in a path unchanged. This
//! module must not touch the file system.

/// The name of a target's results file: `results-deepseek.json`, `results-127.0.0.1-4000.json`.
///
/// Every character except ASCII letters, digits, `.`, `_` and `-` becomes `-`, so that the name is one
/// path component on every system.
pub fn results_file_name(target: &str) -> String {
    format!("results-{}.json", slugify(target))
}

/// The text as one word that is safe in paths and URL fragments.
pub fn slugify(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for c in text.chars() {
        let kept = if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
        if kept != '-' || !slug.ends_with('-') {
            slug.push(kept);
        }
    }
    let slug = slug.trim_matches(['-', '.']);
    if slug.is_empty() { "target".to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_name_is_one_path_component() {
        assert_eq!(results_file_name("deepseek"), "results-deepseek.json");
        assert_eq!(results_file_name("127.0.0.1:4000"), "results-127.0.0.1-4000.json");
        assert_eq!(results_file_name("[::1]:80"), "results-1-80.json");
        assert_eq!(results_file_name("../../etc/passwd"), "results-etc-passwd.json");
        assert_eq!(results_file_name("知识引擎"), "results-target.json");
        assert_eq!(results_file_name(".."), "results-target.json");
    }
}
