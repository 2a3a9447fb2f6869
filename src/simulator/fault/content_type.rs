//! Faults of the form in which an answer comes.

use crate::simulator::pipeline::Reply;

crate::simulator::fault::faults! { FormFault {
    StreamNotStreamed = "http.stream-not-streamed": "who asks to stream gets a whole answer",
    StreamUnasked = "http.stream-unasked": "who does not ask to stream gets a stream",
} }

pub(super) fn spoil(fault: FormFault, reply: Reply) -> Reply {
    match (fault, reply) {
        (FormFault::StreamNotStreamed, Reply::Stream(message)) => Reply::Json(message),
        (FormFault::StreamUnasked, Reply::Json(message)) if message["type"] == "message" => Reply::Stream(message),
        (FormFault::StreamNotStreamed | FormFault::StreamUnasked, reply) => reply,
    }
}
