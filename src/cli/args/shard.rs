//! `--shard`: [`ShardArgs`].

use clap::Args;

use crate::catalog::CatalogRow;
use crate::engine::{RowSelection, ShardSpec};

/// One of several parts of the rows.
#[derive(Debug, Clone, Args)]
pub struct ShardArgs {
    /// Only part I of N of the rows; see `fieldtest merge`
    #[arg(long, value_name = "I/N", help_heading = "Rows", hide_short_help = true)]
    pub shard: Option<ShardSpec>,
}

impl ShardArgs {
    /// Selects the rows of this shard, and the available rows that they can depend on.
    pub fn select_rows<'a>(
        &self,
        plan: Vec<&'a CatalogRow>,
        available: impl IntoIterator<Item = &'a CatalogRow>,
    ) -> RowSelection<'a> {
        RowSelection::new(plan, available, |row| self.shard.is_none_or(|shard| shard.contains(row)))
    }

    /// The rows that this shard reports.
    pub fn reported_rows<'a>(&self, plan: &[&'a CatalogRow]) -> Vec<&'a CatalogRow> {
        plan.iter().copied().filter(|row| self.shard.is_none_or(|part| part.contains(row.experiment.id()))).collect()
    }
}
