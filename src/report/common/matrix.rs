//! Arranges several runs side by side: [`ResultsMatrix`].
//!
//! It only arranges references. This module must not judge, count or render.

use crate::report::common::sanitize::sanitize_line;
use crate::results::compare::{SectionUnion, unite_rows};
use crate::results::format;
use crate::results::model::{Results, RowResult};

/// One or more runs, with one column each.
pub(crate) struct ResultsMatrix<'a> {
    pub(crate) columns: Vec<MatrixColumn<'a>>,
    pub(crate) sections: Vec<SectionUnion<'a>>,
}

/// One run.
pub(crate) struct MatrixColumn<'a> {
    /// The name of the target, with more details if several columns have the same name.
    pub(crate) heading: String,
    pub(crate) run: &'a Results,
}

/// One row of one run.
pub(crate) struct MatrixCell<'m, 'a> {
    pub(crate) column: &'m MatrixColumn<'a>,
    pub(crate) row: &'a RowResult,
}

impl<'a> ResultsMatrix<'a> {
    /// Arranges the runs.
    pub(crate) fn from_results(results: &'a [Results]) -> Self {
        let columns = column_headings(results).into_iter().zip(results);
        Self {
            columns: columns.map(|(heading, run)| MatrixColumn { heading, run }).collect(),
            sections: unite_rows(&results.iter().collect::<Vec<_>>()),
        }
    }

    /// The cells whose row fulfils the condition, row by row and in the order of the columns.
    pub(crate) fn find_cells<'m>(&'m self, condition: impl Fn(&RowResult) -> bool) -> Vec<MatrixCell<'m, 'a>> {
        let rows = self.sections.iter().flat_map(|section| &section.rows);
        let cells = rows.flat_map(|row| self.columns.iter().zip(&row.cells));
        cells
            .filter_map(|(column, cell)| cell.map(|row| MatrixCell { column, row }))
            .filter(|cell| condition(cell.row))
            .collect()
    }
}

/// A unique heading for each run: the name of the target, with more details only if they are needed.
fn column_headings(results: &[Results]) -> Vec<String> {
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
    use crate::catalog::VerdictStatus;
    use crate::results::fixtures;

    fn run_with_rows(rows: &[(&str, &str)]) -> Results {
        let rows = rows.iter().map(|(section, id)| fixtures::make_row(section, id, id, None, VerdictStatus::Supported));
        fixtures::make_run("any", rows.collect())
    }

    fn describe_layout(results: &[Results]) -> Vec<String> {
        let matrix = ResultsMatrix::from_results(results);
        let lines = matrix.sections.iter().flat_map(|s| s.rows.iter().map(move |l| (s.title, l)));
        lines
            .map(|(section, line)| {
                let cells: String = line.cells.iter().map(|cell| if cell.is_some() { 'x' } else { '-' }).collect();
                format!("{section}/{} {cells}", line.id)
            })
            .collect()
    }

    #[test]
    fn a_row_of_one_run_keeps_its_position() {
        let first = run_with_rows(&[("A", "1"), ("A", "3"), ("C", "6")]);
        let second = run_with_rows(&[("A", "1"), ("A", "2"), ("B", "5"), ("C", "6"), ("C", "7")]);
        assert_eq!(describe_layout(&[first, second]), ["A/1 xx", "A/2 -x", "A/3 x-", "B/5 -x", "C/6 xx", "C/7 -x"]);
    }

    #[test]
    fn no_row_is_lost_if_an_id_or_a_section_appears_twice() {
        let odd = run_with_rows(&[("A", "1"), ("B", "2"), ("A", "1"), ("A", "3")]);
        assert_eq!(describe_layout(&[odd]), ["A/1 x", "A/1 x", "A/3 x", "B/2 x"]);
    }

    #[test]
    fn cells_are_listed_row_by_row() {
        let results = [run_with_rows(&[("A", "1"), ("A", "2")]), run_with_rows(&[("A", "2"), ("A", "1")])];
        let matrix = ResultsMatrix::from_results(&results);
        let ids: Vec<_> =
            matrix.find_cells(|_| true).iter().map(|e| (e.row.id.clone(), e.column.heading.clone())).collect();
        let expected = [("1", "any #1"), ("1", "any #2"), ("2", "any #1"), ("2", "any #2")];
        assert_eq!(ids, expected.map(|(id, heading)| (id.to_owned(), heading.to_owned())));
    }

    #[test]
    fn headings_have_only_the_details_that_make_them_unique() {
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
