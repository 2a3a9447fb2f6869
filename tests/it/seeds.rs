//! Proves that the bundled claims are those of the two pages they were read from: `fixtures/seed-tables.yaml` holds
//! the pages' tables line by line, and every line must be a claim, with the page's status, and nothing else may be one.

use std::collections::BTreeMap;
use std::fs;

use common::{repository, target};
use fieldtest::catalog::{ClaimStatus, ClaimedRange};
use serde::Deserialize;

use crate::common;

type Tables = BTreeMap<String, Vec<Line>>;

/// A line of a support table: its cells, and what they amount to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    section: String,
    field: String,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    sub: Option<String>,
    status: String,
    #[serde(default)]
    note: Option<String>,
    #[serde(default)]
    range: Option<(f64, f64)>,
    rows: BTreeMap<String, ClaimStatus>,
}

impl Line {
    fn name(&self) -> String {
        let cells = [Some(&self.section), Some(&self.field), self.variant.as_ref(), self.sub.as_ref()];
        format!("{} = {}", cells.into_iter().flatten().cloned().collect::<Vec<_>>().join(" | "), self.status)
    }

    /// What the page's own words amount to for the field that the line is about.
    fn spoken(&self) -> Option<ClaimStatus> {
        if self.note.as_deref() == Some("使用 DeepSeek 模型替代") {
            return Some(ClaimStatus::Substituted);
        }
        match self.status.as_str() {
            "Ignored" | "忽略" => Some(ClaimStatus::Ignored),
            "Not Supported" | "不支持" => Some(ClaimStatus::Unsupported),
            "Use DeepSeek Model Instead" => Some(ClaimStatus::Substituted),
            "完全支持" => Some(ClaimStatus::Supported),
            text if text.starts_with("Fully Supported") || text.starts_with("Supported") => {
                Some(ClaimStatus::Supported)
            }
            _ => None,
        }
    }

    /// The sub-field that the status itself declares ignored.
    fn ignored_sub_field(&self) -> Option<&str> {
        self.status.strip_prefix("Supported (`")?.strip_suffix("` is ignored)")
    }
}

/// Rows that a page claims elsewhere than in its tables, and where.
const BESIDE_THE_TABLES: [(&str, &str, &str); 3] = [
    ("deepseek", "header.authorization", "the set-up of Claude Code sets ANTHROPIC_AUTH_TOKEN, which is sent as this"),
    ("tencent-lkeap", "header.authorization", "the same set-up"),
    ("tencent-lkeap", "limit.max_output_tokens", "the list of models gives the longest answer as 32k"),
];

fn tables() -> Tables {
    let text = fs::read_to_string(repository("tests/fixtures/seed-tables.yaml")).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

#[test]
fn the_tables_are_whole() {
    let tables = tables();
    let lines: Vec<(&str, usize)> = tables.iter().map(|(name, lines)| (name.as_str(), lines.len())).collect();
    // As many lines as the pages' tables have.
    assert_eq!(lines, [("deepseek", 47), ("tencent-lkeap", 45)]);
    for (name, lines) in &tables {
        for (nth, line) in lines.iter().enumerate() {
            let cells = |l: &Line| (l.section.clone(), l.field.clone(), l.variant.clone(), l.sub.clone());
            assert!(
                lines[..nth].iter().all(|before| cells(before) != cells(line)),
                "{name} has this line twice: {}",
                line.name()
            );
        }
    }
}

#[test]
fn the_words_of_each_line_amount_to_its_statuses() {
    for (name, lines) in tables() {
        for line in lines {
            let spoken =
                line.spoken().unwrap_or_else(|| panic!("{name}: nobody knows what this says: {}", line.name()));
            assert!(!line.rows.is_empty(), "{name}: {}: no row", line.name());
            let sub_field = line.ignored_sub_field().map(|sub| format!(".{sub}"));
            for (row, status) in &line.rows {
                let of_sub_field = sub_field.as_ref().is_some_and(|sub| row.ends_with(sub.as_str()));
                let expected = if of_sub_field { ClaimStatus::Ignored } else { spoken };
                assert_eq!(*status, expected, "{name}: {}: {row}", line.name());
            }
            if let Some(sub) = sub_field {
                let mapped = line.rows.keys().any(|row| row.ends_with(&sub));
                assert!(mapped, "{name}: {}: no row of {sub}", line.name());
            }
        }
    }
}

#[test]
fn every_line_is_a_claim() {
    let mut problems = Vec::new();
    for (name, lines) in tables() {
        let claims = &target(&name).claims;
        for line in &lines {
            for (row, status) in &line.rows {
                match claims.get(row) {
                    None => problems.push(format!("{name}: {}: no claim for {row}", line.name())),
                    Some(claim) if claim.status != *status => {
                        problems.push(format!(
                            "{name}: {}: {row} is claimed {}, not {status}",
                            line.name(),
                            claim.status
                        ));
                    }
                    Some(claim) => {
                        let range = line.range.map(|(min, max)| ClaimedRange { min, max });
                        if claim.range != range {
                            problems.push(format!("{name}: {}: {row} has range {:?}", line.name(), claim.range));
                        }
                    }
                }
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_claim_is_a_line() {
    let mut problems = Vec::new();
    for (name, lines) in tables() {
        for row in target(&name).claims.keys() {
            let in_tables = lines.iter().any(|line| line.rows.contains_key(row));
            let beside = BESIDE_THE_TABLES.iter().any(|(target, other, _)| *target == name && other == row);
            if in_tables == beside {
                problems.push(format!("{name}: {row}: in the tables: {in_tables}; beside them: {beside}"));
            }
        }
    }
    for (name, row, why) in BESIDE_THE_TABLES {
        if !target(name).claims.contains_key(row) {
            problems.push(format!("{name}: {row} is not claimed, although {why}"));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn limits_and_names_are_the_pages() {
    let tencent = target("tencent-lkeap");
    // 15,000 QPM, 1,200,000 TPM, 128k context, 96k input, 32k output.
    assert_eq!(tencent.limits.requests_per_minute, Some(15_000));
    assert_eq!(tencent.limits.tokens_per_minute, Some(1_200_000));
    assert_eq!(tencent.limits.context_tokens, Some(128 * 1024));
    assert_eq!(tencent.limits.max_input_tokens, Some(96 * 1024));
    assert_eq!(tencent.limits.max_output_tokens, Some(32 * 1024));
    assert_eq!(tencent.base_url.as_deref(), Some("https://api.lkeap.cloud.tencent.com/anthropic"));
    assert_eq!(tencent.model, "deepseek-v3.1-terminus");
    let deepseek = target("deepseek");
    assert_eq!(deepseek.limits, fieldtest::catalog::TargetLimits::default());
    assert_eq!(deepseek.base_url.as_deref(), Some("https://api.deepseek.com/anthropic"));
    assert_eq!(deepseek.model, "deepseek-chat");
}
