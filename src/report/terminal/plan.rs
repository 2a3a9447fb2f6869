//! A plan on a terminal: a table of rows per target, then what it comes to.

use comfy_table::{CellAlignment, ContentArrangement, Table, TableStyle};

use crate::report::common::format;
use crate::results::plan::{Fit, Fits, PlanTold, TargetPlan};
use crate::results::plan_estimate::{Amount, Ceiling, Planned, Span};

/// Tables of this width.
pub fn render(plan: &PlanTold, width: usize) -> String {
    let mut parts = Vec::new();
    for target in &plan.targets {
        parts.push(format!("{}, model {}: nothing is sent by this command", target.name, target.model));
        parts.push(rows(target, width));
        parts.push(facts(target).join("\n"));
    }
    let whole = match (plan.targets.len(), plan.runs) {
        (1, 1) => None,
        (1, runs) => Some(format!("all {runs} runs, one after the other")),
        (count, 1) => Some(format!("all {count} targets")),
        (count, runs) => Some(format!("all {count} targets, {runs} runs of each")),
    };
    parts.extend(whole.map(|whole| [vec![whole], sums(&plan.planned)].concat().join("\n")));
    parts.extend(plan.fits.iter().map(fits));
    let assumed = &plan.assumed;
    parts.push(format!(
        "Expected is what a simulation of the claims takes, by the same rules, with a model that does not do as it is told \
         {} % of the time and thinks {} tokens unasked; at most is what no answer can make more. Times assume {} s an \
         answer. Retries come on top.",
        assumed.disobedience * 100.0,
        assumed.thinking_tokens,
        assumed.seconds_an_answer,
    ));
    parts.join("\n\n")
}

fn rows(target: &TargetPlan, width: usize) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width.clamp(60, 65_535) as u16);
    let priced = target.prices.is_some();
    let mut header = vec!["row", "requests", "tokens in", "tokens out"];
    header.extend(priced.then_some("cost"));
    header.push("arms");
    let figures_end = header.len() - 1;
    table.set_header(header);
    let first = ("first of all", &target.first, String::new());
    let mut line = |name: &str, planned: (Span, Ceiling, Ceiling, Option<Amount>), arms: String| {
        let (requests, input, output, cost) = planned;
        let mut cells = vec![name.to_owned(), span(requests), ceiling(input), ceiling(output)];
        cells.extend(priced.then(|| cost.map_or(String::new(), amount)));
        cells.push(arms);
        table.add_row(cells);
    };
    let (name, planned, none) = first;
    line(name, (planned.requests, planned.input_tokens, planned.output_tokens, planned.cost_usd), none);
    for row in &target.rows {
        let arms: Vec<String> = row
            .arms
            .iter()
            .map(|a| a.shared_with.as_ref().map_or(a.name.clone(), |with| format!("{} (sent by {with})", a.name)))
            .collect();
        line(&row.id, (row.requests, row.input_tokens, row.output_tokens, row.cost_usd), arms.join(", "));
    }
    for column in 1..figures_end {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// `5 (1-22)`: what is expected, and the range.
fn span(span: Span) -> String {
    match span.expected {
        Some(n) => format!("{n} ({}-{})", span.min, span.max),
        None => format!("{}-{}", span.min, span.max),
    }
}

/// `210 (≤ 9,000)`
fn ceiling(ceiling: Ceiling) -> String {
    let max = format!("≤ {}", format::count(ceiling.max));
    ceiling.expected.map_or(max.clone(), |n| format!("{} ({max})", format::count(n)))
}

fn amount(amount: Amount) -> String {
    let max = format!("≤ {}", format::dollars(amount.max));
    amount.expected.map_or(max.clone(), |n| format!("{} ({max})", format::dollars(n)))
}

fn facts(target: &TargetPlan) -> Vec<String> {
    let mut pace = vec![format!("{} at once", format::counted(target.concurrency, "request", "requests"))];
    pace.extend(target.requests_per_minute.map(|n| format!("{} requests a minute", format::count(n.into()))));
    pace.extend(target.tokens_per_minute.map(|n| format!("{} tokens a minute", format::count(n.into()))));
    let mut lines = vec![format!("{}; {}", format::counted(target.rows.len() as u64, "row", "rows"), pace.join(", "))];
    lines.extend(sums(&target.planned));
    if let Some(missing) = &target.missing_credential {
        let missing = missing.strip_prefix("no credential: ").unwrap_or(missing);
        lines.push(format!("credential   missing: {missing}"));
    }
    lines
}

fn sums(planned: &Planned) -> Vec<String> {
    vec![
        format!("requests     {}", planned.requests.words()),
        format!("tokens in    {}", planned.input_tokens.words()),
        format!("tokens out   {}", planned.output_tokens.words()),
        match planned.cost_usd {
            Some(cost) => format!("cost         {}", cost.dollars()),
            None => "cost         unknown: no prices in the target's file; --price-input and --price-output state them"
                .to_owned(),
        },
        format!("time         {}", planned.seconds.time()),
    ]
}

fn fits(fits: &Fits) -> String {
    let told = match fits.fits {
        Fit::Always => "the run fits, whatever is answered",
        Fit::Expected => "the run fits if all goes as expected, and may stop before the end if not",
        Fit::No => "the run does not fit: it would stop before the end",
        Fit::Unknown => "not known",
    };
    format!("{} {}: {told}", fits.bound, fits.limit)
}
