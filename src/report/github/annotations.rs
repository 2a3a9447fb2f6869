//! Workflow commands: an annotation for each row that a maintainer should see.
//!
//! GitHub keeps ten annotations of each level from a step, fifty from a job
//! (docs.github.com/actions, "Workflow commands", and the limits of problem matchers in actions/toolkit). So the
//! worst come first, and the tenth of a level says how many there are more.

use crate::report::common::ci_status::Grade;
use crate::report::common::matrix::{Column, Matrix};
use crate::report::common::sanitize::{one_line, shorten, uncommanded};
use crate::report::common::{ci_status, format};
use crate::results::baseline::Case;
use crate::results::model::{Results, Severity};

/// Annotations of one level that a step may make.
const MOST: usize = 10;
/// The most characters of one annotation. The summary has all of it.
const MESSAGE: usize = 500;

/// How much an annotation asks for, the most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
    Notice,
}

impl Level {
    const ALL: [Self; 3] = [Self::Error, Self::Warning, Self::Notice];

    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

struct Annotation {
    level: Level,
    /// An entry of the baseline to be removed: nothing broke.
    is_stale: bool,
    title: String,
    message: String,
}

/// The commands, one a line; nothing where there is nothing to tell.
pub fn render(results: &[Results], strict: bool) -> String {
    let matrix = Matrix::of(results);
    let mut all: Vec<Annotation> = matrix.columns.iter().filter_map(of_run).collect();
    for entry in matrix.entries(|_| true) {
        let graded = ci_status::of_row(entry.column.run, entry.row, strict);
        let level = match graded.grade {
            Grade::Failed => Level::Error,
            Grade::Undetermined if entry.row.claim.is_some() => Level::Warning,
            Grade::Noted => Level::Notice,
            // What the run did not reach is told once, of the run.
            Grade::Passed | Grade::Undetermined | Grade::Untested => continue,
            // Known failures are counted, below: nobody needs to act on them.
            Grade::Expected => continue,
        };
        let title = format!("{}: {} {}", entry.column.heading, one_line(&entry.row.id), graded.kind);
        all.push(Annotation { level, is_stale: graded.kind == Case::Stale.word(), title, message: graded.message });
    }
    for column in &matrix.columns {
        for finding in &column.run.findings {
            let graded = ci_status::of_finding(column.run, finding, strict);
            let level = match (graded.grade, finding.severity) {
                (Grade::Failed, _) => Level::Error,
                (Grade::Expected, _) => continue,
                (_, Severity::Error) => Level::Warning,
                (_, Severity::Warning | Severity::Note) => Level::Notice,
            };
            let title = format!("{}: {}", column.heading, one_line(&finding.check));
            all.push(Annotation { level, is_stale: graded.kind == Case::Stale.word(), title, message: graded.message });
        }
        for (id, graded) in ci_status::of_absent(column.run) {
            let level = if graded.grade == Grade::Failed { Level::Error } else { Level::Notice };
            let title = format!("{}: {} {}", column.heading, one_line(id), graded.kind);
            all.push(Annotation { level, is_stale: graded.kind == Case::Stale.word(), title, message: graded.message });
        }
        all.extend(expected(column));
    }
    // Regressions before what is merely to be tidied up; else the order of the tables.
    all.sort_by_key(|annotation| annotation.is_stale);
    Level::ALL.into_iter().map(|level| of_level(&all, level)).collect()
}

fn of_run(column: &Column<'_>) -> Option<Annotation> {
    let message = ci_status::of_run(column.run)?;
    Some(Annotation {
        level: Level::Error,
        is_stale: false,
        title: format!("{}: could not be tested", column.heading),
        message,
    })
}

fn expected(column: &Column<'_>) -> Option<Annotation> {
    let held = column.run.baseline.as_ref().filter(|held| held.counts.expected > 0)?;
    let told = format::counted(held.counts.expected, "failure is", "failures are");
    let message = format!("{told} as {} lists", one_line(&held.file));
    Some(Annotation { level: Level::Notice, is_stale: false, title: format!("{}: expected", column.heading), message })
}

fn of_level(all: &[Annotation], level: Level) -> String {
    let of_level: Vec<&Annotation> = all.iter().filter(|annotation| annotation.level == level).collect();
    // The last place is for telling how many have none.
    let shown = if of_level.len() > MOST { MOST - 1 } else { of_level.len() };
    let mut out: String = of_level[..shown].iter().map(|a| command(level, &a.title, &a.message)).collect();
    if of_level.len() > shown {
        let more = of_level.len() - shown;
        let message = format!("{more} more of this level are left out here; the step's summary has them all");
        out.push_str(&command(level, &format!("{more} more"), &message));
    }
    out
}

fn command(level: Level, title: &str, message: &str) -> String {
    // The runner knows an older form of commands too, which may stand anywhere in a line.
    let (title, message) = (uncommanded(&shorten(title, MESSAGE)), uncommanded(&shorten(message, MESSAGE)));
    format!("::{} title={}::{}\n", level.word(), property(&title), data(&message))
}

/// The text of a command: what would end it is written otherwise.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property, which the command's own signs would end as well.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::{ClaimStatus, VerdictStatus};
    use crate::results::fixtures;

