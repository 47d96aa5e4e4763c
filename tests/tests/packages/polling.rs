//! A host whose fetch half stays: `[refresh] every`. Booted, with the units as they are shipped.

use serde_json::json;
use tests::boot::Booted;
use tests::login::GROUP;

use crate::support::{OLDER, aws, repository};

#[test]
fn a_fetch_half_that_stays_brings_each_change_at_once_and_is_silent_otherwise() {
    let Some(host) = Booted::start("debian12") else { return };
    repository(&host);
    host.done(&format!("apt-get install -qq -y nss-iam={OLDER}"));
    let ana = host.user("ana");
    aws(&host, None);
    host.write("/etc/nss-iam/config.d/test.toml", "[refresh]\nevery = \"1s\"\n");
    let said = host.done(&format!("nss-iamctl enable --group {GROUP}"));
    assert!(said.contains("run: systemctl enable --now --no-block nss-iam-refresh.path\n"), "{said}");
    assert!(said.contains("1 user may log in: 'ana'\n"), "{said}");
    assert_eq!(host.sh("systemctl is-enabled nss-iam-refresh.timer").1, "disabled\n");
    assert!(host.logs_in("ana", &ana), "'enable' waits for the first refresh");

    what_changes_takes_effect(&host);
    while_nothing_changes_nothing_is_started_or_logged(&host);
    a_refresh_by_hand_reads_at_once_and_tells_what_failed(&host);
    it_stays_through_faults(&host);
    the_timer_and_back(&host);

    let program = "readlink /proc/$(systemctl show -P MainPID nss-iam-fetch.service)/exe";
    host.done("apt-get install -qq -y nss-iam");
    host.until("an upgrade replaces the process", || {
        host.sh(program).1 == "/usr/libexec/nss-iam/cache-refresher\n"
    });
    host.done("nss-iamctl disable --yes");
    host.until("nothing runs any more", || {
        host.sh("systemctl is-active nss-iam-fetch.service nss-iam-refresh.path").1 == "inactive\ninactive\n"
    });
}

fn what_changes_takes_effect(host: &Booted) {
    let bob = host.user("bob");
    host.until("who joined can log in", || host.logs_in("bob", &bob));
    host.account.change(json!({"do": "remove_member", "group": GROUP, "user": "bob"}));
    host.until("who left is out", || !host.logs_in("bob", &bob));
    // glibc asks `files` first; the cache follows.
    let status = "grep -o '\"users\":[0-9]*' /var/lib/nss-iam/status.json | head -n1";
    host.until("the report says so", || host.sh(status).1 == "\"users\":1\n");
    host.done("echo 'ana:x:4000:4000::/nonexistent:/bin/false' >>/etc/passwd");
    host.until("a local account wins", || host.sh(status).1 == "\"users\":0\n");
    host.done("sed -i /^ana:x:4000/d /etc/passwd");
    host.until("and gives the name back", || host.sh(status).1 == "\"users\":1\n");
}

fn while_nothing_changes_nothing_is_started_or_logged(host: &Booted) {
    // What is under way may end.
    host.until("it has settled", || {
        let before = state(host);
        std::thread::sleep(std::time::Duration::from_secs(3));
        before == state(host)
    });
    let (before, calls) = (state(host), host.account.actions().len());
    host.until("it has read five times more", || {
        let read = host.account.actions().iter().skip(calls).filter(|action| *action == "GetGroup").count();
        read >= 5
    });
    assert_eq!(state(host), before, "journal, units that ran, files");
}

/// What is logged by or about our units, how often they ran, and what they wrote.
fn state(host: &Booted) -> String {
    host.done(
        "journalctl -q -o cat -u 'nss-iam-*'; systemctl show -p InvocationID,NRestarts nss-iam-refresh.service \
         nss-iam-fetch.service; stat -c '%n %i %y' /var/lib/nss-iam/* /var/lib/nss-iam-fetch/*",
    )
}

fn a_refresh_by_hand_reads_at_once_and_tells_what_failed(host: &Booted) {
    let said = host.done("nss-iamctl refresh");
    assert!(said.contains("unchanged 1 users"), "{said}");
    let said = host.done("nss-iamctl doctor || true");
    assert!(said.contains("'nss-iam-refresh.path' is active"), "{said}");
    host.write("/etc/nss-iam/config.d/more.toml", "groups = [\"Nobody\"]\n");
    let (status, said) = host.sh("nss-iamctl refresh 2>&1");
    assert_eq!(status, Some(78), "{said}");
    assert!(said.contains("Nobody"), "{said}");
    host.done("rm /etc/nss-iam/config.d/more.toml && nss-iamctl refresh");
}

fn it_stays_through_faults(host: &Booted) {
    let pid = || host.done("systemctl show -P MainPID nss-iam-fetch.service");
    let before = pid();
    host.write("/etc/nss-iam/config.d/more.toml", "groups = 1\n");
    host.until("a mistake in the configuration is told", || {
        host.done("journalctl -q -o cat -u nss-iam-fetch.service").contains("more.toml")
    });
    host.done("rm /etc/nss-iam/config.d/more.toml");
    assert_eq!(pid(), before, "and the last valid one is used");
    for signal in ["KILL", "TERM", "HUP", "INT"] {
        let before = pid();
        host.done(&format!("systemctl kill -s {signal} nss-iam-fetch.service"));
        host.until(&format!("it is to be started again after SIG{signal}"), || {
            host.done("systemctl show -P SubState nss-iam-fetch.service").starts_with("auto-restart")
        });
        // RestartSec=, which nobody wants to wait for here. The limit of systemd is for starts without pauses.
        host.done("systemctl reset-failed nss-iam-fetch.service && systemctl start nss-iam-fetch.service");
        assert_ne!(pid(), before);
    }
}

fn the_timer_and_back(host: &Booted) {
    host.write("/etc/nss-iam/config.d/test.toml", "");
    let said = host.done("nss-iamctl doctor || true");
    assert!(said.contains("'nss-iam-refresh.timer' is inactive"), "{said}");
    let units = "systemctl is-enabled nss-iam-refresh.path nss-iam-refresh.timer; \
                 systemctl is-active nss-iam-refresh.path nss-iam-refresh.timer";
    host.done("nss-iamctl enable");
    assert_eq!(host.sh(units).1, "disabled\nenabled\ninactive\nactive\n");
    host.until("the fetch half ends", || {
        host.sh("systemctl is-active nss-iam-fetch.service").1 != "active\n"
    });
    host.done("nss-iamctl refresh");
    host.write("/etc/nss-iam/config.d/test.toml", "[refresh]\nevery = \"1s\"\n");
    host.done("nss-iamctl enable");
    assert_eq!(host.sh(units).1, "enabled\ndisabled\nactive\ninactive\n");
    host.done("systemctl stop nss-iam-refresh.path nss-iam-fetch.service && nss-iamctl enable");
    assert_eq!(host.sh(units).1, "enabled\ndisabled\nactive\ninactive\n");
    host.done("systemctl is-active nss-iam-fetch.service");
}
