//! A host with both: users of IAM, and a directory whose users come from a slapd on loopback through sssd.

use std::cell::RefCell;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tests::login::{JumpHost, Key};
use tests::text;

/// Where Debian's packages put `sss`: each appends its service, and systemd's is there from the beginning.
const NSSWITCH: &str = "passwd:         files systemd sss\ngroup:          files systemd sss\n\
    shadow:         files systemd sss\ngshadow:        files systemd\n\nhosts:          files dns\n";
const SLAPD_LOG: &str = "/root/slapd.log";
const BASE: &str = "dc=example,dc=com";

pub(crate) struct Beside {
    pub(crate) host: JumpHost,
    /// The key of dana, a user of the directory.
    pub(crate) dana: Key,
    /// The key of ubuntu, a local user.
    pub(crate) ubuntu: Key,
    slapd: Child,
    sssd: RefCell<Option<Child>>,
}

impl Beside {
    /// nss-iam is not set up yet.
    pub(crate) fn bare() -> Option<Self> {
        let host = JumpHost::bare_in("directory")?;
        fs::write("/etc/nsswitch.conf", NSSWITCH).unwrap();
        let slapd = slapd(&host);
        let sssd = RefCell::new(None);
        host.configure("");
        host.done(&["useradd", "--create-home", "--shell", "/bin/bash", "ubuntu"]);
        let (dana, ubuntu) = (host.key("dana"), host.key("ubuntu"));
        let beside = Self { host, dana, ubuntu, slapd, sssd };
        beside.write_sssd_conf("");
        beside.start_sssd();
        beside.host.done(&["install", "-d", "-m", "755", "-o", "5000", "-g", "5000", "/home/dana"]);
        for (user, key) in [("dana", &beside.dana), ("ubuntu", &beside.ubuntu)] {
            let directory = format!("/home/{user}/.ssh");
            beside.host.done(&["install", "-d", "-m", "700", "-o", user, "-g", user, &directory]);
            let keys = format!("{directory}/authorized_keys");
            fs::write(&keys, format!("{}\n", key.public)).unwrap();
            beside.host.done(&["chown", user, &keys]);
        }
        Some(beside)
    }

    /// Set up with these options, and ana, a user of IAM.
    pub(crate) fn enabled(options: &[&str]) -> Option<(Self, Key)> {
        let beside = Self::bare()?;
        beside.host.enable(options);
        beside.host.restart_sshd(&[]);
        let ana = beside.host.refreshed_user("ana");
        Some((beside, ana))
    }

    /// `more` belongs to the domain. sssd remembers for longer than a test takes whom the server does not know, instead of for
    /// 15 seconds.
    pub(crate) fn write_sssd_conf(&self, more: &str) {
        let conf = format!(
            "[sssd]\nservices = nss, pam\ndomains = example\n[nss]\nentry_negative_timeout = 3600\n[domain/example]\nid_provider = ldap\nauth_provider = ldap\n\
             ldap_uri = {}\nldap_search_base = {BASE}\nldap_id_use_start_tls = false\n\
             ldap_auth_disable_tls_never_use_in_production = true\n{more}",
            uri(&self.host)
        );
        fs::write("/etc/sssd/sssd.conf", conf).unwrap();
        fs::set_permissions("/etc/sssd/sssd.conf", Permissions::from_mode(0o600)).unwrap();
    }

    /// Starts sssd, and waits until it knows dana.
    pub(crate) fn start_sssd(&self) {
        let mut command = self.host.machine.command(&["sssd", "--interactive", "--logger=files"]);
        let null = || Stdio::null();
        *self.sssd.borrow_mut() = Some(command.stdin(null()).stdout(null()).stderr(null()).spawn().unwrap());
        self.host.until("sssd knows dana", || self.host.sh("getent -s sss passwd dana").0 == Some(0));
    }

    /// Stops sssd, as an administrator or a crash does.
    pub(crate) fn stop_sssd(&self) {
        let Some(mut sssd) = self.sssd.borrow_mut().take() else { return };
        kill(pid(&sssd), Signal::SIGTERM).unwrap();
        sssd.wait().unwrap();
        self.host.until("sssd has ended", || self.pids("sssd_").is_empty());
    }

