//! Hosts whose configuration is shipped below /usr, with nothing in /etc until somebody changes it.

use std::fs;
use std::os::unix::fs::symlink;

use super::{MAIN, assert_ours_get_in, enable, sudo};
use crate::cli::Sudo;
use crate::fixtures::machine::Machine;

/// As on Flatcar; on NixOS, where the target is itself reached through a link; and a directory of which a file is new.
#[test]
fn a_link_to_what_is_shipped_is_refused_and_a_link_to_another_file_of_etc_is_not() {
    const NSSWITCH: &str = "/etc/nsswitch.conf";
    const DROP_INS: &str = "/etc/ssh/sshd_config.d";
    for (link, target, remedy) in [
        (
            NSSWITCH,
            "../usr/share/base/nsswitch.conf",
            "cp --remove-destination /usr/share/base/nsswitch.conf /etc/ns",
        ),
        (NSSWITCH, "static/nsswitch.conf", "cp --remove-destination /nix/store/x-etc/nsswitch.conf /etc/ns"),
        (
            DROP_INS,
            "../../usr/share/base",
            "rm /etc/ssh/sshd_config.d && cp -a /usr/share/base /etc/ssh/sshd_config.d",
        ),
        (NSSWITCH, "authselect.d/nsswitch.conf", ""),
        (NSSWITCH, "../usr/local/etc/nsswitch.conf", ""),
    ] {
        let machine = Machine::debian();
        let text = machine.read(NSSWITCH);
        for directory in ["/usr/share/base", "/nix/store/x-etc", "/etc/authselect.d", "/usr/local/etc"] {
            machine.write(&format!("{directory}/nsswitch.conf"), &text);
        }
        symlink(machine.path("/nix/store/x-etc"), machine.path("/etc/static")).unwrap();
        let replaced = machine.path(link);
        let _ = fs::remove_file(&replaced).or_else(|_| fs::remove_dir_all(&replaced));
        symlink(target, replaced).unwrap();
        let before = machine.files();
        if remedy.is_empty() {
            machine.enable(&enable()).unwrap();
            machine.disable().unwrap();
            assert_eq!(machine.read(NSSWITCH), text);
        } else {
            let refused = machine.enable(&enable()).unwrap_err().to_string();
            assert!(refused.contains(remedy), "{refused}");
            assert_eq!(machine.files(), before);
        }
    }
}

/// As on openSUSE: (path in /etc, where it is shipped, its lines).
const SHIPPED: [(&str, &str, &str); 5] = [
    (
        "/etc/nsswitch.conf",
        "/usr/etc/nsswitch.conf",
        "passwd:\tcompat systemd\ngroup:\tcompat [SUCCESS=merge] systemd\nshadow:\tcompat systemd\n\nhosts:\tfiles mdns_minimal [NOTFOUND=return] dns\n",
    ),
    (
        "/etc/ssh/sshd_config",
        "/usr/etc/ssh/sshd_config",
        "Include /etc/ssh/sshd_config.d/*.conf\nInclude /usr/etc/ssh/sshd_config.d/*.conf\nUsePAM yes\nX11Forwarding yes\n",
    ),
    ("/etc/pam.d/sshd", "/usr/lib/pam.d/sshd", "#%PAM-1.0\nsession include common-session\n"),
    ("/etc/pam.d/sudo", "/usr/etc/pam.d/sudo", "#%PAM-1.0\nauth include common-auth\n"),
    ("/etc/sudoers", "/usr/etc/sudoers", "@includedir /usr/etc/sudoers.d\n@includedir /etc/sudoers.d\n"),
];

#[test]
fn what_is_shipped_below_usr_is_completed_in_etc_and_taken_away_from_there_again() {
    // The second one needs a line in sshd_config itself.
    for (args, sshd_config) in [(&enable(), SHIPPED[1].2), (&sudo(Sudo::Agent), "UsePAM yes\n")] {
        let machine = Machine::debian();
        machine.write("/usr/lib64/security/pam_ssh_agent_auth.so", "");
        machine.write("/usr/etc/ssh/sshd_config.d/50-crypto.conf", "RekeyLimit 1G 1h\n");
        for (path, shipped, text) in SHIPPED {
            if machine.has(path) {
                machine.remove(path);
            }
            machine.write(shipped, text);
        }
        machine.write(SHIPPED[1].1, sshd_config);
        let before = machine.files();
        machine.enable(args).unwrap();
        assert_ours_get_in(&machine, sshd_config);
        let nsswitch = machine.read("/etc/nsswitch.conf");
        assert!(
            nsswitch.contains("group:\tcompat [SUCCESS=merge] iam [SUCCESS=merge] systemd\n"),
            "{nsswitch}"
        );
        assert!(
            nsswitch.ends_with(SHIPPED[0].2.rsplit_once("\n\n").unwrap().1),
            "the other lines, too: {nsswitch}"
        );
        assert!(machine.read("/etc/pam.d/sshd").starts_with(SHIPPED[2].2), "and PAM's stack");
        assert_eq!(machine.has(MAIN), !sshd_config.contains("Include"), "only what needs a change is copied");
        assert_eq!(machine.has("/etc/pam.d/sudo"), args.sudo.is_some());
        for (_, shipped, text) in SHIPPED.into_iter().filter(|(path, ..)| *path != MAIN) {
            assert_eq!(machine.read(shipped), text, "an update of the distribution overwrites '{shipped}'");
        }
        let enabled = machine.files();
        assert_eq!(machine.enable(args).unwrap(), "", "enabling twice has nothing to show");
        assert_eq!(machine.files(), enabled);
        machine.disable().unwrap();
        assert_eq!(machine.files(), before);
    }
}
