//! Addresses of the pages that say more, for reports that are read far from this repository.

/// The repository, as `Cargo.toml` gives it; empty where it gives none.
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// The page of a check; none where nobody knows where the repository is, or where the id could not be one.
pub(crate) fn of_check(check: &str) -> Option<String> {
    of(REPOSITORY, check)
}

fn of(repository: &str, check: &str) -> Option<String> {
    let is_id = check.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    let repository = repository.trim_end_matches('/');
    (is_id && !repository.is_empty()).then(|| format!("{repository}/blob/HEAD/docs/checks/{check}.md"))
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_page_has_an_address_where_the_repository_has_one() {
        let page = "https://code.example/a/b/blob/HEAD/docs/checks/sse.done-record.md";
        assert_eq!(of("https://code.example/a/b/", "sse.done-record").as_deref(), Some(page));
        assert_eq!(of("", "sse.done-record"), None);
        assert_eq!(of("https://code.example/a/b", "../x\"onclick"), None);
    }
}
