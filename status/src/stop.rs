//! What stops the apply half.

use crate::coded::coded;

coded! {
    /// The cause; the message says more.
    pub enum Stop {
        /// A file of the configuration cannot be read.
        ConfigUnreadable = "config-unreadable",
        /// Anyone may write a file of the configuration.
        ConfigWritable = "config-writable",
        /// Something in the configuration is wrong.
        ConfigWrong = "config-wrong",
        /// The configuration cannot be carried out on this host.
        ConfigImpossible = "config-impossible",
        /// The configuration was changed while this host was asked.
        ConfigChanged = "config-changed",
        /// There is no listing.
        ListingMissing = "listing-missing",
        /// The listing cannot be read.
        ListingUnreadable = "listing-unreadable",
        /// Others could have written the listing, or it is no file.
        ListingUntrusted = "listing-untrusted",
        /// The listing is not in the form that this release reads.
        ListingForm = "listing-form",
        /// A file of this host that names users or groups cannot be read.
        HostUnreadable = "host-unreadable",
        /// `state.db` cannot be used.
        StateUnusable = "state-unusable",
        /// The folder of the cache cannot be used.
        FolderUnusable = "folder-unusable",
        /// `state.db` is of a later release.
        StateLater = "state-later",
        /// `cache.db` or `keys.db` cannot be replaced.
        NotPublished = "not-published",
        /// The group that reads `keys.db` does not exist.
        NoKeysGroup = "no-keys-group",
        /// Another refresher holds the lock.
        Busy = "refresher-busy",
        /// Other refreshers kept changing the data to publish while this host was asked.
        Overtaken = "refresher-overtaken",
    }
}
