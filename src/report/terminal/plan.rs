//! The plan of a run: a table of rows per target, then the totals.

use comfy_table::CellAlignment;

use crate::report::terminal::table::new_fitted_table;
use crate::results::format;
use crate::results::plan::{BudgetFit, FitStatus, PlanReport, TargetPlan};
use crate::results::plan_estimate::{AmountRange, PlanEstimate, RequestRange, TokenRange};

/// The whole plan for a terminal of this width.
pub fn render(plan: &PlanReport, width: usize) -> String {
    let mut parts = Vec::new();
    for target in &plan.targets {
        parts.push(format!("{}, model {}: this command sends no requests", target.name, target.model));
        parts.push(render_rows(target, width));
        parts.push(describe_target(target).join("\n"));
    }
    let total = match (plan.targets.len(), plan.runs) {
        (1, 1) => None,
        (1, runs) => Some(format!("all {runs} runs, one after the other")),
        (count, 1) => Some(format!("all {count} targets")),
        (count, runs) => Some(format!("all {count} targets, {runs} runs of each")),
    };
    parts.extend(total.map(|title| [vec![title], describe_totals(&plan.planned)].concat().join("\n")));
    parts.extend(plan.fits.iter().map(describe_fit));
    let assumed = &plan.assumed;
    parts.push(format!(
        "Expected: measured on a simulated endpoint that supports every row, with {} thinking tokens per response. At \
         most: an upper bound for any responses. Times assume {} s per response. Retries are not included.",
        assumed.thinking_tokens, assumed.seconds_an_answer,
    ));
    parts.join("\n\n")
}

fn render_rows(target: &TargetPlan, width: usize) -> String {
    let has_prices = target.prices.is_some();
    let mut header = vec!["row", "requests", "tokens in", "tokens out"];
    header.extend(has_prices.then_some("cost"));
    let mut table = new_fitted_table(&header, width, &[0]);
    let mut add_row = |name: &str, requests, input, output, cost: Option<AmountRange>| {
        let mut cells = vec![name.to_owned(), format_requests(requests), format_tokens(input), format_tokens(output)];
        cells.extend(has_prices.then(|| cost.map_or(String::new(), format_cost)));
        table.add_row(cells);
    };
    let probes = &target.first;
    add_row("probes", probes.requests, probes.input_tokens, probes.output_tokens, probes.cost_usd);
    for row in &target.rows {
        add_row(&row.id, row.requests, row.input_tokens, row.output_tokens, row.cost_usd);
    }
    for column in 1..header.len() {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// `5 (1-22)`: the expected number and the range.
fn format_requests(range: RequestRange) -> String {
    match range.expected {
        Some(n) => format!("{n} ({}-{})", range.min, range.max),
        None => format!("{}-{}", range.min, range.max),
    }
}

/// `210 (≤ 9,000)`
fn format_tokens(range: TokenRange) -> String {
    let max = format!("≤ {}", format::with_thousands(range.max));
    range.expected.map_or(max.clone(), |n| format!("{} ({max})", format::with_thousands(n)))
}

fn format_cost(amount: AmountRange) -> String {
    let max = format!("≤ {}", format::dollars(amount.max));
    amount.expected.map_or(max.clone(), |n| format!("{} ({max})", format::dollars(n)))
}

fn describe_target(target: &TargetPlan) -> Vec<String> {
    let mut rates = vec![format::plural(target.concurrency, "concurrent request", "concurrent requests")];
    rates.extend(
        target.requests_per_minute.map(|n| format!("{} requests per minute", format::with_thousands(n.into()))),
    );
    rates.extend(target.tokens_per_minute.map(|n| format!("{} tokens per minute", format::with_thousands(n.into()))));
    let mut lines = vec![format!("{}; {}", format::plural(target.rows.len() as u64, "row", "rows"), rates.join(", "))];
    lines.extend(describe_totals(&target.planned));
    if target.rows_without_estimate > 0 {
        lines.push(format!(
            "estimates    none for {}: their minimum is expected",
            format::plural(target.rows_without_estimate, "row", "rows")
        ));
    }
    if let Some(missing) = &target.missing_credential {
        let missing = missing.strip_prefix("no credential: ").unwrap_or(missing);
        lines.push(format!("credential   missing: {missing}"));
    }
    lines
}

fn describe_totals(planned: &PlanEstimate) -> Vec<String> {
    vec![
        format!("requests     {}", planned.requests.describe()),
        format!("tokens in    {}", planned.input_tokens.describe()),
        format!("tokens out   {}", planned.output_tokens.describe()),
        match planned.cost_usd {
            Some(cost) => format!("cost         {}", cost.describe_dollars()),
            None => "cost         unknown: the target has no prices. Use --price-input and --price-output".to_owned(),
        },
        format!("time         {}", planned.seconds.describe_duration()),
    ]
}

fn describe_fit(fits: &BudgetFit) -> String {
    let text = match fits.fits {
        FitStatus::Always => "the run fits for any responses",
        FitStatus::Expected => "the run fits if it goes as expected; otherwise it may stop early",
        FitStatus::No => "the run does not fit and would stop early",
        FitStatus::Unknown => "unknown",
    };
    format!("{} {}: {text}", fits.bound, fits.limit)
}
