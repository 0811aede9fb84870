//! One file a command.

pub mod bench;
pub mod completions;
pub mod doctor;
pub mod engine;
pub mod explain;
pub mod export;
pub mod layers;
pub mod man;
pub mod methods;
pub mod models;
pub mod show;
pub mod strip;
