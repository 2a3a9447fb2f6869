pub mod arms;
pub mod build;
pub mod follow_up;