    /// Forgets everything, and starts again.
    pub(crate) fn restart_sssd_cold(&self) {
        self.stop_sssd();
        for directory in ["/var/lib/sss/db", "/var/lib/sss/mc"] {
            fs::read_dir(directory)
                .unwrap()
                .for_each(|entry| fs::remove_file(entry.unwrap().path()).unwrap());
        }
        self.start_sssd();
    }

    /// The processes of a program of this host.
    fn pids(&self, program: &str) -> Vec<Pid> {
        let here = fs::read_link("/proc/thread-self/ns/mnt").unwrap();
        let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let of_here =
            processes.filter(|path| fs::read_link(path.join("ns/mnt")).ok().as_ref() == Some(&here));
        let named = of_here
            .filter(|path| fs::read_to_string(path.join("comm")).unwrap_or_default().starts_with(program));
        named
            .map(|path| Pid::from_raw(path.file_name().unwrap().to_str().unwrap().parse().unwrap()))
            .collect()
    }

    /// Stops every process of a program from running, or lets them go on.
    pub(crate) fn signal(&self, program: &str, signal: Signal) {
        let pids = self.pids(program);
        assert!(!pids.is_empty(), "{program} does not run");
        pids.into_iter().for_each(|pid| kill(pid, signal).unwrap());
    }

    /// Adds a person to the directory, with a group of the same name and of another one.
    pub(crate) fn add_person(&self, name: &str, id: u32) {
        fs::write("/root/person.ldif", person(name, id)).unwrap();
        let uri = uri(&self.host);
        let admin = format!("cn=admin,{BASE}");
        self.host.done(&[
            "ldapadd",
            "-x",
            "-H",
            &uri,
            "-D",
            &admin,
            "-w",
            "secret",
            "-f",
            "/root/person.ldif",
        ]);
    }

    /// How often slapd was searched while this ran.
    pub(crate) fn searches(&self, run: impl FnOnce()) -> usize {
        let count = || fs::read(SLAPD_LOG).unwrap().windows(9).filter(|text| *text == b"SRCH base").count();
        let before = count();
        run();
        count() - before
    }

    /// Logs in as a user of the directory, with the password, and runs `id`; what it prints, if sshd lets the user in.
    pub(crate) fn by_password(&self, user: &str) -> Option<String> {
        let askpass = "/root/askpass";
        fs::write(askpass, format!("#!/bin/sh\necho password-of-{user}\n")).unwrap();
        fs::set_permissions(askpass, Permissions::from_mode(0o755)).unwrap();
        let options = "PubkeyAuthentication=no StrictHostKeyChecking=no UserKnownHostsFile=/dev/null NumberOfPasswordPrompts=1 \
                       LogLevel=ERROR";
        let mut command =
            self.host.machine.command(&["setsid", "--wait", "ssh", "-F", "none", "-p", "2222", "-l", user]);
        command
            .args(options.split_whitespace().flat_map(|option| ["-o", option]))
            .args([&self.host.address, "id"]);
        command.env("SSH_ASKPASS", askpass).env("SSH_ASKPASS_REQUIRE", "force");
        let ran = command.stdin(Stdio::null()).output().unwrap();
        ran.status.success().then(|| text(&ran.stdout).to_owned())
    }

    /// Whether the user gets in within this time, in seconds.
    pub(crate) fn gets_in(&self, user: &str, key: &Key, seconds: u32) -> bool {
        let mut client = self.host.machine.command(&[
            "timeout",
            &seconds.to_string(),
            "ssh",
            "-n",
            "-p",
            "2222",
            "-l",
            user,
        ]);
        client.args(JumpHost::options(key)).args([&self.host.address, "id -un"]).stdin(Stdio::null());
        let ran: Output = client.output().unwrap();
        let inside = ran.status.success() && text(&ran.stdout).trim() == user;
        assert!(inside || matches!(ran.status.code(), Some(124 | 255)), "{user}: {ran:?}");
        inside
    }

