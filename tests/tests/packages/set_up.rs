//! A host that is set up by typing what the messages say: no group, no way to AWS, a first group, a second one with sudo, and
//! one that is removed again.

use serde_json::json;
use tests::boot::Booted;
use tests::login::{ADMINS, GROUP};

use crate::support::{aws, repository};

#[test]
fn a_host_is_set_up_step_by_step_and_each_step_says_who_may_log_in() {
    let Some(host) = Booted::start("debian12") else { return };
    repository(&host);
    host.done("apt-get install -qq -y nss-iam");
    let (ana, eve) = (host.user("ana"), host.user("eve"));
    host.account.change(json!({"do": "remove_member", "group": GROUP, "user": "eve"}));
    host.account.seed(json!({"groups": {ADMINS: ["eve"]}}));
    let fails = |line: &str, exit: i32| -> String {
        let (status, said) = host.sh(line);
        assert_eq!(status, Some(exit), "{line}: {said}");
        said
    };

    let said = fails("nss-iamctl enable", 78);
    assert!(said.contains("no group is configured, so nobody could log in; nothing was changed"), "{said}");

    // The unit's environment counts, not that of the shell.
    aws(&host, Some("http://127.0.0.1:9"));
    let said = host.done(&format!("nss-iamctl enable --group {GROUP}"));
    assert!(said.contains("nobody may log in yet, because") && said.contains("127.0.0.1:9"), "{said}");
    let said = fails("nss-iamctl refresh", 75);
    let summary = said.find("unchanged 0 users").unwrap();
    assert!(said[summary..].contains("127.0.0.1:9"), "what failed comes last: {said}");

    // Also that of a file, which counts more (systemd.exec(5)), where the refresher is run directly.
    let drop_in = "/etc/systemd/system/nss-iam-fetch.service.d/z.conf";
    host.write(drop_in, "[Service]\nEnvironmentFile=-/etc/default/nss iam\n");
    host.write("/etc/default/nss iam", "AWS_ENDPOINT_URL='http://127.0.0.1:8'\n");
    host.done("systemctl daemon-reload");
    let said = fails("nss-iamctl refresh --dry-run", 75);
    assert!(said.contains("127.0.0.1:8") && !said.contains("not used"), "{said}");
    host.done(&format!("rm {drop_in}"));

    aws(&host, None);
    let said = host.done("nss-iamctl refresh");
    assert!(
        said.contains("user 'ana' (") && said.contains("published 1 users, 1 groups, 1 keys: +1"),
        "{said}"
    );
    assert!(host.done("nss-iamctl enable").contains("1 user may log in: 'ana'\n"));
    assert!(host.logs_in("ana", &ana) && !host.logs_in("eve", &eve));
    // Its sshd passes no %C, so user and key decide which record belongs to the login.
    host.until("the journal has the login", || {
        let logins = host.done("nss-iamctl logins");
        let words: Vec<&str> = logins.lines().skip(1).flat_map(str::split_whitespace).collect();
        matches!(words[..], [_, "ana", key, source, ..] if key.starts_with("SHA256:") && source.starts_with("iam:"))
    });

    let said = host.done(&format!("nss-iamctl enable --local-group {ADMINS}=adm"));
    assert!(said.contains(&format!("hint: nss-iamctl enable --group {ADMINS}\n")), "{said}");
    let said = host.done(&format!("nss-iamctl enable --group {ADMINS}"));
    assert!(said.contains("2 users may log in: 'ana', 'eve'\n"), "{said}");
    assert!(host.logs_in("eve", &eve));
    assert!(host.done("id -Gn eve").split_whitespace().any(|group| group == "adm"));

    let said = host.done(&format!("nss-iamctl enable --remove-group {ADMINS}"));
    assert!(
        said.contains(&format!("1 user of this host has no group without '{ADMINS}': 'eve'\n")),
        "{said}"
    );
    assert!(host.logs_in("eve", &eve), "until it is confirmed");
    fails("nss-iamctl refresh", 65);
    host.done("nss-iamctl refresh --force");
    assert!(host.logs_in("ana", &ana) && !host.logs_in("eve", &eve));

    let said = host.done("dpkg --verify nss-iam");
    assert!(!said.contains("config.toml"), "the conffile is as it was installed: {said}");
    host.done("nss-iamctl disable");
    assert!(!host.path("/etc/nss-iam/config.d/10-enable.toml").exists());
}
