//! One program of tests: what a file means, and what a bad one gives.

mod ancient;
mod bad_files;
mod carried;
mod damaged;
mod elements;
mod external;
mod extremes;
mod functions;
mod golden;
mod hostile;
mod inputs;
mod loops;
mod meaning;
mod names;
mod net;
mod schema;
mod shape_arithmetic;
mod single;
