//! A power cut at any instant, on real file systems: what the refresher publishes, and what the administrator's commands
//! edit. The controls take away what protects against a cut, and must be noticed.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints how many cuts it tried"
)]

mod commands;
mod refresher;
mod support;
