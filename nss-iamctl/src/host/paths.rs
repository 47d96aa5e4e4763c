//! The names of what nss-iam installs on a host: programs, files, units, users and groups. The paths of the host's own files
//! are in the modules that edit them.

/// sshd's AuthorizedKeysCommand, without its arguments.
pub(crate) const KEYS_CMD: &str = "/usr/libexec/nss-iam/keys-cmd";
/// The user that runs it.
pub(crate) const KEYS_USER: &str = "nss-iam";
pub(crate) const REFRESHER: &str = "/usr/libexec/nss-iam/cache-refresher";
/// The user that reads the source.
pub(crate) const FETCH_USER: &str = "nss-iam-fetch";

/// Read by every process, and by sshd's command.
pub(crate) const CACHE: &str = "/var/lib/nss-iam/cache.db";
pub(crate) const KEYS: &str = "/var/lib/nss-iam/keys.db";
/// The refresher's state.
pub(crate) const STATE: &str = "/var/lib/nss-iam/state.db";
/// The report of the last run.
pub(crate) const STATUS: &str = "/var/lib/nss-iam/status.json";
/// The locked users: one login name per line, or `*`.
pub(crate) const LOCKED: &str = "/var/lib/nss-iam/locked";
/// Where the fetch half leaves its listing.
pub(crate) const LISTING: &str = "/var/lib/nss-iam-fetch/listing.json";

/// When somebody asked for a refresh: the fetch half reads everything again that it has read before. Only root can write there.
pub(crate) const ASKED: &str = "/run/nss-iam-refresh";

/// The timer, and the two services that it starts: it starts the second, which starts the first.
pub(crate) const TIMER: &str = "nss-iam-refresh.timer";
/// What starts the second instead where the first stays: it starts the first, too.
pub(crate) const WATCH: &str = "nss-iam-refresh.path";
pub(crate) const SERVICES: [&str; 2] = ["nss-iam-fetch.service", "nss-iam-refresh.service"];
/// The unit that blocks nss-iam users from the instance metadata.
pub(crate) const IMDS: &str = "nss-iam-imds.service";
