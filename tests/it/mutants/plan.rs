//! The mutants of an upstream, the expected verdict of each, and the mutants that may share a run.
//!
//! Pure. The case files list the possible verdicts of a row. The run without mutations shows its
//! verdict on this upstream.

use fieldtest::catalog::VerdictStatus;

use super::ground::Verdicts;
use crate::common::{CATALOG, DEPENDENCIES, needed_rows};
use crate::proxy::mutation::Mutation;

/// A mutation of one row, and the verdict that the row must get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mutant {
    /// What the proxy does.
    pub mutation: Mutation,
    /// The row whose verdict must change.
    pub row: &'static str,
    /// What it must change to.
    pub expected: VerdictStatus,
}

/// Mutants that share a run, and the rows to run. Empty means all rows.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The mutants.
    pub mutants: Vec<Mutant>,
    /// The rows, by id.
    pub rows: Vec<String>,
}

impl Mutant {
    /// The kind of mutation, for a table.
    pub fn kind(&self) -> &'static str {
        match self.mutation {
            Mutation::Strip(row) if is_whole_block(row) => "drop a block",
            Mutation::Strip(_) => "strip a field",
            Mutation::Refuse(_) => "refuse a field",
            Mutation::Clamp(_) => "clamp a number",
            Mutation::CacheByPrompt => "answer from a cache",
        }
    }
}

fn is_whole_block(row: &str) -> bool {
    use crate::proxy::place::{Place, of};
    matches!(of(row), Some(Place::Block(_)))
}

/// All mutants of an upstream with these verdicts, and descriptions of those that it cannot show.
pub fn mutants(before: &Verdicts) -> (Vec<Mutant>, Vec<String>) {
    let (mut all, mut left_out) = (Vec::new(), Vec::new());
    for row in CATALOG.rows.iter().filter(|row| before.contains_key(row.experiment.id())) {
        let (id, experiment) = (row.experiment.id(), &row.experiment);
        let is = before[id].status;
        for mutant in of_row(id) {
            let Mutant { expected, .. } = mutant;
            let is_blocking = |other: &&str| before.get(*other).is_some_and(|v| !v.status.is_positive());
            let blocking = needed_rows(id).into_iter().find(is_blocking);
            let why = if expected != VerdictStatus::Inconclusive && !experiment.statuses.contains(&expected) {
                Some("the row cannot have this verdict".to_owned())
            } else if is == expected {
                Some("the row has this verdict without a mutation".to_owned())
            } else if !is.is_decided() {
                Some(format!("it is {is} without a mutation"))
            } else if expected == VerdictStatus::Ignored && !is.is_positive() && !is_extension(id) {
                Some(format!("it is {is}, so removing the field changes nothing"))
            } else if let (VerdictStatus::Ignored, Some(other)) = (expected, blocking) {
                Some(format!("it depends on {other}, which is not supported there"))
            } else {
                None
            };
            match why {
                None => all.push(mutant),
                Some(why) => left_out.push(format!("{id}, {} ({expected}): {why}", mutant.kind())),
            }
        }
    }
    (all, left_out)
}

/// The only row that the reference rejects: without its field, the request is accepted.
fn is_extension(row: &str) -> bool {
    row == "tool_choice.string_form"
}

fn of_row(row: &'static str) -> [Mutant; 2] {
    let taken = match row {
        "field.model" => (Mutation::Strip(row), VerdictStatus::Substituted),
        "field.temperature.range" => (Mutation::Clamp(row), VerdictStatus::Ignored),
        // Clamped and unbounded look the same, so the verdict must be inconclusive.
        "limit.max_output_tokens" => (Mutation::Clamp(row), VerdictStatus::Inconclusive),
        _ => (Mutation::Strip(row), VerdictStatus::Ignored),
    };
    let refused = (Mutation::Refuse(row), VerdictStatus::Rejected);
    [taken, refused].map(|(mutation, expected)| Mutant { mutation, row, expected })
}

/// Groups mutants that do not depend on each other.
pub fn batches(all: &[Mutant], most: usize) -> Vec<Batch> {
    let mut batches: Vec<Batch> = vec![Batch::default(); all.len().div_ceil(most)];
    for (nth, mutant) in all.iter().enumerate() {
        let related = |other: &Mutant| {
            other.row == mutant.row || depends_on(other.row, mutant.row) || depends_on(mutant.row, other.row)
        };
        let count = batches.len();
        let place = (nth..nth + count)
            .map(|place| place % count)
            .find(|place| batches[*place].mutants.len() < most && !batches[*place].mutants.iter().any(related));
        match place {
            Some(place) => batches[place].mutants.push(*mutant),
            None => batches.push(Batch { mutants: vec![*mutant], rows: Vec::new() }),
        }
    }
    batches
}

/// One batch for each mutant, with the doubtful rows and the rows that they depend on.
pub fn apart(batch: &Batch, doubtful: &[&str]) -> Vec<Batch> {
    let alone = |mutant: &Mutant| {
        let wanted = |row: &str| doubtful.iter().chain([&mutant.row]).any(|of| *of == row || depends_on(of, row));
        let rows = CATALOG.rows.iter().map(|row| row.experiment.id()).filter(|row| wanted(row));
        Batch { mutants: vec![*mutant], rows: rows.map(str::to_owned).collect() }
    };
    batch.mutants.iter().map(alone).collect()
}

/// Whether a row can depend on another row, directly or indirectly.
pub fn depends_on(row: &str, other: &str) -> bool {
    DEPENDENCIES.depends_on(row, other)
}
