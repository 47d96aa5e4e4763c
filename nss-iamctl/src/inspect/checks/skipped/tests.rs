//! Every reason has a remedy, and no remedy names the wrong source or takes away what is configured.

use std::collections::BTreeSet;

use config::Source;
use status::{Coded, Part};

use super::*;

const ALLOW: &str = r#"printf '[names.allow]\nAIDAX = "x"\n' >/etc/nss-iam/config.d/60-name-AIDAX.toml && nss-iamctl refresh"#;

fn text(text: &str) -> String {
    text.to_owned()
}

fn used(kind: UseKind, what: &str, place: &str) -> SkipReason {
    SkipReason::NameUsed { name: text("x"), used: Use { kind, what: text(what), place: text(place) } }
}

fn unresolved(kind: UseKind, place: &str) -> SkipReason {
    let unresolved = Unresolved { kind, place: text(place), why: text("line 7") };
    SkipReason::NameUnresolved { name: text("x"), unresolved }
}

/// A reason, what the report says of it, and what its remedy must say.
type Row = (SkipReason, &'static str, Vec<&'static str>);

fn x() -> String {
    text("x")
}

fn table() -> Vec<Row> {
    [names_that_cannot_be(), names_in_use(), names_of_this_host(), ids_and_homes(), tags_and_keys()].concat()
}

/// Names that no user can have, or that another user or group has.
fn names_that_cannot_be() -> Vec<Row> {
    use SkipReason as R;
    vec![
        (R::NameEmpty, "name is empty", vec!["another login name: aws iam tag-user --user-name X"]),
        (R::NameLong { bytes: 40 }, "name has 40 bytes, more than 32", vec!["strip_domains"]),
        (
            R::NameCharacter { character: ':' },
            "name has ':', which no login name",
            vec!["another login name: aws iam tag-user --user-name X"],
        ),
        (
            R::NameFirst { character: '-' },
            "name may not begin with '-'",
            vec!["another login name: aws iam tag-user --user-name X"],
        ),
        (
            R::NameDigits,
            "name of digits only would be taken for an id",
            vec!["another login name: aws iam tag-user --user-name X"],
        ),
        (
            R::NameNumber { number: text("0x10") },
            "name would be read as the number 0x10 by programs that take a name or an id",
            vec!["another login name: aws iam tag-user --user-name X"],
        ),
        (
            R::NameOfUser { name: text("homer"), id: 1001, service: text("files") },
            "'homer' is a user of /etc/passwd (uid 1001)",
            vec!["nss-iamctl adopt --apply homer", "nss-iam:name"],
        ),
        (
            R::NameOfUser { name: x(), id: 9, service: text("sss") },
            "'x' is a user of service 'sss' of nsswitch.conf (uid 9)",
            vec!["nss-iam:name", "remove 'x' from service 'sss'"],
        ),
        (
            R::NameOfGroup { name: x(), id: 7, service: text("files") },
            "'x' is a group of /etc/group (gid 7)",
            vec!["groupdel x", "nss-iam:name"],
        ),
        (
            R::NameOfGroup { name: x(), id: 7, service: text("sss") },
            "'x' is a group of service 'sss' of nsswitch.conf (gid 7)",
            vec!["remove 'x' from service 'sss'"],
        ),
        (
            R::NameOfOwnGroup { name: x() },
            "'x' is the name of a group that is published or joined",
            vec!["nss-iam:name"],
        ),
    ]
}

