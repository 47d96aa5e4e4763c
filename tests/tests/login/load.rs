//! Many logins at once, with refreshes in between.

use std::process::{Child, Stdio};

use serde_json::json;
use tests::login::{GROUP, JumpHost, Key};
use tests::text;

fn start(host: &JumpHost, user: &str, key: &Key) -> Child {
    let mut client = host.client(user, key, &[]);
    client.arg("id -un").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn got_in(user: &str, client: Child) {
    let ran = client.wait_with_output().unwrap();
    assert_eq!(
        (text(&ran.stdout), ran.status.code()),
        (&*format!("{user}\n"), Some(0)),
        "{}",
        text(&ran.stderr)
    );
}

#[test]
fn fifty_log_in_at_once_for_the_first_time() {
    let Some(host) = JumpHost::start() else { return };
    let key = host.key("shared");
    let names: Vec<String> = (0..50).map(|number| format!("user{number}")).collect();
    let users: Vec<_> =
        names.iter().map(|name| json!({"name": name, "keys": [{"body": key.public}]})).collect();
    host.account.seed(json!({"users": users, "groups": {GROUP: names}}));
    host.refresh();
    let clients: Vec<_> = names.iter().map(|name| start(&host, name, &key)).collect();
    for (name, client) in names.iter().zip(clients) {
        got_in(name, client);
    }
}

#[test]
fn a_refresh_every_second_loses_none_of_a_hundred_logins() {
    let Some(host) = JumpHost::start() else { return };
    let ana = host.user("ana");
    host.user("bob");
    host.refresh();
    let mut refresher = host.refresher(&["--loop", "1s"]);
    let mut refresher = refresher.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let refreshes = || host.account.actions().iter().filter(|action| *action == "GetGroup").count();
    host.account.forget_calls();
    for round in 0..25 {
        // Another user comes and goes, so that cache.db is replaced, too, and not only keys.db.
        let change = if round % 2 == 0 { "remove_member" } else { "add_member" };
        host.account.change(json!({"do": change, "group": GROUP, "user": "bob"}));
        let clients: Vec<_> = (0..4).map(|_| start(&host, "ana", &ana)).collect();
        clients.into_iter().for_each(|client| got_in("ana", client));
    }
    host.until("several refreshes took place", || refreshes() >= 6);
    assert!(refresher.try_wait().unwrap().is_none());
    refresher.kill().unwrap();
    refresher.wait().unwrap();
}
