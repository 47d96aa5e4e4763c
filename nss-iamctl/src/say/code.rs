//! The codes of findings, for programs. A code keeps its meaning in all releases. nss-iamctl(8) lists them.

use listing::Failure;
use serde::Serialize;
use status::{Coded, Held, Kind, SkipReason, Stop, Warning};

/// A kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Code {
    /// The part that was checked: `sshd`.
    pub check: &'static str,
    /// What was found there.
    pub code: &'static str,
}

macro_rules! links {
    ($( $check:literal { $( $link:ident = $code:literal ),* $(,)? } )*) => {
        /// What nss-iamctl itself finds; reports of the refresher have their own codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Link {
            $($( $link ),*),*
        }

        impl Link {
            /// All of them.
            #[cfg(test)]
            pub(crate) const CODES: &'static [Code] = &[$($( Code { check: $check, code: $code } ),*),*];
        }

        impl From<Link> for Code {
            fn from(link: Link) -> Self {
                match link {
                    $($( Link::$link => Self { check: $check, code: $code } ),*),*
                }
            }
        }
    };
}

links! {
    "root" {
        NotRoot = "not-root",
    }
    "config" {
        ConfigMissing = "config-missing",
        ConfigRefused = "config-refused",
        NoGroupsConfigured = "no-groups-configured",
        UsersOfDocument = "users-of-document",
        UsersOfTag = "users-of-tag",
        TagWithoutGroups = "instance-tag-without-groups",
        UsersOfGroups = "users-of-groups",
        ConfigUnreadable = "config-not-readable",
    }
    "setup" {
        NotSetUp = "not-set-up",
    }
    "login" {
        LoginsWork = "logins-work",
        LoginsUnseen = "logins-not-checked",
        SomeCannotLogIn = "some-cannot-log-in",
        NobodyCanLogIn = "nobody-can-log-in",
    }
    "users" {
        SystemUsers = "system-users",
        SystemUserMissing = "system-user-missing",
    }
    "directory" {
        Directory = "directory",
        DirectoryMissing = "directory-missing",
        NotADirectory = "not-a-directory",
        DirectoryMode = "directory-mode",
    }
    "module" {
        ModuleMissing = "module-missing",
        ModuleMissingForSome = "module-missing-for-some",
    }
    "programs" {
        RefresherMissing = "refresher-missing",
    }
    "keys-cmd" {
        KeysCmd = "keys-cmd",
        KeysCmdMissing = "keys-cmd-missing",
        KeysCmdReads = "keys-cmd-cannot-read",
        KeysCmdMode = "keys-cmd-mode",
        KeysCmdUnsafe = "keys-cmd-unsafe",
    }
    "refresh" {
        Refreshed = "refreshed",
        NeverRefreshed = "never-refreshed",
        ReportUnreadable = "report-unreadable",
        RefreshFailed = "refresh-failed",
        RefreshHeld = "refresh-held",
    }
    "age" {
        Confirmed = "confirmed",
        ConfirmedLongAgo = "confirmed-long-ago",
        ConfirmedTooLongAgo = "confirmed-too-long-ago",
        SomeConfirmedLongAgo = "some-confirmed-long-ago",
    }
    "account" {
        OtherAccount = "other-account",
    }
    "clock" {
        ConfirmedLater = "confirmation-in-future",
        ClockUnsynchronised = "clock-unsynchronised",
    }
    "timer" {
        Timer = "timer",
        TimerMissing = "timer-missing",
        TimerInactive = "timer-inactive",
        UnitFailed = "unit-failed",
    }
    "skipped" {
        Skipped = "skipped",
    }
    "warning" {
        Warned = "warned",
    }
    "locked" {
        AllLocked = "all-locked",
        SomeLocked = "some-locked",
    }
    "state.db" {
        MemoryUnusable = "state-db-unusable",
        MemoryLater = "state-db-of-later-release",
        MemoryLost = "state-db-lost",
        MemoryRebuilt = "state-db-rebuilt",
    }
    "cache" {
        Cache = "cache",
        CacheMissing = "cache-missing",
        CacheRefused = "cache-refused",
    }
    "keys" {
        Keys = "keys",
        KeysMissing = "keys-missing",
        KeysRefused = "keys-refused",
        KeysOfOtherMachine = "keys-of-other-machine",
        KeysMode = "keys-mode",
        UsersWithoutKey = "users-without-key",
        KeyOffered = "key-offered",
        NoKeyOffered = "no-key-offered",
        NoKey = "no-key",
        KeyInactive = "key-inactive",
        KeyOptions = "key-options",
        KeysUnasked = "keys-not-asked",
        Certificates = "certificates",
        OtherCertificates = "other-certificates",
        UserCaUnusable = "user-ca-unusable",
        CertificatesRefused = "certificates-refused",
        InstanceConnect = "instance-connect",
        InstanceConnectMissing = "instance-connect-missing",
        InstanceConnectUnsafe = "instance-connect-unsafe",
        InstanceConnectDiffers = "instance-connect-differs",
        TagUnused = "tag-not-used",
        SettingUnused = "setting-without-effect",
    }
    "nsswitch" {
        Nsswitch = "nsswitch",
        NsswitchMissing = "nsswitch-missing",
        NsswitchRefused = "nsswitch-refused",
        NsswitchUnended = "nsswitch-no-final-newline",
        NsswitchNoShadow = "nsswitch-no-shadow",
        NsswitchOrder = "nsswitch-order",
        NsswitchWithoutIam = "nsswitch-without-iam",
        DirectoryFirst = "directory-before-iam",
        DirectoryLimited = "directory-limited",
    }
    "getent" {
        Resolves = "resolves",
        ResolvesToOther = "resolves-to-other",
        ResolvesNot = "resolves-not",
        ModuleSilent = "module-no-answer",
        LookupWaits = "lookup-waits",
        DisabledNameless = "disabled-without-name",
        DisabledNamed = "disabled-found-by-name",
    }
    "nscd" {
        NscdStale = "nscd-stale",
    }
    "shadow" {
        ShadowMissing = "shadow-missing",
    }
    "groups" {
        CommonGroupMissing = "common-group-missing",
        MemberOf = "member-of",
        MemberOfNone = "member-of-none",
        LocalGroups = "local-groups",
        SudoAsks = "sudo-asks-for-password",
        RemovalUnconfirmed = "removal-unconfirmed",
    }
    "sshd" {
        Sshd = "sshd",
        SshdMissing = "sshd-missing",
        SshdRefused = "sshd-refused",
        SshdStopped = "sshd-stopped",
        SshdUntold = "sshd-settings-unreadable",
        DropInMissing = "drop-in-missing",
        DropInOutOfForce = "drop-in-not-effective",
        SshdSettings = "sshd-settings",
        ForcedCommand = "forced-command",
        ForwardOnly = "forward-only",
        JobRuns = "job-runs",
        SshdDiffers = "sshd-differs",
        SshdPermits = "sshd-permits-more",
        SshdWithoutAddress = "sshd-without-address",
        SshdKeyTypes = "sshd-key-types",
        SshdKeyRevoked = "sshd-key-revoked",
        SshdKeyShort = "sshd-key-short",
        SshdObstacle = "sshd-obstacle",
        SshdDenies = "sshd-denies",
        SshdAddresses = "sshd-addresses",
        SshdMethods = "sshd-methods",
        SshdWithoutPam = "sshd-without-pam",
        SshdWithoutRsa = "sshd-without-rsa",
    }
    "reload" {
        DropInNotRead = "drop-in-not-read",
        SshdConfigNotRead = "sshd-config-not-read",
    }
    "shell" {
        ShellMissing = "shell-missing",
        ShellUnlisted = "shell-unlisted",
    }
    "pam" {
        PamMayRefuse = "pam-may-refuse",
        PamUnavailable = "pam-unavailable",
        PamRefuses = "pam-refuses",
        PamSilent = "pam-no-answer",
    }
    "nologin" {
        Nologin = "nologin",
    }
    "homes" {
        HomesUnmade = "homes-not-created",
        HomesMissing = "homes-missing",
    }
    "home" {
        Home = "home",
        HomeUnmade = "home-not-created",
        HomeToBeMade = "home-to-be-created",
        HomeNotADirectory = "home-not-a-directory",
        HomeOfOther = "home-of-other",
        HomeWritable = "home-writable",
    }
    "apparmor" {
        AppArmor = "apparmor-denied",
    }
    "selinux" {
        SeLinux = "selinux-denied",
        SeLinuxLabel = "selinux-label",
    }
    "unit" {
        UnitTakesName = "unit-takes-name",
    }
    "name" {
        Name = "name",
        NameUnknown = "name-unknown",
        NameMistyped = "name-mistyped",
        LocalUser = "local-user",
        LogInAs = "log-in-as",
        OtherOfName = "other-of-name",
        NameAlsoLocalUser = "name-also-local-user",
        NameAlsoLocalGroup = "name-also-local-group",
        NameAlsoOtherUser = "name-also-other-user",
        NameAlsoOtherGroup = "name-also-other-group",
    }
    "service" {
        NsswitchUnreadable = "nsswitch-unreadable",
        ServiceUnasked = "service-unasked",
        ServiceAbsent = "service-absent",
        ServicesExcluded = "services-excluded",
    }
    "rules" {
        RulesUnresolved = "rules-unresolved",
    }
    "names" {
        GrantsUnresolved = "grants-unresolved",
        Given = "given",
    }
    "imds" {
        Imds = "imds",
        ImdsOff = "imds-off",
        ImdsFailed = "imds-failed",
        ImdsNotAtBoot = "imds-not-at-boot",
        ImdsNoProgram = "imds-no-program",
        ImdsNoTable = "imds-no-table",
        ImdsUnseen = "imds-not-checked",
        ImdsHook = "imds-hook",
        ImdsAddress = "imds-address",
        ImdsUids = "imds-uids",
        ImdsUid = "imds-uid",
    }
    "state" {
        Active = "active",
        Locked = "locked",
        EveryoneLocked = "everyone-locked",
        Disabled = "disabled",
        NotApplied = "not-applied",
        Hidden = "hidden",
        NobodyPublished = "nobody-published",
        NotPublishedYet = "not-published-yet",
    }
    "status" {
        Fine = "fine",
        CacheUnreadable = "cache-unreadable",
        RefreshEnded = "refresh-ended",
    }
    "log" {
        LoginAccepted = "login-accepted",
        LoginRefused = "login-refused",
        NoKeyTried = "no-key-tried",
        InactiveKeyTried = "inactive-key-tried",
        RightKeyTried = "right-key-tried",
        WrongKeyTried = "wrong-key-tried",
    }
}