/// Names that this host uses.
fn names_in_use() -> Vec<Row> {
    use SkipReason as R;
    let groups = |groups: &[&str]| groups.iter().map(|group| text(group)).collect();
    vec![
        (
            R::NameInGroups { name: x(), groups: groups(&["sudo"]), service: text("files") },
            "'x' is a member of 'sudo' in /etc/group",
            vec!["gpasswd -d x sudo && nss-iamctl refresh (for", ALLOW],
        ),
        (
            R::NameInGroups { name: x(), groups: groups(&["adm", "sudo"]), service: text("files") },
            "'x' is a member of 'adm', 'sudo' in /etc/group",
            vec!["gpasswd -d x adm && gpasswd -d x sudo && nss-iamctl refresh (", "gpasswd -A", ALLOW],
        ),
        (
            R::NameInGroups { name: x(), groups: groups(&["adm"]), service: text("sss") },
            "'x' is a member of 'adm' in service 'sss' of nsswitch.conf",
            vec!["groups in service 'sss'", ALLOW],
        ),
        (
            used(UseKind::Sudo, "in a sudo rule", "/etc/sudoers.d/x"),
            "'x' is in a sudo rule ('/etc/sudoers.d/x') on this host",
            vec!["visudo -f /etc/sudoers.d/x && nss-iamctl refresh", ALLOW],
        ),
        (
            used(UseKind::Netgroup, "in a netgroup, and netgroups are in a sudo rule", "/etc/sudoers"),
            "'x' is in a netgroup, and netgroups are in a sudo rule ('/etc/sudoers') on this host",
            vec!["/etc/netgroup", "/etc/sudoers", ALLOW],
        ),
        (
            used(UseKind::Doas, "in a doas rule", "/etc/doas.conf"),
            "'x' is in a doas rule ('/etc/doas.conf') on this host",
            vec!["remove the name from '/etc/doas.conf'", ALLOW],
        ),
        (
            used(UseKind::Unit, "the user of 'x.service'", "/usr/lib/x.service"),
            "'x' is the user of 'x.service' ('/usr/lib/x.service') on this host",
            vec!["a dedicated user in '/usr/lib/x.service'", ALLOW],
        ),
        (
            used(UseKind::Sysusers, "a system user", "/usr/lib/sysusers.d/x.conf"),
            "'x' is a system user ('/usr/lib/sysusers.d/x.conf') on this host",
            vec!["a dedicated user in '/usr/lib/sysusers.d/x.conf'", ALLOW],
        ),
    ]
}

/// Names that are reserved, or of which it is not known whether this host uses them.
fn names_of_this_host() -> Vec<Row> {
    use SkipReason as R;
    vec![
        (R::NameReserved { name: x() }, "'x' is reserved for the system", vec!["nss-iam:name", ALLOW]),
        (
            R::NameUnasked { name: x(), service: text("ldap"), why: text("file too short") },
            "'x' cannot be given: service 'ldap' cannot be asked about it: file too short",
            vec!["repair the service", "'ldap' from nsswitch.conf", "enable --exclude ldap &&"],
        ),
        (
            unresolved(UseKind::Sudo, "/etc/sudoers"),
            "'x' cannot be given: what '/etc/sudoers' grants is not known: line 7",
            vec!["correct '/etc/sudoers'", "enable --exclude sudo &&", ALLOW],
        ),
        (
            unresolved(UseKind::Doas, "/etc/doas.conf"),
            "what '/etc/doas.conf' grants",
            vec!["enable --exclude doas &&"],
        ),
        (
            unresolved(UseKind::Unit, "/etc/systemd/system/a.service"),
            "'/etc/systemd/system/a.service'",
            vec!["enable --exclude systemd-units &&"],
        ),
        (
            unresolved(UseKind::Sysusers, "/etc/sysusers.d/a.conf"),
            "'/etc/sysusers.d/a.conf'",
            vec!["enable --exclude sysusers &&"],
        ),
        (
            R::NameTaken { name: x(), called: text("IAM user"), holder: text("X") },
            "'x' is already the name of IAM user 'X'",
            vec!["nss-iam:name", "rename the user at the source"],
        ),
    ]
}