    /// Level, title and message, as GitHub's runner reads a line.
    fn read(line: &str) -> (String, String, String) {
        let (head, message) = line.strip_prefix("::").unwrap().split_once("::").unwrap();
        let (level, title) = head.split_once(" title=").unwrap();
        let plain = |text: &str| {
            let text = text.replace("%0A", "\n").replace("%0D", "\r").replace("%3A", ":").replace("%2C", ",");
            text.replace("%25", "%")
        };
        (level.to_owned(), plain(title), plain(message))
    }

    #[test]
    fn the_worst_comes_first() {
        fixtures::snapshots().bind(|| {
            let results = [fixtures::every_outcome(), fixtures::second()];
            insta::assert_snapshot!("github-commands.txt", render(&results, false));
            insta::assert_snapshot!("github-commands-strict.txt", render(&results, true));
            insta::assert_snapshot!("github-commands-baseline.txt", render(&[fixtures::held_against_a_list()], false));
            insta::assert_snapshot!("github-commands-partial.txt", render(&[fixtures::partial()], false));
        });
    }

    #[test]
    fn ten_of_a_level_at_most_and_the_tenth_tells_of_the_rest() {
        let row = |i: usize, status| {
            let id = format!("field.{i}");
            fixtures::row("S", &id, &id, Some(ClaimStatus::Supported), status)
        };
        let of = |n| {
            let run = fixtures::run("any", (0..n).map(|i| row(i, VerdictStatus::Ignored)).collect());
            render(&[run], false)
        };
        assert_eq!(of(10).lines().count(), 10);
        assert!(!of(10).contains("more"));
        let text = of(31);
        assert_eq!(text.lines().count(), 10);
        assert_eq!(read(text.lines().last().unwrap()).1, "22 more");
    }

    #[test]
    fn signs_of_the_commands_own_are_written_otherwise() {
        assert_eq!(
            command(Level::Error, "a: b, c", "100 %\r\n::x::"),
            "::error title=a%3A b%2C c::100 %25%0D%0A\\::x::\n"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_run_makes_whole_commands_and_no_others(results in vec(fixtures::any_run(), 0..4), strict: bool) {
            let text = render(&results, strict);
            for level in Level::ALL {
                let of_level = text.lines().filter(|line| line.starts_with(&format!("::{} title=", level.word())));
                prop_assert!(of_level.count() <= MOST);
            }
            for line in text.lines() {
                let (level, title, message) = read(line);
                prop_assert!(Level::ALL.iter().any(|l| l.word() == level));
                prop_assert!(!title.is_empty() && !message.contains(['\r', '\n']));
            }
        }
    }
}
