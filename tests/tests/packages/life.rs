//! The life of the .deb on Debian 11, 12 and 13, each booted with systemd: installed, enabled, refreshed by its timer, cut
//! off from AWS, cloned, upgraded, downgraded, removed, purged.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;
use tests::boot::Booted;
use tests::login::{GROUP, Key};

use crate::support::{NEXT, OLDER, aws, package, repository, tree};

/// sshd, PAM and names: the files that decide who can log in.
const LOGINS: [&str; 3] = ["nsswitch.conf", "ssh/", "pam.d/"];
/// The files that contain system users.
const USERS: [&str; 4] = ["passwd", "group", "shadow", "gshadow"];

#[test]
fn debian_11_from_installation_to_purge() {
    life("debian11");
}

#[test]
fn debian_12_from_installation_to_purge() {
    life("debian12");
}

#[test]
fn debian_13_from_installation_to_purge() {
    life("debian13");
}

fn life(name: &str) {
    let Some(host) = Booted::start(name) else { return };
    repository(&host);
    let fresh = etc(&host);
    let said = host.done(&format!("apt-get install -qq -y nss-iam={OLDER}"));
    assert!(said.contains(NEXT), "{said}");
    installing_does_no_harm(&host, &fresh);
    units_are_sound(&host, name);

    let installed = etc(&host);
    let (ana, bob) = (host.user("ana"), host.user("bob"));
    tick_every_two_seconds(&host);
    aws(&host, None);
    // The README's second command; the first installed the package.
    let said = host.done(&format!("nss-iamctl enable --group {GROUP}"));
    assert!(said.contains("2 users may log in: 'ana', 'bob'\n"), "{said}");
    assert_eq!(host.sh("getent passwd bob").0, Some(0), "'enable' waits for the first refresh");
    let said = host.done("nss-iamctl refresh");
    assert!(said.contains("unchanged 2 users"), "the unit's environment names the endpoint: {said}");
    assert!(host.logs_in("ana", &ana) && host.logs_in("bob", &bob));
    let ids = host.done("id ana");
    halves_have_only_the_privileges_that_they_need(&host);

    let uid = host.done("id -u bob");
    host.account.change(json!({"do": "remove_member", "group": GROUP, "user": "bob"}));
    host.until("who left is out", || !host.logs_in("bob", &bob));
    assert_eq!(host.done("stat -c %U:%G /home/bob"), "bob:bob\n", "the owner is still shown");
    nothing_runs_under_the_name_of_a_user_who_left(&host, &uid);

    users_are_there_without_aws(&host, &ana);
    a_clone_offers_no_key_before_its_own_refresh(&host, &ana);
    versions_change_under_a_running_process(&host, &ids, &ana);

    host.done("apt-get remove -qq -y nss-iam");
    assert_eq!(of_logins(&etc(&host)), of_logins(&fresh), "remove gives back what enable changed");
    assert!(!host.logs_in("ana", &ana));
    assert!(host.path("/var/lib/nss-iam/state.db").exists(), "ids are kept until purge");
    host.done("apt-get purge -qq -y nss-iam");
    for directory in ["/var/lib/nss-iam", "/var/lib/nss-iam-fetch", "/etc/nss-iam"] {
        assert!(!host.path(directory).exists(), "{directory}");
    }
    let now = etc(&host);
    let differs = |path: &&String| now.get(*path) != fresh.get(*path) && !USERS.contains(&path.as_str());
    let left: Vec<&String> = now.keys().chain(fresh.keys()).filter(differs).collect();
    assert_eq!(left, Vec::<&String>::new(), "purge leaves nothing in /etc but two system users");
    assert!(installed.keys().any(|path| path.starts_with("nss-iam/")), "what was looked at is /etc");
}

/// systemd.exec(5): "User=... Takes a single user or group name". A unit that root created earlier ran as bob.
fn nothing_runs_under_the_name_of_a_user_who_left(host: &Booted, uid: &str) {
    assert_eq!(host.sh("id bob").0, Some(1));
    let (status, said) = host.sh("systemd-run --quiet --wait -p User=bob id -u");
    assert_eq!(status, Some(217), "systemd.exec(5), EXIT_USER: {said}");
    for line in
        ["loginctl enable-linger bob", "su -s /bin/sh bob -c id", "sudo -u bob id", "crontab -u bob -l"]
    {
        let (status, said) = host.sh(line);
        assert!(status != Some(0) && !said.contains(uid.trim()), "{line}: {said}");
    }
}

