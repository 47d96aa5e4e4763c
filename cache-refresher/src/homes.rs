//! Creates the home directories of published users, with `[users] create_homes = "refresh"`, by the program that pam_mkhomedir
//! uses: mkhomedir_helper(8).
//!
//! Only root may be able to replace what is on the way to a home, because the helper works with root's privileges. In a directory
//! that everyone can write to, such as one on a server where root is nobody, it works with the user's.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use cache::snapshot::{Cache, User};
use claims::program;
use message::Message;
use nix::unistd::geteuid;

use crate::directories::{self, Question};
use crate::exit;

/// The unit that creates them. A refresh does not wait for it: a file system that hangs delays no removal.
const UNIT: &str = "nss-iam-homes.service";
const SYSTEMCTL: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];
const HELPER: [&str; 3] =
    ["/usr/sbin/mkhomedir_helper", "/sbin/mkhomedir_helper", "/usr/bin/mkhomedir_helper"];

/// How long systemd may take to accept the job.
const ACCEPTED: Duration = Duration::from_secs(5);
/// How long a refresh without systemd waits for the process that creates homes, which then continues alone.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one home may take, with everything that is in /etc/skel.
const DEADLINE: Duration = Duration::from_secs(60);

/// Starts the creation, if a user has no home.
pub(crate) fn begin() {
    match missing().map(|users| users.is_empty()) {
        Ok(true) => {}
        Ok(false) if Path::new("/run/systemd/system").exists() => {
            let done = program::find(&SYSTEMCTL)
                .ok_or_else(|| "there is no systemctl".to_owned())
                .and_then(|systemctl| program::start(&systemctl, &["start", "--no-block", UNIT], ACCEPTED));
            if let Err(why) = done {
                log::warn!("{}", Message::new(format!("cannot start '{UNIT}': {why}; no home was created")));
            }
        }
        Ok(false) => in_child(),
        Err(why) => log::warn!("{}", Message::new(format!("{why}; no home was created"))),
    }
}

/// The process may hang in a file system, so nothing waits for its end.
fn in_child() {
    let child =
        Command::new("/proc/self/exe").arg("homes").env_clear().current_dir("/").stdin(Stdio::null()).spawn();
    match child {
        Ok(mut child) => {
            let (send, ended) = mpsc::channel();
            std::thread::spawn(move || send.send(child.wait()));
            let _ = ended.recv_timeout(PATIENCE);
        }
        Err(cause) => log::warn!("cannot start the creation of homes: {cause}"),
    }
}

/// The process that creates them; its exit status.
pub(crate) fn create() -> u8 {
    if !geteuid().is_root() {
        log::error!("only root can create home directories; nothing was done");
        return exit::DENIED;
    }
    let Some(helper) = program::find(&HELPER) else {
        let message =
            Message::new("cannot create home directories: the program 'mkhomedir_helper' is missing");
        log::error!(
            "{}",
            message.with_hint("it belongs to PAM: on Debian libpam-modules-bin, on Red Hat pam")
        );
        return exit::CONFIGURATION;
    };
    let users = match missing() {
        Ok(users) => users,
        Err(why) => {
            log::error!("{}", Message::new(format!("{why}; no home was created")));
            return exit::OTHER;
        }
    };
    let mut status = exit::OK;
    for user in users {
        let (name, home) = (&user.name, user.passwd.home.as_str());
        match one(&helper, &user) {
            Ok(false) => {}
            Ok(true) => log::info!("created the home '{home}' of user '{name}'"),
            Err(why) => {
                log::error!(
                    "{}",
                    Message::new(format!("cannot create the home '{home}' of user '{name}': {why}"))
                );
                status = exit::OTHER;
            }
        }
    }
    status
}

