//! The packages as they are shipped, on whole systems. `make deb rpm` makes them.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod adopted;
mod completions;
mod container;
mod day;
mod deploy;
mod files;
mod image;
mod imds;
mod jump_host;
mod life;
mod logins;
mod names;
mod polling;
#[cfg(target_arch = "x86_64")]
mod programs_32;
mod rpm;
mod selinux;
mod set_up;
mod support;
mod tools;
