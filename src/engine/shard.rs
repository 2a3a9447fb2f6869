//! Sharing a plan out over several runs: which row belongs to which.
//!
//! A row's shard is the FNV-1a hash (64 bits) of its id, modulo the number of shards: it depends on nothing else, not on
//! the order, not on other rows, not on the build.

use std::fmt;
use std::str::FromStr;

use crate::catalog::{CatalogRow, Target};
use crate::engine::request::build::Settings;
use crate::recording::scope::digest;
use crate::results::model::Shard;
use crate::variables::fnv1a;

/// One of several parts, `2/4` for instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which one, from 1.
    pub index: u32,
    /// Of how many.
    pub of: u32,
}

/// More parts than anyone has machines for.
const MOST: u32 = 1000;

impl Part {
    /// True where a row belongs to this part.
    pub fn owns(self, row: &str) -> bool {
        fnv1a(row) % u64::from(self.of) == u64::from(self.index - 1)
    }

    /// What results say of this part of a plan.
    pub fn of_plan(
        self,
        rows: &[&CatalogRow],
        settings: &Settings,
        claims: Option<&Target>,
        confidence: f64,
        base_url: &str,
    ) -> Shard {
        let cases = digest(rows);
        let ids: Vec<String> = rows.iter().map(|row| row.experiment.id().to_owned()).collect();
        let plan = format!("{cases} {ids:?} {settings:?} {claims:?} {confidence} {base_url} {}", self.of);
        Shard {
            index: self.index,
            of: self.of,
            answer_tokens: settings.answer_tokens,
            cases,
            plan: format!("{:016x}", fnv1a(&plan)),
            rows: ids,
        }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected I/N with I from 1 to N and N at most {MOST}, `1/4` for instance");
        let (index, of) = text.split_once('/').ok_or_else(expected)?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| expected());
        let part = Self { index: number(index)?, of: number(of)? };
        let is_part = (1..=part.of).contains(&part.index) && part.of <= MOST;
        if is_part { Ok(part) } else { Err(expected()) }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_shards_of_rows_are_the_same_in_every_version() {
        let of_four = |row: &str| (1..=4).find(|index| Part { index: *index, of: 4 }.owns(row)).unwrap();
        let rows = ["field.top_k", "field.system", "content.text", "stream.shape"];
        assert_eq!(rows.map(of_four), [1, 3, 4, 3]);
    }

    #[test]
    fn what_is_no_part_is_refused_with_what_was_expected() {
        assert_eq!("2/4".parse(), Ok(Part { index: 2, of: 4 }));
        for text in ["", "2", "0/4", "5/4", "1/0", "-1/4", "a/b", "1/2/3", "1/1001"] {
            assert!(text.parse::<Part>().unwrap_err().starts_with("expected I/N"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_row_belongs_to_exactly_one_shard(row in ".{0,40}", of in 1..=MOST) {
            let owners = (1..=of).filter(|index| Part { index: *index, of }.owns(&row)).count();
            prop_assert_eq!(owners, 1);
        }
    }
}