/// Path below /etc -> content, without files that the test itself writes, and caches and backups of other programs.
fn etc(host: &Booted) -> BTreeMap<String, String> {
    let directory = host.path("/etc");
    let others =
        ["apt/", "machine-id", "systemd/system/nss-iam-", "ld.so.cache", ".pwd.lock", "subuid", "subgid"];
    let what = |path: &Path| -> String {
        let full = directory.join(path);
        match fs::read_link(&full) {
            Ok(target) => target.display().to_string(),
            Err(_) if full.is_dir() => String::new(),
            Err(_) => {
                let mode = fs::metadata(&full).unwrap().permissions().mode();
                format!("{mode:o} {}", String::from_utf8_lossy(&fs::read(&full).unwrap()))
            }
        }
    };
    tree(&directory)
        .into_iter()
        .map(|path| (path.display().to_string(), what(&path)))
        .filter(|(path, _)| !others.iter().any(|other| path.starts_with(other)) && !path.ends_with('-'))
        .collect()
}

fn of_logins(etc: &BTreeMap<String, String>) -> BTreeMap<&String, &String> {
    etc.iter().filter(|(path, _)| LOGINS.iter().any(|start| path.starts_with(start))).collect()
}

fn installing_does_no_harm(host: &Booted, fresh: &BTreeMap<String, String>) {
    let now = etc(host);
    let changed =
        now.iter().filter(|(path, text)| fresh.get(*path) != Some(text)).map(|(path, _)| path.as_str());
    let ours = ["nss-iam", "apparmor.d"];
    let odd: Vec<&str> = changed
        .filter(|path| !ours.iter().any(|our| path.starts_with(our)) && !USERS.contains(path))
        .collect();
    assert_eq!(odd, Vec::<&str>::new());
    for file in USERS {
        let lines = |etc: &BTreeMap<String, String>| -> Vec<String> {
            etc[file].lines().map(str::to_owned).collect()
        };
        let before = lines(fresh);
        let added: Vec<String> = lines(&now).into_iter().filter(|line| !before.contains(line)).collect();
        assert!(added.iter().all(|line| line.starts_with("nss-iam")), "{file}: {added:?}");
    }
    let (_, timer) =
        host.sh("systemctl is-enabled nss-iam-refresh.timer; systemctl is-active nss-iam-refresh.timer");
    assert_eq!(timer, "disabled\ninactive\n");
    assert_eq!(host.sh("getent -s iam passwd").1, "", "the module finds nobody");
    assert!(!host.path("/var/lib/nss-iam/cache.db").exists());
}

fn units_are_sound(host: &Booted, name: &str) {
    let directory = "/lib/systemd/system";
    let units = host.done(&format!("cd {directory} && ls -d $PWD/nss-iam-*"));
    let units = units.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = host.done(&format!("systemd-analyze verify --man=no {units}"));
    // systemd.unit(5): an older systemd ignores unknown settings, and reports this.
    let odd =
        |line: &&str| line.contains("nss-iam") && !(name == "debian11" && line.contains("Unknown key name"));
    let ours: Vec<&str> = said.lines().filter(odd).collect();
    assert_eq!(ours, Vec::<&str>::new());
    // The systemd of Debian 11 has no --threshold, and lacks some of the options.
    if name != "debian11" {
        for unit in ["fetch", "publish"] {
            host.done(&format!(
                "systemd-analyze security --offline=yes --threshold=15 /lib/systemd/system/nss-iam-{unit}.service"
            ));
        }
    }
}

/// Instead of every five minutes.
fn tick_every_two_seconds(host: &Booted) {
    let timer = "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/2\nRandomizedDelaySec=0\n";
    host.write("/etc/systemd/system/nss-iam-refresh.timer.d/test.conf", timer);
}

fn halves_have_only_the_privileges_that_they_need(host: &Booted) {
    let failed = host.done("systemctl show -P Result nss-iam-fetch.service nss-iam-refresh.service");
    assert_eq!(failed.split_whitespace().collect::<Vec<_>>(), ["success", "success"]);
    let said = host.done("journalctl --no-pager -o cat");
    assert!(!said.contains("proceeding without"), "the kernel gave what the units ask for");
    assert_eq!(host.done("stat -c '%a %U' /var/lib/nss-iam-fetch/listing.json").trim(), "600 nss-iam-fetch");
    assert_eq!(host.done("stat -c '%a %U:%G' /var/lib/nss-iam/keys.db").trim(), "640 root:nss-iam");
    assert_eq!(host.done("stat -c '%a %U:%G' /var/lib/nss-iam/cache.db").trim(), "644 root:root");
}

