//! One file a command.

pub mod bench;
pub mod completions;
pub mod doctor;
pub mod engine;
pub mod explain;
pub mod layers;
pub mod man;
pub mod methods;
pub mod models;
