//! Words that every response contains. They are never a secret, and a message without them is
//! invalid.

/// Names and values of the Messages API, of chat completions and of HTTP, from their references.
/// Shorter words are missing, because [`SecretRedactor`](super::SecretRedactor) skips short
/// secrets.
const PROTOCOL_WORDS: [&str; 87] = [
    "anthropic",
    "anthropic-version",
    "api_error",
    "application",
    "application/json",
    "arguments",
    "assistant",
    "authentication_error",
    "billing_error",
    "cache-control",
    "cache_control",
    "cache_creation",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "char_location",
    "chat.completion",
    "chat.completion.chunk",
    "citations",
    "citations_delta",
    "cited_text",
    "completion",
    "completion_tokens",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "content_block",
    "content_block_delta",
    "content_block_location",
    "content_block_start",
    "content_block_stop",
    "developer",
    "document",
    "document_index",
    "document_title",
    "end_turn",
    "ephemeral",
    "ephemeral_1h_input_tokens",
    "ephemeral_5m_input_tokens",
    "finish_reason",
    "function",
    "input_json_delta",
    "input_tokens",
    "invalid_request_error",
    "keep-alive",
    "max_tokens",
    "message_delta",
    "message_start",
    "message_stop",
    "messages",
    "model_context_window_exceeded",
    "not_found_error",
    "output_tokens",
    "overloaded_error",
    "page_location",
    "partial_json",
    "pause_turn",
    "permission_error",
    "prompt_tokens",
    "rate_limit_error",
    "reasoning_content",
    "redacted_thinking",
    "request-id",
    "request_id",
    "request_too_large",
    "retry-after",
    "search_result",
    "server_tool_use",
    "service_tier",
    "signature",
    "signature_delta",
    "standard",
    "stop_reason",
    "stop_sequence",
    "text/event-stream",
    "text_delta",
    "thinking",
    "thinking_delta",
    "timeout_error",
    "tool_calls",
    "tool_result",
    "tool_use",
    "total_tokens",
    "transfer-encoding",
    "web_search_result_location",
    "web_search_tool_result",
    "x-should-retry",
];

/// True for a word of the protocol, in any case.
pub fn is_protocol_word(text: &str) -> bool {
    PROTOCOL_WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_sorted_and_not_too_short() {
        assert!(PROTOCOL_WORDS.is_sorted_by(|a, b| a < b));
        assert!(PROTOCOL_WORDS.iter().all(|word| word.len() >= 8));
    }
}
