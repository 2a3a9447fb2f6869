//! Applies the protocol faults of a server to a response, one stage at a time.

use std::time::Duration;

use axum::response::Response;

use crate::simulator::fault::catalog::{FaultKind, SimulatorFault};
use crate::simulator::fault::{bytes, content_type, error, headers, message, stream};
use crate::simulator::outgoing::{OutgoingBody, OutgoingError, PipelineResponse};
use crate::simulator::rng::RequestRng;
use crate::simulator::stream_timing::StreamTiming;

/// Changes the content type and the message. Other responses (models, token counts) stay as they
/// are.
pub(in crate::simulator) fn apply_to_response(
    faults: &[SimulatorFault],
    mut response: PipelineResponse,
    rng: &mut RequestRng,
) -> PipelineResponse {
    for fault in faults {
        if let FaultKind::ContentType(fault) = fault.0 {
            response = content_type::apply(fault, response);
        }
    }
    let (value, is_stream) = match &mut response {
        PipelineResponse::Json(value) => (value, false),
        PipelineResponse::Stream(message) => (message, true),
    };
    if value["type"] == "message" {
        for fault in faults {
            if let FaultKind::Message(fault) = fault.0 {
                message::apply(fault, value, is_stream, rng);
            }
        }
    }
    response
}

/// Changes the events of a stream.
pub(in crate::simulator) fn apply_to_stream(faults: &[SimulatorFault], events: &mut Vec<String>) {
    for fault in faults {
        if let FaultKind::Stream(fault) = fault.0 {
            stream::apply(fault, events);
        }
    }
}

/// Changes the bytes of a stream.
pub(in crate::simulator) fn apply_to_stream_bytes(faults: &[SimulatorFault], body: &mut OutgoingBody) {
    for fault in faults {
        if let FaultKind::Byte(fault) = fault.0 {
            bytes::apply_to_stream(fault, body);
        }
    }
}

/// The chunks of a non-streaming response, if a fault changes its bytes.
pub(in crate::simulator) fn apply_to_body(faults: &[SimulatorFault], text: &str) -> Option<OutgoingBody> {
    let mut body = None;
    for fault in faults {
        if let FaultKind::Byte(fault) = fault.0
            && bytes::affects_full_body(fault)
        {
            let body =
                body.get_or_insert_with(|| OutgoingBody::new([text.to_owned()], StreamTiming::new(1, Duration::ZERO)));
            bytes::apply_to_body(fault, body);
        }
    }
    body
}

/// Changes an error response.
pub(in crate::simulator) fn apply_to_error(faults: &[SimulatorFault], error: &mut OutgoingError) {
    for fault in faults {
        if let FaultKind::Error(fault) = fault.0 {
            error::apply(fault, error);
        }
    }
}

/// Changes the status and the headers.
pub(in crate::simulator) fn apply_to_headers(faults: &[SimulatorFault], response: &mut Response) {
    for fault in faults {
        if let FaultKind::Header(fault) = fault.0 {
            headers::apply(fault, response);
        }
    }
}
