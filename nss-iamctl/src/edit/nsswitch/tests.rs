mod properties;
mod published;

use message::Message;

use super::{ADDED, Order};

/// For text, as in the tables.
fn enable(text: &str) -> Result<String, Message> {
    super::enable(text.as_bytes(), None).map(|text| String::from_utf8(text).unwrap())
}

fn enable_in(text: &str, order: Order) -> Result<String, Message> {
    super::enable(text.as_bytes(), Some(order)).map(|text| String::from_utf8(text).unwrap())
}

fn disable(text: &str) -> String {
    String::from_utf8(super::disable(text.as_bytes())).unwrap()
}

/// What each distribution ships: name and text.
macro_rules! shipped {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../tests/files/", $name, "/nsswitch.conf")))
    };
}

const SHIPPED: [(&str, &str); 10] = [
    shipped!("debian11"),
    shipped!("debian12"),
    shipped!("debian13"),
    shipped!("ubuntu2204"),
    shipped!("ubuntu2404"),
    shipped!("amzn2"),
    shipped!("amzn2023"),
    shipped!("rhel8"),
    shipped!("rhel9"),
    shipped!("sles15"),
];

/// The services of a database, separated by single spaces.
fn line(text: &str, database: &str) -> String {
    let found: Vec<String> = text
        .lines()
        .filter(|line| line.trim_start().starts_with(&format!("{database}:")))
        .map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" "))
        .collect();
    found.join(" | ")
}

#[test]
fn the_files_of_ten_distributions_get_iam_behind_the_local_users() {
    let merged = "files [SUCCESS=merge] iam";
    for (name, passwd, group, shadow) in [
        ("debian11", "files iam", merged, "files iam"),
        ("debian12", "files iam systemd", "files [SUCCESS=merge] iam systemd", "files iam systemd"),
        ("debian13", "files iam systemd", "files [SUCCESS=merge] iam systemd", "files iam systemd"),
        ("ubuntu2204", "files iam systemd", "files [SUCCESS=merge] iam systemd", "files iam"),
        ("ubuntu2404", "files iam systemd", "files [SUCCESS=merge] iam systemd", "files iam systemd"),
        ("amzn2", "sss files iam", "sss files [SUCCESS=merge] iam", "files sss iam"),
        ("amzn2023", "files iam systemd", "files [SUCCESS=merge] iam systemd", "files iam"),
        ("rhel8", "sss files iam systemd", "sss files [SUCCESS=merge] iam systemd", "files iam"),
        ("rhel9", "sss files iam systemd", "sss files [SUCCESS=merge] iam systemd", "files iam"),
        ("sles15", "compat iam", "compat [SUCCESS=merge] iam", "compat iam"),
    ] {
        let (_, text) = SHIPPED.iter().find(|(shipped, _)| *shipped == name).unwrap();
        let enabled = enable(text).unwrap();
        assert_eq!(line(&enabled, "passwd"), passwd, "{name}");
        assert_eq!(line(&enabled, "group"), group, "{name}");
        assert_eq!(line(&enabled, "shadow"), shadow, "{name}");
        assert_eq!(enable(&enabled).unwrap(), enabled, "{name}: enabling twice changes nothing");
        assert_eq!(disable(&enabled), *text, "{name}: disabling gives back every byte");
    }
}

/// Leaves out the lines that `enable` added for missing databases, because most tests are about other lines.
fn without_added(enabled: &str) -> String {
    let mut lines = enabled.split_inclusive('\n');
    let mut kept = String::new();
    while let Some(line) = lines.next() {
        if line.trim_end() == ADDED {
            lines.next();
        } else {
            kept.push_str(line);
        }
    }
    kept
}

/// Enables each text, and disables it again.
fn become_and_come_back(table: &[(&str, &str)]) {
    for (before, after) in table {
        let enabled = enable(before).unwrap();
        assert_eq!(without_added(&enabled), *after);
        assert_eq!(disable(&enabled), *before);
        assert_eq!(enable(&enabled).unwrap(), enabled);
    }
}

