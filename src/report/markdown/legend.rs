//! What marks and words mean.

use crate::report::common::matrix::Matrix;
use crate::report::common::row_status::{Standing, observations};
use crate::report::markdown::escape::Table;

/// Two short tables: the marks, and the words beside them.
pub(super) fn render(matrix: &Matrix<'_>) -> String {
    let mut marks = Table::new(vec!["Mark".to_owned(), "Outcome".to_owned(), "Meaning".to_owned()]);
    for standing in Standing::ALL {
        marks.row(vec![standing.mark().to_owned(), standing.word().to_owned(), standing.meaning().to_owned()]);
    }
    marks.row(vec!["—".to_owned(), "not run".to_owned(), "this run has no such row".to_owned()]);
    let mut words = Table::new(vec!["Observed".to_owned(), "Meaning".to_owned()]);
    for (word, meaning) in observations(matrix.columns.iter().map(|column| column.run)) {
        words.row(vec![word.to_owned(), meaning.to_owned()]);
    }
    format!(
        "## Legend\n\nA cell says what was **observed**, behind a mark for how that compares with the claim. The small \
         words below it are the **claim**.\n\n{}\n{}",
        marks.finish(),
        words.finish()
    )
}
