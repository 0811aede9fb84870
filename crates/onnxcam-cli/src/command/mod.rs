//! One file a command.

pub mod methods;
