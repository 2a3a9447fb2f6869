//! Complete pages, and properties of any page.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::catalog::VerdictStatus;
use crate::report::html::*;
use crate::report::markdown;
use crate::results::fixtures;

fn render_page(results: &[Results]) -> String {
    render(results).unwrap()
}

fn snapshot_page(name: &str, results: &[Results]) {
    fixtures::snapshot_settings().bind(|| insta::assert_snapshot!(name, render_page(results)));
}

/// The tags of a page, in order. Texts have no angle brackets, since they are escaped.
fn list_tags(page: &str) -> Vec<&str> {
    page.split('<').skip(1).map(|rest| rest.split_once('>').expect("a tag is closed").0).collect()
}

/// Checks that all elements are closed in order.
fn assert_well_formed(page: &str) {
    let mut open = Vec::new();
    for tag in list_tags(page) {
        let name = tag.split([' ', '\n']).next().unwrap_or_default();
        match name.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed), "</{closed}> closes another element"),
            None if matches!(name, "!doctype" | "meta" | "br") => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "not closed: {open:?}");
}

/// The text that a reader sees.
fn visible_text(page: &str) -> String {
    let body = page.split_once("<body>").unwrap().1;
    let shown: String = body.split('<').map(|rest| rest.split_once('>').map_or("", |(_, text)| text)).collect();
    let plain = shown.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#x27;", "'");
    plain.replace("&#x2f;", "/").replace("&amp;", "&")
}

#[test]
fn one_run() {
    snapshot_page("matrix-one.html", &[fixtures::every_outcome()]);
}

#[test]
fn two_runs() {
    snapshot_page("matrix-two.html", &[fixtures::every_outcome(), fixtures::second_run()]);
}

#[test]
fn a_partial_run() {
    let text = visible_text(&render_page(&[fixtures::partial_run()]));
    assert!(
        text.contains("The run of deepseek is partial: the budget of 20 requests was spent. 6 of 10 rows"),
        "{text}"
    );
    assert!(text.contains("Not run"));
}

#[test]
fn a_run_compared_with_a_baseline() {
    let page = render_page(&[fixtures::run_with_expectations()]);
    assert_well_formed(&page);
    let text = visible_text(&page);
    for part in ["compared with known.yaml", "stale", "expected"] {
        assert!(text.contains(part), "{part}");
    }
}

#[test]
fn hostile_text_is_escaped() {
    let page = render_page(&[fixtures::hostile_run(), fixtures::second_run()]);
    assert_well_formed(&page);
    assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains("\u{1b}"));
    assert!(visible_text(&page).contains("a|b`c<script>"));
}

#[test]
fn a_script_address_is_not_a_link() {
    let mut run = fixtures::every_outcome();
    run.target.claims.as_mut().unwrap().sources[0].url = Some("javascript:alert(1)".to_owned());
    assert!(!render_page(&[run]).contains("javascript:"));
}

#[test]
fn an_empty_report_says_so() {
    let page = render_page(&[]);
    assert_well_formed(&page);
    assert!(visible_text(&page).contains("Nothing was run."));
}

#[test]
fn the_page_needs_no_other_file() {
    let page = render_page(&[fixtures::every_outcome(), fixtures::second_run()]);
    for tag in ["<script", "<link", "<img", "<iframe", "@import", "url("] {
        assert!(!page.contains(tag), "{tag}");
    }
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("@media print"));
}

#[test]
fn tables_have_headers_with_a_scope_and_links_lead_somewhere() {
    let page = render_page(&[fixtures::every_outcome(), fixtures::second_run(), fixtures::partial_run()]);
    for tag in list_tags(&page).into_iter().filter(|tag| *tag == "th" || tag.starts_with("th ")) {
        assert!(tag.contains("scope=\"col\"") || tag.contains("scope=\"row\""), "{tag}");
    }
    let mut links = 0;
    for target in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert_eq!(page.matches(&format!("id=\"{target}\"")).count(), 1, "{target}");
        links += 1;
    }
    assert!(links > 20, "{links}");
}

/// The page has every text and heading of `matrix.md`, in any order.
#[test]
fn the_page_has_the_content_of_the_markdown() {
    let results = [fixtures::every_outcome(), fixtures::second_run()];
    let shown = visible_text(&render_page(&results));
    for run in &results {
        for row in &run.rows {
            let why = crate::report::common::phrases::reason(row);
            let was_run = row.verdict.status != VerdictStatus::Skipped;
            for said in [&row.title, &row.id, &why].into_iter().take(if was_run { 3 } else { 2 }) {
                assert!(shown.contains(&crate::report::common::sanitize::sanitize_line(said)), "{said}");
            }
        }
        for finding in &run.findings {
            assert!(shown.contains(&finding.check), "{}", finding.check);
        }
    }
    for heading in markdown::render(&results).lines().filter_map(|line| line.strip_prefix("## ")) {
        let heading = if heading == "Legend" { "How to read it" } else { heading };
        assert!(shown.contains(heading), "{heading}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_run_gives_a_complete_page_without_foreign_markup(results in vec(fixtures::any_run(), 0..4)) {
        let page = render_page(&results);
        assert_well_formed(&page);
        let own = [
            "!doctype", "html", "head", "meta", "title", "style", "body", "header", "main", "section", "h1", "h2", "h3", "p",
            "div", "table", "thead", "tbody", "tr", "th", "td", "br", "a", "small", "code", "pre", "span", "strong",
            "details", "summary", "ul", "li",
        ];
        for tag in list_tags(&page) {
            let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap_or_default();
            prop_assert!(own.contains(&name), "{tag}");
            prop_assert!(!tag.contains("on") || !tag.contains("onclick"), "{tag}");
        }
        prop_assert!(!page.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')));
    }
}
