//! Nothing that starts with the system for an nss-iam user reads the instance's metadata.

use tests::vm::Vm;

use crate::support::installed;

const UNITS: &str = "/usr/local/lib/systemd/system";
const SERVICE: &str = include_str!("metadata/service.py");
const ASK: &str = include_str!("metadata/ask.sh");

/// Each starts a job of the user at the boot, in another way, that asks for some time, as early as that way allows it.
fn asks_at_boot(vm: &Vm, user: &str) {
    let home = format!("/home/{user}");
    vm.done(&format!("echo '@reboot /usr/local/bin/ask cron' | crontab -u {user} -"));
    // Queued while the daemon is stopped, so that it runs when the daemon starts.
    vm.done(&format!(
        "cd / && systemctl stop atd && echo '/usr/local/bin/ask at' | su -s /bin/sh {user} -c 'at now' 2>&1"
    ));
    vm.done(&format!("install -d -o {user} -g {user} {home} && loginctl enable-linger {user}"));
    let user_units = format!("{home}/.config/systemd/user");
    vm.write(&format!("{user_units}/ask.service"), "[Service]\nExecStart=/usr/local/bin/ask lingering\n");
    vm.done(&format!(
        "cd {user_units} && mkdir default.target.wants && ln -s ../ask.service default.target.wants && chown -R {user}: {home}"
    ));
    // systemd.special(7): what does not wait for basic.target waits for sysinit.target.
    let unit = format!(
        "[Unit]\nDefaultDependencies=no\nAfter=sysinit.target\n[Service]\nUser={user}\nExecStart=/usr/local/bin/ask unit\n"
    );
    vm.write(&format!("{UNITS}/early-{user}.service"), unit);
    vm.done(&format!(
        "cd {UNITS} && mkdir -p basic.target.wants && ln -s ../early-{user}.service basic.target.wants"
    ));
}

/// Somebody is logged in on the serial console, without being asked.
fn logs_in_at_boot(vm: &Vm, user: &str) {
    let getty = "[Service]\nExecStart=\nExecStart=-/sbin/agetty --keep-baud 115200 - $TERM --autologin";
    vm.write("/etc/systemd/system/serial-getty@ttyS0.service.d/login.conf", format!("{getty} {user}\n"));
    vm.write(&format!("/home/{user}/.bash_profile"), "ask getty\n");
}

#[test]
fn no_job_of_a_user_reads_the_metadata_after_a_boot_but_those_of_a_local_user_do() {
    let Some((mut vm, _)) = installed() else { return };
    vm.write("/usr/local/sbin/metadata", SERVICE);
    vm.write("/usr/local/bin/ask", ASK);
    vm.write(
        &format!("{UNITS}/metadata.service"),
        "[Unit]\nDefaultDependencies=no\nAfter=local-fs.target\nBefore=sysinit.target\n[Service]\n\
         ExecStartPre=ip address replace 169.254.169.254/32 dev lo\nExecStart=/usr/local/sbin/metadata\n\
         [Install]\nWantedBy=sysinit.target\n",
    );
    vm.done("chmod 755 /usr/local/sbin/metadata /usr/local/bin/ask && systemctl enable metadata.service");
    vm.done("useradd -m -s /bin/bash lena && : >/var/tmp/asked && chmod 666 /var/tmp/asked");
    for user in ["ana", "lena"] {
        asks_at_boot(&vm, user);
    }
    logs_in_at_boot(&vm, "ana");
    vm.reboot();

    let asked = |vm: &Vm| vm.done("cat /var/tmp/asked");
    for job in ["cron", "at", "lingering", "unit", "getty"] {
        vm.until(&format!("ana's {job} was refused"), || {
            asked(&vm).contains(&format!("ana {job} refused\n"))
        });
        // The metadata was there for everybody who may read it, also for the first who asked.
        if job != "getty" {
            vm.until(&format!("lena's {job} read it"), || asked(&vm).contains(&format!("lena {job} read\n")));
        }
    }
    let said = asked(&vm);
    assert!(!said.lines().any(|line| line.starts_with("ana ") && line.ends_with(" read")), "{said}");
    stays_through_changes_of_nftables(&vm);
}

fn stays_through_changes_of_nftables(vm: &Vm) {
    for change in ["start", "reload", "restart", "stop"] {
        vm.done(&format!("systemctl {change} nftables.service"));
        let asked = vm.done(&format!(
            "setpriv --reuid ana --clear-groups ask {change} 0; ask {change} 0; grep ' {change} ' /var/tmp/asked"
        ));
        assert_eq!(asked, format!("ana {change} refused\nroot {change} read\n"));
    }
}
