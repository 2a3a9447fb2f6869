//! What a run found, and how it is shown: the results model and a file per format.
//!
//! Rendering is pure: results in, text out. Nothing here may send, judge, read a file or look at the environment.

pub mod results;
