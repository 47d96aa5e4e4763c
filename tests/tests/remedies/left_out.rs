//! Codes whose remedies are not carried out here.

/// A reason, and the codes for which it is one.
pub(crate) const LEFT_OUT: &[(&str, &str)] = &[
    (
        "nothing is wrong",
        "name keys log-in-as local-groups forced-command forward-only key-options keys-not-asked certificates other-certificates users-of-document users-of-tag users-of-groups \
         logins-work logins-not-checked system-users directory keys-cmd refreshed \
         confirmed timer cache key-offered nsswitch directory-limited resolves disabled-without-name member-of sshd sshd-settings home \
         home-to-be-created service-absent services-excluded given imds imds-off active login-accepted instance-connect",
    ),
    (
        "the verdict, which repeats the remedy of another finding",
        "not-set-up some-cannot-log-in nobody-can-log-in",
    ),
    (
        "a summary of findings that have their own remedies",
        "skipped warned refresh-failed refresh-held homes-missing more",
    ),
    (
        "the package has to be installed again",
        "directory-missing not-a-directory module-missing refresher-missing \
         keys-cmd-missing module-no-answer",
    ),
    (
        "only a person can correct the file, the rule or the name",
        "config-missing config-refused config-not-readable no-groups-configured nsswitch-refused nsswitch-unreadable \
         rules-unresolved grants-unresolved sshd-missing sshd-refused sshd-settings-unreadable \
         sshd-differs user-ca-unusable certificates-refused sshd-key-types sshd-key-revoked sshd-key-short sshd-obstacle sshd-denies \
         sshd-addresses sshd-methods sshd-without-pam sshd-without-rsa drop-in-not-effective shell-missing unit-takes-name \
         name-mistyped local-user name-also-local-user name-also-local-group name-also-other-user name-also-other-group \
         name-unknown service-unasked resolves-to-other resolves-not shadow-missing common-group-missing member-of-none \
         nsswitch-no-final-newline pam-refuses home-not-created disabled-found-by-name other-of-name \
         name-service-unasked name-rules-unresolved",
    ),
    (
        "tests of beside/outage.rs and beside/order.rs do, with a real sssd",
        "directory-before-iam pam-may-refuse pam-unavailable",
    ),
    ("its daemon has to be started again", "lookup-waits pam-no-answer"),
    ("the test runs as root", "not-root"),
    ("packages/programs_32.rs carries it out", "module-missing-for-some"),
    ("vm/selinux.rs carries it out", "selinux-denied selinux-label"),
    ("vm/apparmor.rs carries it out", "apparmor-denied"),
    ("login/enable.rs carries it out, with an OpenSSH that has %C", "sshd-without-address"),
    ("login/forward_only.rs carries it out", "job-runs sshd-permits-more"),
    (
        "time has to pass, or the clock to be set, which all tests share",
        "confirmed-long-ago confirmed-too-long-ago some-confirmed-long-ago confirmation-in-future clock-unsynchronised",
    ),
    (
        "needs a state that only an outage leaves",
        "removal-unconfirmed not-applied hidden nobody-published \
         not-published-yet other-account users-without-key no-key-offered",
    ),
    (
        "tests of names/lost.rs lose and restore the state",
        "state-db-unusable state-db-of-later-release state-db-lost state-db-rebuilt",
    ),
    (
        "this host has no systemd, nscd, nftables, AppArmor or SELinux",
        "timer-missing timer-inactive unit-failed nscd-stale drop-in-not-read sshd-config-not-read \
         imds-failed imds-not-at-boot imds-no-program imds-no-table imds-not-checked imds-hook imds-address \
         imds-uids imds-uid sshd-stopped",
    ),
    (
        "what a client does is in the log afterwards, too",
        "login-refused no-key-tried inactive-key-tried right-key-tried wrong-key-tried",
    ),
    ("the emulator has no ec2", "instance-tag-without-groups"),
    (
        "IAM has no such name, id, key or tag",
        "name-empty name-character id-was-of-user id-is-of-group key-too-long key-lines tag-characters key-unprintable",
    ),
    (
        "a value has to be chosen that is the same on every host",
        "id-of-host id-in-range id-taken home-path home-unseen home-taken",
    ),
    ("the remedy has the form of that for another tag, key or name", "tag-shell key-dsa name-of-own-group"),
];
