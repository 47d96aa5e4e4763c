//! Both answer.

use crate::support::Beside;

#[test]
fn users_of_the_directory_and_of_iam_and_local_users_log_in_each_with_their_own_id() {
    let Some((beside, ana)) = Beside::enabled(&[]) else { return };
    let host = &beside.host;
    assert_eq!(host.login("dana", &beside.dana, "id -u; id -Gn"), "5000\ndana staff-of-dana\n");
    assert!(beside.by_password("dana").unwrap().starts_with("uid=5000(dana) gid=5000(dana)"));
    let id = host.login("ana", &ana, "id -u; id -Gn");
    let (uid, groups) = id.trim().split_once('\n').unwrap();
    assert!(uid.parse::<u32>().unwrap() >= 0x7000_0000 && groups.contains("iam-users"), "{id}");
    assert_eq!(host.login("ubuntu", &beside.ubuntu, "id -un"), "ubuntu\n");
    assert!(beside.says_logins_work());
    let codes = |level: &str| -> Vec<String> {
        let report = beside.report(&["doctor"]);
        let findings = report["findings"].as_array().unwrap().iter().filter(|found| found["level"] == level);
        findings.map(|found| found["code"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(codes("bad"), [""; 0]);
    assert_eq!(codes("warn"), ["directory-before-iam", "sudo-asks-for-password", "pam-may-refuse"]);
}