#[test]
fn odd_lines_get_iam_where_it_is_asked() {
    become_and_come_back(&[
        // Comments, spaces, no spaces, foreign line endings.
        ("passwd:files # ours\n", "passwd:files iam # ours\n"),
        ("  passwd:\tfiles\tsystemd\t\n", "  passwd:\tfiles iam\tsystemd\t\n"),
        ("passwd : files\n", "passwd : files iam\n"),
        ("passwd: files \0 sss\n", "passwd: files iam \0 sss\n"),
        ("\u{b}passwd:\u{c}files\n", "\u{b}passwd:\u{c}files iam\n"),
        ("passwd: files systemd\r\n", "passwd: files iam systemd\r\n"),
        ("passwd files\n", "passwd files iam\n"),
        ("#passwd: files\npasswd: files\n", "#passwd: files\npasswd: files iam\n"),
        ("passwd_compat: nis\npasswd: compat\n", "passwd_compat: nis\npasswd: compat iam\n"),
        // Two lines for one database: which one counts depends on the newline of the last one and on the version of glibc.
        ("passwd: files\npasswd: files sss\n", "passwd: files iam\npasswd: files sss iam\n"),
        // After all services with users of their own, and before systemd.
        ("passwd: files ldap winbind systemd\n", "passwd: files ldap winbind iam systemd\n"),
        ("passwd: files systemd sss\n", "passwd: files systemd sss iam\n"),
        ("passwd: files extrausers\n", "passwd: files extrausers iam\n"),
        // A service that ends the search if it finds nothing.
        ("passwd: files [NOTFOUND=return] sss\n", "passwd: files iam [NOTFOUND=return] sss\n"),
        ("passwd: files [ NOTFOUND = return ] sss\n", "passwd: files iam [ NOTFOUND = return ] sss\n"),
        ("passwd: files[NOTFOUND=return]sss\n", "passwd: files iam[NOTFOUND=return]sss\n"),
        ("passwd: compat [!SUCCESS=return] nis\n", "passwd: compat iam [!SUCCESS=return] nis\n"),
        (
            "passwd: files ldap [NOTFOUND=return] systemd\n",
            "passwd: files iam ldap [NOTFOUND=return] systemd\n",
        ),
        ("passwd: files sss [!UNAVAIL=return] ldap\n", "passwd: files iam sss [!UNAVAIL=return] ldap\n"),
        ("passwd: files ldap [UNAVAIL=return]\n", "passwd: files ldap [UNAVAIL=return] iam\n"),
        (
            "passwd: files sss [NOTFOUND=return NOTFOUND=continue]\n",
            "passwd: files sss [NOTFOUND=return NOTFOUND=continue] iam\n",
        ),
        ("passwd: files systemd [NOTFOUND=return]\n", "passwd: files iam systemd [NOTFOUND=return]\n"),
    ]);
}

#[test]
fn groups_are_merged_and_initgroups_asks_iam_first() {
    become_and_come_back(&[
        // Groups are merged with the service before, and with the one after as before.
        ("group: files\n", "group: files [SUCCESS=merge] iam\n"),
        ("group: files sss\n", "group: files sss [SUCCESS=merge] iam\n"),
        (
            "group: files [success=MERGE] systemd\n",
            "group: files [success=MERGE] iam [SUCCESS=merge] systemd\n",
        ),
        ("group: files [SUCCESS=merge] sss\n", "group: files [SUCCESS=merge] sss [SUCCESS=merge] iam\n"),
        ("group: files [SUCCESS=merge]\n", "group: files [SUCCESS=merge] iam [SUCCESS=merge]\n"),
        (
            "group: files [SUCCESS=merge]systemd\n",
            "group: files [SUCCESS=merge]iam [SUCCESS=merge] systemd\n",
        ),
        (
            "group: files [SUCCESS=continue] sss [SUCCESS=return]\n",
            "group: files [SUCCESS=continue] sss [SUCCESS=return] iam\n",
        ),
        ("group: files [NOTFOUND=return] sss\n", "group: files [SUCCESS=merge] iam [NOTFOUND=return] sss\n"),
        // If this line exists, it alone decides on supplementary groups.
        ("initgroups: files\n", "initgroups: iam [SUCCESS=continue] files\n"),
        (
            "initgroups:\tfiles [SUCCESS=continue] systemd # x\n",
            "initgroups:\tiam [SUCCESS=continue] files [SUCCESS=continue] systemd # x\n",
        ),
        (
            "initgroups: files [NOTFOUND=return]\n",
            "initgroups: iam [SUCCESS=continue] files [NOTFOUND=return]\n",
        ),
    ]);
}

