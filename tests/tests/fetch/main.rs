//! The refresher's fetch half as the user nss-iam-fetch runs it: the real program, an IAM emulator, and a proxy
//! between them that breaks things.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod access;
mod budget;
mod child;
mod faults;
mod host;
mod identity_center;
mod metadata;
mod mistakes;
mod poll;
mod publish;
mod removal;
mod renames;
mod site;
mod sources;
mod stack;
