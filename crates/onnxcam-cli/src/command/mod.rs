//! One file a command.

pub mod bench;
pub mod doctor;
pub mod explain;
pub mod layers;
pub mod methods;