#[test]
fn missing_lines_are_added_beside_their_like() {
    assert_eq!(
        enable("passwd: files\ngroup: files\nhosts: dns\n").unwrap(),
        "passwd: files iam\ngroup: files [SUCCESS=merge] iam\n\
         # added by nss-iamctl\nshadow:         files iam\nhosts: dns\n"
    );
    let made = "# added by nss-iamctl\npasswd:         files iam\n\
                # added by nss-iamctl\ngroup:          files [SUCCESS=merge] iam\n\
                # added by nss-iamctl\nshadow:         files iam\n";
    assert_eq!(enable("").unwrap(), made);
    assert_eq!(disable(made), "");
    assert_eq!(enable("passwd: files\r\ngroup: files\r\n").unwrap().matches("\r\n").count(), 4);
    let ours = "passwd: files iam\n# added by nss-iamctl\nhosts: dns\n";
    assert_eq!(disable(ours), "passwd: files\nhosts: dns\n", "a line of others behind the mark stays");
}

/// Without a line for shadow, glibc asks the services of passwd; an added line must keep all of them.
#[test]
fn a_line_for_shadow_asks_those_that_passwd_asks() {
    let enabled = enable("passwd: files sss systemd # all\n").unwrap();
    assert_eq!(line(&enabled, "shadow"), "files sss iam systemd");
    assert_eq!(line(&enable("passwd: files\npasswd: files ldap").unwrap(), "shadow"), "files ldap iam");
}

#[test]
fn a_last_line_without_an_end_is_ended_only_where_it_asks_iam() {
    let mark = "# the line above was ended by nss-iamctl\n";
    for (before, after) in [
        ("passwd: files", format!("passwd: files iam\n{mark}")),
        ("passwd: files\r", format!("passwd: files iam\r\n{mark}")),
        ("group: files # x", format!("group: files [SUCCESS=merge] iam # x\n{mark}")),
        ("initgroups: files", format!("initgroups: iam [SUCCESS=continue] files\n{mark}")),
        ("passwd: files\n# none", "passwd: files iam\n# none".to_owned()),
        ("passwd: files\nhosts: dns", "passwd: files iam\nhosts: dns".to_owned()),
        ("hosts: dns", "hosts: dns".to_owned()),
        (" \t", " \t".to_owned()),
        ("# none", "# none".to_owned()),
        ("passwd", "passwd".to_owned()),
    ] {
        let enabled = enable(before).unwrap();
        assert_eq!(without_added(&enabled), after);
        assert!(super::asks_iam(enabled.as_bytes()), "{enabled}");
        assert_eq!(disable(&enabled), before);
        assert_eq!(enable(&enabled).unwrap(), enabled);
    }
    let more = enable("passwd: files").unwrap() + "hosts: dns\n";
    assert_eq!(disable(&more), "passwd: files\nhosts: dns\n", "what others wrote behind it is not torn");
}

#[test]
fn a_line_without_an_end_is_not_counted_on() {
    let ended = "passwd: files iam\nshadow: files iam\ngroup: files [SUCCESS=merge] iam\n";
    assert!(super::asks_iam(ended.as_bytes()));
    assert_eq!(super::unended(ended.as_bytes()), None);
    let unended = ended.trim_end().as_bytes();
    assert!(!super::asks_iam(unended));
    assert_eq!(super::unended(unended), Some("group"));
    assert_eq!(super::services(unended, "passwd"), ["files iam"]);
    assert_eq!(super::services(unended, "group"), [""; 0]);
}

/// They wrote the marker at the end of the line, where current versions of glibc read it as services.
#[test]
fn lines_that_an_earlier_release_added_are_known_again() {
    for (earlier, before) in [
        (
            "passwd: files iam\nshadow:         files iam # added by nss-iamctl\nhosts: dns\n",
            "passwd: files\nhosts: dns\n",
        ),
        ("passwd: files iam\nshadow:         files iam # added by nss-iamctl", "passwd: files"),
    ] {
        assert_eq!(disable(earlier), before);
        assert_eq!(enable(earlier), enable(before));
    }
}

