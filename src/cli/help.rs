//! Help texts: one line per option, in groups, at most 80 columns.
//!
//! clap aligns each group separately and adds headings of its own, so the list of options is rendered here from clap's
//! data. `-h` shows common options, `--help` shows all.

use clap::{Arg, ArgAction, Command};

/// The groups, in the order of the help.
const GROUPS: [&str; 14] = [
    "What to test",
    "Gateway",
    "Comparison",
    "Simulation",
    "Credential",
    "Rows",
    "Requests",
    "Budget (all targets together)",
    "Reports",
    "Recordings",
    "Connection",
    "Simulator (needs --simulate)",
    "Simulator",
    "Options of Rust's test programs",
];

/// The column of the descriptions.
const NAME_WIDTH: usize = 26;

/// Adds the lists of options to a command and its subcommands.
pub fn with_help(command: Command) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let command = names.into_iter().fold(command, |command, name| command.mut_subcommand(name, with_help));
    if command.get_subcommands().next().is_some() {
        return command;
    }
    let about = command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string).unwrap_or_default();
    let (short, long) = (options(&command, false), options(&command, true));
    let examples = command.get_after_help().map(|text| format!("\n\n{text}")).unwrap_or_default();
    let details = command.get_after_long_help().map(|text| format!("\n\n{text}")).unwrap_or_else(|| examples.clone());
    command
        .help_template(format!("{about}\n\n{{usage-heading}} {{usage}}{{after-help}}"))
        .after_help(format!("{}{examples}", short.trim_start()))
        .after_long_help(format!("{}{details}", long.trim_start()))
}

/// The options of a command, in groups.
fn options(command: &Command, is_long: bool) -> String {
    let is_visible = |arg: &&Arg| !arg.is_hide_set() && arg.get_id() != "help" && arg.get_id() != "version";
    let visible: Vec<&Arg> = command.get_arguments().filter(is_visible).collect();
    let is_shown = |arg: &&Arg| is_long || !arg.is_hide_short_help_set();
    let position = |arg: &Arg| GROUPS.iter().position(|group| *group == heading(arg)).unwrap_or(GROUPS.len());
    let mut shown: Vec<&Arg> = visible.iter().copied().filter(is_shown).collect();
    shown.sort_by_key(|arg| position(arg));
    let (mut text, mut group) = (String::new(), "");
    for arg in &shown {
        if heading(arg) != group {
            group = heading(arg);
            let alone = shown.iter().filter(|other| heading(other) == group).all(|other| other.get_id() == "cases");
            text += &format!("\n\n{}:", if group == GROUPS[0] && alone { "Case files" } else { group });
        }
        text += &line(&names(arg), &description(arg));
    }
    let help = match (visible.len() == shown.len(), visible.iter().any(|arg| arg.is_hide_short_help_set())) {
        (true, true) => "Print help (-h: common options only)".to_owned(),
        (true, false) => "Print help".to_owned(),
        (false, _) => format!("Print this help; --help prints all {} options", visible.len() + 1),
    };
    text + "\n" + &line("-h, --help", &help)
}

fn heading(arg: &Arg) -> &str {
    arg.get_help_heading().unwrap_or("Reports")
}

fn line(names: &str, description: &str) -> String {
    format!("\n  {names:<width$}{}{description}", if names.len() < NAME_WIDTH { "" } else { " " }, width = NAME_WIDTH)
}

/// The names of an option and of its value.
fn names(arg: &Arg) -> String {
    let value = arg.get_value_names().and_then(|names| names.first()).map(|name| name.to_string()).unwrap_or_default();
    if arg.is_positional() {
        let dots = if matches!(arg.get_action(), ArgAction::Append) { "..." } else { "" };
        return if arg.is_required_set() { format!("<{value}>{dots}") } else { format!("[{value}]{dots}") };
    }
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let is_optional = arg.get_num_args().is_some_and(|range| range.min_values() == 0);
    let value = match (takes_value, is_optional) {
        (true, true) => format!(" [<{value}>]"),
        (true, false) => format!(" <{value}>"),
        (false, _) => String::new(),
    };
    let dots = if matches!(arg.get_action(), ArgAction::Count) { "..." } else { "" };
    let long = arg.get_long().map(|long| format!("--{long}{dots}"));
    let short = arg.get_short().map(|short| format!("-{short}"));
    short.into_iter().chain(long).collect::<Vec<_>>().join(", ") + &value
}

/// The first sentence of the documentation, with the default value.
fn description(arg: &Arg) -> String {
    let text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    match takes_value && !defaults.is_empty() && !arg.is_hide_default_value_set() {
        true => format!("{text} [default: {}]", defaults.join(",")),
        false => text,
    }
}

/// The examples of `run`.
pub const RUN_EXAMPLES: &str = "Examples:
  fieldtest run --out out                            demo: no network, no key
  fieldtest run --base-url http://127.0.0.1:4000 --model m --claims anthropic";

/// The formats, examples and exit codes of `run`.
pub const RUN_LONG: &str = "Formats:
  terminal, markdown (matrix.md), json (results-*.json), html (matrix.html),
  junit (junit.xml), github (annotations, summary), badge (badge-*.json),
  ndjson (events on stdout during the run; not with terminal or github)

Examples:
  fieldtest run --out out                            demo: no network, no key
  fieldtest run --base-url http://127.0.0.1:4000 --model m --claims anthropic
  fieldtest run deepseek --baseline known.yaml --format terminal,junit
  fieldtest run --resume out --out out

Exit codes:
  0   no claim is contradicted
  1   a claim is contradicted (with --baseline: a regression or a stale entry)
  2   wrong usage, or an invalid case file
  3   the target could not be tested, or not completely
  70  a bug in fieldtest";
