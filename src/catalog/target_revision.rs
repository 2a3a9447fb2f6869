//! [`TargetRevision`]: a target file that lists only the differences from another revision.
//!
//! Must not know other files. `load` finds the base and calls [`TargetRevision::apply`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::credential_source::CredentialSource;
use crate::catalog::target::{Claim, ClaimSource, Target, TargetAuth, TargetLimits, TargetPrices};

/// A later revision of a support table. What it does not state stays as in the revision that it extends.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TargetRevision {
    /// The name of the target, without a revision.
    pub name: String,
    /// The revision of the support table, for example `2026-04`.
    pub revision: String,
    /// The target that this revision changes, for example `deepseek@2025-12`.
    pub extends: String,
    /// The provider's display name, if it changed.
    #[serde(default)]
    pub title: Option<String>,
    /// The base URL, if it changed.
    #[serde(default)]
    pub base_url: Option<String>,
    /// How the credential is sent, if it changed.
    #[serde(default)]
    pub auth: Option<TargetAuth>,
    /// The source of the credential, if it changed.
    #[serde(default, skip_serializing)]
    pub credential: Option<CredentialSource>,
    /// The model to request, if it changed.
    #[serde(default)]
    pub model: Option<String>,
    /// The API version, if it changed.
    #[serde(default)]
    pub anthropic_version: Option<String>,
    /// Headers of every request, if they changed.
    #[serde(default)]
    pub headers: Option<BTreeMap<String, String>>,
    /// The documents of this revision.
    pub sources: Vec<ClaimSource>,
    /// Size and rate limits, if they changed.
    #[serde(default)]
    pub limits: Option<TargetLimits>,
    /// Prices, if they changed.
    #[serde(default)]
    pub prices: Option<TargetPrices>,
    /// The account, if it changed.
    #[serde(default)]
    pub account: Option<String>,
    /// New and changed claims, by row id. `null` removes a claim.
    #[serde(default)]
    pub claims: BTreeMap<String, Option<Claim>>,
}

impl TargetRevision {
    /// The target of this revision: `base` with the changes.
    pub fn apply(self, base: &Target) -> Target {
        let base = base.clone();
        let mut claims = base.claims;
        // A source of the base is no source of this revision.
        claims.values_mut().for_each(|claim| claim.source = None);
        for (row, claim) in self.claims {
            match claim {
                Some(claim) => claims.insert(row, claim),
                None => claims.remove(&row),
            };
        }
        Target {
            name: self.name,
            revision: Some(self.revision),
            title: self.title.unwrap_or(base.title),
            base_url: self.base_url.or(base.base_url),
            auth: self.auth.unwrap_or(base.auth),
            credential: self.credential.or(base.credential),
            model: self.model.unwrap_or(base.model),
            anthropic_version: self.anthropic_version.unwrap_or(base.anthropic_version),
            headers: self.headers.unwrap_or(base.headers),
            sources: self.sources,
            limits: self.limits.unwrap_or(base.limits),
            prices: self.prices.or(base.prices),
            account: self.account.or(base.account),
            claims,
        }
    }
}

/// A target file: complete, or a revision of another target.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum TargetFile {
    /// The file has `extends`.
    Revision(TargetRevision),
    /// The file is complete.
    Complete(Target),
}

#[cfg(test)]
mod tests {
    use crate::catalog::{CaseFile, Catalog, ClaimStatus, FileKind, claim_changes};

    const FIRST: &str = "name: acme\nrevision: 2026-01\ntitle: Acme\nauth: { scheme: api-key, env: [ACME_KEY] }\n\
        model: acme-1\nheaders: { x-workspace: main }\nsources: [{ title: a, revision: b, read_on: 2026-01-01 }]\n\
        claims:\n  field.top_k: { status: ignored }\n  field.top_p: { status: supported, models: [acme-2] }\n";
    const SECOND: &str = "name: acme\nrevision: 2026-05\nextends: acme@2026-01\nmodel: acme-2\n\
        sources: [{ title: a, revision: c, read_on: 2026-05-01, sureness: reported }]\n\
        claims:\n  field.top_k: null\n  field.system: { status: supported }\n";

    fn load(texts: &[&str]) -> Result<Catalog, String> {
        let files: Vec<CaseFile> = texts
            .iter()
            .enumerate()
            .map(|(n, text)| CaseFile {
                name: format!("{n}.yaml"),
                kind: FileKind::Target,
                bytes: text.as_bytes().to_vec(),
            })
            .collect();
        Catalog::load_with_extra(&files).map_err(|errors| errors.to_string())
    }

    #[test]
    fn a_revision_states_only_what_changed() {
        // The order of the files does not matter.
        let catalog = load(&[SECOND, FIRST]).unwrap();
        let (first, second) = (catalog.target("acme@2026-01").unwrap(), catalog.target("acme@2026-05").unwrap());
        assert_eq!(catalog.target("acme").unwrap(), second, "the name alone means the newest revision");
        assert_eq!((second.title.as_str(), second.model.as_str()), ("Acme", "acme-2"));
        assert_eq!((&second.auth, &second.headers), (&first.auth, &first.headers));
        assert_eq!(second.claims.keys().collect::<Vec<_>>(), ["field.system", "field.top_p"]);
        let changes = claim_changes(first, second);
        assert_eq!(
            changes.iter().map(|change| change.row.as_str()).collect::<Vec<_>>(),
            ["field.system", "field.top_k"]
        );
    }

    #[test]
    fn a_claim_can_be_limited_to_models() {
        let catalog = load(&[FIRST]).unwrap();
        let target = catalog.target("acme").unwrap();
        assert!(target.claim("field.top_p", "acme-1").is_none());
        assert_eq!(target.claim("field.top_p", "acme-2-large").unwrap().status, ClaimStatus::Supported);
        assert!(target.claim("field.top_k", "acme-1").is_some());
    }

    #[test]
    fn a_context_window_that_would_fill_the_memory_is_an_error() {
        let with_context = |tokens: u32| load(&[&format!("{FIRST}limits: {{ context_tokens: {tokens} }}\n")]);
        assert!(with_context(10_000_000).is_ok());
        let error = with_context(u32::MAX).unwrap_err();
        assert!(error.contains("the largest value is 12000000"), "{error}");
    }

    #[test]
    fn a_revision_of_an_unknown_target_is_an_error_with_its_location() {
        let error = load(&[SECOND]).unwrap_err();
        assert!(error.contains("0.yaml:3:1: there is no target `acme@2026-01`"), "{error}");
        let circle = SECOND.replace("acme@2026-01", "acme@2026-05");
        assert!(load(&[&circle]).unwrap_err().contains("there is no target `acme@2026-05`"));
    }
}