impl Code {
    /// Of further findings of one kind.
    const MORE: &'static str = "more";

    /// There are more.
    pub(crate) fn more(check: &'static str) -> Self {
        Self { check, code: Self::MORE }
    }

    /// Why something was left out.
    pub(crate) fn of_skip(reason: &Kind<SkipReason>) -> Self {
        Self::reported(Link::Skipped, reason)
    }

    /// What the refresher warned of.
    pub(crate) fn of_warning(warning: &Kind<Warning>) -> Self {
        Self::reported(Link::Warned, warning)
    }

    /// What a refresh held back.
    pub(crate) fn of_held(held: &Kind<Held>) -> Self {
        Self::reported(Link::RefreshHeld, held)
    }

    /// What stopped a refresh.
    pub(crate) fn of_stop(stop: &Kind<Stop>) -> Self {
        Self::reported(Link::RefreshFailed, stop)
    }

    /// What a source refused.
    pub(crate) fn of_failure(check: &'static str, failure: &Failure) -> Self {
        Self { check, code: failure.code() }
    }

    /// `link` is used for what another release reported.
    fn reported<K: Coded>(link: Link, kind: &Kind<K>) -> Self {
        let other = Self::from(link);
        kind.known().map_or(other, |kind| Self { code: kind.code(), ..other })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The codes of `status`, or those of the other commands.
    fn links(of_status: bool) -> Vec<&'static str> {
        let links = Link::CODES.iter().filter(|code| (code.check == "status") == of_status);
        links.map(|code| code.code).collect()
    }