#[test]
fn iam_at_a_wrong_place_is_moved() {
    for wrong in [
        "passwd: iam files\n",
        "passwd: files systemd iam\n",
        "passwd: files iam systemd iam\n",
        "passwd: iam files iam\n",
    ] {
        let services = if wrong.contains("systemd") { "files iam systemd" } else { "files iam" };
        assert_eq!(line(&enable(wrong).unwrap(), "passwd"), services, "{wrong}");
    }
    assert_eq!(line(&enable("group: files iam\n").unwrap(), "group"), "files [SUCCESS=merge] iam");
    for (text, left) in [
        ("passwd: iam [NOTFOUND=return] files\n", "passwd: files\n"),
        (
            "passwd: files [UNAVAIL=return] iam [NOTFOUND=return] sss\n",
            "passwd: files [UNAVAIL=return] sss\n",
        ),
        ("passwd: files iam [NOTFOUND=return] sss\n", "passwd: files [NOTFOUND=return] sss\n"),
    ] {
        assert_eq!(disable(text), left, "an action that is left must have a service in front of it");
    }
    // A comment is not a service.
    assert_eq!(line(&enable("passwd: files # iam\n").unwrap(), "passwd"), "files iam # iam");
}

#[test]
fn before_directories_iam_comes_first_but_never_before_local_accounts() {
    for (before, after) in [
        ("passwd: files sss\n", "passwd: files iam sss\n"),
        ("passwd: files systemd sss\n", "passwd: files iam systemd sss\n"),
        ("passwd: files sss systemd\n", "passwd: files iam sss systemd\n"),
        ("passwd: compat winbind\n", "passwd: compat iam winbind\n"),
        ("passwd: files altfiles what-ever db\n", ""),
        ("passwd: files extrausers lsass\n", "passwd: files extrausers iam lsass\n"),
        ("passwd: files [NOTFOUND=return] sss\n", "passwd: files iam [NOTFOUND=return] sss\n"),
        ("passwd: files systemd\n", "passwd: files iam systemd\n"),
        ("passwd: sss files systemd\n", ""),
        ("shadow: sss\n", ""),
        ("passwd: {if \"with-files-domain\":sss files|files sss} systemd\n", ""),
        (
            "passwd: files {if \"with-altfiles\":altfiles }sss\n",
            "passwd: files {if \"with-altfiles\":altfiles }iam sss\n",
        ),
        ("initgroups: files sss\n", "initgroups: iam [SUCCESS=continue] files sss\n"),
    ] {
        let enabled = enable_in(before, Order::Before);
        if after.is_empty() {
            assert!(
                enabled.is_err_and(|refusal| refusal.hint().is_some_and(|hint| hint.contains("'files'"))),
                "{before}"
            );
            continue;
        }
        let enabled = enabled.unwrap();
        assert_eq!(without_added(&enabled), after);
        assert_eq!(disable(&enabled), before);
        // Only whoever says so goes back.
        assert_eq!(enable(&enabled).unwrap(), enabled);
        assert_eq!(enable_in(&enabled, Order::After).unwrap(), enable(before).unwrap());
    }
    let refusal = enable_in("passwd: sss files\n", Order::Before).unwrap_err().to_string();
    assert!(refusal.contains("line 1: 'iam' cannot come before 'sss'"), "{refusal}");
}

/// glibc asks all services of a `group` line for the groups of a user, even after one has answered.
#[test]
fn before_directories_the_groups_of_our_users_come_from_no_directory() {
    for (group, initgroups) in [
        ("files sss", "files [SUCCESS=continue] iam sss [SUCCESS=continue]"),
        (
            "files [SUCCESS=merge] sss [SUCCESS=merge] systemd",
            "files [SUCCESS=continue] iam sss [SUCCESS=continue] systemd [SUCCESS=continue]",
        ),
        (
            "files [NOTFOUND=continue] sss [!UNAVAIL=return] ldap",
            "files [NOTFOUND=continue SUCCESS=continue] iam sss [!UNAVAIL=return SUCCESS=continue] ldap [SUCCESS=continue]",
        ),
        ("files sss # ldap", "files [SUCCESS=continue] iam sss [SUCCESS=continue] # ldap"),
        ("files systemd", ""),
        ("files [NOTFOUND=return]", ""),
    ] {
        let before = format!("passwd: files sss\ngroup: {group}\nshadow: files\n");
        let enabled = enable_in(&before, Order::Before).unwrap();
        assert_eq!(line(&enabled, "initgroups"), initgroups, "{enabled}");
        assert_eq!(disable(&enabled), before);
    }
}

