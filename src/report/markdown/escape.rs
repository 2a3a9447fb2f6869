//! Markdown for GitHub: escaping, code, fences, links and tables ([`MarkdownTable`]).
//!
//! Pipes, backslashes and backticks become entities, which have the same meaning inside and outside of
//! tables.

use crate::report::common::sanitize;

/// One line of text without any markup.
pub(in crate::report) fn escape(text: &str) -> String {
    let line = sanitize::sanitize_line(text);
    let mut escaped = String::with_capacity(line.len());
    let mut before = ' ';
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let within_word = before.is_alphanumeric() && chars.peek().is_some_and(|next| next.is_alphanumeric());
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '|' => escaped.push_str("&#124;"),
            '\\' => escaped.push_str("&#92;"),
            '`' => escaped.push_str("&#96;"),
            // `top_k` is not emphasis, and stays readable in the source.
            '_' if within_word => escaped.push('_'),
            '*' | '_' | '[' | ']' | '~' | '$' | '#' => {
                escaped.push('\\');
                escaped.push(c);
            }
            _ => escaped.push(c),
        }
        before = c;
    }
    escaped
}

/// One line of code, inside or outside of a table.
pub(in crate::report) fn code_span(text: &str) -> String {
    let line = sanitize::sanitize_line(text);
    if line.is_empty() {
        String::new()
    } else if line.contains(['`', '|', '\\']) {
        format!("<code>{}</code>", escape(&line))
    } else {
        format!("`{line}`")
    }
}

/// Lines of code between fences that are longer than any sequence of backticks in the code.
pub(super) fn code_fence(language: &str, text: &str) -> String {
    let block = sanitize::sanitize_block(text);
    let longest = block.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}{language}\n{block}\n{fence}\n")
}

/// A link, or only its text if the address is missing or unsafe.
pub(super) fn render_link(text: &str, url: Option<&str>) -> String {
    let safe = |url: &&str| {
        let web = url.starts_with("https://") || url.starts_with("http://");
        web && url.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '|' | '\\' | '`'))
    };
    match url.filter(safe) {
        Some(url) => format!("[{}](<{url}>)", escape(text)),
        None => escape(text),
    }
}

/// A table. Cells are Markdown. Short rows are filled with empty cells.
pub(in crate::report) struct MarkdownTable {
    lines: String,
    columns: usize,
}

impl MarkdownTable {
    /// A table with these headings and left-aligned columns.
    pub(in crate::report) fn new(header: Vec<String>) -> Self {
        Self::with_alignment(header, ":---")
    }

    /// A table whose columns are right-aligned, except the first.
    pub(super) fn right_aligned(header: Vec<String>) -> Self {
        Self::with_alignment(header, "---:")
    }

    fn with_alignment(header: Vec<String>, others: &str) -> Self {
        let mut table = Self { lines: String::new(), columns: header.len() };
        table.add_row(header);
        let rule = (0..table.columns).map(|i| if i == 0 { ":---" } else { others }.to_owned()).collect();
        table.add_row(rule);
        table
    }

    /// Adds a row.
    pub(in crate::report) fn add_row(&mut self, cells: Vec<String>) {
        debug_assert!(cells.len() <= self.columns, "a row has more cells than the table has columns");
        let cells = cells.into_iter().chain(std::iter::repeat(String::new())).take(self.columns);
        for cell in cells {
            self.lines.push_str("| ");
            self.lines.push_str(&cell);
            self.lines.push(' ');
        }
        self.lines.push_str("|\n");
    }

    /// The lines of the table.
    pub(in crate::report) fn finish(self) -> String {
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped() {
        assert_eq!(escape("a|b `c` <b>&\nnext"), "a&#124;b &#96;c&#96; &lt;b&gt;&amp; next");
        assert_eq!(escape("top_k _x_ *y* [z](u)"), "top_k \\_x\\_ \\*y\\* \\[z\\](u)");
        assert_eq!(escape("\\|"), "&#92;&#124;");
    }

    #[test]
    fn code_spans_can_have_any_content() {
        assert_eq!(code_span("field.top_k"), "`field.top_k`");
        assert_eq!(code_span("a|`b`"), "<code>a&#124;&#96;b&#96;</code>");
        assert_eq!(code_span(" \n"), "");
    }

    #[test]
    fn a_fence_is_longer_than_any_fence_in_its_content() {
        assert_eq!(code_fence("sh", "echo"), "```sh\necho\n```\n");
        assert_eq!(code_fence("", "a\n````\nb"), "`````\na\n````\nb\n`````\n");
    }

    #[test]
    fn only_web_addresses_become_links() {
        assert_eq!(render_link("a]b", Some("https://x.example/y_z")), "[a\\]b](<https://x.example/y_z>)");
        assert_eq!(render_link("a", Some("javascript:alert(1)")), "a");
        assert_eq!(render_link("a", Some("https://x.example/>b")), "a");
        assert_eq!(render_link("a", None), "a");
    }

    #[test]
    fn short_rows_are_filled() {
        let mut table = MarkdownTable::right_aligned(vec!["a".into(), "b".into()]);
        table.add_row(vec!["1".into()]);
        assert_eq!(table.finish(), "| a | b |\n| :--- | ---: |\n| 1 |  |\n");
    }
}
