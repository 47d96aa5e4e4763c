//! All other places that grant something by name.

use super::format::How;

/// Files of one format.
#[derive(Debug)]
pub(super) struct Place {
    /// Paths; each part may be a pattern.
    pub paths: &'static [&'static str],
    pub how: How,
    /// As in [`crate::Use::what`].
    pub what: &'static str,
}

const fn place(paths: &'static [&'static str], how: How, what: &'static str) -> Place {
    Place { paths, how, what }
}

pub(super) const PLACES: &[Place] = &[
    place(
        &["/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*.conf", "/usr/etc/ssh/sshd_config"],
        How::Sshd,
        "in sshd_config",
    ),
    place(
        &["/etc/ssh/authorized_keys/*", "/etc/ssh/authorized_keys.d/*", "/etc/ssh/keys/*"],
        How::FileName,
        "the owner of a file of SSH keys",
    ),
    place(&["/etc/ssh/shosts.equiv", "/etc/hosts.equiv"], How::Columns(' ', &[1]), "trusted on another host"),
    place(&["/etc/subuid", "/etc/subgid"], How::Columns(':', &[0]), "the owner of subordinate ids"),
    place(
        &[
            "/var/spool/cron/crontabs/*",
            "/var/spool/cron/tabs/*",
            "/var/spool/cron/*",
            "/etc/crontabs/*",
            "/var/spool/fcron/*",
            "/var/spool/incron/*",
        ],
        How::FileName,
        "the owner of a crontab",
    ),
    place(&["/etc/crontab", "/etc/cron.d/*"], How::Crontab, "the user of a cron job"),
    place(
        &["/etc/cron.allow", "/etc/cron.d/cron.allow", "/etc/incron.allow"],
        How::Columns(' ', &[0]),
        "in cron.allow",
    ),
    place(&["/etc/at.allow"], How::Columns(' ', &[0]), "in at.allow"),
    place(&["/etc/cron.deny", "/etc/at.deny"], How::Columns(' ', &[0]), "denied cron or at"),
    place(
        &["/var/lib/systemd/linger/*"],
        How::FileName,
        "a user whose manager runs without a login (linger)",
    ),
    place(
        &["/etc/security/access.conf", "/etc/security/access.d/*.conf", "/etc/login.access"],
        How::Columns(':', &[1]),
        "in a rule of pam_access",
    ),
    place(&["/etc/security/group.conf"], How::Columns(';', &[2, 4]), "in a rule of pam_group"),
    place(&["/etc/security/time.conf"], How::Columns(';', &[2]), "in a rule of pam_time"),
    place(
        &["/etc/security/limits.conf", "/etc/security/limits.d/*.conf", "/etc/limits"],
        How::Columns(' ', &[0]),
        "in a limit of pam_limits",
    ),
    place(
        &["/etc/security/namespace.conf", "/etc/security/namespace.d/*.conf"],
        How::Columns(' ', &[3]),
        "in a rule of pam_namespace",
    ),
    place(
        &["/etc/security/capability.conf"],
        How::Columns(' ', &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
        "given capabilities by pam_cap",
    ),
    place(
        &["/etc/security/sepermit.conf", "/etc/selinux/*/seusers"],
        How::Columns(':', &[0]),
        "mapped to an SELinux user",
    ),
    place(&["/etc/suauth"], How::Columns(':', &[0, 1]), "in a rule of su"),
    place(
        &["/etc/pam.d/*", "/usr/lib/pam.d/*", "/usr/etc/pam.d/*", "/etc/pam.conf"],
        How::Pam,
        "in a rule of PAM",
    ),
    place(
        &[
            "/etc/polkit-1/rules.d/*.rules",
            "/run/polkit-1/rules.d/*.rules",
            "/usr/local/share/polkit-1/rules.d/*.rules",
            "/usr/share/polkit-1/rules.d/*.rules",
        ],
        How::Script,
        "in a rule of polkit",
    ),
    place(
        &[
            "/etc/polkit-1/localauthority/*/*.pkla",
            "/var/lib/polkit-1/localauthority/*/*.pkla",
            "/etc/polkit-1/localauthority.conf.d/*.conf",
        ],
        How::Keys(&["Identity", "AdminIdentities"]),
        "in a rule of polkit",
    ),
    place(
        &[
            "/etc/dbus-1/system.conf",
            "/etc/dbus-1/system-local.conf",
            "/etc/dbus-1/system.d/*.conf",
            "/usr/share/dbus-1/system.conf",
            "/usr/share/dbus-1/system.d/*.conf",
        ],
        How::Policy,
        "in a policy of D-Bus",
    ),
    place(
        &[
            "/etc/udev/rules.d/*.rules",
            "/run/udev/rules.d/*.rules",
            "/usr/local/lib/udev/rules.d/*.rules",
            "/usr/lib/udev/rules.d/*.rules",
        ],
        How::Udev,
        "the owner of a device",
    ),
    place(
        &[
            "/etc/tmpfiles.d/*.conf",
            "/run/tmpfiles.d/*.conf",
            "/usr/local/lib/tmpfiles.d/*.conf",
            "/usr/lib/tmpfiles.d/*.conf",
        ],
        How::Tmpfiles,
        "the owner of a file of tmpfiles.d",
    ),
    place(
        &["/etc/logrotate.conf", "/etc/logrotate.d/*"],
        How::Directives(&[("su", &[1, 2]), ("create", &[1, 2, 3]), ("createolddir", &[1, 2, 3])]),
        "the owner of a log that logrotate writes",
    ),
    place(
        &["/etc/samba/smb.conf"],
        How::Keys(&[
            "valid users",
            "admin users",
            "write list",
            "read list",
            "invalid users",
            "force user",
            "force group",
            "guest account",
        ]),
        "named by Samba",
    ),
    place(
        &["/etc/samba/smbusers", "/etc/samba/user.map"],
        How::Columns('=', &[0]),
        "the user of a Samba account",
    ),
    place(
        &["/etc/xinetd.conf", "/etc/xinetd.d/*"],
        How::Keys(&["user", "group"]),
        "the user of a service of xinetd",
    ),
    place(&["/etc/inetd.conf", "/etc/inetd.d/*"], How::Columns(' ', &[4]), "the user of a service of inetd"),
    place(
        &[
            "/etc/supervisord.conf",
            "/etc/supervisor/*.conf",
            "/etc/supervisor/conf.d/*.conf",
            "/etc/supervisord.d/*.ini",
        ],
        How::Keys(&["user", "chown"]),
        "the user of a program of supervisor",
    ),
    place(
        &["/etc/sssd/sssd.conf", "/etc/sssd/conf.d/*.conf"],
        How::Keys(&[
            "simple_allow_users",
            "simple_allow_groups",
            "simple_deny_users",
            "simple_deny_groups",
            "allowed_uids",
        ]),
        "in a rule of sssd",
    ),
    place(
        &["/etc/cgrules.conf", "/etc/cgrules.d/*.conf"],
        How::Columns(' ', &[0]),
        "in a rule of cgrulesengd",
    ),
    place(
        &["/etc/please.ini", "/etc/please.d/*.ini"],
        How::Keys(&["name", "target", "group"]),
        "in a rule of please",
    ),
];
