//! Faults of the content type: [`ContentTypeFault`] sends a stream as JSON, or JSON as a stream.

use crate::simulator::fault::catalog::ContentTypeFault;
use crate::simulator::outgoing::PipelineResponse;

pub(super) fn apply(fault: ContentTypeFault, response: PipelineResponse) -> PipelineResponse {
    match (fault, response) {
        (ContentTypeFault::StreamNotStreamed, PipelineResponse::Stream(message)) => PipelineResponse::Json(message),
        (ContentTypeFault::StreamUnasked, PipelineResponse::Json(message)) if message["type"] == "message" => {
            PipelineResponse::Stream(message)
        }
        (ContentTypeFault::StreamNotStreamed | ContentTypeFault::StreamUnasked, response) => response,
    }
}
