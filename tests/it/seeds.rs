//! Tests that the bundled claims match the two web pages that they come from.
//!
//! `fixtures/seed-tables.yaml` contains the tables of the pages line by line. Each line must be a
//! claim with the status of the page, and there must be no other claims.

use std::collections::BTreeMap;
use std::fs;

use common::{bundled_target, repository_path};
use fieldtest::catalog::{ClaimStatus, ClaimedRange};
use serde::Deserialize;

use crate::common;

type TablesByTarget = BTreeMap<String, Vec<TableLine>>;

/// A line of a support table: its cells, and the claims that follow from them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableLine {
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

impl TableLine {
    fn name(&self) -> String {
        let cells = [Some(&self.section), Some(&self.field), self.variant.as_ref(), self.sub.as_ref()];
        format!("{} = {}", cells.into_iter().flatten().cloned().collect::<Vec<_>>().join(" | "), self.status)
    }

    /// The claim status that the words of the page state for the field of the line.
    fn stated_status(&self) -> Option<ClaimStatus> {
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

    /// The sub-field that the status text declares as ignored.
    fn ignored_sub_field(&self) -> Option<&str> {
        self.status.strip_prefix("Supported (`")?.strip_suffix("` is ignored)")
    }
}

/// Rows that a page claims outside its tables, and where.
const CLAIMS_OUTSIDE_TABLES: [(&str, &str, &str); 3] = [
    (
        "deepseek@2025-12",
        "header.authorization",
        "the setup of Claude Code sets ANTHROPIC_AUTH_TOKEN, which the client sends in this header",
    ),
    ("tencent-lkeap@2025-12", "header.authorization", "the setup of Claude Code, as for deepseek"),
    ("tencent-lkeap@2025-12", "limit.max_output_tokens", "the list of models gives a maximum output of 32k"),
];

fn tables() -> TablesByTarget {
    let text = fs::read_to_string(repository_path("tests/fixtures/seed-tables.yaml")).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

#[test]
fn the_tables_are_complete() {
    let tables = tables();
    let lines: Vec<(&str, usize)> = tables.iter().map(|(name, lines)| (name.as_str(), lines.len())).collect();
    // The numbers of lines in the tables of the pages.
    assert_eq!(lines, [("deepseek@2025-12", 47), ("tencent-lkeap@2025-12", 45)]);
    for (name, lines) in &tables {
        for (nth, line) in lines.iter().enumerate() {
            let cells =
                |line: &TableLine| (line.section.clone(), line.field.clone(), line.variant.clone(), line.sub.clone());
            assert!(
                lines[..nth].iter().all(|before| cells(before) != cells(line)),
                "{name} has this line twice: {}",
                line.name()
            );
        }
    }
}

#[test]
fn the_words_of_each_line_state_its_statuses() {
    for (name, lines) in tables() {
        for line in lines {
            let stated = line.stated_status().unwrap_or_else(|| panic!("{name}: unknown status text: {}", line.name()));
            assert!(!line.rows.is_empty(), "{name}: {}: no row", line.name());
            let sub_field = line.ignored_sub_field().map(|sub| format!(".{sub}"));
            for (row, status) in &line.rows {
                let is_sub_field = sub_field.as_ref().is_some_and(|sub| row.ends_with(sub.as_str()));
                let expected = if is_sub_field { ClaimStatus::Ignored } else { stated };
                assert_eq!(*status, expected, "{name}: {}: {row}", line.name());
            }
            if let Some(sub) = sub_field {
                let mapped = line.rows.keys().any(|row| row.ends_with(&sub));
                assert!(mapped, "{name}: {}: no row for {sub}", line.name());
            }
        }
    }
}

#[test]
fn every_line_is_a_claim() {
    let mut problems = Vec::new();
    for (name, lines) in tables() {
        let claims = &bundled_target(&name).claims;
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
        for row in bundled_target(&name).claims.keys() {
            let in_tables = lines.iter().any(|line| line.rows.contains_key(row));
            let is_outside = CLAIMS_OUTSIDE_TABLES.iter().any(|(target, other, _)| *target == name && other == row);
            if in_tables == is_outside {
                problems.push(format!("{name}: {row}: in the tables: {in_tables}; outside the tables: {is_outside}"));
            }
        }
    }
    for (name, row, why) in CLAIMS_OUTSIDE_TABLES {
        if !bundled_target(name).claims.contains_key(row) {
            problems.push(format!("{name}: {row} is not claimed, although {why}"));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn limits_and_names_match_the_pages() {
    let tencent = bundled_target("tencent-lkeap@2025-12");
    // 15,000 QPM, 1,200,000 TPM, 128k context, 96k input, 32k output.
    assert_eq!(tencent.limits.requests_per_minute, Some(15_000));
    assert_eq!(tencent.limits.tokens_per_minute, Some(1_200_000));
    assert_eq!(tencent.limits.context_tokens, Some(128 * 1024));
    assert_eq!(tencent.limits.max_input_tokens, Some(96 * 1024));
    assert_eq!(tencent.limits.max_output_tokens, Some(32 * 1024));
    assert_eq!(tencent.base_url.as_deref(), Some("https://api.lkeap.cloud.tencent.com/anthropic"));
    assert_eq!(tencent.model, "deepseek-v3.1-terminus");
    let deepseek = bundled_target("deepseek@2025-12");
    assert_eq!(deepseek.limits, fieldtest::catalog::TargetLimits::default());
    assert_eq!(deepseek.base_url.as_deref(), Some("https://api.deepseek.com/anthropic"));
    assert_eq!(deepseek.model, "deepseek-chat");
}
