//! Removes the texts of servers and models from results ([`redact_content`]), for reports without texts.
//!
//! Verdicts, outcomes, counts and codes stay. In a sentence that quotes a response, the words of
//! `fieldtest` before the quotation stay.

use crate::results::model::{Results, RowResult};
use crate::results::reason::ReasonData;

/// Replaces the example of a finding.
const REDACTED_EXAMPLE: &str = "removed by --redact";

/// The results without texts of servers and models.
pub fn redact_content(mut results: Results) -> Results {
    results.partial = results.partial.as_deref().map(strip_quotation);
    results.rows.iter_mut().for_each(redact_row);
    results.findings.iter_mut().for_each(|finding| REDACTED_EXAMPLE.clone_into(&mut finding.example));
    results
}

fn redact_row(row: &mut RowResult) {
    row.example = None;
    row.verdict.reason = strip_quotation(&row.verdict.reason);
    row.verdict.because = row.verdict.because.take().map(strip_texts);
    for arm in &mut row.arms {
        // Requests can contain what the model returned.
        arm.adds.clear();
        for trial in &mut arm.results {
            trial.because = trial.because.take().map(strip_texts);
        }
    }
    if let Some(own) = &mut row.verdict.by_itself {
        own.reason = strip_quotation(&own.reason);
    }
    row.earlier.iter_mut().for_each(|earlier| earlier.reason = strip_quotation(&earlier.reason));
    row.verdict.qualifiers.iter_mut().for_each(|qualifier| *qualifier = strip_quotation(qualifier));
}

/// The reason without texts, because they can be quotations. Its kind and its numbers stay.
fn strip_texts(because: ReasonData) -> ReasonData {
    because.with_texts(&|_| String::new())
}

/// The part of a sentence before its quotation.
fn strip_quotation(text: &str) -> String {
    let own = text.split([':', '(', '`', '"', '\'', '“', '«']).next().unwrap_or_default();
    // A status may be followed by the kind of error, which the server chose.
    let status = own.find("HTTP ").and_then(|at| own.get(..at + "HTTP 400".len()));
    let own = status.unwrap_or(own).trim_end();
    if own.len() == text.len() { own.to_owned() } else { format!("{own} (the rest was removed by --redact)") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixtures;

    #[test]
    fn words_before_a_quotation_stay() {
        assert_eq!(
            strip_quotation("refused with HTTP 400: the secret plan"),
            "refused with HTTP 400 (the rest was removed by --redact)"
        );
        assert_eq!(
            strip_quotation("refused with HTTP 400, the_secret_kind: no"),
            "refused with HTTP 400 (the rest was removed by --redact)"
        );
        assert_eq!(strip_quotation("an impossible value is accepted"), "an impossible value is accepted");
    }

    #[test]
    fn verdicts_and_counts_stay() {
        let run = fixtures::every_outcome();
        let redacted = redact_content(run.clone());
        assert_eq!(redacted.summary, run.summary);
        for (row, was) in redacted.rows.iter().zip(&run.rows) {
            assert_eq!(
                (row.verdict.status, row.outcome, &row.verdict.code),
                (was.verdict.status, was.outcome, &was.verdict.code)
            );
            assert_eq!(row.example, None);
        }
    }
}
