//! Ids that depend on each other, what is lost, and what is written.

use super::*;
use crate::commands::adopt::facts::PINS;
use crate::commands::adopt::{changes, tell};
use crate::edit::file::Edit;
use crate::host::invoker::Invoker;

/// aws-ec2-ssh with the marker group created first: each gid is the uid of the next account.
fn shifted(iam: &[&str]) -> Facts {
    let passwd = line("ana", 1001, 1002) + &line("bob", 1002, 1003);
    facts(&passwd, "iam-synced-users:x:1001:ana,bob\nana:x:1002:\nbob:x:1003:\n", iam)
}

fn changed(facts: &Facts, names: &[&str], renumber: bool) -> Vec<Edit> {
    let world = World::of(facts);
    changes::edits(&world, &planned(facts, names, renumber), renumber).unwrap()
}

fn after(changes: &[Edit], path: &str) -> String {
    let change = changes
        .iter()
        .find(|change| change.path.as_os_str() == path)
        .unwrap_or_else(|| panic!("{path}: {changes:?}"));
    String::from_utf8(change.after.clone().unwrap()).unwrap()
}

#[test]
fn ids_that_chain_are_taken_over_together_or_not_at_all() {
    let plan = planned(&shifted(&["ana", "bob"]), &[], false);
    assert_eq!(summary(&plan), ["ana -> AIDA-ana 1001", "bob -> AIDA-bob 1002"]);
    assert!(plan.marker_goes);
    let moves: Vec<String> =
        plan.adopt.iter().filter_map(|a| a.moves().map(|moves| moves.to_string())).collect();
    assert_eq!(moves, ["gid 1002 to 1001", "gid 1003 to 1002"]);
    let half = planned(&shifted(&["ana"]), &[], false);
    assert!(half.adopt.is_empty() && !half.marker_goes, "{:?}", summary(&half));
    let why = summary(&half).join("\n");
    assert!(why.contains("1001, which its group would get, is the gid of group 'iam-synced-users'"), "{why}");
    let other_half = summary(&planned(&shifted(&["bob"]), &[], false)).join("\n");
    assert!(other_half.contains("1002 is the uid or primary group of 'ana'"), "{other_half}");
}

#[test]
fn files_move_to_the_id_that_the_refresher_would_give() {
    let mut facts = shifted(&["ana=AIDA1", "bob=AIDA2"]);
    let computed = Id::computed(&IamId::new("AIDA1")).get();
    given(&mut facts, "AIDA2", 0x7000_0002);
    let plan = planned(&facts, &[], true);
    assert_eq!(summary(&plan), [format!("ana -> AIDA1 {computed}"), "bob -> AIDA2 1879048194".to_owned()]);
    assert_eq!(plan.adopt[1].moves().unwrap().to_string(), "uid 1002 to 1879048194, gid 1003 to 1879048194");
    facts.config.ids.insert("AIDA1".to_owned(), 5000);
    assert_eq!(planned(&facts, &["ana"], true).adopt[0].id, 5000);
    assert!(
        !changed(&facts, &[], true).iter().any(|change| change.path.as_os_str() == PINS),
        "nothing is pinned"
    );
    facts.config.ids.insert("AIDA1".to_owned(), 60_100);
    let refused = planned(&facts, &["ana"], true).leave.remove(0);
    assert!(refused.why.what().contains("[ids]: 60100 is in the range 60001-60513"), "{refused:?}");
}

#[test]
fn a_uid_tag_is_obeyed_where_the_refresher_obeys_it() {
    let mut facts = shifted(&["ana=AIDA1"]);
    facts.config.tags.uses = vec![config::TagUse::Uid];
    facts.subuid = b"zoe:100000:65536\n".to_vec();
    let computed = Id::computed(&IamId::new("AIDA1")).get();
    for (tag, id) in [
        ("5000", 5000),
        ("60100", computed),
        ("100005", computed),
        ("1879048197", computed),
        ("4294967294", computed),
        ("999", computed),
        ("x", computed),
    ] {
        let user = &mut facts.accounts_of_iam[0].users[0];
        user.tags = [("nss-iam:uid".to_owned(), tag.to_owned())].into();
        assert_eq!(planned(&facts, &["ana"], true).adopt[0].id, id, "{tag}");
    }
}

