//! Faults of the form in which an answer comes.

use crate::simulator::pipeline::PipelineResponse;

crate::simulator::fault::define_faults! { ContentTypeFault {
    StreamNotStreamed = "http.stream-not-streamed": "who asks to stream gets a whole answer",
    StreamUnasked = "http.stream-unasked": "who does not ask to stream gets a stream",
} }

pub(super) fn apply(fault: ContentTypeFault, reply: PipelineResponse) -> PipelineResponse {
    match (fault, reply) {
        (ContentTypeFault::StreamNotStreamed, PipelineResponse::Stream(message)) => PipelineResponse::Json(message),
        (ContentTypeFault::StreamUnasked, PipelineResponse::Json(message)) if message["type"] == "message" => {
            PipelineResponse::Stream(message)
        }
        (ContentTypeFault::StreamNotStreamed | ContentTypeFault::StreamUnasked, reply) => reply,
    }
}
