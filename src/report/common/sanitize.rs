//! Text from outside (answers, claims, names) made fit to be shown.
//!
//! What an endpoint answers ends up on terminals and web pages: nothing in it may move the cursor, reorder the line or
//! hide itself. This module must not know any format: escaping for Markdown is the Markdown report's work.

/// One line: white space in any form becomes single spaces, and what is invisible is spelled out.
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

/// Lines as they are, without their trailing white space; what is invisible is spelled out.
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

/// Lines that the runner of GitHub's workflows does not take for commands: it obeys any line of a step's output that
/// begins with `::`, and the older form `##[` anywhere in a line.
pub fn escape_workflow_commands(text: &str) -> String {
    let broken = text.split_inclusive(['\n', '\r']).map(|line| {
        let rest = line.trim_start();
        let indent = &line[..line.len() - rest.len()];
        let escape = if rest.starts_with("::") { "\\" } else { "" };
        format!("{indent}{escape}{}", rest.replace("##[", "#\\#["))
    });
    broken.collect()
}

/// At most `most` characters of a line, with a sign that something was left out.
pub(crate) fn shorten(line: &str, most: usize) -> String {
    if line.chars().count() <= most {
        return line.to_owned();
    }
    let kept: String = line.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

fn push_visible(out: &mut String, c: char) {
    // The last two are no characters at all, and XML has no way to hold them.
    if c.is_control() || is_hidden(c) || matches!(c, '\u{fffe}' | '\u{ffff}') {
        out.extend(c.escape_unicode())
    } else {
        out.push(c)
    }
}

/// Characters that change how their neighbours are shown and have no shape of their own. The joiners (U+200C, U+200D)
/// are not among them: several scripts and emoji need them.
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
    fn a_line_is_one_line_and_shows_what_is_hidden() {
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
    fn no_line_is_a_workflow_command() {
        let hostile = "fine\n::error::x\n  \t::stop-commands::y\r::z\na ##[error]z ::not at the start";
        let told = "fine\n\\::error::x\n  \t\\::stop-commands::y\r\\::z\na #\\#[error]z ::not at the start";
        assert_eq!(escape_workflow_commands(hostile), told);
        assert_eq!(escape_workflow_commands("plain\n"), "plain\n");
    }

    #[test]
    fn shortening_counts_characters_and_says_so() {
        assert_eq!(shorten("日本語", 3), "日本語");
        assert_eq!(shorten("日本語です", 3), "日本…");
    }
}