/// The last cache answers as soon as the disk is there, and a failed fetch is reported.
fn users_are_there_without_aws(host: &Booted, ana: &Key) {
    host.write("/etc/nss-iam/config.d/test.toml", "[aws]\ntimeout = \"2s\"\n");
    aws(host, Some("http://127.0.0.1:1"));
    // As soon as the disks are there, and before anything that could wait for another service.
    let early = "[Unit]\nDefaultDependencies=no\nAfter=local-fs.target\nBefore=sysinit.target\n\
                 [Service]\nType=oneshot\nRemainAfterExit=yes\nUser=ana\nExecStart=/usr/bin/id -Gn\n";
    let units = "/usr/local/lib/systemd/system";
    host.write(&format!("{units}/early.service"), early);
    host.done(&format!(
        "cd {units} && mkdir -p sysinit.target.wants && ln -s ../early.service sysinit.target.wants"
    ));
    host.power_off();
    host.boot();
    assert_eq!(host.sh("systemctl is-active early.service").1, "active\n", "users are known early");
    assert!(host.done("journalctl --no-pager -b -o cat -u early.service").contains("iam-users"));
    assert!(host.logs_in("ana", ana));
    let failed = || host.sh("systemctl is-failed nss-iam-fetch.service").1;
    host.until("the fetch that failed is shown as failed", || failed().trim() == "failed");
    // While the next run has just begun, its status has no reason yet.
    let status = || host.sh("systemctl status nss-iam-fetch.service").1;
    host.until("the reason is in its status", || status().contains("error: "));
    assert!(host.logs_in("ana", ana), "a failed refresh empties nothing");
}

fn a_clone_offers_no_key_before_its_own_refresh(host: &Booted, ana: &Key) {
    host.power_off();
    host.machine_id('2');
    let report = || fs::read_to_string(host.path("/var/lib/nss-iam/status.json")).unwrap();
    let before = report();
    host.boot();
    assert_eq!(host.sh("getent passwd ana").0, Some(0));
    assert!(!host.logs_in("ana", ana), "these keys were confirmed for another machine");
    host.until("this machine applied the listing that came with it", || report() != before);
    assert!(!host.logs_in("ana", ana), "and still were not confirmed for this one");
    fs::remove_file(host.path("/etc/nss-iam/config.d/test.toml")).unwrap();
    aws(host, None);
    host.until("keys came with the refresh", || host.logs_in("ana", ana));
}

/// A process that has loaded the module keeps it, whichever refresher is installed.
fn versions_change_under_a_running_process(host: &Booted, ids: &str, ana: &Key) {
    let newer = env!("CARGO_PKG_VERSION");
    let changes = [("", newer), ("--allow-downgrades", OLDER), ("", newer)];
    for (number, (words, version)) in changes.into_iter().enumerate() {
        // bash calls getpwnam(3) for ~ana: like daemons, the process asks repeatedly.
        host.done(&format!(
            "mkfifo /run/ask{number} /run/answer{number} && setsid bash -c 'exec 3<>/run/ask{number}; while read -r name <&3; \
             do eval echo \"~$name\" >/run/answer{number}; done' >/dev/null 2>&1 & echo $! >/run/asks{number}"
        ));
        let home = |name: &str| {
            host.done(&format!("echo {name} >/run/ask{number} && timeout 60 cat /run/answer{number}"))
        };
        assert_eq!(home("ana"), "/home/ana\n");
        host.done(&format!("apt-get install -qq -y {words} nss-iam={version}"));
        assert_eq!(host.done("dpkg-query -W -f '${Version}' nss-iam"), version);
        host.done(&format!("grep 'libnss_iam.so.2 (deleted)' /proc/$(cat /run/asks{number})/maps"));
        assert_eq!(host.done("id ana"), ids, "{version}: every id stays");
        assert!(host.logs_in("ana", ana), "{version}");
        assert_eq!(host.sh("systemctl is-active nss-iam-refresh.timer").1, "active\n", "{version}");
        let name = format!("new{number}");
        let _key = host.user(&name);
        let came = || home(&name) == format!("/home/{name}\n");
        host.until("the module of one version finds whom the refresher of the other brought", came);
    }
}

/// The test in the source package, `debian/tests`.
#[test]
fn the_packages_own_test_succeeds_on_debian_12() {
    let Some(host) = Booted::start("debian12") else { return };
    // The README's first command.
    fs::create_dir_all(host.path("/srv/dist")).unwrap();
    let deb = package("deb");
    fs::copy(&deb, host.path("/srv/dist").join(deb.file_name().unwrap())).unwrap();
    host.done("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*");
    host.done("cd /srv && apt install -qq -y ./dist/nss-iam_*.deb");
    fs::copy(tests::repository().join("debian/tests/file-source"), host.path("/srv/file-source")).unwrap();
    host.done("/srv/file-source");
}