/// The published users without a home of their own. What is in its place stays.
fn missing() -> Result<Vec<User>, String> {
    let path = Path::new(cache::DIRECTORY).join("cache.db");
    let cache = Cache::read(&path).map_err(|cause| format!("cannot use '{}': {cause}", path.display()))?;
    let mut users = cache.users;
    users.retain(|user| user.active && !user.is_forward_only());
    let owners = users.iter().map(|user| user.passwd.home.as_str().to_owned()).collect();
    let seen = directories::look(&Question { owners, places: [].into() })
        .map_err(|why| format!("the home directories cannot be checked: {why}"))?;
    users.retain(|user| seen.owners.get(user.passwd.home.as_str()) != Some(&Some(user.uid.get())));
    Ok(users)
}

/// Whether the home exists already, maybe through a link.
///
/// # Errors
/// What else is in its place.
fn is_there(home: &Path, uid: u32) -> Result<bool, String> {
    let found = match fs::symlink_metadata(home) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(false),
        found => found.map_err(|cause| format!("what is there cannot be examined: {cause}"))?,
    };
    let link = if found.is_symlink() { "a link to " } else { "" };
    Err(match fs::metadata(home) {
        Ok(real) if real.is_dir() && real.uid() == uid => return Ok(true),
        Ok(real) if real.is_dir() => {
            format!("{link}a directory is there that belongs to uid {}, not to {uid}", real.uid())
        }
        Ok(_) => format!("{link}something is there that is not a directory"),
        Err(cause) => format!("{link}something is there that cannot be examined: {cause}"),
    })
}

/// Whether it was created; if not, it is there already.
fn one(helper: &Path, user: &User) -> Result<bool, String> {
    let (name, uid) = (user.name.as_str(), user.uid.get());
    let home = Path::new(user.passwd.home.as_str());
    if is_there(home, uid)? {
        return Ok(false);
    }
    // The helper asks glibc who that is.
    let known = nix::unistd::User::from_name(name).map_err(|cause| format!("getpwnam failed: {cause}"))?;
    if !known.is_some_and(|known| known.uid.as_raw() == uid && known.dir == home) {
        return Err("the host does not resolve the name to this user".to_owned());
    }
    let way = way(home)?;
    let mut command = Command::new(helper);
    command.args([name, "0077"]);
    if way == Way::User {
        // Without supplementary groups.
        command.uid(uid).gid(uid);
    }
    let ran = program::run_as(command, helper, DEADLINE)?;
    let made = fs::symlink_metadata(home).map_err(|cause| {
        let said = String::from_utf8_lossy(&ran.stderr);
        let said = said.lines().next_back().unwrap_or("it said nothing").to_owned();
        format!("'{}' did not ({said}): {cause}", helper.display())
    })?;
    if !made.is_dir() || made.uid() != uid || made.mode() & 0o077 != 0 {
        let (owner, mode) = (made.uid(), made.mode() & 0o7777);
        return Err(format!("what is there now belongs to uid {owner}, and has mode {mode:04o}"));
    }
    Ok(true)
}

/// With whose privileges a home is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Root,
    User,
}

