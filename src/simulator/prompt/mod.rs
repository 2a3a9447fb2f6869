//! The request as the model sees it: a [`ModelPrompt`] of [`PromptSegment`]s.

mod model_prompt;
mod segment;

pub(super) use crate::simulator::prompt::model_prompt::{
    ModelPrompt, PromptTool, SamplingParams, ThinkingConfig, ToolChoice,
};
pub(super) use crate::simulator::prompt::segment::{CacheTtl, PromptRole, PromptSegment, SegmentKind};
