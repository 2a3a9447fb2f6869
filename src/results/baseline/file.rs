//! Reads and writes lists of expected failures: [`read_expectations`], [`write_expectations`].
//!
//! Errors have a location. The known rows, checks and targets are an argument: an entry with an unknown
//! name is an error, since it would never apply.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_yaml::Spanned;

use crate::catalog::{CaseError, CaseErrors, SourceLocation, VerdictStatus, read_yaml};
use crate::results::baseline::expectations::{ExpectationList, ExpectedFailure};
use crate::results::baseline::model::EntrySubject;

/// The value of `schema` in every list of this version.
pub const SCHEMA: &str = "fieldtest-baseline/2";
/// The value of `schema` in lists of version 1, which have fewer verdicts.
const SCHEMA_V1: &str = "fieldtest-baseline/1";

/// The verdicts that can be expected, each with the corresponding gateway verdict.
const EXPECTABLE_VERDICTS: [(VerdictStatus, Option<&str>); 6] = [
    (VerdictStatus::Supported, Some("forwarded")),
    (VerdictStatus::Validated, None),
    (VerdictStatus::Accepted, None),
    (VerdictStatus::Ignored, Some("dropped")),
    (VerdictStatus::Rejected, Some("refused")),
    (VerdictStatus::Substituted, Some("changed")),
];

/// The names that entries can use.
#[derive(Debug, Clone, Default)]
pub struct CatalogNames {
    /// Ids of rows.
    pub rows: Vec<String>,
    /// Ids of checks.
    pub checks: Vec<String>,
    /// Names of targets.
    pub targets: Vec<String>,
}

/// A list read from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedFile {
    /// The list.
    pub expectations: ExpectationList,
    /// The location of each entry.
    pub locations: Vec<SourceLocation>,
}

/// A list of expected failures. Every other failure is a regression.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, schemars(rename = "Baseline"))]
pub(crate) struct ExpectationsFile {
    /// `fieldtest-baseline/2`; lists of version 1 are also read.
    #[cfg_attr(test, schemars(with = "String", extend("enum" = [SCHEMA, SCHEMA_V1])))]
    schema: Spanned<String>,
    /// The only target of the list; any target if absent.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    target: Option<Spanned<String>>,
    /// The expected failures.
    #[cfg_attr(test, schemars(with = "Vec<FileEntry>"))]
    expect: Vec<Spanned<FileEntry>>,
}

/// A row with its expected verdict, or a check whose finding is expected.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, schemars(rename = "Expectation", extend("oneOf" = [
    { "required": ["row", "verdict"], "not": { "required": ["check"] } },
    { "required": ["check"], "not": { "anyOf": [{ "required": ["row"] }, { "required": ["verdict"] }] } },
])))]
struct FileEntry {
    /// The id of the row, such as `field.top_k`.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    row: Option<Spanned<String>>,
    /// The id of the check, such as `sse.ping-missing`.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    check: Option<Spanned<String>>,
    /// The expected verdict, or the expected gateway verdict. `supported` means the strongest verdict
    /// that the row can reach.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Option<String>", extend("enum" = [
        "supported", "validated", "accepted", "ignored", "rejected", "substituted", "forwarded", "dropped", "refused", "changed", null,
    ])))]
    verdict: Option<Spanned<String>>,
    /// Why the failure is known, and when it will be fixed. Reports show it.
    #[cfg_attr(test, schemars(with = "String", length(min = 1)))]
    reason: Option<Spanned<String>>,
    /// A web address with details.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Option<String>", extend("pattern" = "^https?://")))]
    link: Option<Spanned<String>>,
    /// The last day on which the entry is valid, `YYYY-MM-DD`.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Option<String>", extend("format" = "date")))]
    until: Option<Spanned<String>>,
}

