//! What is claimed of a gateway where nobody claims anything: all that the shape has a place for is carried.

use std::collections::BTreeMap;

use crate::catalog::{Auth, AuthScheme, Catalog, Claim, Limits, Shape, Source, Target};

/// The claims of a transparent gateway in front of this shape, made of the rows themselves.
pub fn usual(catalog: &Catalog, shape: Shape) -> Target {
    let title = match shape {
        Shape::Anthropic => "A transparent gateway",
        Shape::Openai => "The usual translation to chat completions",
    };
    let claims: BTreeMap<String, Claim> = catalog
        .gateway
        .iter()
        .filter(|row| row.row.is_of(shape))
        .filter_map(|row| {
            let status = row.row.usual_claim(shape)?;
            Some((row.row.id().to_owned(), Claim { status, note: None, range: None, source: None }))
        })
        .collect();
    Target {
        name: format!("gateway-{}", shape.word()),
        title: title.to_owned(),
        base_url: None,
        auth: Auth { scheme: AuthScheme::XApiKey, env: Vec::new() },
        credential: None,
        model: "any".to_owned(),
        anthropic_version: "2023-06-01".to_owned(),
        sources: vec![Source {
            title: "cases/gateway of fieldtest".to_owned(),
            url: None,
            revision: env!("CARGO_PKG_VERSION").to_owned(),
            read_on: "2026-11-22".to_owned(),
        }],
        limits: Limits::default(),
        prices: None,
        account: None,
        claims,
    }
}