/// Ids and homes.
fn ids_and_homes() -> Vec<Row> {
    use SkipReason as R;
    vec![
        (R::IdOfUser { iam_id: text("AIDAX") }, "'AIDAX' was the id of a user", vec!["the source must not"]),
        (
            R::IdOfGroup { iam_id: text("AIDAX") },
            "'AIDAX' is also the id of a group",
            vec!["the source must not"],
        ),
        (
            R::IdOfHost { id: 1003, name: text("bob"), service: text("files"), configured: false },
            "its id 1003 is that of 'bob' on this host (service 'files')",
            vec!["another id in [ids]"],
        ),
        (
            R::IdOfHost { id: 1003, name: text("bob"), service: text("sss"), configured: true },
            "[ids]: its id 1003 is that of 'bob' on this host (service 'sss')",
            vec!["another id in [ids]"],
        ),
        (
            R::IdInRange {
                id: 61_200,
                range: (61_184, 65_519),
                whose: text("of systemd's DynamicUser="),
                configured: true,
            },
            "[ids]: 61200 is in the range 61184-65519 of systemd's DynamicUser=",
            vec!["outside that range"],
        ),
        (
            R::IdTaken { id: 1003, holder: text("AIDAY") },
            "its id 1003 is that of 'AIDAY'; give one of them another in [ids], the same on every host",
            vec!["another id in [ids]"],
        ),
        (R::HomePath, "its home would not be a plain path", vec!["[users] home to a path"]),
        (
            R::HomeUnseen { why: text("no answer") },
            "the directories that could be its home cannot be checked: no answer",
            vec!["repair the file system"],
        ),
        (
            R::HomeTaken { home: text("/home/x"), own: text("/home/x-1879048200") },
            "neither '/home/x' nor '/home/x-1879048200' can be its home: both belong to others",
            vec!["ls -ld /home/x /home/x-1879048200"],
        ),
    ]
}

/// Tags and keys.
fn tags_and_keys() -> Vec<Row> {
    use SkipReason as R;
    vec![
        (R::TagCharacters, "are not allowed in a passwd field", vec!["correct the tag"]),
        (R::TagNumber, "not a number", vec!["correct the tag"]),
        (R::TagIdOfSystem { id: 0 }, "0 is below 1000", vec!["correct the tag"]),
        (R::TagIdTooHigh { id: 9, last: 8 }, "9 is above 8", vec!["correct the tag"]),
        (R::TagShell { shell: text("/x") }, "'/x' is not in /etc/shells", vec!["correct the tag"]),
        (R::KeyLong { bytes: 9 }, "9 bytes is too long for a public key", vec!["the .pub file"]),
        (R::KeyPrivate, "it is a private key; treat it as compromised", vec!["a new pair"]),
        (R::KeyLines, "it has several lines or control characters", vec!["the .pub file"]),
        (R::KeyForm, "not a public key: it must have a type", vec!["the .pub file"]),
        (R::KeyUnreadable { cause: text("x") }, "not a public key of OpenSSH: x", vec!["the .pub file"]),
        (R::KeyDsa, "DSA keys are refused by sshd", vec!["the .pub file"]),
        (R::KeyType, "a certificate is not a public key", vec!["the .pub file"]),
        (R::KeyUnprintable { cause: text("x") }, "cannot be printed: x", vec!["the .pub file"]),
        (
            R::KeyPartMissing { tag: text("x.2") },
            "a key in parts: the part 'x.2' is missing",
            vec!["correct the tag"],
        ),
        (
            R::KeyPartsBesideKey { tag: x() },
            "a key in parts, but 'x' also has a key",
            vec!["correct the tag"],
        ),
        (
            R::KeyBelongsElsewhere { kind: text("ssh-rsa"), source: text("IAM") },
            "ssh-rsa belongs in IAM itself, not in a tag",
            vec!["upload-ssh-public-key"],
        ),
    ]
}

#[test]
fn each_reason_has_a_remedy_that_can_be_followed() {
    let table = table();
    for (reason, said, wanted) in &table {
        let skip = Skip::new("", Part::User, "X", "AIDAX", reason.clone());
        assert!(skip.text.contains(said), "'{said}' is not in: {}", skip.text);
        let remedy = remedy(&Config::default(), &skip);
        for words in wanted {
            assert!(remedy.contains(words), "{said}: '{words}' is not in: {remedy}");
        }
    }
    let codes: BTreeSet<&str> = table.iter().map(|(reason, ..)| reason.code()).collect();
    assert_eq!(codes, SkipReason::CODES.iter().copied().collect(), "each of them");
}

const PARTS: Part<'static> = Part::KeyInTags(&["nss-iam:ssh-key-1.1", "nss-iam:ssh-key-1.3"]);

/// Other configurations, for each variant of `Source`.
fn configs() -> Vec<Config> {
    let config = |text: &str| Config::parse(&[("config.toml".into(), text.to_owned())]).unwrap();
    let lists = "[tags]\nuse = [\"uid\"]\n[names]\nexclude = [\"winbind\"]\n";
    let source = |url: &str| config(&format!("[source]\nurl = \"{url}\"\n{lists}"));
    let object = config(&format!("[source]\nurl = \"s3://abc/users\"\nunsigned = true\n{lists}"));
    vec![config(lists), source("identity-center:"), source("file:///srv/a.json"), object]
}

