//! How many threads an engine computes with.

use std::thread::available_parallelism;

/// The number used when nobody asked for one: the physical cores, or fewer where the process may not use them all
/// (containers, affinity masks). Engines count cores of the machine, which in a container means too many.
pub fn default_threads() -> usize {
    let allowed = available_parallelism().map_or(usize::MAX, usize::from);
    num_cpus::get_physical().min(allowed).max(1)
}

/// What `--threads N` means: at least one, [`default_threads`] without it.
pub(super) fn resolve(asked: Option<usize>) -> usize {
    asked.map_or_else(default_threads, |n| n.max(1))
}
