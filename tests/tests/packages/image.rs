//! A host that cloud-init sets up, and a host that is created from its image.

use std::fs;
use std::net::TcpListener;

use serde_json::json;
use tests::boot::Booted;
use tests::login::GROUP;

use crate::deploy::cloud_init;
use crate::support::{aws, repository};

#[test]
fn neither_a_first_boot_nor_the_boot_of_an_image_waits_for_aws() {
    let Some(host) = Booted::start("debian12") else { return };
    repository(&host);
    host.done("apt-get install -qq -y nss-iam");
    host.account.seed(json!({"roles": [{"name": "IAMKeyLookup"}]}));
    let ana = host.user("ana");
    run_user_data_at_boot(&host);

    // It accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    aws(&host, Some(&format!("http://{}", silent.local_addr().unwrap())));
    host.power_off();
    host.boot();
    host.until("user-data came to its end", || is(&host, "user-data.service") == "active");
    assert_eq!(is(&host, "nss-iam-refresh.timer"), "active");
    host.until("a refresh began by itself", || is(&host, "nss-iam-fetch.service") == "activating");
    assert_eq!(is(&host, "multi-user.target"), "active");
    assert!(!host.logs_in("ana", &ana));

    // Before the image is created, as in deploy/README.md.
    // Both: the apply half waits for the fetch half, and would begin, and end, while the fetch half is started
    // below.
    host.done("systemctl stop nss-iam-refresh.service nss-iam-fetch.service");
    aws(&host, None);
    host.done("systemctl start nss-iam-refresh.service");
    assert!(host.logs_in("ana", &ana));
    host.done("systemctl stop nss-iam-refresh.timer");
    let (status, said) = host.sh("nss-iamctl clean");
    assert!(status == Some(78) && said.contains("1 user of this host could not log in"), "{said}");
    assert!(host.logs_in("ana", &ana), "without a terminal to ask, nothing is done");
    let said = host.done("nss-iamctl clean --yes");
    assert!(said.contains("/etc/machine-id"), "{said}");
    let left = fs::read_dir(host.path("/var/lib/nss-iam")).unwrap().flatten().map(|entry| entry.file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["backup"], "the backup for 'nss-iamctl disable' is not state");
    assert_eq!(host.sh("getent -s iam passwd").1, "");
    aws(&host, Some(&format!("http://{}", silent.local_addr().unwrap())));
    host.power_off();
    host.machine_id('2');
    host.boot();
    host.until("a refresh began by itself", || is(&host, "nss-iam-fetch.service") == "activating");
    assert!(!host.logs_in("ana", &ana), "a clone offers no key before its own refresh");
    let (status, said) = host.sh("nss-iamctl status --check");
    assert!(status == Some(2) && said.contains("NSS_IAM CRITICAL"), "{said}");
    aws(&host, None);
    host.power_off();
    host.boot();
    host.until("users came without anybody's help", || host.logs_in("ana", &ana));
    assert!(host.done("nss-iamctl why ana").contains("nothing on this host prevents"));
}

/// Like cloud-init, and as early as possible: the timer waits for time-sync.target, which waits for this.
fn run_user_data_at_boot(host: &Booted) {
    let parsed = cloud_init();
    let words = parsed["runcmd"][0].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    // The metadata rules would apply to this machine, whose network the host shares; the suite `login` tests
    // them.
    let line: Vec<&str> = words.filter(|word| *word != "--imds").collect();
    assert!(line.contains(&GROUP), "{line:?}");
    let unit = format!(
        "[Unit]\nWants=time-sync.target\nBefore=time-sync.target\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={}\n[Install]\nWantedBy=multi-user.target\n",
        line.join(" ")
    );
    host.write("/etc/systemd/system/user-data.service", &unit);
    host.done("systemctl enable user-data.service");
}

fn is(host: &Booted, unit: &str) -> String {
    host.sh(&format!("systemctl is-active {unit}")).1.trim().to_owned()
}
