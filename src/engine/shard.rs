//! [`ShardSpec`]: divides the rows of a plan among several runs.
//!
//! The shard of a row is the FNV-1a hash (64 bits) of its id, modulo the number of shards. It does
//! not depend on the order, on other rows or on the build.

use std::fmt;
use std::str::FromStr;

use crate::catalog::{CatalogRow, Target};
use crate::engine::selection::digest_rows;
use crate::recording::request_settings::RequestSettings;
use crate::results::model::ShardMetadata;
use crate::variables::hash;

/// One of several shards, for example `2/4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardSpec {
    /// The number of this shard, from 1.
    pub index: u32,
    /// The number of shards.
    pub count: u32,
}

/// The maximum number of shards. No user has more machines.
const MAX_SHARDS: u32 = 1000;

impl ShardSpec {
    /// True if a row belongs to this shard.
    pub fn contains(self, row: &str) -> bool {
        hash(row) % u64::from(self.count) == u64::from(self.index - 1)
    }

    /// The description of this shard in the results.
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
        let expected = || format!("expected I/N with I from 1 to N and N at most {MAX_SHARDS}, for example `1/4`");
        let (index, count) = text.split_once('/').ok_or_else(expected)?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| expected());
        let shard = Self { index: number(index)?, count: number(count)? };
        let is_valid = (1..=shard.count).contains(&shard.index) && shard.count <= MAX_SHARDS;
        if is_valid { Ok(shard) } else { Err(expected()) }
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
    fn the_shard_of_a_row_is_the_same_in_every_version() {
        let of_four = |row: &str| (1..=4).find(|index| ShardSpec { index: *index, count: 4 }.contains(row)).unwrap();
        let rows = ["field.top_k", "field.system", "content.text", "stream.shape"];
        assert_eq!(rows.map(of_four), [1, 3, 4, 3]);
    }

    #[test]
    fn invalid_shards_are_rejected_with_the_expected_form() {
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
