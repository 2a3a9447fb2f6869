pub mod baseline;
pub mod budget;
pub mod common;
pub mod send;
pub mod shard;
pub mod simulator;
pub mod transport;
