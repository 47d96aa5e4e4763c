//! Which accounts are converted, and which are not.

use super::*;

/// Why the account `ana`, uid 1003, is not converted.
fn why(change: impl FnOnce(&mut Facts)) -> String {
    why_of(&line("ana", 1003, 1003), "ana:x:1003:\n", &["Ana"], change)
}

fn why_of(passwd: &str, group: &str, iam: &[&str], change: impl FnOnce(&mut Facts)) -> String {
    let mut facts = facts(passwd, group, iam);
    change(&mut facts);
    let plan = planned(&facts, &[], false);
    let left = plan.leave.iter().find(|left| left.name == "ana");
    left.unwrap_or_else(|| panic!("not left: {:?}", summary(&plan))).why.what().to_owned()
}

#[test]
fn accounts_of_a_script_are_known_by_comment_marker_and_name() {
    let passwd = line("ana", 1003, 1003)
        + "bob:x:1004:1004::/home/bob:/bin/bash\ncarl:x:1005:1005:Carl:/home/carl:/bin/sh\nubuntu:x:1000:1000::/home/ubuntu:/bin/sh\n";
    let facts = facts(&passwd, "iam-synced-users:x:1010:bob\n", &["ana", "bob", "carl", "ubuntu"]);
    assert_eq!(summary(&planned(&facts, &[], false)), ["ana -> AIDA-ana 1003", "bob -> AIDA-bob 1004"]);
    let by_name = planned(&facts, &["carl"], false);
    assert_eq!(summary(&by_name), ["carl -> AIDA-carl 1005"]);
    assert_eq!(by_name.remaining, ["ana", "bob"], "told, since nothing looks after them any more");
    assert!(
        plan::plan(&World::of(&facts), &Request { names: vec!["dora".to_owned()], ..Request::default() })
            .is_err()
    );
}

