//! `onnxcam explain` as a user runs it: the real program on tiny networks and pictures, no network access.

#[path = "explain/desk.rs"]
mod desk;

#[path = "explain/arrays.rs"]
mod arrays;
#[path = "explain/bad.rs"]
mod bad;
#[path = "explain/classes.rs"]
mod classes;
#[path = "explain/inputs.rs"]
mod inputs;
#[path = "explain/interrupt.rs"]
mod interrupt;
#[path = "explain/json.rs"]
mod json;
#[path = "explain/models.rs"]
mod models;
#[path = "explain/names.rs"]
mod names;
#[path = "explain/orientations.rs"]
mod orientations;
#[path = "explain/pictures.rs"]
mod pictures;
#[path = "explain/pixel_space.rs"]
mod pixel_space;
#[path = "explain/replacing.rs"]
mod replacing;
#[path = "explain/runs.rs"]
mod runs;
#[path = "explain/variants.rs"]
mod variants;