#[test]
fn directories_are_those_that_are_not_of_this_host() {
    let names = |text: &str| {
        let (before, after) = super::directories(text.as_bytes());
        format!("{} | {}", before.join(" "), after.join(" "))
    };
    assert_eq!(names("passwd: files sss iam systemd\ngroup: files iam\n"), "sss | ");
    assert_eq!(
        names("passwd: files iam systemd ldap\ngroup: files iam winbind [NOTFOUND=return]\n"),
        " | ldap winbind"
    );
    assert_eq!(names("passwd: files iam sss\ngroup: files sss iam\n"), "sss | ");
    assert_eq!(names("passwd: {if \"x\":sss files|files sss} iam\nhosts: files dns\n"), "sss | ");
    assert_eq!(names("passwd: compat db altfiles iam cache extrausers mymachines # sss\n"), " | ");
}

#[test]
fn where_iam_would_never_be_asked_or_come_first_the_file_is_refused() {
    for (text, why) in [
        ("passwd: nis [NOTFOUND=return] files\n", "'nis [NOTFOUND=return]' ends the search"),
        ("\n\nshadow: sss [!UNAVAIL=return] files\n", "line 3"),
        ("group: files [SUCCESS=merge NOTFOUND=return] sss\n", "ends the search"),
        ("passwd: files [NOTFOUND=return sss\n", "'[' without ']'"),
        ("passwd:\n", "names no service"),
        ("shadow: systemd\n", "'files'"),
        ("passwd: files # see [1\n", "'[' without ']'"),
        ("passwd: files# all\n", "a part of the word"),
        ("passwd: files [FOO=return]\n", "'[FOO=return]' is not an action"),
        ("passwd: files [] sss\n", "'[]' is not an action"),
        ("passwd: files [NOTFOUND=continue,UNAVAIL=return] sss\n", "is not an action"),
        ("passwd: files [UNAVAIL=continue] [NOTFOUND=return] sss\n", "which follows no service"),
        ("passwd: [NOTFOUND=return] files\n", "which follows no service"),
        ("passwd: files\nhosts: files [NOTFOUND=return dns\n", "line 2: '[' without ']'"),
    ] {
        let refusal = enable(text).unwrap_err().to_string();
        assert!(refusal.contains(why), "{refusal}");
    }
}

#[test]
fn a_template_of_authselect_keeps_its_conditions() {
    for (before, after) in [
        (
            "passwd:     files {if \"with-altfiles\":altfiles }systemd {exclude if \"with-custom-passwd\"}\n",
            "passwd:     files {if \"with-altfiles\":altfiles }iam systemd {exclude if \"with-custom-passwd\"}\n",
        ),
        (
            "group:      files [SUCCESS=merge] {if \"with-altfiles\":altfiles [SUCCESS=merge] }systemd {exclude if \"x\"}\n",
            "group:      files [SUCCESS=merge] {if \"with-altfiles\":altfiles [SUCCESS=merge] }iam [SUCCESS=merge] systemd {exclude if \"x\"}\n",
        ),
        (
            "passwd:     {if \"with-files-domain\":sss files|files sss} systemd   {exclude if \"with-custom-passwd\"}\n",
            "passwd:     {if \"with-files-domain\":sss files|files sss} iam systemd   {exclude if \"with-custom-passwd\"}\n",
        ),
        (
            "shadow:     files   {exclude if \"with-custom-shadow\"}\n",
            "shadow:     files iam   {exclude if \"with-custom-shadow\"}\n",
        ),
    ] {
        assert!(enable(before).unwrap().contains(after), "{}", enable(before).unwrap());
    }
}
