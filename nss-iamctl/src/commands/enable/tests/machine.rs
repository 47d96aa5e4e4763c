//! A host in a folder, whose programs are stand-ins: an sshd that reads the real files by first match, authselect,
//! pam-auth-update, visudo and systemctl. What real ones do is for the tests of the whole machine.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cache::model::{Field, IamId, Id, Name};
use cache::snapshot::{Cache, User};

use crate::cli::{Disable, Enable};
use crate::commands::{disable, enable};
use crate::edit::nsswitch;
use crate::edit::sshd::config::{Files, directives, matches};
use crate::host::files;
use crate::host::{Host, Output, Programs};
use crate::say::error::Error;

pub(super) struct Machine {
    folder: tempfile::TempDir,
}

const PROGRAMS: [&str; 5] = ["sshd", "visudo", "getent", "systemctl", "nscd"];
const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nsshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n\
                      ubuntu:x:1000:1000::/home/ubuntu:/bin/bash\n";

impl Machine {
    /// Debian 12's files, or those of another folder of `tests/files`, and a cache with an active and a disabled user.
    pub(super) fn of(nsswitch: &str, sshd_config: &str) -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        for program in PROGRAMS {
            machine.write(&format!("/usr/sbin/{program}"), "");
        }
        machine.write("/etc/nsswitch.conf", nsswitch);
        machine.write("/etc/ssh/sshd_config", sshd_config);
        machine.write("/etc/passwd", PASSWD);
        machine.write("/etc/shadow", "root:*:1::::::\nubuntu:!:1::::::\n");
        machine.write("/etc/pam.d/sshd", "@include common-session\n");
        machine.write("/etc/sudoers", "%sudo ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n");
        machine.write("/home/ubuntu/.ssh/authorized_keys", "ssh-ed25519 AAAA\n");
        machine.write("/sshd-version", "9.2");
        fs::create_dir_all(machine.path("/var/lib/nss-iam")).unwrap();
        let user = |name: &str, active| User {
            uid: Id::computed(&IamId::new(name)),
            name: Name::new(name).unwrap(),
            pinned: false,
            active,
            gecos: Field::new("").unwrap(),
            home: Field::new("/home/x").unwrap(),
            shell: Field::new("/bin/sh").unwrap(),
            lastchg: 20_000,
            groups: Vec::new(),
            local: Vec::new(),
        };
        let mut users = vec![user("ana", true), user("gone", false)];
        users.sort_by_key(|user| user.uid);
        cache::publish::cache(&machine.path("/var/lib/nss-iam"), &Cache { users, groups: Vec::new() })
            .unwrap();
        machine
    }

    pub(super) fn debian() -> Self {
        let files = [
            include_str!("../../../../tests/files/debian12/nsswitch.conf"),
            include_str!("../../../../tests/files/debian12/sshd_config"),
        ];
        let machine = Self::of(files[0], files[1]);
        machine.write("/etc/ssh/sshd_config.d/50-cloud-init.conf", "PasswordAuthentication no\n");
        machine
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    pub(super) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn remove(&self, path: &str) {
        fs::remove_file(self.path(path)).unwrap();
    }

    pub(super) fn read(&self, path: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(path)).unwrap_or_default()).into_owned()
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// Every file below /etc and /usr and every folder, with its content and mode.
    pub(super) fn files(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.path("/etc"), self.path("/usr"), self.path("/var")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
                if path.is_dir() {
                    folders.push(path.clone());
                }
                found.insert(path.clone(), (mode, fs::read(&path).unwrap_or_default()));
            }
        }
        found
    }

    fn host(&self) -> Host {
        Host::of(self.folder.path().to_owned(), Box::new(Fakes(self.folder.path().to_owned())))
    }

    pub(super) fn enable(&self, args: &Enable) -> Result<String, Error> {
        let mut out = Vec::new();
        enable::run(&self.host(), args, &mut out)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    pub(super) fn disable(&self) -> Result<String, Error> {
        let mut out = Vec::new();
        disable::run(&self.host(), &Disable::default(), &mut out)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    /// What was said on standard error since the last time.
    pub(super) fn said(&self) -> String {
        crate::say::SAID.with_borrow_mut(std::mem::take)
    }

    /// The words of every program that was run to change something.
    pub(super) fn ran(&self) -> String {
        self.read("/ran")
    }

    /// What the stand-in for sshd shows for a user.
    pub(super) fn sshd(&self, user: &str, keyword: &str) -> String {
        let shown = Fakes(self.folder.path().to_owned()).settings(user);
        let values = shown.lines().filter_map(|line| line.strip_prefix(keyword)?.strip_prefix(' '));
        values.collect::<Vec<_>>().join(" ")
    }
}

struct Fakes(PathBuf);

impl Files for Fakes {
    fn text(&self, path: &Path) -> Option<String> {
        files::read_lossy(&self.0.join(path.strip_prefix("/").unwrap())).unwrap()
    }
    fn names(&self, folder: &Path) -> Vec<OsString> {
        files::names(&self.0.join(folder.strip_prefix("/").unwrap())).unwrap()
    }
}

impl Programs for Fakes {
    fn run(&self, line: &[&str], stdin: &str) -> io::Result<Output> {
        let name = Path::new(line[0]).file_name().unwrap().to_str().unwrap();
        let done = |code: i32, stdout: &str, stderr: &str| {
            Ok(Output { code: Some(code), stdout: stdout.to_owned(), stderr: stderr.to_owned() })
        };
        if name == "sshd" && line[1] != "-V" && self.at("/run").exists() && !self.at("/run/sshd").exists() {
            return done(255, "", "Missing privilege separation directory: /run/sshd\n");
        }
        match (name, &line[1..]) {
            ("sshd", ["-V"]) => {
                done(1, "", &format!("unknown option -- V\nOpenSSH_{}p1\n", self.get("/sshd-version")))
            }
            ("sshd", ["-t"]) => {
                let broken = directives(self).iter().any(|line| line.keyword == "broken");
                done(
                    if broken { 255 } else { 0 },
                    "",
                    if broken { "Bad configuration option: broken\n" } else { "" },
                )
            }
            ("sshd", ["-T", "-C", connection]) => {
                let user = connection.split([',', '=']).nth(1).unwrap();
                done(0, &self.settings(user), "")
            }
            ("visudo", _) if stdin.contains("Defaults:%iam-users ") => done(0, "stdin: parsed OK\n", ""),
            ("visudo", _) => done(1, "", "syntax error"),
            ("getent", ["passwd", key]) => match self.passwd(key) {
                Some(line) => done(0, &line, ""),
                None => done(2, "", ""),
            },
            ("systemctl", ["is-active" | "is-enabled", ..]) => done(3, "", ""),
            ("systemctl", ["enable" | "disable", ..]) => {
                self.note(line);
                done(0, "", "")
            }
            ("pam-auth-update", words) => {
                self.note(line);
                self.pam_auth_update(words.contains(&"--enable"));
                done(0, "", "")
            }
            ("authselect", words) => {
                let (code, stdout) = self.authselect(words);
                if !["current", "check", "list-features"].contains(&words[0]) {
                    self.note(line);
                }
                done(code, &stdout, "")
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Fakes {
    fn at(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    fn get(&self, path: &str) -> String {
        self.text(Path::new(path)).unwrap_or_default()
    }

    fn put(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    fn note(&self, line: &[&str]) {
        self.put("/ran", &format!("{}{}\n", self.get("/ran"), line.join(" ")));
    }

    /// Whether nsswitch.conf asks for ours, and the module is there.
    fn asks_iam(&self) -> bool {
        nsswitch::asks_iam(self.get("/etc/nsswitch.conf").as_bytes()) && !self.at("/module-missing").exists()
    }

    /// An earlier release of the module finds a disabled user by name, too.
    fn earlier(&self) -> bool {
        self.at("/module-earlier").exists()
    }

    /// glibc, by name or uid.
    fn passwd(&self, key: &str) -> Option<String> {
        let gone = Id::computed(&IamId::new("gone"));
        if self.asks_iam() && (key == gone.to_string() || self.earlier() && key == "gone") {
            return Some(format!("gone:x:{gone}:{gone}::/home/x:/usr/sbin/nologin\n"));
        }
        self.groups(key).map(|_| format!("{key}:x:1:1::/:/bin/sh\n"))
    }

    /// glibc: local users from the file, ours if nsswitch.conf asks for them.
    fn groups(&self, user: &str) -> Option<Vec<&'static str>> {
        let iam = self.asks_iam();
        match user {
            "ana" if iam => Some(vec!["ana", "iam-users"]),
            "gone" if iam && self.earlier() => Some(vec!["gone", "iam-disabled"]),
            "ubuntu" if self.at("/ubuntu-in-iam-users").exists() => Some(vec!["ubuntu", "iam-users"]),
            "root" | "ubuntu" => Some(vec!["sudo"]),
            _ => None,
        }
    }

    /// What `sshd -T` would print: the first Match that sets a keyword, else the first global setting, else a default.
    fn settings(&self, user: &str) -> String {
        let mut lists: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut global = lists.clone();
        for line in
            directives(self).into_iter().filter(|line| !["match", "include"].contains(&line.keyword.as_str()))
        {
            let settings = match &line.within {
                None => &mut global,
                Some(criteria) if self.applies(criteria, user) => &mut lists,
                Some(_) => continue,
            };
            let values = settings.entry(line.keyword.clone()).or_default();
            if line.keyword.starts_with("allow") || line.keyword.starts_with("deny") || values.is_empty() {
                values.extend(line.arguments);
            }
        }
        let defaults = "authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2\nauthorizedkeyscommand none\n\
                        authorizedkeyscommanduser none\npubkeyauthentication yes\nfingerprinthash SHA256\nusepam no\n\
                        passwordauthentication yes\npermitrootlogin without-password\nauthenticationmethods any\n";
        let defaults = defaults.lines().map(|line| line.split_once(' ').unwrap());
        let mut settings: BTreeMap<_, _> =
            defaults.map(|(k, v)| (k.to_owned(), vec![v.to_owned()])).collect();
        settings.extend(global);
        settings.extend(lists);
        settings.into_iter().map(|(keyword, values)| format!("{keyword} {}\n", values.join(" "))).collect()
    }

    fn applies(&self, criteria: &str, user: &str) -> bool {
        let groups = self.groups(user).unwrap_or_default();
        let words: Vec<&str> = criteria.split(' ').filter(|word| !["and", "all"].contains(word)).collect();
        words.chunks(2).all(|pair| {
            let any = |name: &str| pair[1].split(',').any(|pattern| matches(pattern, name));
            match pair[0].to_ascii_lowercase().as_str() {
                "user" => any(user),
                "group" => groups.iter().any(|group| any(group)),
                _ => false,
            }
        })
    }

    fn pam_auth_update(&self, enable: bool) {
        let (stack, seen) = ("/etc/pam.d/common-session", "/var/lib/pam/seen");
        if self.get(stack).contains("# edited by hand") {
            return;
        }
        let line = "session\toptional\t\t\tpam_mkhomedir.so umask=0077 \n";
        let (text, list) =
            (self.get(stack).replace(line, ""), self.get(seen).replace("nss-iam-mkhomedir\n", ""));
        assert!(self.at("/usr/share/pam-configs/nss-iam-mkhomedir").exists());
        self.put(stack, &if enable { format!("{text}{line}") } else { text });
        self.put(seen, &if enable { format!("{list}nss-iam-mkhomedir\n") } else { list });
    }

    fn authselect(&self, words: &[&str]) -> (i32, String) {
        let selected = "/etc/authselect/authselect.conf";
        match words {
            ["current", "--raw"] => (if self.at(selected).exists() { 0 } else { 2 }, self.get(selected)),
            ["check"] => (if self.at("/edited").exists() { 3 } else { 0 }, String::new()),
            ["list-features", _] => (0, "with-mkhomedir\nwith-sudo\n".to_owned()),
            ["create-profile", name, "-b", base, ..] => {
                let template = self.get(&format!("/usr/share/authselect/default/{base}/nsswitch.conf"));
                self.put(&format!("/etc/authselect/custom/{name}/nsswitch.conf"), &template);
                (0, String::new())
            }
            ["select", profile, features @ ..] => {
                if self.at("/refuses").exists() && profile.starts_with("custom/") {
                    return (1, String::new());
                }
                let folder = if profile.starts_with("custom/") { "/etc" } else { "/usr/share" };
                let profile_folder = profile
                    .strip_prefix("custom/")
                    .map_or(format!("default/{profile}"), |n| format!("custom/{n}"));
                let template = self.get(&format!("{folder}/authselect/{profile_folder}/nsswitch.conf"));
                let body: String = template
                    .lines()
                    .map(|l| l.split('{').next().unwrap().trim_end().to_owned() + "\n")
                    .collect();
                self.put("/etc/authselect/nsswitch.conf", &format!("# Generated by authselect\n{body}"));
                self.put(selected, &[&[*profile], features].concat().join(" "));
                (0, String::new())
            }
            _ => (1, String::new()),
        }
    }
}
