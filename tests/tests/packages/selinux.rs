//! The SELinux modules, built into Debian's reference policy. The policy is queried, because no kernel here enforces
//! one; `make test-vm` boots one that does.

use tests::{Machine, text};

#[test]
fn the_selinux_module_lets_programs_that_look_up_users_read_and_map_the_cache() {
    let Some(machine) = Machine::enter_tree("selinux") else { return };
    let run = |line: &str| {
        let ran = machine.run(&["sh", "-c", line]);
        assert!(ran.status.success(), "{line}: {}{}", text(&ran.stderr), text(&ran.stdout));
        text(&ran.stdout).to_owned()
    };
    let config = tests::repository().join("config");
    let script = config.join("selinux");
    run(&format!(
        "mkdir -p /usr/share/selinux/packages && cp {}/*.cil /usr/share/selinux/packages && {} load",
        config.display(),
        script.display()
    ));
    let policy = "/etc/selinux/default/policy/policy.*";
    for domain in [
        "sshd_t",
        "crond_t",
        "system_dbusd_t",
        "systemd_logind_t",
        "systemd_user_runtime_dir_t",
        "quota_t",
        "guest_t",
        "user_systemd_t",
    ] {
        let rules = run(&format!("sesearch -A -s {domain} -t nss_iam_cache_t -c file {policy}"));
        for permission in ["getattr", "open", "read", "map"] {
            assert!(
                rules.split_whitespace().any(|word| word == permission),
                "{domain}: {permission}: {rules}"
            );
        }
    }
    let others = run(&format!("sesearch -A -s ping_t -t nss_iam_cache_t -c file -p write {policy}"));
    assert_eq!(others.trim(), "");
    let contexts = "/etc/selinux/default/contexts/files/file_contexts";
    let label = |path: &str| run(&format!("matchpathcon -n -f {contexts} {path}"));
    assert_eq!(label("/var/lib/nss-iam/cache.db").trim(), "system_u:object_r:nss_iam_cache_t:s0");
    for run in ["/run", "/var/run"] {
        assert_eq!(label(&format!("{run}/nss-iam-imds.nft")).trim(), "system_u:object_r:nss_iam_imds_t:s0");
    }
    assert_eq!(label("/usr/sbin/mkhomedir_helper").trim(), "system_u:object_r:nss_iam_mkhomedir_exec_t:s0");
    assert!(!label("/var/lib/nss-iam-fetch/listing.json").contains("nss_iam"));

    run(&format!("{} remove", script.display()));
    assert!(!run("semodule -l").contains("nss-iam"));
    assert!(!label("/var/lib/nss-iam/cache.db").contains("nss_iam"));
    // Nor does it fail where there is no policy.
    run(&format!(
        "mv /etc/selinux/config /etc/selinux/config.old && {0} load && {0} remove",
        script.display()
    ));
}
