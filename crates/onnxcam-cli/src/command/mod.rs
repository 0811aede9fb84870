//! One file a command.

pub mod explain;
pub mod layers;
pub mod methods;
