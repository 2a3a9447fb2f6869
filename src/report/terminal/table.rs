//! Tables: [`FixedTable`] has columns of fixed width, [`new_fitted_table`] fits its columns to the content.
//!
//! All sections of a report use the same fixed table, so that columns are aligned across sections. This
//! module must not know the content of the cells.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, TableStyle, Width};

/// Spaces between two columns.
pub(super) const COLUMN_GAP: usize = 2;

/// Columns of fixed width after an indent.
pub(super) struct FixedTable {
    indent: usize,
    columns: Vec<(usize, CellAlignment)>,
}

impl FixedTable {
    /// Left-aligned columns of these widths.
    pub(super) fn new(indent: usize, widths: impl IntoIterator<Item = usize>) -> Self {
        // A wide character needs two columns.
        let columns = widths.into_iter().map(|width| (width.max(2), CellAlignment::Left)).collect();
        Self { indent, columns }
    }

    /// Right-aligned columns of these widths, except the first.
    pub(super) fn right_aligned(indent: usize, widths: impl IntoIterator<Item = usize>) -> Self {
        let mut table = Self::new(indent, widths);
        table.columns.iter_mut().skip(1).for_each(|(_, alignment)| *alignment = CellAlignment::Right);
        table
    }

    /// A single column that fills the width.
    pub(super) fn paragraph(indent: usize, width: usize) -> Self {
        Self::new(indent, [width - indent])
    }

    /// The lines of one row, each with a line end.
    pub(super) fn render_row(&self, cells: Vec<String>) -> String {
        let mut table = Table::new();
        // All widths are set below, so comfy-table has nothing to arrange.
        table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Disabled).add_row(cells);
        for (i, (width, alignment)) in self.columns.iter().enumerate() {
            let (left, right) = (if i == 0 { self.indent } else { COLUMN_GAP }, 0);
            let Some(column) = table.column_mut(i) else { break };
            column.set_padding((to_width(left), right));
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(to_width(left + width))));
            column.set_cell_alignment(*alignment);
        }
        table.lines().fold(String::new(), |lines, line| lines + line.trim_end() + "\n")
    }

    /// A horizontal line below the headings.
    pub(super) fn render_rule(&self, stroke: &str) -> String {
        let width: usize =
            self.columns.iter().map(|(width, _)| width).sum::<usize>() + COLUMN_GAP * (self.columns.len() - 1);
        format!("{}{}\n", " ".repeat(self.indent), stroke.repeat(width))
    }
}

/// A table that fits its columns to the content and the width. Columns in `unbroken` are never wrapped:
/// their cells, such as ids, stay complete.
pub(super) fn new_fitted_table(header: &[&str], width: usize, unbroken: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(to_width(width.clamp(60, 65_535)));
    table.set_header(header);
    for column in unbroken {
        if let Some(column) = table.column_mut(*column) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table
}

/// The width of the widest of these texts.
pub(super) fn max_width<'t>(texts: impl IntoIterator<Item = &'t str>) -> usize {
    let mut table = Table::new();
    table.add_rows(texts.into_iter().map(|text| [text]));
    table.column_max_content_widths().first().copied().unwrap_or(0).into()
}

fn to_width(width: usize) -> u16 {
    u16::try_from(width).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_wraps_in_its_column_and_columns_stay_in_line() {
        let grid = FixedTable::new(2, [6, 8]);
        assert_eq!(grid.render_row(vec!["a".into(), "one two three".into()]), "  a       one two\n          three\n");
        assert_eq!(grid.render_rule("-"), "  ----------------\n");
    }

    #[test]
    fn long_words_and_wide_characters_are_broken() {
        let grid = FixedTable::paragraph(1, 6);
        assert_eq!(grid.render_row(vec!["abcdefgh".into()]), " abcde\n fgh\n");
        assert_eq!(grid.render_row(vec!["日本語".into()]), " 日本\n 語\n");
    }

    #[test]
    fn figures_stand_to_the_right() {
        assert_eq!(FixedTable::right_aligned(0, [4, 5]).render_row(vec!["a".into(), "12".into()]), "a        12\n");
    }

    #[test]
    fn the_widest_text_is_measured_as_it_looks() {
        assert_eq!(max_width(["ab", "日本", "a"]), 4);
        assert_eq!(max_width([]), 0);
    }
}
