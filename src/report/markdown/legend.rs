//! What marks and words mean.

use crate::report::common::matrix::ResultsMatrix;
use crate::report::common::row_status::{RowStatus, verdict_meanings};
use crate::report::markdown::escape::MarkdownTable;

/// Two short tables: the marks, and the words beside them.
pub(super) fn render(matrix: &ResultsMatrix<'_>) -> String {
    let mut marks = MarkdownTable::new(vec!["Mark".to_owned(), "Outcome".to_owned(), "Meaning".to_owned()]);
    for standing in RowStatus::ALL {
        marks.add_row(vec![standing.mark().to_owned(), standing.as_str().to_owned(), standing.meaning().to_owned()]);
    }
    marks.add_row(vec!["—".to_owned(), "not run".to_owned(), "this run has no such row".to_owned()]);
    let mut words = MarkdownTable::new(vec!["Observed".to_owned(), "Meaning".to_owned()]);
    for (word, meaning) in verdict_meanings(matrix.columns.iter().map(|column| column.run)) {
        words.add_row(vec![word.to_owned(), meaning.to_owned()]);
    }
    format!(
        "## Legend\n\nA cell says what was **observed**, behind a mark for how that compares with the claim. The small \
         words below it are the **claim**.\n\n{}\n{}",
        marks.finish(),
        words.finish()
    )
}
