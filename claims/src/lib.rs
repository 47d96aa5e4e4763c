//! How this host uses names apart from nss-iam, according to glibc, sudo, systemd and other places that grant
//! something by name, whether PAM lets a user in, and which processes run on it. This crate only collects facts: `policy`
//! lists the names that are always reserved, and `cache-refresher` and `nss-iamctl` decide what follows from the facts.
#![deny(unsafe_code)]

pub mod doas;
pub mod grants;
pub mod nscd;
pub mod nss;
pub mod pam;
pub mod processes;
pub mod program;
pub mod sudoers;
pub mod sysusers;
pub mod units;

mod nsswitch;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Which part of the host uses a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A netgroup that a rule of sudoers(5) names.
    Netgroup,
    /// A rule of sudoers(5), also of sudo-rs.
    Sudo,
    /// A rule in doas.conf(5).
    Doas,
    /// `User=`, `Group=` or `DynamicUser=` of a systemd unit, systemd.exec(5), which runs as this user or
    /// group.
    Unit,
    /// sysusers.d(5): systemd-sysusers(8) uses an existing account with this name.
    Sysusers,
    /// Any other place that grants something by name but does not use the account itself.
    Grant,
}

impl Kind {
    /// The word that excludes it in `[names] exclude`; none for places that are only reported.
    #[must_use]
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Sudo | Self::Netgroup => Some("sudo"),
            Self::Doas => Some("doas"),
            Self::Unit => Some("systemd-units"),
            Self::Sysusers => Some("sysusers"),
            Self::Grant => None,
        }
    }
}

/// One use of a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Use {
    /// The part of the host.
    pub kind: Kind,
    /// How it uses the name, in a form that follows the name and "is" or "are": "in a sudo rule", "the user of
    /// 'mosquitto.service'", "in AllowUsers".
    pub what: String,
    /// The file, such as `/etc/sudoers`.
    pub place: String,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ('{}')", self.what, self.place)
    }
}

/// A place that could name anyone, since it cannot be read or resolved. No new name is given while there is one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unresolved {
    /// The part of the host.
    pub kind: Kind,
    /// The file.
    pub place: String,
    /// The reason, for a message: "line 7 includes '/etc/sudoers.%x', which has an unknown escape".
    pub why: String,
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what '{}' grants is not known: {}", self.place, self.why)
    }
}

/// The names that a part of the host uses, in lower case like names from IAM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    /// By user or group name.
    pub names: BTreeMap<String, BTreeSet<Use>>,
    /// The places that might name anyone.
    pub unresolved: BTreeSet<Unresolved>,
}

impl Uses {
    /// Adds one use of `name`.
    pub fn add(&mut self, name: &str, used: Use) {
        self.names.entry(name.to_ascii_lowercase()).or_default().insert(used);
    }

    /// Adds all uses of another part.
    pub fn extend(&mut self, other: Uses) {
        for (name, uses) in other.names {
            self.names.entry(name).or_default().extend(uses);
        }
        self.unresolved.extend(other.unresolved);
    }
}

/// The names that installed software uses for itself: units and sysusers.d(5). `exclude` has words of
/// [`Kind::word`].
#[must_use]
pub fn of_installed(root: &Path, exclude: &[String]) -> Uses {
    all_of(root, exclude, &[(Kind::Unit, units::read), (Kind::Sysusers, sysusers::read)])
}

/// The names to which rules of sudo and doas grant something. `exclude` as above.
#[must_use]
pub fn of_rules(root: &Path, exclude: &[String]) -> Uses {
    all_of(root, exclude, &[(Kind::Sudo, sudoers::read), (Kind::Doas, doas::read)])
}

type Reader = fn(&Path) -> Uses;

fn all_of(root: &Path, exclude: &[String], parts: &[(Kind, Reader)]) -> Uses {
    let mut uses = Uses::default();
    for (kind, read) in parts {
        if !kind.word().is_some_and(|word| exclude.iter().any(|part| part == word)) {
            uses.extend(read(root));
        }
    }
    uses
}
