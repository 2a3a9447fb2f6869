//! Pairs rows and findings of several runs, and orders verdicts: the ground of every comparison.
//!
//! Baselines, diffs, gateway comparisons and merged runs use this one order ([`FieldBenefit`]). This
//! module must not know what a difference means to them.

use std::cmp::Ordering;

use crate::catalog::VerdictStatus;
use crate::results::model::{FindingSummary, Results, RowResult, Verdict};

/// One section of the tables, with the rows that any of the runs has.
pub(crate) struct SectionUnion<'a> {
    pub(crate) title: &'a str,
    pub(crate) rows: Vec<RowUnion<'a>>,
}

/// One row in every run; `None` where a run does not have it.
pub(crate) struct RowUnion<'a> {
    pub(crate) id: &'a str,
    pub(crate) title: &'a str,
    pub(crate) cells: Vec<Option<&'a RowResult>>,
}

/// All rows of several runs, in the order of the tables. A row that only a later run has follows the
/// row that precedes it in that run.
pub(crate) fn unite_rows<'a>(runs: &[&'a Results]) -> Vec<SectionUnion<'a>> {
    let mut sections: Vec<SectionUnion<'a>> = Vec::new();
    for (nth, run) in runs.iter().enumerate() {
        // The section of the row that was placed last, and the position after that row.
        let mut after: Option<(usize, usize)> = None;
        for row in &run.rows {
            let at = sections.iter().position(|section| section.title == row.section).unwrap_or_else(|| {
                let at = after.map_or(sections.len(), |(section, _)| section + 1);
                sections.insert(at, SectionUnion { title: &row.section, rows: Vec::new() });
                at
            });
            let rows = &mut sections[at].rows;
            let is_free = |union: &RowUnion<'_>| union.id == row.id && union.cells[nth].is_none();
            let position = rows.iter().position(is_free).unwrap_or_else(|| {
                let position = match after {
                    Some((section, next)) if section == at => next,
                    // The first row of this section in this run, or a section that continues.
                    _ if nth == 0 => rows.len(),
                    _ => 0,
                };
                rows.insert(position, RowUnion { id: &row.id, title: &row.title, cells: vec![None; runs.len()] });
                position
            });
            rows[position].cells[nth] = Some(row);
            after = Some((at, position + 1));
        }
    }
    sections
}

/// The finding of one check in two runs; at least one of them has it.
pub(super) struct FindingPair<'a> {
    pub(super) old: Option<&'a FindingSummary>,
    pub(super) new: Option<&'a FindingSummary>,
}

impl<'a> FindingPair<'a> {
    /// The newer of the two.
    pub(super) fn latest(&self) -> Option<&'a FindingSummary> {
        self.new.or(self.old)
    }
}

/// The findings of two runs by check: those of the new run, then those that only the old run has.
pub(super) fn pair_findings<'a>(old: &'a Results, new: &'a Results) -> Vec<FindingPair<'a>> {
    let in_new = new.findings.iter().map(|new| FindingPair { old: old.find_finding(&new.check), new: Some(new) });
    let only_old = old.findings.iter().filter(|old| new.find_finding(&old.check).is_none());
    in_new.chain(only_old.map(|old| FindingPair { old: Some(old), new: None })).collect()
}

/// What a client gets from a field, from worst to best: the order of verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FieldBenefit {
    Rejected,
    Ignored,
    Substituted,
    /// Supported, but not as documented.
    Altered,
    Accepted,
    Validated,
    Supported,
}

impl FieldBenefit {
    /// The benefit that a verdict stands for; `None` if the verdict is undecided.
    pub(super) fn from_verdict(status: VerdictStatus, is_altered: bool) -> Option<Self> {
        match status {
            VerdictStatus::Supported | VerdictStatus::Validated | VerdictStatus::Accepted if is_altered => {
                Some(Self::Altered)
            }
            VerdictStatus::Supported => Some(Self::Supported),
            VerdictStatus::Validated => Some(Self::Validated),
            VerdictStatus::Accepted => Some(Self::Accepted),
            VerdictStatus::Substituted => Some(Self::Substituted),
            VerdictStatus::Ignored => Some(Self::Ignored),
            VerdictStatus::Rejected => Some(Self::Rejected),
            VerdictStatus::Inconclusive | VerdictStatus::Skipped => None,
        }
    }