#[test]
fn an_account_that_is_not_plainly_a_persons_stays() {
    let system_group = why_of(&line("ana", 1003, 500), "ana:x:500:\n", &["ana"], |_| ());
    assert!(system_group.contains("gid 500 of its group is reserved for the system"), "{system_group}");
    for (passwd, expected) in [
        (line("ana", 999, 999), "uid 999 is reserved for the system"),
        (line("ana", 65534, 65534), "uid 65534 is reserved for the system"),
        (line("ana", 0, 0), "uid 0 is reserved for the system"),
        (line("ana", 1003, 1003) + &line("ana", 1004, 1004), "two lines"),
        (line("ana", 1003, 1003) + "other:x:1003:5::/:/bin/sh\n", "'other' has the same uid 1003"),
    ] {
        let why = why_of(&passwd, "", &["ana"], |_| ());
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn an_account_without_its_one_iam_user_stays() {
    let passwd = line("ana", 1003, 1003);
    assert!(why_of(&passwd, "", &["anna"], |_| ()).contains("no user at the source"));
    assert!(
        why_of(&passwd, "", &["ana=AIDA1", "Ana=AIDA2"], |_| ()).contains("'ana' (AIDA1) or 'Ana' (AIDA2)")
    );
    let both = line("a.plus.b", 1003, 1003) + &line("A_b", 1004, 1004);
    let mut both = facts(&both, "", &["a+b"]);
    both.homes.clear();
    let plan = planned(&both, &[], false);
    assert!(
        plan.adopt.is_empty(),
        "one of the two accounts is not guessed to be the right one: {:?}",
        summary(&plan)
    );
    assert!(
        summary(&plan)[0].contains("'a.plus.b' would become the same user 'a+b'"),
        "{:?}",
        summary(&plan)
    );
}

#[test]
fn a_name_that_the_refresher_refuses_stays() {
    let sudoers = |text: &'static str| {
        why(|facts| facts.sudoers = vec![("/etc/sudoers".into(), text.as_bytes().to_vec())])
    };
    assert!(sudoers("ana ALL=ALL\nbob ALL=ALL\n").contains("its name is in '/etc/sudoers'"));
    assert!(sudoers("User_Alias X = ana\n").contains("its name is in '/etc/sudoers'"));
    let mut excluded = facts(&line("ana", 1003, 1003), "", &["ana"]);
    excluded.sudoers = vec![("/etc/sudoers".into(), b"ana ALL=ALL\nbob ALL=ALL\n".to_vec())];
    assert!(planned(&excluded, &[], false).adopt.is_empty());
    excluded.config.names.exclude = vec!["sudo".to_owned()];
    assert_eq!(
        planned(&excluded, &[], false).adopt.len(),
        1,
        "as the refresher, which then does not read sudoers"
    );
    let reserved = planned(&facts(&line("admin", 1003, 1003), "", &["admin"]), &[], false);
    assert!(summary(&reserved)[0].contains("no nss-iam user gets"), "{:?}", summary(&reserved));
    let configured = why(|facts| facts.config.names.reserved = vec!["an*".to_owned()]);
    assert!(configured.contains("'ana' is a name that no nss-iam user gets"), "{configured}");
    let group = why_of(&line("ana", 1003, 100), "ana:x:1500:\nusers:x:100:\n", &["ana"], |_| ());
    assert!(group.contains("group 'ana' (gid 1500) is not its primary group"), "{group}");
}

#[test]
fn a_name_that_the_configuration_allows_is_taken_over() {
    let mut facts = facts(&line("admin", 1003, 1003), "", &["admin"]);
    facts.sudoers = vec![("/etc/sudoers".into(), b"%admin ALL=ALL\nbob ALL=ALL\n".to_vec())];
    facts.config.names.allow.insert("AIDA-admin".to_owned(), "admin".to_owned());
    assert_eq!(summary(&planned(&facts, &[], false)), ["admin -> AIDA-admin 1003"]);
    facts.config.names.allow.insert("AIDA-admin".to_owned(), "adm".to_owned());
    assert!(planned(&facts, &[], false).adopt.is_empty());
}

#[test]
fn a_tag_that_the_refresher_refuses_names_nobody() {
    let mut facts = facts(&line("ana", 1003, 1003), "", &["Ana"]);
    facts.homes.clear();
    facts.config.tags.uses = vec![config::TagUse::Name];
    facts.sudoers = vec![("/etc/sudoers".into(), b"%ops ALL=ALL\nbob ALL=ALL\n".to_vec())];
    for (tag, login) in
        [("zoe", "zoe"), ("docker", "ana"), ("ops", "ana"), ("Zoe", "ana"), ("a:b", "ana"), ("", "ana")]
    {
        let user = &mut facts.accounts_of_iam[0].users[0];
        user.tags = [("nss-iam:name".to_owned(), tag.to_owned())].into();
        assert_eq!(planned(&facts, &[], false).adopt[0].login, login, "{tag}");
    }
}

#[test]
fn a_home_that_would_become_another_keeps_the_account() {
    let elsewhere = line("ana", 1003, 1003).replace("/home/ana", "/data/ana");
    assert!(why_of(&elsewhere, "", &["ana"], |_| ()).contains("'/data/ana' would become '/home/ana'"));
    // Names of aws-ec2-ssh: the hint names a setting, and that setting works.
    let mut named = facts(&line("jane.at.x.org", 1003, 1003), "", &["Jane@x.org"]);
    let left = planned(&named, &[], false).leave.remove(0);
    assert!(left.why.hint() == Some("[users] name_style = \"aws-ec2-ssh\""), "{left:?}");
    named.config.users.name_style = policy::login::NameStyle::AwsEc2Ssh;
    assert_eq!(planned(&named, &[], false).adopt[0].login, "jane.at.x.org");
    let mut cased = facts(&line("Jane", 1003, 1003), "", &["Jane"]);
    let left = planned(&cased, &[], false).leave.remove(0);
    assert!(left.why.hint() == Some("[users] home = \"/home/{iam_name}\""), "{left:?}");
    cased.config.users.home = "/home/{iam_name}".to_owned();
    let plan = planned(&cased, &[], false);
    assert_eq!(plan.adopt[0].login, "jane");
    assert!(plan.adopt[0].loses.iter().any(|loss| loss.contains("it will be 'jane'")), "{plan:?}");
}

#[test]
fn a_home_is_compared_as_the_refresher_spells_it() {
    let home = |home: &str, template: &str| {
        let mut facts = facts(&line("ana", 1003, 1003).replace("/home/ana", home), "", &["Ana"]);
        facts.config.users.home = template.to_owned();
        let left = planned(&facts, &[], false).leave;
        left.into_iter().next().map(|left| left.why.what().to_owned())
    };
    assert_eq!(home("/home/ana/", "/home/{name}"), None);
    assert_eq!(home("/home/ana", "//home/./{name}/"), None);
    assert_eq!(home("/srv/people/Ana", "/srv/people/{iam_name}"), None);
    assert_eq!(home("/home/ana", "/home/{uid}"), None);
    // Everyone gets a home of their own, whatever the template says.
    let shared = home("/srv/all", "/srv/all").unwrap();
    assert!(shared.contains("'/srv/all' would become '/srv/all-1003'"), "{shared}");
}

#[test]
fn an_id_that_was_given_before_is_not_taken_back() {
    let pinned = |iam_id: &str, id| {
        why(|facts| {
            facts.config.ids.insert(iam_id.to_owned(), id);
        })
    };
    let published = why(|facts| given(facts, "AIDA-Ana", 0x7000_0001));
    assert!(published.contains("already published with id 1879048193"), "{published}");
    assert!(why(|facts| given(facts, "AIDA9", 1003)).contains("given to 'AIDA9'"));
    assert!(pinned("AIDA-Ana", 1500).contains("the id 1500"));
    assert!(pinned("AIDA9", 1003).contains("gives 1003 to 'AIDA9'"));
    let mut same = facts(&line("ana", 1003, 1003), "", &["Ana"]);
    given(&mut same, "AIDA-Ana", 1003);
    same.config.ids.insert("AIDA-Ana".to_owned(), 1003);
    assert_eq!(summary(&planned(&same, &[], false)), ["ana -> AIDA-Ana 1003"]);
}

#[test]
fn a_uid_that_the_refresher_would_not_pin_keeps_the_account_or_moves_the_files() {
    for (uid, whose) in [
        (60_100, "60001-60513 of systemd-homed"),
        (61_500, "of systemd's DynamicUser="),
        (600_000, "of containers"),
        (0x7000_0005, "of computed ids"),
        (100_005, "of /etc/subuid or /etc/subgid"),
    ] {
        let passwd = line("ana", uid, uid);
        let mut facts = facts(&passwd, "", &["ana=AIDA1"]);
        facts.subgid = b"zoe:100000:65536\n".to_vec();
        let left = planned(&facts, &[], false).leave.remove(0);
        assert!(
            left.why.what().contains("it cannot keep its uid") && left.why.what().contains(whose),
            "{left:?}"
        );
        assert!(left.why.hint().unwrap().contains("--renumber ana"), "{left:?}");
        let computed = Id::computed(&IamId::new("AIDA1")).get();
        assert_eq!(summary(&planned(&facts, &[], true)), [format!("ana -> AIDA1 {computed}")]);
        given(&mut facts, "AIDA1", uid);
        assert_eq!(summary(&planned(&facts, &[], false)), [format!("ana -> AIDA1 {uid}")], "given before");
    }
    let computed = Id::computed(&IamId::new("AIDA1")).get();
    let own = facts(&line("ana", computed, computed), "", &["ana=AIDA1"]);
    assert_eq!(summary(&planned(&own, &[], false)), [format!("ana -> AIDA1 {computed}")]);
}

#[test]
fn an_id_of_others_keeps_the_account() {
    let passwd = line("ana", 1003, 1003);
    for (others, group, expected) in [
        ("", "dev:x:1003:\n", "gid of group 'dev'"),
        ("bob:x:1500:1003::/:/bin/sh\n", "", "the primary group of 'bob'"),
        ("", "ana:x:1003:bob\n", "'bob' is a member of its group"),
        ("", "ana:x:1003:\nanas:x:1003:\n", "group 'anas' has the gid of its group too"),
    ] {
        let why = why_of(&(passwd.clone() + others), group, &["ana"], |_| ());
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn files_that_must_change_need_a_plain_home_and_no_processes() {
    let passwd = line("ana", 1003, 1004);
    let of = |change: fn(&mut Facts)| why_of(&passwd, "ana:x:1004:\n", &["ana"], change);
    let processes = of(|facts| {
        facts.running.insert(1003, 2);
    });
    assert!(
        processes.contains("2 processes are running as it") && processes.contains("gid 1004 to 1003"),
        "{processes}"
    );
    let link = of(|facts| {
        facts.homes.insert("/home/ana".to_owned(), Home::Other);
    });
    assert!(link.contains("a symbolic link, not a directory"), "{link}");
    // If the gid equals the uid, nothing has to change, and neither matters.
    let mut plain = facts(&line("ana", 1003, 1003), "ana:x:1003:\n", &["ana"]);
    plain.running.insert(1003, 2);
    plain.homes.insert("/home/ana".to_owned(), Home::Other);
    let plan = planned(&plain, &[], false);
    assert!(plan.adopt[0].moves().is_none());
    assert!(plan.adopt[0].notes.iter().any(|note| note.contains("2 processes")), "{plan:?}");
}
