//! Makes text from outside (responses, claims, names) safe to show: [`sanitize_line`], [`sanitize_block`].
//!
//! Responses appear on terminals and web pages. They must not move the cursor, reorder the line or hide
//! text. This module must not know any format: Markdown and HTML do their own escaping.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// One line: any white space becomes a single space, and invisible characters are escaped.
pub(crate) fn sanitize_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        for c in word.chars() {
            push_visible(&mut line, c);
        }
    }
    line
}

/// The same lines without trailing white space. Invisible characters are escaped.
pub fn sanitize_block(text: &str) -> String {
    let mut block = String::with_capacity(text.len());
    for (i, line) in text.trim_end().lines().enumerate() {
        if i > 0 {
            block.push('\n');
        }
        for c in line.trim_end().chars() {
            match c {
                '\t' => block.push(c),
                _ => push_visible(&mut block, c),
            }
        }
    }
    block
}

/// The commands that a CI system finds anywhere in a line of the log: `##[` (GitHub Actions),
/// `##vso[` (Azure Pipelines), `##teamcity[` (TeamCity).
static COMMANDS_IN_LINES: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"##([A-Za-z]*\[)").ok());

/// Escapes the commands of CI systems: lines of the output that begin with `::` (GitHub Actions),
/// and commands anywhere in a line.
pub fn escape_workflow_commands(text: &str) -> String {
    let escaped = text.split_inclusive(['\n', '\r']).map(|line| {
        let rest = line.trim_start();
        let indent = &line[..line.len() - rest.len()];
        let escape = if rest.starts_with("::") { "\\" } else { "" };
        format!("{indent}{escape}{}", replace_commands(rest, "#\\#$1"))
    });
    escaped.collect()
}

/// Escapes the commands of CI systems in JSON, which stays the same JSON.
pub fn escape_commands_in_json(json: &str) -> String {
    // In JSON, the first `#` is inside a string.
    replace_commands(json, r"#\u0023$1").into_owned()
}

fn replace_commands<'t>(text: &'t str, replacement: &str) -> Cow<'t, str> {
    // The pattern is a constant, and a test compiles it.
    match &*COMMANDS_IN_LINES {
        Some(commands) => commands.replace_all(text, replacement),
        None => Cow::Borrowed(text),
    }
}

/// At most `most` characters of a line, with an ellipsis if something is missing.
pub(crate) fn shorten(line: &str, most: usize) -> String {
    if line.chars().count() <= most {
        return line.to_owned();
    }
    let kept: String = line.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

fn push_visible(out: &mut String, c: char) {
    // The last two are not characters, and XML cannot represent them.
    if c.is_control() || is_hidden(c) || matches!(c, '\u{fffe}' | '\u{ffff}') {
        out.extend(c.escape_unicode())
    } else {
        out.push(c)
    }
}

/// True for invisible characters that change how their neighbours are shown, except the joiners U+200C
/// and U+200D, which several scripts and emoji need.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_no_line_breaks_and_no_hidden_characters() {
        assert_eq!(sanitize_line("  two\r\n\tlines\u{2028}here "), "two lines here");
        assert_eq!(sanitize_line("red \u{1b}[31mtext"), "red \\u{1b}[31mtext");
        assert_eq!(sanitize_line("a\u{202e}b\u{e0041}c"), "a\\u{202e}b\\u{e0041}c");
    }

    #[test]
    fn a_block_keeps_its_lines() {
        assert_eq!(sanitize_block("{\r\n\t\"a\": 1  \n}\n\n"), "{\n\t\"a\": 1\n}");
        assert_eq!(sanitize_block("bell\u{7}"), "bell\\u{7}");
    }

    #[test]
    fn workflow_commands_are_escaped() {
        let hostile = "fine\n::error::x\n  \t::stop-commands::y\r::z\na ##[error]z ::not at the start";
        let escaped = "fine\n\\::error::x\n  \t\\::stop-commands::y\r\\::z\na #\\#[error]z ::not at the start";
        assert_eq!(escape_workflow_commands(hostile), escaped);
        assert_eq!(escape_workflow_commands("plain\n"), "plain\n");
        for command in ["##[set-env name=A]b", "##vso[task.setvariable variable=A]b", "###VSO[x]", "##teamcity[x]"] {
            let shown = escape_workflow_commands(&format!("the server said: {command}"));
            assert!(!COMMANDS_IN_LINES.as_ref().unwrap().is_match(&shown) && shown.contains("\\#"), "{shown}");
            let json = serde_json::json!({ "why": command, command: "\\##" }).to_string();
            let escaped = escape_commands_in_json(&json);
            assert!(!COMMANDS_IN_LINES.as_ref().unwrap().is_match(&escaped), "{escaped}");
            let [before, after] = [json, escaped].map(|text| serde_json::from_str::<serde_json::Value>(&text).unwrap());
            assert_eq!(before, after);
        }
    }

    #[test]
    fn shortened_lines_end_with_an_ellipsis() {
        assert_eq!(shorten("日本語", 3), "日本語");
        assert_eq!(shorten("日本語です", 3), "日本…");
    }
}
