pub mod behaviour;
pub mod decide;
pub mod matcher;
mod request;
mod response;
pub mod undetermined;
