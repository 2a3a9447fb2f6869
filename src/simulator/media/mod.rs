pub mod image;
pub mod pdf;