    /// Compares two runs of one endpoint. An accepted request is better than a rejected one, whatever
    /// the endpoint does with the field.
    fn compare_over_time(self, other: Self) -> Ordering {
        let level = |benefit| match benefit {
            Self::Rejected => 0,
            Self::Ignored | Self::Substituted => 1,
            Self::Accepted => 2,
            Self::Validated => 3,
            Self::Altered | Self::Supported => 4,
        };
        level(self).cmp(&level(other))
    }

    /// Compares a gateway with its upstream. A field that a gateway ignores helps a client as little
    /// as one that it rejects.
    pub(super) fn compare_across_gateway(self, other: Self) -> Ordering {
        let level = |benefit| match benefit {
            Self::Rejected | Self::Ignored => 0,
            Self::Substituted | Self::Altered => 1,
            Self::Accepted => 2,
            Self::Validated => 3,
            Self::Supported => 4,
        };
        level(self).cmp(&level(other))
    }
}

/// A verdict of a row, with the strongest verdict that the row could reach in that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RankedVerdict {
    pub(super) status: VerdictStatus,
    pub(super) strongest: VerdictStatus,
}

impl From<&Verdict> for RankedVerdict {
    fn from(verdict: &Verdict) -> Self {
        Self { status: verdict.status, strongest: verdict.strongest }
    }
}

/// True if a field was supported and no longer is, or was accepted and now is rejected. Both verdicts
/// must be decided. Two positive verdicts are compared only if the row could reach the same in both
/// runs: a new version of fieldtest that looks for more is no regression of the endpoint.
pub(super) fn is_regression(before: RankedVerdict, now: RankedVerdict) -> bool {
    if before.status.is_positive() && now.status.is_positive() && before.strongest != now.strongest {
        return false;
    }
    let benefit = |verdict: RankedVerdict| FieldBenefit::from_verdict(verdict.status, false);
    benefit(before).zip(benefit(now)).is_some_and(|(before, now)| now.compare_over_time(before).is_lt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixtures;

    #[test]
    fn the_union_keeps_the_order_of_each_run() {
        let (one, two) = (fixtures::every_outcome(), fixtures::second_run());
        let sections = unite_rows(&[&one, &two]);
        for (nth, run) in [&one, &two].into_iter().enumerate() {
            for section in &sections {
                let ids: Vec<&str> = section.rows.iter().filter_map(|row| Some(row.cells[nth]?.id.as_str())).collect();
                let expected: Vec<&str> =
                    run.rows.iter().filter(|row| row.section == section.title).map(|row| row.id.as_str()).collect();
                assert_eq!(ids, expected);
            }
        }
    }

    #[test]
    fn verdicts_have_one_order_with_two_sets_of_levels() {
        use FieldBenefit as B;
        let order = [B::Rejected, B::Ignored, B::Substituted, B::Accepted, B::Validated, B::Supported];
        assert!(order.is_sorted());
        for pair in order.windows(2) {
            assert!(pair[0].compare_over_time(pair[1]).is_le());
            assert!(pair[0].compare_across_gateway(pair[1]).is_le());
        }
        assert!(B::Rejected.compare_over_time(B::Ignored).is_lt());
        assert!(B::Rejected.compare_across_gateway(B::Ignored).is_eq());
        use VerdictStatus as V;
        let ranked = |status| RankedVerdict { status, strongest: V::Supported };
        assert!(is_regression(ranked(V::Supported), ranked(V::Substituted)));
        assert!(!is_regression(ranked(V::Skipped), ranked(V::Rejected)));
        assert!(!is_regression(ranked(V::Ignored), ranked(V::Substituted)));
    }

    #[test]
    fn a_weaker_word_is_a_regression_only_if_the_row_could_reach_the_same() {
        use VerdictStatus as V;
        let ranked = |status, strongest| RankedVerdict { status, strongest };
        for (before, now) in [(V::Supported, V::Validated), (V::Validated, V::Accepted), (V::Accepted, V::Ignored)] {
            assert!(is_regression(ranked(before, V::Supported), ranked(now, V::Supported)), "{before} {now}");
        }
        assert!(!is_regression(ranked(V::Supported, V::Supported), ranked(V::Validated, V::Validated)));
        assert!(is_regression(ranked(V::Validated, V::Validated), ranked(V::Rejected, V::Supported)));
    }
}
