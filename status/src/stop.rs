//! Errors that stop the apply half.

use crate::coded::coded;

coded! {
    /// The kind of error; the message says more.
    pub enum Stop {
        /// A file of the configuration cannot be read.
        ConfigUnreadable = "config-unreadable",
        /// Anyone can write to a file of the configuration.
        ConfigWritable = "config-writable",
        /// Something in the configuration is wrong.
        ConfigWrong = "config-wrong",
        /// The configuration is impossible on this host.
        ConfigImpossible = "config-impossible",
        /// The configuration was changed during the run.
        ConfigChanged = "config-changed",
        /// There is no listing.
        ListingMissing = "listing-missing",
        /// The listing cannot be read.
        ListingUnreadable = "listing-unreadable",
        /// Others could have written the listing, or it is not a file.
        ListingUntrusted = "listing-untrusted",
        /// The listing has a form that this release cannot read.
        ListingForm = "listing-form",
        /// The signature of the listing, or what is signed, does not fit this host and time.
        ListingRefused = "listing-refused",
        /// A file of this host that names users or groups cannot be read.
        HostUnreadable = "host-unreadable",
        /// `state.db` cannot be used.
        StateUnusable = "state-unusable",
        /// The directory of the cache cannot be used.
        DirectoryUnusable = "directory-unusable",
        /// A later release wrote `state.db`.
        StateLater = "state-later",
        /// `cache.db` or `keys.db` cannot be replaced.
        NotPublished = "not-published",
        /// The group that reads `keys.db` does not exist.
        NoKeysGroup = "no-keys-group",
        /// Another refresher holds the lock.
        Busy = "refresher-busy",
        /// Other refreshers kept changing the published data during the run.
        Overtaken = "refresher-overtaken",
    }
}
