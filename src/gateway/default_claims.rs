//! The claims of `--claims default`: every field that has a place in the upstream's API is forwarded.
//! See [`default_claims`].

use std::collections::BTreeMap;

use crate::catalog::{ApiDialect, Catalog, Claim, ClaimSource, SourceSureness, Target, TargetAuth, TargetLimits};
use crate::wire::exchange::AuthScheme;

/// The claims of a transparent gateway in front of an upstream of this API, collected from the rows.
pub fn default_claims(catalog: &Catalog, dialect: ApiDialect) -> Target {
    let title = match dialect {
        ApiDialect::Anthropic => "A transparent gateway",
        ApiDialect::Openai => "The common translation to chat completions",
    };
    let claims: BTreeMap<String, Claim> = catalog
        .gateway_rows
        .iter()
        .filter(|row| row.row.applies_to_dialect(dialect))
        .filter_map(|row| {
            let status = row.row.default_claim(dialect)?;
            Some((row.row.id().to_owned(), Claim::new(status)))
        })
        .collect();
    Target {
        name: format!("gateway-{}", dialect.as_str()),
        title: title.to_owned(),
        base_url: None,
        auth: TargetAuth { scheme: AuthScheme::XApiKey, env: Vec::new() },
        credential: None,
        model: "any".to_owned(),
        revision: None,
        headers: BTreeMap::new(),
        anthropic_version: "2023-06-01".to_owned(),
        sources: vec![ClaimSource {
            title: "cases/gateway of fieldtest".to_owned(),
            url: None,
            revision: env!("CARGO_PKG_VERSION").to_owned(),
            sureness: SourceSureness::PageRead,
            read_on: "2026-11-22".to_owned(),
        }],
        limits: TargetLimits::default(),
        prices: None,
        account: None,
        claims,
    }
}
