//! One file a command.

pub mod layers;
pub mod methods;