    /// The report of `doctor --json` or `why USER --json`.
    pub(crate) fn report(&self, words: &[&str]) -> Value {
        let ran = self.host.machine.run(&[&["nss-iamctl"], words, &["--json"]].concat());
        serde_json::from_slice(&ran.stdout).unwrap()
    }

    /// What the finding with this code says, with its level and its remedy.
    pub(crate) fn finding(&self, words: &[&str], code: &str) -> Option<Finding> {
        let report = self.report(words);
        let found = report["findings"].as_array().unwrap().iter().find(|finding| finding["code"] == code)?;
        let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        Some(Finding { level: text("level"), what: text("what"), remedy: text("remedy") })
    }

    /// Whether `doctor` and `status --check` both say that logins work; they must agree.
    pub(crate) fn says_logins_work(&self) -> bool {
        let logins = self.report(&["doctor"])["logins"].clone();
        let doctor = logins["level"] == json!("ok");
        let (status, said) = self.host.sh("nss-iamctl status --check");
        assert_eq!(status != Some(2), doctor, "{said}{logins}");
        doctor
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        for mut child in [self.sssd.borrow_mut().take()].into_iter().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = self.slapd.kill();
        let _ = self.slapd.wait();
    }
}

/// Each order, as an option of `enable`, in a thread of its own: a machine occupies a thread for the rest of its life.
pub(crate) fn in_each_order(run: impl Fn(&str) + Sync) {
    for order in ["--after-directories", "--before-directories"] {
        std::thread::scope(|threads| threads.spawn(|| run(order)).join().unwrap());
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) level: String,
    pub(crate) what: String,
    pub(crate) remedy: String,
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

fn uri(host: &JumpHost) -> String {
    format!("ldap://{}:3890", host.address)
}

fn slapd(host: &JumpHost) -> Child {
    let conf = format!(
        "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\ninclude /etc/ldap/schema/nis.schema\n\
         pidfile /run/slapd.pid\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\nloglevel stats\ndatabase mdb\n\
         suffix \"{BASE}\"\nrootdn \"cn=admin,{BASE}\"\nrootpw secret\ndirectory /var/lib/people\n\
         index uid,uidNumber,gidNumber,cn,memberUid,objectClass eq\n"
    );
    fs::write("/root/slapd.conf", conf).unwrap();
    fs::create_dir("/var/lib/people").unwrap();
    let unit = |name: &str| format!("dn: ou={name},{BASE}\nobjectClass: organizationalUnit\nou: {name}\n\n");
    let root =
        format!("dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: example\ndc: example\n\n");
    let all = [root, unit("people"), unit("groups"), person("dana", 5000), person("erik", 5002)].concat();
    fs::write("/root/people.ldif", all).unwrap();
    host.done(&["slapadd", "-f", "/root/slapd.conf", "-l", "/root/people.ldif"]);
    let mut command =
        host.machine.command(&["slapd", "-f", "/root/slapd.conf", "-h", &uri(host), "-d", "stats"]);
    let log = File::create(SLAPD_LOG).unwrap();
    let slapd = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    host.until("slapd answers", || {
        host.sh(&format!("ldapsearch -x -H {} -b {BASE} -s base", uri(host))).0 == Some(0)
    });
    slapd
}

/// A person, the group of the same name, and the group `GROUP-of-NAME`, whose gid is one higher.
fn person(name: &str, id: u32) -> String {
    let group = |cn: &str, gid: u32, member: &str| {
        format!(
            "dn: cn={},ou=groups,{BASE}\nobjectClass: posixGroup\ncn: {cn}\ngidNumber: {gid}\n{member}\n",
            cn.replace('+', "\\+")
        )
    };
    let escaped = name.replace('+', "\\+");
    format!(
        "dn: uid={escaped},ou=people,{BASE}\nobjectClass: account\nobjectClass: posixAccount\nuid: {name}\ncn: {name}\n\
         uidNumber: {id}\ngidNumber: {id}\nhomeDirectory: /home/{name}\nloginShell: /bin/bash\n\
         userPassword: password-of-{name}\n\n{}{}",
        group(name, id, ""),
        group(&format!("staff-of-{name}"), id + 1, &format!("memberUid: {name}\n"))
    )
}
