//! [`max_cost`]: the maximum cost of one request.

use crate::client::RequestCost;
use crate::recording::request_settings::RequestSettings;
use crate::wire::exchange::Request;

/// Maximum output tokens of a response that can be billed. Rows that send a `max_tokens` far above
/// the limit expect a rejection, so the bound is capped.
pub fn max_billed_output_tokens(max_tokens: u64, settings: &RequestSettings) -> u64 {
    max_tokens.min(u64::from(settings.answer_tokens).max(8192))
}

/// The length of a request's body.
pub fn request_bytes(request: &Request) -> usize {
    request.raw.as_ref().map_or_else(|| json_bytes(&request.body), String::len)
}

/// The length of a value as JSON text. Does not build the text: prompts may be long, and every
/// request is measured.
fn json_bytes(value: &serde_json::Value) -> usize {
    struct JsonByteCounter(usize);
    impl std::io::Write for JsonByteCounter {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0 += text.len();
            Ok(text.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = JsonByteCounter(0);
    // Neither the counter nor a JSON value can fail.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// The maximum cost of a request.
pub fn max_cost(request: &Request, settings: &RequestSettings) -> RequestCost {
    RequestCost::upper_bound(
        request_bytes(request),
        max_billed_output_tokens(request.body["max_tokens"].as_u64().unwrap_or(0), settings),
    )
}