/// Reads a list of expected failures. `name` is used in messages only.
///
/// # Errors
/// All problems of the file, each with its location.
pub fn read_expectations(name: &str, text: &str, known: &CatalogNames) -> Result<ParsedFile, CaseErrors> {
    let file: ExpectationsFile = read_yaml(name, text).map_err(|error| CaseErrors(vec![error]))?;
    let mut reader = ExpectationsReader { name, text, known, errors: Vec::new(), entry_lines: BTreeMap::new() };
    if ![SCHEMA, SCHEMA_V1].contains(&file.schema.value.as_str()) {
        let error = reader
            .error_at(&file.schema, format!("\"schema\" is `{}`", file.schema.value))
            .with_help(format!("this version of fieldtest reads {SCHEMA} and {SCHEMA_V1}"));
        return Err(CaseErrors(vec![error]));
    }
    if let Some(target) = &file.target {
        reader.require_known("target", target, &known.targets, "`fieldtest rows` shows the bundled targets");
    }
    let mut parsed = ParsedFile { expectations: ExpectationList::default(), locations: Vec::new() };
    parsed.expectations.target = file.target.map(|target| target.value);
    for entry in file.expect {
        parsed.locations.push(reader.locate(&entry));
        parsed.expectations.expect.extend(reader.read_entry(entry));
    }
    if reader.errors.is_empty() { Ok(parsed) } else { Err(CaseErrors(reader.errors)) }
}

struct ExpectationsReader<'a> {
    name: &'a str,
    text: &'a str,
    known: &'a CatalogNames,
    errors: Vec<CaseError>,
    /// The line of each entry that was read.
    entry_lines: BTreeMap<EntrySubject, usize>,
}

impl ExpectationsReader<'_> {
    fn locate<T>(&self, value: &Spanned<T>) -> SourceLocation {
        SourceLocation::new(self.text, value.defined.line() as usize, value.defined.column() as usize)
    }

    fn error_at<T>(&self, value: &Spanned<T>, message: impl Into<String>) -> CaseError {
        CaseError::new_at_location(self.name, self.locate(value), message)
    }

    fn read_entry(&mut self, entry: Spanned<FileEntry>) -> Option<ExpectedFailure> {
        let before = self.errors.len();
        let of = &entry.value;
        let (subject, name, verdict) = match (&of.row, &of.check) {
            (Some(row), None) => {
                self.require_known("row", row, &self.known.rows, "`fieldtest rows` lists the rows");
                let verdict = self.read_verdict(&entry, row);
                (EntrySubject::Row(row.value.clone()), row, verdict)
            }
            (None, Some(check)) => {
                self.require_known("check", check, &self.known.checks, "docs/checks/README.md lists the checks");
                if let Some(verdict) = &of.verdict {
                    let what = "a finding has no verdict. Remove `verdict`";
                    self.errors.push(self.error_at(verdict, what));
                }
                (EntrySubject::Check(check.value.clone()), check, None)
            }
            (Some(_), Some(check)) => {
                self.errors.push(self.error_at(check, "the entry has both `row` and `check`. Make two entries"));
                return None;
            }
            (None, None) => {
                self.errors.push(self.error_at(&entry, "the entry has neither `row` nor `check`. Add one of them"));
                return None;
            }
        };
        if let Some(line) = self.entry_lines.insert(subject.clone(), self.locate(name).line) {
            let what = format!("`{}` is listed twice", subject.id());
            self.errors.push(
                self.error_at(name, what).with_help(format!("the other entry is on line {line}. Remove one of them")),
            );
        }
        let reason = self.read_reason(of, name);
        let link = of.link.as_ref().map(|link| {
            if !is_web_address(&link.value) {
                let what = format!("`{}` is not a web address. Use one that begins with https://", link.value);
                self.errors.push(self.error_at(link, what));
            }
            link.value.clone()
        });
        let until = of.until.as_ref().and_then(|until| match until.value.parse::<Date>() {
            // The library accepts more forms than the file format allows.
            Ok(day) if day.to_string() == until.value => Some(day),
            Ok(_) | Err(_) => {
                let what = format!("`{}` is not a date. Use the form 2027-01-31", until.value);
                self.errors.push(self.error_at(until, what));
                None
            }
        });
        (self.errors.len() == before).then_some(ExpectedFailure { subject, verdict, reason, link, until })
    }

    fn read_reason(&mut self, of: &FileEntry, name: &Spanned<String>) -> Option<String> {
        match &of.reason {
            Some(reason) if !reason.value.trim().is_empty() => Some(reason.value.clone()),
            Some(reason) => {
                self.errors.push(
                    self.error_at(reason, format!("the reason of `{}` is empty. State why it fails", name.value)),
                );
                None
            }
            None => {
                let what = format!("the entry of `{}` has no `reason`. State why the failure is known", name.value);
                self.errors.push(self.error_at(name, what));
                None
            }
        }
    }

    fn read_verdict(&mut self, entry: &Spanned<FileEntry>, row: &Spanned<String>) -> Option<VerdictStatus> {
        let Some(word) = &entry.value.verdict else {
            let what = format!("the entry of `{}` has no `verdict`", row.value);
            self.errors
                .push(self.error_at(row, what).with_help(format!("use one of {}", list_verdict_words().join(", "))));
            return None;
        };
        let found = EXPECTABLE_VERDICTS
            .into_iter()
            .find(|(status, fate)| word.value == status.as_str() || Some(word.value.as_str()) == *fate);
        if found.is_none() {
            let undecided = [VerdictStatus::Inconclusive, VerdictStatus::Skipped].map(VerdictStatus::as_str);
            let help = if undecided.contains(&word.value.as_str()) {
                "an undecided row satisfies no entry. List the verdict once the row is decided".to_owned()
            } else {
                did_you_mean(&word.value, list_verdict_words().into_iter())
                    .unwrap_or_else(|| format!("use one of {}", list_verdict_words().join(", ")))
            };
            self.errors
                .push(self.error_at(word, format!("`{}` cannot be an expected verdict", word.value)).with_help(help));
        }
        found.map(|(status, _)| status)
    }

    fn require_known(&mut self, what: &str, name: &Spanned<String>, known: &[String], where_to_look: &str) {
        if known.contains(&name.value) {
            return;
        }
        let help = did_you_mean(&name.value, known.iter().map(String::as_str));
        let help = help.map_or(where_to_look.to_owned(), |help| format!("{help} {where_to_look}"));
        self.errors.push(self.error_at(name, format!("unknown {what} `{}`", name.value)).with_help(help));
    }
}