/// Whether nobody but root could lead the helper elsewhere.
fn way(home: &Path) -> Result<Way, String> {
    let nodes = way::to(Path::new("/"), home).map_err(|cause| format!("cannot follow the path: {cause}"))?;
    let Some(node) = nodes.iter().find(|node| node.others_change()) else { return Ok(Way::Root) };
    let (shown, found) = (node.path.display(), &node.found);
    if found.uid() != 0 {
        return Err(format!("'{shown}', on the way to it, belongs to uid {}, not to root", found.uid()));
    }
    // Only in the directory that has the home, and where nobody can rename what others made.
    if home.parent() == Some(&node.path) && found.mode() & 0o1000 != 0 {
        return Ok(Way::User);
    }
    Err(format!("'{shown}', on the way to it, can be written to by others than root"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_in_the_place_of_a_home_is_named() {
        if !geteuid().is_root() {
            return;
        }
        let scratch = tempfile::tempdir().unwrap();
        let path = |name: &str| scratch.path().join(name);
        for name in ["ana", "eve"] {
            fs::create_dir(path(name)).unwrap();
        }
        chown(path("ana"), Some(1003), Some(1003)).unwrap();
        chown(path("eve"), Some(1004), Some(1004)).unwrap();
        fs::write(path("file"), "").unwrap();
        for (target, link) in [("ana", "to-ana"), ("eve", "to-eve"), ("file", "to-file"), ("none", "to-none")]
        {
            symlink(target, path(link)).unwrap();
        }
        symlink("loop", path("loop")).unwrap();
        for (home, wanted) in [
            ("none", Ok(false)),
            ("ana", Ok(true)),
            ("to-ana", Ok(true)),
            ("eve", Err("a directory is there that belongs to uid 1004, not to 1003")),
            ("to-eve", Err("a link to a directory is there that belongs to uid 1004")),
            ("file", Err("something is there that is not a directory")),
            ("to-file", Err("a link to something is there that is not")),
            ("to-none", Err("a link to something is there that cannot be examined: No such file")),
            ("loop", Err("cannot be examined")),
            ("file/x", Err("what is there cannot be examined: Not a directory")),
        ] {
            match (is_there(&path(home), 1003), wanted) {
                (Err(why), Err(wanted)) => assert!(why.contains(wanted), "{home}: {why}"),
                (found, wanted) => {
                    assert_eq!(found.as_ref(), wanted.map_err(str::to_owned).as_ref(), "{home}")
                }
            }
        }
    }

    /// In a directory of root's, which nobody else can write to: below /tmp everyone could.
    #[test]
    fn only_root_decides_where_a_home_is_created() {
        if !geteuid().is_root() {
            return;
        }
        let scratch = tempfile::Builder::new().prefix("homes").tempdir_in("/root").unwrap();
        let path = |name: &str| scratch.path().join(name);
        for name in ["home", "ana", "open", "sticky", "group"] {
            fs::create_dir(path(name)).unwrap();
            mode(&path(name), 0o755);
        }
        chown(path("ana"), Some(1003), Some(1003)).unwrap();
        mode(&path("open"), 0o777);
        mode(&path("group"), 0o775);
        mode(&path("sticky"), 0o1777);
        fs::create_dir(path("open/below")).unwrap();
        symlink("home", path("link")).unwrap();
        symlink(path("open/below"), path("trap")).unwrap();
        symlink("ana", path("to-ana")).unwrap();
        symlink("sticky", path("to-sticky")).unwrap();
        symlink("home", path("theirs")).unwrap();
        std::os::unix::fs::lchown(path("theirs"), Some(1003), Some(1003)).unwrap();
        symlink("loop", path("loop")).unwrap();
        for (home, wanted) in [
            ("home/x", Ok(Way::Root)),
            ("home/account/x", Ok(Way::Root)),
            ("link/x", Ok(Way::Root)),
            ("home/../link/x", Ok(Way::Root)),
            ("sticky/x", Ok(Way::User)),
            ("sticky/account/x", Err("others than root")),
            ("ana/x", Err("belongs to uid 1003")),
            ("to-ana/x", Err("belongs to uid 1003")),
            ("open/x", Err("others than root")),
            ("open/below/x", Err("others than root")),
            ("group/x", Err("others than root")),
            ("trap/x", Err("others than root")),
            ("to-sticky/x", Err("others than root")),
            ("theirs/x", Err("belongs to uid 1003")),
            ("loop/x", Err("too many links")),
        ] {
            match (way(&path(home)), wanted) {
                (Ok(way), Ok(wanted)) => assert_eq!(way, wanted, "{home}"),
                (Err(why), Err(wanted)) => assert!(why.contains(wanted), "{home}: {why}"),
                (way, wanted) => panic!("{home}: {way:?}, not {wanted:?}"),
            }
        }
    }
}
