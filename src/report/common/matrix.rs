//! Several runs side by side: the union of their rows, in the order of the tables.
//!
//! Only arranges references: this module must not judge, count or draw.

use crate::results::file_names;
use crate::results::model::{Results, RowResult};

/// One or more runs, a column each.
pub(crate) struct ResultsMatrix<'a> {
    pub(crate) columns: Vec<MatrixColumn<'a>>,
    pub(crate) sections: Vec<MatrixSection<'a>>,
}

/// One run.
pub(crate) struct MatrixColumn<'a> {
    /// The target's name, and as much more as tells it from the other columns.
    pub(crate) heading: String,
    pub(crate) run: &'a Results,
}

/// A section of the tables.
pub(crate) struct MatrixSection<'a> {
    pub(crate) title: &'a str,
    pub(crate) rows: Vec<MatrixRow<'a>>,
}

/// One row of the tables in every run; `None` where a run has no such row.
pub(crate) struct MatrixRow<'a> {
    pub(crate) id: &'a str,
    pub(crate) title: &'a str,
    pub(crate) cells: Vec<Option<&'a RowResult>>,
}

/// One cell with its place, for lists below the tables.
pub(crate) struct Cell<'m, 'a> {
    pub(crate) column: &'m MatrixColumn<'a>,
    pub(crate) row: &'a RowResult,
}

impl<'a> ResultsMatrix<'a> {
    /// Arranges the runs. A row that only a later run has stands behind the row that precedes it there.
    pub(crate) fn from_results(results: &'a [Results]) -> Self {
        let columns = file_names::column_headings(results).into_iter().zip(results);
        let columns: Vec<_> = columns.map(|(heading, run)| MatrixColumn { heading, run }).collect();
        let mut sections: Vec<MatrixSection<'a>> = Vec::new();
        for (nth, run) in results.iter().enumerate() {
            // The place after the row that was placed last, and its section.
            let mut after: Option<(usize, usize)> = None;
            for row in &run.rows {
                let at = match sections.iter().position(|section| section.title == row.section) {
                    Some(at) => at,
                    None => {
                        let at = after.map_or(sections.len(), |(section, _)| section + 1);
                        sections.insert(at, MatrixSection { title: &row.section, rows: Vec::new() });
                        at
                    }
                };
                let lines = &mut sections[at].rows;
                let free = |line: &MatrixRow<'_>| line.id == row.id && line.cells[nth].is_none();
                let place = lines.iter().position(free).unwrap_or_else(|| {
                    let place = match after {
                        Some((section, next)) if section == at => next,
                        // The section's first row in this run, or a section that is taken up again.
                        _ => {
                            if nth == 0 {
                                lines.len()
                            } else {
                                0
                            }
                        }
                    };
                    lines.insert(place, MatrixRow { id: &row.id, title: &row.title, cells: vec![None; results.len()] });
                    place
                });
                lines[place].cells[nth] = Some(row);
                after = Some((at, place + 1));
            }
        }
        Self { columns, sections }
    }

    /// The cells that are wanted, row by row, and in the order of the columns within a row.
    pub(crate) fn find_cells<'m>(&'m self, wanted: impl Fn(&RowResult) -> bool) -> Vec<Cell<'m, 'a>> {
        let lines = self.sections.iter().flat_map(|section| &section.rows);
        let cells = lines.flat_map(|line| self.columns.iter().zip(&line.cells));
        cells
            .filter_map(|(column, cell)| cell.map(|row| Cell { column, row }))
            .filter(|entry| wanted(entry.row))
            .collect()
    }
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
    fn a_row_of_one_run_only_keeps_its_place() {
        let first = run_with_rows(&[("A", "1"), ("A", "3"), ("C", "6")]);
        let second = run_with_rows(&[("A", "1"), ("A", "2"), ("B", "5"), ("C", "6"), ("C", "7")]);
        assert_eq!(describe_layout(&[first, second]), ["A/1 xx", "A/2 -x", "A/3 x-", "B/5 -x", "C/6 xx", "C/7 -x"]);
    }

    #[test]
    fn no_row_is_lost_when_an_id_comes_twice_or_a_section_is_taken_up_again() {
        let odd = run_with_rows(&[("A", "1"), ("B", "2"), ("A", "1"), ("A", "3")]);
        assert_eq!(describe_layout(&[odd]), ["A/1 x", "A/1 x", "A/3 x", "B/2 x"]);
    }

    #[test]
    fn entries_come_row_by_row() {
        let results = [run_with_rows(&[("A", "1"), ("A", "2")]), run_with_rows(&[("A", "2"), ("A", "1")])];
        let matrix = ResultsMatrix::from_results(&results);
        let ids: Vec<_> =
            matrix.find_cells(|_| true).iter().map(|e| (e.row.id.clone(), e.column.heading.clone())).collect();
        let expected = [("1", "any #1"), ("1", "any #2"), ("2", "any #1"), ("2", "any #2")];
        assert_eq!(ids, expected.map(|(id, heading)| (id.to_owned(), heading.to_owned())));
    }
}