/// True if the text can be a link.
pub fn is_web_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '|' | '\\' | '`');
    rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(fits))
}

fn list_verdict_words() -> Vec<&'static str> {
    let words = EXPECTABLE_VERDICTS.iter().map(|(status, _)| status.as_str());
    words.chain(EXPECTABLE_VERDICTS.iter().filter_map(|(_, fate)| *fate)).collect()
}

/// The most similar of the known names, if one is similar.
pub(super) fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let near = known.map(|other| (strsim::normalized_damerau_levenshtein(name, other), other));
    let (likeness, nearest) = near.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (likeness >= 0.5).then(|| format!("did you mean `{nearest}`?"))
}

#[derive(Serialize)]
struct WrittenExpectations<'a> {
    schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    expect: Vec<WrittenEntry<'a>>,
}

#[derive(Serialize)]
struct WrittenEntry<'a> {
    #[serde(flatten)]
    subject: &'a EntrySubject,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<VerdictStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

/// The text of a list of expected failures.
///
/// # Errors
/// The YAML library fails, which is not expected.
pub fn write_expectations(expectations: &ExpectationList) -> Result<String, String> {
    let expect = expectations.expect.iter().map(|listed| WrittenEntry {
        subject: &listed.subject,
        verdict: listed.verdict,
        reason: listed.reason.as_deref(),
        link: listed.link.as_deref(),
        until: listed.until.map(|day| day.to_string()),
    });
    let written =
        WrittenExpectations { schema: SCHEMA, target: expectations.target.as_deref(), expect: expect.collect() };
    serde_yaml::to_string(&written).map_err(|error| error.to_string())
}
