//! Web addresses of documentation pages, for reports that are read outside of this repository.

/// The repository in `Cargo.toml`; empty if there is none.
const REPOSITORY_URL: &str = env!("CARGO_PKG_REPOSITORY");

/// The page of a check; `None` without a repository or for an invalid id.
pub(crate) fn check_page(check: &str) -> Option<String> {
    page_url(REPOSITORY_URL, check)
}

fn page_url(repository: &str, check: &str) -> Option<String> {
    let is_id = check.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    let repository = repository.trim_end_matches('/');
    (is_id && !repository.is_empty()).then(|| format!("{repository}/blob/HEAD/docs/checks/{check}.md"))
}

#[cfg(test)]
mod tests {
    use super::page_url;

    #[test]
    fn a_page_has_an_address_if_the_repository_is_known() {
        let page = "https://code.example/a/b/blob/HEAD/docs/checks/sse.done-record.md";
        assert_eq!(page_url("https://code.example/a/b/", "sse.done-record").as_deref(), Some(page));
        assert_eq!(page_url("", "sse.done-record"), None);
        assert_eq!(page_url("https://code.example/a/b", "../x\"onclick"), None);
    }
}