    fn findings() -> Vec<&'static str> {
        let mut codes = links(false);
        codes.push(Code::MORE);
        codes
    }

    #[test]
    fn no_code_has_two_meanings() {
        let reported = [SkipReason::CODES, Warning::CODES, Held::CODES, Stop::CODES, &Failure::CODES];
        let all = [findings(), links(true), reported.concat()].concat();
        let plain = |code: &&str| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        assert!(all.iter().all(plain), "{all:?}");
        let mut seen = BTreeSet::new();
        let twice: Vec<&&str> = all.iter().filter(|code| !seen.insert(**code)).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }

    /// Code -> its description, in the section of nss-iamctl(8) with this heading.
    fn listed(page: &str, heading: &str) -> Vec<(String, String)> {
        let mut lines = page.lines().skip_while(|line| *line != format!(".Sh {heading}")).skip(1);
        let mut found: Vec<(String, String)> = Vec::new();
        for line in lines.by_ref().take_while(|line| !line.starts_with(".Sh ")) {
            match (line.strip_prefix(".It Li "), found.last_mut()) {
                (Some(code), _) => found.push((code.replace("\\-", "-"), String::new())),
                (None, Some((_, meaning))) if !line.starts_with('.') => meaning.push_str(line),
                (None, _) => {}
            }
        }
        found
    }

    #[test]
    fn the_manual_lists_each_code_and_no_other() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../man/nss-iamctl.8");
        let page = std::fs::read_to_string(page).unwrap();
        for (heading, codes) in [
            ("CODES OF FINDINGS", &findings()[..]),
            ("CODES OF STATUS", &links(true)),
            ("CODES OF SKIPPED ENTRIES", SkipReason::CODES),
            ("CODES OF WARNINGS", Warning::CODES),
            ("CODES OF HELD CHANGES", Held::CODES),
            ("CODES OF ERRORS", Stop::CODES),
            ("CODES OF FAILED CALLS", &Failure::CODES),
        ] {
            let listed = listed(&page, heading);
            let names: Vec<&str> = listed.iter().map(|(code, _)| code.as_str()).collect();
            let sorted = |codes: &[&str]| codes.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
            assert_eq!(sorted(&names), sorted(codes), "{heading}");
            assert_eq!(names.len(), codes.len(), "{heading}: a code is listed twice");
            assert!(listed.iter().all(|(_, meaning)| meaning.ends_with('.')), "{listed:?}");
        }
    }
}
