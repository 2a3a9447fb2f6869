//! Names made from a target's name: the results file, and the column that the target has in a report.
//!
//! A target's name is what the user gave or a host and port: neither may be trusted in a path. This module must not
//! touch the file system.

use crate::report::common::format;
use crate::report::common::sanitize::sanitize_line;
use crate::results::model::Results;

/// The name of a target's results file: `results-deepseek.json`, `results-127.0.0.1-4000.json`.
///
/// Whatever is not an ASCII letter, a digit, `.`, `_` or `-` becomes `-`, so that the name is one path component on
/// every system.
pub fn results_file_name(target: &str) -> String {
    format!("results-{}.json", slugify(target))
}

/// A word that is safe in paths and fragments.
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

/// A heading for each run: the target's name, and as much more as tells it from the others.
pub(crate) fn column_headings(results: &[Results]) -> Vec<String> {
    let forms: [fn(&Results) -> String; 4] = [
        |run| run.target.name.clone(),
        |run| format!("{} ({})", run.target.name, run.target.model),
        |run| format!("{} ({}, {})", run.target.name, run.target.model, format::timestamp(&run.started_at)),
        |run| format!("{} ({}, {}, {})", run.target.name, run.target.model, run.started_at, run.target.base_url),
    ];
    let clashes = |run: &Results, form: fn(&Results) -> String| {
        results.iter().filter(|other| sanitize_line(&form(other)) == sanitize_line(&form(run))).count() > 1
    };
    results
        .iter()
        .enumerate()
        .map(|(i, run)| match forms.into_iter().find(|form| !clashes(run, *form)) {
            Some(form) => sanitize_line(&form(run)),
            None => format!("{} #{}", sanitize_line(&run.target.name), i + 1),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixtures;

    #[test]
    fn file_names_are_one_path_component() {
        assert_eq!(results_file_name("deepseek"), "results-deepseek.json");
        assert_eq!(results_file_name("127.0.0.1:4000"), "results-127.0.0.1-4000.json");
        assert_eq!(results_file_name("[::1]:80"), "results-1-80.json");
        assert_eq!(results_file_name("../../etc/passwd"), "results-etc-passwd.json");
        assert_eq!(results_file_name("知识引擎"), "results-target.json");
        assert_eq!(results_file_name(".."), "results-target.json");
    }

    #[test]
    fn headings_say_no_more_than_tells_runs_apart() {
        let a = fixtures::every_outcome();
        let mut b = a.clone();
        b.target.name = "other".to_owned();
        assert_eq!(column_headings(&[a.clone(), b.clone()]), ["deepseek", "other"]);
        b.target.name = a.target.name.clone();
        b.target.model = "deepseek-reasoner".to_owned();
        assert_eq!(
            column_headings(&[a.clone(), b.clone()]),
            ["deepseek (deepseek-chat)", "deepseek (deepseek-reasoner)"]
        );
        b.target.model = a.target.model.clone();
        b.started_at = "2026-11-22T06:30:00Z".to_owned();
        assert_eq!(column_headings(&[a.clone(), b])[1], "deepseek (deepseek-chat, 2026-11-22 06:30 UTC)");
        assert_eq!(column_headings(&[a.clone(), a]), ["deepseek #1", "deepseek #2"]);
    }
}