#[test]
fn no_remedy_names_a_command_of_another_source() {
    for config in configs() {
        for (reason, ..) in table() {
            for part in [
                Part::User,
                Part::Group,
                Part::Key("APKA"),
                Part::KeyInTag("ssh-key"),
                PARTS,
                Part::Tag("uid"),
            ] {
                let remedy = remedy(&config, &Skip::new("", part, "X", "AIDAX", reason.clone()));
                match config.source {
                    Source::Iam => assert!(!remedy.contains("file:///srv"), "{remedy}"),
                    Source::IdentityCenter => {
                        let others =
                            ["aws iam", "instance-connect", "tag nss-iam:", "--use-tag", "at the source, or"];
                        let is_key =
                            reason.code().starts_with("key-") && matches!(part, Part::User | Part::Group);
                        assert!(
                            is_key || !others.iter().any(|other| remedy.contains(other)),
                            "{reason:?}: {remedy}"
                        );
                    }
                    Source::File { .. } | Source::S3 { .. } => {
                        assert!(!remedy.contains("aws ") && !remedy.contains("IAM"), "{remedy}");
                    }
                }
            }
        }
    }
}

/// A group has neither tags nor a login name.
#[test]
fn the_remedy_for_a_group_is_none_for_a_user() {
    use SkipReason as R;
    for config in configs() {
        for (reason, ..) in table() {
            let remedy = remedy(&config, &Skip::new("", Part::Group, "X", "AGPAX", reason.clone()));
            let is_of_users = matches!(
                reason,
                // No group has a key, a tag or a home.
                R::HomePath | R::HomeTaken { .. } | R::HomeUnseen { .. } | R::KeyBelongsElsewhere { .. }
            );
            let of_users = ["login name", "--user-name", "user X", "user-id", "the user ", "strip_domains"];
            let found = of_users.iter().find(|words| remedy.contains(**words));
            assert!(is_of_users || found.is_none(), "{reason:?}: {remedy}");
        }
    }
}

#[test]
fn a_user_of_identity_center_is_renamed_there() {
    let configs = configs();
    let skip = Skip::new("", Part::User, "Ana B", "1-2", SkipReason::NameCharacter { character: ' ' });
    assert_eq!(
        remedy(&configs[1], &skip),
        "give the user another login name: rename the user 'Ana B' in the directory that Identity Center gets its users from, \
         or in its own: aws identitystore update-user --identity-store-id STORE --user-id 1-2 --operations \
         AttributePath=userName,AttributeValue=NAME; then nss-iamctl refresh; [users] strip_domains shortens addresses"
    );
}

/// A list in a file of config.d replaces the configured one, so entries are added by a command that reads it.
#[test]
fn no_remedy_writes_a_list() {
    for config in configs() {
        for (reason, ..) in table() {
            let remedy = remedy(&config, &Skip::new("", Part::User, "X", "AIDAX", reason));
            assert!(!remedy.contains("exclude = ") && !remedy.contains("use = "), "{remedy}");
        }
    }
}

#[test]
fn a_name_that_sounds_like_another_reason_changes_no_remedy() {
    let of = |name: &str| {
        let reason = SkipReason::NameOfUser { name: text(name), id: 1001, service: text("files") };
        remedy(&Config::default(), &Skip::new("", Part::User, "X", "AIDAX", reason))
    };
    for name in ["homer", "its home would", "can be its home", "private key", "is reserved for the system"] {
        assert_eq!(of(name).replace(&word(name), "x"), of("x"), "{name}");
    }
}

