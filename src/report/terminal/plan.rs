//! A plan on a terminal: a table of rows per target, then what it comes to.

use comfy_table::{CellAlignment, ContentArrangement, Table, TableStyle};

use crate::report::common::format;
use crate::results::plan::{BudgetFit, FitStatus, PlanReport, TargetPlan};
use crate::results::plan_estimate::{AmountRange, PlanEstimate, RequestRange, TokenRange};

/// Tables of this width.
pub fn render(plan: &PlanReport, width: usize) -> String {
    let mut parts = Vec::new();
    for target in &plan.targets {
        parts.push(format!("{}, model {}: nothing is sent by this command", target.name, target.model));
        parts.push(render_rows(target, width));
        parts.push(describe_target(target).join("\n"));
    }
    let whole = match (plan.targets.len(), plan.runs) {
        (1, 1) => None,
        (1, runs) => Some(format!("all {runs} runs, one after the other")),
        (count, 1) => Some(format!("all {count} targets")),
        (count, runs) => Some(format!("all {count} targets, {runs} runs of each")),
    };
    parts.extend(whole.map(|whole| [vec![whole], describe_totals(&plan.planned)].concat().join("\n")));
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
    let mut line = |name: &str, planned: (RequestRange, TokenRange, TokenRange, Option<AmountRange>), arms: String| {
        let (requests, input, output, cost) = planned;
        let mut cells = vec![name.to_owned(), format_requests(requests), format_tokens(input), format_tokens(output)];
        cells.extend(priced.then(|| cost.map_or(String::new(), format_cost)));
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
fn format_requests(span: RequestRange) -> String {
    match span.expected {
        Some(n) => format!("{n} ({}-{})", span.min, span.max),
        None => format!("{}-{}", span.min, span.max),
    }
}

/// `210 (≤ 9,000)`
fn format_tokens(ceiling: TokenRange) -> String {
    let max = format!("≤ {}", format::with_thousands(ceiling.max));
    ceiling.expected.map_or(max.clone(), |n| format!("{} ({max})", format::with_thousands(n)))
}

fn format_cost(amount: AmountRange) -> String {
    let max = format!("≤ {}", format::dollars(amount.max));
    amount.expected.map_or(max.clone(), |n| format!("{} ({max})", format::dollars(n)))
}

fn describe_target(target: &TargetPlan) -> Vec<String> {
    let mut pace = vec![format!("{} at once", format::plural(target.concurrency, "request", "requests"))];
    pace.extend(target.requests_per_minute.map(|n| format!("{} requests a minute", format::with_thousands(n.into()))));
    pace.extend(target.tokens_per_minute.map(|n| format!("{} tokens a minute", format::with_thousands(n.into()))));
    let mut lines = vec![format!("{}; {}", format::plural(target.rows.len() as u64, "row", "rows"), pace.join(", "))];
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
            None => "cost         unknown: no prices in the target's file; --price-input and --price-output state them"
                .to_owned(),
        },
        format!("time         {}", planned.seconds.describe_duration()),
    ]
}

fn describe_fit(fits: &BudgetFit) -> String {
    let told = match fits.fits {
        FitStatus::Always => "the run fits, whatever is answered",
        FitStatus::Expected => "the run fits if all goes as expected, and may stop before the end if not",
        FitStatus::No => "the run does not fit: it would stop before the end",
        FitStatus::Unknown => "not known",
    };
    format!("{} {}: {told}", fits.bound, fits.limit)
}