#[test]
fn what_is_lost_is_told() {
    let passwd = "jane.doe:x:1003:100:AWS User,,,:/home/jane.doe:/bin/zsh\n";
    let group =
        "users:x:100:\nsudo:x:27:jane.doe\ndocker:x:998:x,jane.doe\niam-synced-users:x:1010:jane.doe\n";
    let mut facts = facts(passwd, group, &["jane.doe"]);
    facts.shadow = Some(b"jane.doe:$6$a$b:19000:0:99999:7:::\n".to_vec());
    facts.sudoers = vec![("/etc/sudoers.d/jane doe".into(), b"jane.doe ALL=(ALL) NOPASSWD:ALL\n".to_vec())];
    facts.own_keys.insert("/home/jane.doe".to_owned(), None);
    facts.accounts_of_iam[0].users[0].keys[0].active = false;
    facts.invoker = Invoker::logged_in(1003);
    let plan = planned(&facts, &[], false);
    let told = tell::plan(&plan, &changed(&facts, &[], false));
    for expected in [
        "jane.doe (uid 1003): becomes nss-iam user 'jane.doe' (AIDA-jane-doe), keeps its uid",
        "loses: its password",
        "loses: membership of local groups users, sudo, docker (see [local_groups])",
        "loses: sudo rule 'jane.doe ALL=(ALL) NOPASSWD:ALL' of '/etc/sudoers.d/jane doe'",
        "loses: its own keys",
        "loses: shell '/bin/zsh', which becomes '/bin/bash'",
        "note: IAM has no active SSH key",
        "note: you are logged in as this user",
        "remove '/etc/sudoers.d/jane doe'",
        "write '/etc/passwd'",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

const KEYS: [&str; 2] = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ+Y0Jwq0kUzVGQp5MsKcWdO4dH4JzKQ1Yx3v0m2xY8N",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0wmN/Cr3JXqmLW7u+g9pTh+wyqDHpSQEIQczXkVx9q",
];

#[test]
fn own_keys_are_compared_with_those_in_iam_and_in_tags() {
    let told = |own: &str, in_iam: &str, in_tag: &str| {
        let mut facts = facts(&line("ana", 1003, 1003), "", &["ana"]);
        facts.own_keys.insert("/home/ana".to_owned(), Some(own.as_bytes().to_vec()));
        let user = &mut facts.accounts_of_iam[0].users[0];
        user.keys[0].body = format!("{in_iam} ana@iam");
        user.keys[0].active = !in_iam.is_empty();
        user.tags = [("nss-iam:ssh-key".to_owned(), in_tag.to_owned())].into();
        facts.config.tags.uses = vec![config::TagUse::SshKey];
        let adoption = planned(&facts, &[], false).adopt.remove(0);
        let keys = |lines: Vec<String>| {
            lines.into_iter().filter(|line| line.contains("key")).collect::<Vec<_>>().join("; ")
        };
        (keys(adoption.loses), keys(adoption.notes))
    };
    let [one, two] = KEYS;
    let file = "'/home/ana/.ssh/authorized_keys'";
    let said = |loses: &str, notes: &str| (loses.to_owned(), notes.to_owned());
    let both = format!("# mine\n\n{one} ana@laptop\n{two}\n");
    assert_eq!(
        told(&both, one, two),
        said("", &format!("2 keys of {file} are also in IAM (1 in tags): nothing is lost"))
    );
    assert_eq!(
        told(&format!("from=\"10.0.0.0/8, ::1\",no-pty {one} x\n"), one, ""),
        said(
            "",
            &format!(
                "1 key of {file} is also in IAM: nothing is lost; \
             options of these keys there, such as from= or command=, do not apply to the keys in IAM"
            )
        )
    );
    let (loses, notes) = told(&both, one, "");
    assert_eq!(notes, format!("1 key of {file} is also in IAM"));
    let lost = format!("1 own key in {file} that IAM does not have, once sshd is set up: SHA256:");
    assert!(loses.starts_with(&lost), "{loses}");
    let (loses, notes) = told("ssh-x \u{1b}[2J\n", "", one);
    assert_eq!(notes, "", "a key in a tag is enough to log in");
    assert!(loses.ends_with(": unreadable"), "{loses}");
    let (_, notes) = told(&both, "", "");
    assert!(notes.contains("no active SSH key"), "{notes}");
}

#[test]
fn a_new_name_leaves_behind_what_goes_by_the_old_one() {
    let mut facts = facts(&line("Jane", 1003, 1003), "", &["Jane"]);
    facts.config.users.home = "/home/{iam_name}".to_owned();
    facts.subuid = b"Jane:100000:65536\n".to_vec();
    facts.crontabs.insert("Jane".to_owned());
    facts.lingering.insert("Jane".to_owned());
    let loses = planned(&facts, &[], false).adopt[0].loses.join("\n");
    for expected in ["/etc/subuid", "crontab", "lingering"] {
        assert!(loses.contains(expected), "{expected}: {loses}");
    }
    assert!(!loses.contains("/etc/subgid"), "{loses}");
}

#[test]
fn only_what_belongs_to_the_accounts_is_written() {
    let mut facts = facts(
        &("root:x:0:0::/root:/bin/sh\n".to_owned()
            + &line("ana", 1003, 1003)
            + "+::::::\nlast:x:1500:1500::/:/bin/sh"),
        "root:x:0:\nana:x:1003:\nsudo:x:27:ana,last\niam-synced-users:x:1010:ana\n+:::",
        &["ana"],
    );
    facts.shadow = Some(b"root:*:1\nana:!:1:0:99999:7:::\nlast:!:1".to_vec());
    facts.gshadow = Some(b"ana:!::\nsudo:*:ana:ana,last\niam-synced-users:!::ana\n".to_vec());
    let changes = changed(&facts, &[], false);
    let order: Vec<&str> = changes.iter().map(|change| change.path.to_str().unwrap()).collect();
    assert_eq!(order, [PINS, "/etc/gshadow", "/etc/group", "/etc/shadow", "/etc/passwd"]);
    assert_eq!(
        after(&changes, "/etc/passwd"),
        "root:x:0:0::/root:/bin/sh\n+::::::\nlast:x:1500:1500::/:/bin/sh"
    );
    assert_eq!(after(&changes, "/etc/shadow"), "root:*:1\nlast:!:1");
    assert_eq!(after(&changes, "/etc/group"), "root:x:0:\nsudo:x:27:last\n+:::");
    assert_eq!(after(&changes, "/etc/gshadow"), "sudo:*::last\n");
}

#[test]
fn sshd_asks_the_script_as_long_as_somebody_depends_on_it() {
    let script =
        b"Port 22\nAuthorizedKeysCommand /opt/authorized_keys_command.sh\nAuthorizedKeysCommandUser nobody\n";
    let job = b"*/10 * * * * root /opt/import_users.sh\n";
    for (iam, goes) in [(&["ana", "bob"][..], true), (&["ana"], false)] {
        let mut facts = facts(&(line("ana", 1003, 1003) + &line("bob", 1004, 1004)), "", iam);
        facts.sshd = vec![("/etc/ssh/sshd_config".into(), script.to_vec())];
        facts.cron = vec![("/etc/cron.d/import_users".into(), job.to_vec())];
        let changes = changed(&facts, &[], false);
        assert!(
            changes.iter().any(|change| change.path.as_os_str() == "/etc/cron.d/import_users" && change.after.is_none())
        );
        assert_eq!(changes.iter().any(|change| change.path.as_os_str() == "/etc/ssh/sshd_config"), goes);
        let remarks = tell::remarks(&World::of(&facts), &planned(&facts, &[], false));
        let remarks = remarks.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert_eq!(remarks.contains("until they are removed: bob"), !goes, "{remarks}");
    }
}

#[test]
fn pins_are_a_configuration_and_join_those_of_an_earlier_run() {
    let plan = planned(&shifted(&["ana=AIDA1", "bob=AIDA2"]), &[], false);
    let before = "# mine\n[users]\nshell = \"/bin/sh\"\n[ids]\nAIDA0 = 1500 # zoe\n";
    for before in ["", before] {
        let text = changes::pins(before, &plan.adopt).unwrap();
        assert!(before.is_empty() || text.starts_with(before), "{text}");
        assert!(text.contains("AIDA1 = 1001 # ana\nAIDA2 = 1002 # bob\n"), "{text}");
        let config = config::Config::parse(&[("50-adopt.toml".into(), text)]).unwrap();
        assert_eq!(config.ids.get("AIDA2"), Some(&1002));
    }
    assert!(changes::pins("ids = 3\n", &plan.adopt).is_err());
    assert!(changes::pins("[", &plan.adopt).is_err());
}

#[test]
fn the_section_for_an_image_says_who_is_missing_in_it_and_why() {
    let mut facts =
        facts(&(line("ana", 1003, 1004) + &line("bob", 1005, 1005)), "ana:x:1004:\n", &["ana=AIDA1"]);
    facts.running.insert(1003, 1);
    let request = Request { elsewhere: true, ..Request::default() };
    let plan = plan::plan(&World::of(&facts), &request).unwrap();
    let text = tell::config(&plan, &changes::pins("", &plan.adopt).unwrap());
    assert!(text.contains("[ids]\nAIDA1 = 1003 # ana\n# bob: no user at the source"), "{text}");
    assert!(config::Config::parse(&[("c".into(), text)]).is_ok());
}
