//! The environment variables that the fetch half, the AWS SDK in it, its proxy and TLS use.

/// Whether this variable is one of them. Not locale and time zone, which nothing in the fetch half uses; not
/// JOURNAL_STREAM, which says whose standard error the journal reads; and nothing that the dynamic linker reads.
#[must_use]
pub fn is_used(name: &str) -> bool {
    let others = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];
    name.starts_with("AWS_")
        || ["SSL_CERT_FILE", "SSL_CERT_DIR"].contains(&name)
        || others.iter().any(|other| name == *other || name == other.to_ascii_lowercase())
}
