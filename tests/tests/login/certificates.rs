//! SSH certificates of a real CA: with `enable --user-ca`, and where sshd trusts a CA already.

use std::fs;

use tests::login::{JumpHost, Key, append};
use tests::text;

use crate::guide;
use crate::support::local_user;

const CA: &str = "/etc/ssh/user-ca.pub";
const REVOKED: &str = "/etc/ssh/revoked";

/// A CA whose private key is not on the host, as far as nss-iam and sshd can tell.
fn ca(host: &JumpHost, name: &str) -> String {
    let file = format!("/root/keys/{name}");
    host.done(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &file]);
    file
}

/// A host whose sshd trusts nothing yet, with a list of revoked certificates, a CA and the key of a user who has no other one.
fn host() -> Option<(JumpHost, String, Key)> {
    let host = JumpHost::bare()?;
    host.configure("");
    host.done(&["ssh-keygen", "-q", "-k", "-f", REVOKED]);
    append("/etc/ssh/sshd_config", &format!("RevokedKeys {REVOKED}\n"));
    let ca = ca(&host, "ca");
    fs::copy(format!("{ca}.pub"), CA).unwrap();
    let laptop = host.key("laptop");
    Some((host, ca, laptop))
}

/// Signs the key; ssh then offers the certificate with it.
fn sign(host: &JumpHost, ca: &str, key: &Key, principals: &str, more: &[&str]) {
    let public = format!("{}.pub", key.file.display());
    let line = ["ssh-keygen", "-q", "-s", ca, "-I", "a certificate", "-n", principals];
    host.done(&[&line, more, &[public.as_str()]].concat());
}

const HOUR: [&str; 2] = ["-V", "+1h"];

#[test]
fn a_certificate_lets_in_the_active_user_whom_it_names_and_nobody_else() {
    let Some((host, ca, laptop)) = host() else { return };
    local_user(&host, "ubuntu");
    host.enable(&["--user-ca", CA]);
    host.restart_sshd(&[]);
    host.user("Ana.Doe");
    host.user("eve");
    host.refresh();
    let (ana, uid) = ("ana.doe", host.passwd("ana.doe", 2));
    let principals = host.done(&["/usr/libexec/nss-iam/keys-cmd", "--principals", ana, &uid]);
    let principals: Vec<&str> = principals.lines().collect();
    assert!(
        principals.len() == 3 && principals.contains(&"Ana.Doe"),
        "login name, name and id: {principals:?}"
    );

    host.refused(ana, &laptop);
    for principal in &principals {
        sign(&host, &ca, &laptop, &format!("nobody,{principal}"), &HOUR);
        assert_eq!(host.login(ana, &laptop, "id -un"), "ana.doe\n", "{principal}");
    }
    host.logged(&["nss-iam-keys-cmd[", "allowed principals 'ana.doe', '"]);
    host.refused("eve", &laptop);
    // In a Match, sshd takes `none` for the name of a file in the home directory.
    host.done(&["su", "ana.doe", "-c", "echo eve >~/none"]);
    let refused = |why: &str, principals: &str, more: &[&str]| {
        sign(&host, &ca, &laptop, principals, more);
        for user in [ana, "ubuntu"] {
            host.refused(user, &laptop);
        }
        host.logged(&["sshd[", why]);
    };
    refused("does not contain an authorized principal", "eve,root,ubuntu,ANA.DOE,ana", &HOUR);
    refused("Certificate invalid: expired", ana, &["-V", "20200101:20200102"]);
    refused("Certificate invalid: not yet valid", ana, &["-V", "+1d:+2d"]);
    let other = self::ca(&host, "other-ca");
    sign(&host, &other, &laptop, ana, &HOUR);
    host.refused(ana, &laptop);
    fs::write("/root/revoke", "serial: 7\n").unwrap();
    host.done(&["ssh-keygen", "-q", "-k", "-u", "-f", REVOKED, "-s", CA, "/root/revoke"]);
    refused("revoked", ana, &["-z", "7", "-V", "+1h"]);

    sign(&host, &ca, &laptop, ana, &["-z", "8", "-V", "+1h"]);
    host.login(ana, &laptop, "true");
    host.logged(&["nss-iam-keys-cmd[", "with certificate 8 'a certificate', confirmed "]);
    let id = fs::read("/etc/machine-id").unwrap();
    fs::write("/etc/machine-id", "fedcba9876543210fedcba9876543210\n").unwrap();
    host.refused(ana, &laptop);
    fs::write("/etc/machine-id", id).unwrap();
    host.done(&["nss-iamctl", "lock", ana]);
    host.refused(ana, &laptop);
    host.done(&["nss-iamctl", "unlock", ana]);
    host.enable(&["--forward-only"]);
    host.refresh();
    let ran = host.ssh(ana, &laptop, "id");
    assert!(text(&ran.stderr).contains("runs no command for you"), "{}", text(&ran.stderr));
    host.remove_member("Ana.Doe");
    host.refresh();
    host.refused(ana, &laptop);
}

/// What is so on every host whose administrator set TrustedUserCAKeys.
#[test]
fn where_sshd_trusts_a_ca_already_its_certificates_let_active_users_in_by_their_login_name() {
    let Some((host, ca, laptop)) = host() else { return };
    append("/etc/ssh/sshd_config", &format!("TrustedUserCAKeys {CA}\n"));
    let said = host.done(&["sh", "-c", "nss-iamctl enable 2>&1"]);
    assert!(said.contains("max_age, machine-id and [keys] options do not apply to them"), "{said}");
    host.restart_sshd(&[]);
    host.user("Ana.Doe");
    host.refresh();
    sign(&host, &ca, &laptop, "Ana.Doe", &HOUR);
    host.refused("ana.doe", &laptop);
    sign(&host, &ca, &laptop, "ana.doe", &HOUR);
    host.login("ana.doe", &laptop, "true");
    fs::write("/etc/machine-id", "fedcba9876543210fedcba9876543210\n").unwrap();
    host.login("ana.doe", &laptop, "true");
    let doctor = host.sh("nss-iamctl doctor").1;
    assert!(doctor.contains("machine-id and [keys] options do not apply to them"), "{doctor}");
    host.remove_member("Ana.Doe");
    host.refresh();
    host.refused("ana.doe", &laptop);
}

#[test]
fn the_commands_of_the_guide_do_what_it_says() {
    let Some(host) = JumpHost::bare() else { return };
    host.configure("");
    host.user("ana");
    host.restart_sshd(&[]);
    let page = include_str!("../../../docs/guide/certificates.md");
    assert!(guide::follow(&host, page, &["ca$ ", "$ ", "# "]) >= 8);
}
