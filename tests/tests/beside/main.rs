//! Another directory on the host: a real sssd in front of a real slapd, in NSS and PAM as Debian's packages set them up.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod cost;
mod healthy;
mod names;
mod order;
mod outage;
mod support;
