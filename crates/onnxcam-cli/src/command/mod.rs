//! One file a command.

pub mod bench;
pub mod layers;
pub mod methods;
