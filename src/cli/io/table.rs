//! Tables on standard output, as wide as the terminal.

use comfy_table::{ContentArrangement, Table, TableStyle};

use crate::cli::ProcessEnvironment;
use crate::cli::io::stdout;

/// An empty table in the style of all commands.
pub fn new_table(environment: &ProcessEnvironment) -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(stdout::table_width(environment).min(usize::from(u16::MAX)) as u16);
    table
}
