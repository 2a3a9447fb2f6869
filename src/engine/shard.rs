//! Sharing a plan out over several runs: which row belongs to which.
//!
//! A row's shard is the FNV-1a hash (64 bits) of its id, modulo the number of shards: it depends on nothing else, not on
//! the order, not on other rows, not on the build.

use std::fmt;
use std::str::FromStr;

use crate::catalog::{CatalogRow, Target};
use crate::engine::selection::digest_rows;
use crate::recording::request_settings::RequestSettings;
use crate::results::model::ShardMetadata;
use crate::variables::hash;

/// One of several parts, `2/4` for instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardSpec {
    /// Which one, from 1.
    pub index: u32,
    /// Of how many.
    pub count: u32,
}

/// More parts than anyone has machines for.
const MAX_SHARDS: u32 = 1000;

impl ShardSpec {
    /// True where a row belongs to this part.
    pub fn contains(self, row: &str) -> bool {
        hash(row) % u64::from(self.count) == u64::from(self.index - 1)
    }

    /// What results say of this part of a plan.
    pub fn shard_info(
        self,
        rows: &[&CatalogRow],
        settings: &RequestSettings,
        claims: Option<&Target>,
        confidence: f64,
        base_url: &str,
    ) -> ShardMetadata {
        let cases = digest_rows(rows);
        let ids: Vec<String> = rows.iter().map(|row| row.experiment.id().to_owned()).collect();
        let plan = format!("{cases} {ids:?} {settings:?} {claims:?} {confidence} {base_url} {}", self.count);
        ShardMetadata {
            index: self.index,
            of: self.count,
            answer_tokens: settings.answer_tokens,
            cases,
            plan: format!("{:016x}", hash(&plan)),
            rows: ids,
        }
    }
}

impl FromStr for ShardSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected I/N with I from 1 to N and N at most {MAX_SHARDS}, `1/4` for instance");
        let (index, of) = text.split_once('/').ok_or_else(expected)?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| expected());
        let part = Self { index: number(index)?, count: number(of)? };
        let is_part = (1..=part.count).contains(&part.index) && part.count <= MAX_SHARDS;
        if is_part { Ok(part) } else { Err(expected()) }
    }
}

impl fmt::Display for ShardSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_shards_of_rows_are_the_same_in_every_version() {
        let of_four = |row: &str| (1..=4).find(|index| ShardSpec { index: *index, count: 4 }.contains(row)).unwrap();
        let rows = ["field.top_k", "field.system", "content.text", "stream.shape"];
        assert_eq!(rows.map(of_four), [1, 3, 4, 3]);
    }

    #[test]
    fn what_is_no_part_is_refused_with_what_was_expected() {
        assert_eq!("2/4".parse(), Ok(ShardSpec { index: 2, count: 4 }));
        for text in ["", "2", "0/4", "5/4", "1/0", "-1/4", "a/b", "1/2/3", "1/1001"] {
            assert!(text.parse::<ShardSpec>().unwrap_err().starts_with("expected I/N"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_row_belongs_to_exactly_one_shard(row in ".{0,40}", of in 1..=MAX_SHARDS) {
            let owners = (1..=of).filter(|index| ShardSpec { index: *index, count: of }.contains(&row)).count();
            prop_assert_eq!(owners, 1);
        }
    }
}