#[test]
fn a_group_is_renamed_or_allowed_and_a_tag_corrected() {
    let reserved = || SkipReason::NameReserved { name: text("x") };
    let told =
        |part: Part<'_>, reason| remedy(&Config::default(), &Skip::new("", part, "X", "AIDAX", reason));
    let group = told(Part::Group, reserved());
    assert!(group.starts_with(
        "its members are still users; rename the group at the source, and grant privileges with [local_groups]"
    ));
    assert!(group.ends_with(ALLOW), "{group}");
    let local = SkipReason::NameOfUser { name: text("x"), id: 1, service: text("files") };
    assert!(group.starts_with(&told(Part::Group, local)), "{group}");
    assert_eq!(
        told(Part::Tag("name"), reserved()),
        "correct the tag: aws iam tag-user --user-name X --tags Key=nss-iam:name,Value=NAME; or remove it: aws iam \
         untag-user --user-name X --tag-keys nss-iam:name; then nss-iamctl refresh"
    );
}

/// Uploading another key does not repair a tag.
#[test]
fn what_is_wrong_with_a_key_in_a_tag_is_mended_in_that_tag() {
    use SkipReason as R;
    let told =
        |part: Part<'_>, reason| remedy(&Config::default(), &Skip::new("", part, "Ana", "AIDAX", reason));
    let untag = "aws iam untag-user --user-name Ana --tag-keys nss-iam:ssh-key-2";
    let tag =
        "aws iam tag-user --user-name Ana --tags Key=nss-iam:ssh-key-2,Value=\"$(cut -d' ' -f1,2 KEY.pub)\"";
    for reason in [R::KeyForm, R::KeyLines, R::KeyDsa, R::KeyPrivate] {
        let remedy = told(Part::KeyInTag("nss-iam:ssh-key-2"), reason.clone());
        assert!(remedy.contains(untag) && remedy.contains(tag), "{remedy}");
        assert!(!remedy.contains("upload-ssh-public-key"), "{remedy}");
        let uploaded = told(Part::Key("APKA1"), reason);
        assert!(
            uploaded.contains("delete-ssh-public-key --user-name Ana --ssh-public-key-id APKA1"),
            "{uploaded}"
        );
    }
    let rsa = R::KeyBelongsElsewhere { kind: text("ssh-rsa"), source: text("IAM") };
    let remedy = told(Part::KeyInTag("nss-iam:ssh-key-2"), rsa);
    assert!(remedy.starts_with(untag) && remedy.contains("upload-ssh-public-key"), "{remedy}");
    let hostile = told(Part::KeyInTag("nss-iam:ssh-key$(id)"), R::KeyForm);
    let quoted = "'nss-iam:ssh-key$(id)'";
    assert!(hostile.contains(&format!("--tag-keys {quoted}")), "{hostile}");
    assert!(hostile.contains(&format!("--tags Key={quoted},Value=")), "{hostile}");
}

/// What was left over of a longer key would spoil the next one.
#[test]
fn parts_of_a_key_are_removed_before_new_ones_are_written() {
    use SkipReason as R;
    let told = |reason| remedy(&Config::default(), &Skip::new("", PARTS, "Ana", "AIDAANA", reason));
    let untag = "aws iam untag-user --user-name Ana --tag-keys nss-iam:ssh-key-1.1 nss-iam:ssh-key-1.3";
    let tag = r#"aws iam tag-user --user-name Ana --tags "[$(cut -d' ' -f1,2 KEY.pub | tr -d '\n' | fold -w 256 | awk -v name=nss-iam:ssh-key-1 '{print "{\"Key\":\"" name "." NR "\",\"Value\":\"" $0 "\"}"}' | paste -sd, -)]""#;
    for reason in [R::KeyPartMissing { tag: text("nss-iam:ssh-key-1.2") }, R::KeyForm, R::KeyPrivate] {
        let remedy = told(reason);
        assert!(remedy.contains(&format!("{untag}; {tag}")), "{remedy}");
    }
    let beside = told(R::KeyPartsBesideKey { tag: text("nss-iam:ssh-key-1") });
    assert!(
        beside.contains(untag)
            && beside.contains(
                "or the other key: aws iam untag-user --user-name Ana --tag-keys nss-iam:ssh-key-1;"
            ),
        "{beside}"
    );
}

#[test]
fn a_reason_of_another_release_has_a_remedy_that_fits_any() {
    let known = Skip::new("", Part::User, "X", "AIDAX", SkipReason::NameDigits);
    for code in [None, Some(text("name-of-a-star"))] {
        let skip = Skip { reason: Kind::Other(code), ..known.clone() };
        assert!(remedy(&Config::default(), &skip).contains("of another release"), "{skip:?}");
    }
}
