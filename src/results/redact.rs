//! Results without what servers and models said: for recordings and reports that are to hold no texts.
//!
//! Verdicts, outcomes, counts and codes stay. Of a sentence that quotes an answer, our own words before the quotation
//! stay.

use crate::results::model::{Results, RowResult};

/// Stands where an example of a finding was.
const REDACTED_EXAMPLE: &str = "taken out with the texts";

/// The results without texts.
pub fn redact_content(mut results: Results) -> Results {
    results.partial = results.partial.as_deref().map(strip_quotation);
    results.rows.iter_mut().for_each(redact_row);
    results.findings.iter_mut().for_each(|finding| REDACTED_EXAMPLE.clone_into(&mut finding.example));
    results
}

fn redact_row(row: &mut RowResult) {
    row.example = None;
    row.verdict.reason = strip_quotation(&row.verdict.reason);
    row.earlier.iter_mut().for_each(|earlier| earlier.reason = strip_quotation(&earlier.reason));
    row.verdict.qualifiers.iter_mut().for_each(|qualifier| *qualifier = strip_quotation(qualifier));
}

/// A sentence up to where it begins to quote.
fn strip_quotation(text: &str) -> String {
    let own = text.split([':', '(', '`', '"', '\'', '“', '«']).next().unwrap_or_default();
    // Behind a status may stand the kind of error, which is a server's word.
    let status = own.find("HTTP ").and_then(|at| own.get(..at + "HTTP 400".len()));
    let own = status.unwrap_or(own).trim_end();
    if own.len() == text.len() { own.to_owned() } else { format!("{own} (the rest was taken out with the texts)") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixtures;

    #[test]
    fn our_own_words_stay() {
        assert_eq!(
            strip_quotation("refused with HTTP 400: the secret plan"),
            "refused with HTTP 400 (the rest was taken out with the texts)"
        );
        assert_eq!(
            strip_quotation("refused with HTTP 400, the_secret_kind: no"),
            "refused with HTTP 400 (the rest was taken out with the texts)"
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
