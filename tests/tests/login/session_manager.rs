//! Session Manager's Run As: a stand-in does what amazon-ssm-agent 3.3 does (`StartCommandExecutor` and `getUserCredentials`
//! in agent/session/shell/shell_unix.go). It asks `id`, and starts a shell with the ids and `HOME=/home/USER`: no PAM,
//! no shadow, not the user's own shell or home. The guide's commands are tried with it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tests::login::{ADMINS, GROUP, JumpHost};
use tests::text;

use crate::support::{local_user, runs};

const GUIDE: &str = include_str!("../../../docs/guide/session-manager.md");
const CLUSTERS: &str = include_str!("../../../docs/guide/shared-homes.md");
const AT_REFRESH: &str = "[users]\ncreate_homes = \"refresh\"\n";

/// The output of `sh -c "id WORDS"`; the agent does not quote the name.
fn id(host: &JumpHost, words: &str) -> Result<String, String> {
    let ran = host.machine.run(&["sh", "-c", &format!("id {words}")]);
    if ran.status.success() { Ok(text(&ran.stdout).to_owned()) } else { Err(text(&ran.stderr).to_owned()) }
}

/// The gids in the output of id(1). The agent refuses one without a name.
fn gids(said: &str) -> Result<Vec<u32>, String> {
    let Some((_, groups)) = said.split_once("groups=") else { return Ok(Vec::new()) };
    let gid = |group: &str| {
        let (gid, _) = group.split_once('(').ok_or_else(|| format!("invalid group {group}"))?;
        gid.trim().parse().map_err(|_| format!("invalid group {group}"))
    };
    groups.split(',').map(gid).collect()
}

/// The session's shell, which reads commands from standard input; or why there is none.
fn session(host: &JumpHost, user: &str) -> Result<Child, String> {
    id(host, user).map_err(|why| format!("RunAs user {user} does not exist: {why}"))?;
    let number = |words: &str| id(host, words)?.trim().parse::<u32>().map_err(|why| why.to_string());
    let (uid, gid) = (number(&format!("-u {user}"))?, number(&format!("-g {user}"))?);
    let gids = gids(&id(host, user)?)?;
    if uid == 0 || gid == 0 {
        return Err("invalid uid and gid".to_owned());
    }
    let gids = gids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let mut shell: Command = host.machine.command(&[
        "setpriv",
        "--reuid",
        &uid.to_string(),
        "--regid",
        &gid.to_string(),
        "--groups",
        &gids,
        "sh",
    ]);
    shell.env("TERM", "xterm-256color").env("HOME", format!("/home/{user}"));
    shell
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|why| why.to_string())
}

/// What the commands print in a session.
fn types(host: &JumpHost, user: &str, commands: &str) -> String {
    let mut shell = session(host, user).unwrap();
    shell.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    let ran = shell.wait_with_output().unwrap();
    format!("{}{}", text(&ran.stdout), text(&ran.stderr))
}

#[test]
fn an_active_user_works_and_a_disabled_or_locked_one_is_unknown() {
    let Some(host) = JumpHost::start_with(AT_REFRESH) else { return };
    for user in ["ana", "Jane.Doe@example.com"] {
        let _ = host.user_in(user, &[GROUP, ADMINS]);
    }
    host.refresh();
    for user in ["ana", "jane.doe@example.com"] {
        let said = types(&host, user, "id -un; id -Gn; cd; pwd; echo x >own; umask; stat -c %U own\n");
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.first(), Some(&user), "{said}");
        let groups = lines.get(1).unwrap();
        assert!(["iam-users", "jumphostaccess", "sudo"].iter().all(|group| groups.contains(group)), "{said}");
        assert_eq!(lines.get(2), Some(&&*format!("/home/{user}")), "{said}");
        assert_eq!(lines.last(), Some(&user), "{said}");
    }

    let mut shell = session(&host, "ana").unwrap();
    let pid = shell.id().to_string();
    host.done(&["nss-iamctl", "lock", "ana", "--reason", "test"]);
    let why = session(&host, "ana").unwrap_err();
    assert!(why.contains("does not exist") && why.contains("no such user"), "{why}");
    let _ = shell.wait();
    assert!(!runs(&pid), "the session of a locked user goes on");
    host.done(&["nss-iamctl", "unlock", "ana"]);
    assert_eq!(types(&host, "ana", "id -un\n"), "ana\n");

    assert!(GUIDE.contains("| `nss-iamctl lock --all` | no nss-iam user gets a session |"));
    host.done(&["nss-iamctl", "lock", "--all"]);
    assert!(session(&host, "ana").unwrap_err().contains("no such user"));
    host.done(&["nss-iamctl", "unlock", "--all"]);
    assert_eq!(types(&host, "ana", "id -un\n"), "ana\n");

    host.remove_member("ana");
    host.account.change(json!({"do": "remove_member", "group": ADMINS, "user": "ana"}));
    host.refresh();
    assert!(session(&host, "ana").unwrap_err().contains("no such user"));
    assert!(session(&host, "nobody-of-ours").is_err());
    assert_eq!(session(&host, "root").unwrap_err(), "invalid uid and gid");
}

/// The agent starts `sh`, whatever the user's shell is: the guide says so.
#[test]
fn run_as_gives_a_command_line_also_to_who_may_only_forward() {
    let Some(host) = JumpHost::start_with("[users]\nforward_only = true\n") else { return };
    let _ = host.refreshed_user("ana");
    assert_eq!(host.passwd("ana", 6), "/usr/libexec/nss-iam/forward-only");
    assert_eq!(types(&host, "ana", "id -un\n"), "ana\n");
    assert!(GUIDE.contains("also a user who may only forward connections"));
}

#[test]
fn a_refresh_makes_private_homes_from_skel_and_leaves_alone_what_is_there() {
    let Some(host) = JumpHost::start_with(AT_REFRESH) else { return };
    fs::create_dir_all("/etc/skel/below").unwrap();
    fs::write("/etc/skel/below/welcome", "hello\n").unwrap();
    fs::create_dir("/target").unwrap();
    symlink("/target/of-eve", "/home/eve").unwrap();
    for user in ["ana", "bob", "eve"] {
        let _ = host.user(user);
    }
    let local = local_user(&host, "carla");
    fs::create_dir("/home/bob").unwrap();
    chown("/home/bob", Some(1), Some(1)).unwrap();
    host.refresh();

    let uid: u32 = host.passwd("ana", 2).parse().unwrap();
    for (path, mode) in [("/home/ana", 0o700), ("/home/ana/below", 0o700), ("/home/ana/below/welcome", 0o600)]
    {
        let made = fs::metadata(path).unwrap();
        assert_eq!((made.uid(), made.gid(), made.mode() & 0o077), (uid, uid, 0), "{path}");
        assert_eq!(made.permissions().mode() & 0o700 & mode, mode & 0o700, "{path}");
    }
    // bob has another home, since the first belongs to somebody else; eve's is a link that belongs to root.
    assert_eq!(fs::metadata("/home/bob").unwrap().uid(), 1);
    for user in ["bob", "eve"] {
        let uid = host.passwd(user, 2);
        assert_eq!(host.passwd(user, 5), format!("/home/{user}-{uid}"));
        assert_eq!(fs::metadata(format!("/home/{user}-{uid}")).unwrap().uid().to_string(), uid);
    }
    assert!(!fs::exists("/target/of-eve").unwrap());
    assert_eq!(host.login("carla", &local, "pwd"), "/home/carla\n");

    // What the user changed, or somebody else put there later, stays.
    fs::write("/home/ana/own", "kept\n").unwrap();
    let before = fs::metadata("/home/ana").unwrap().ino();
    host.refresh();
    assert_eq!(fs::read_to_string("/home/ana/own").unwrap(), "kept\n");
    fs::remove_dir_all("/home/ana").unwrap();
    symlink("/target/of-ana", "/home/ana").unwrap();
    host.refresh();
    assert!(!fs::exists("/target/of-ana").unwrap(), "inode {before}");
    let (status, said) = host.sh("/usr/libexec/nss-iam/cache-refresher homes 2>&1");
    let told = "cannot create the home '/home/ana' of user 'ana': a link to something is there that cannot";
    assert!(status == Some(70) && said.contains(told), "{said}");
    let (_, why) = host.sh("nss-iamctl why ana");
    assert!(why.contains("'/home/ana' of 'ana' is a link, but not to a directory"), "{why}");
}

/// As on a server of homes where root is nobody: everyone may create a directory, and owns it.
#[test]
fn where_everyone_may_create_homes_the_user_does_and_where_somebody_could_interfere_nobody_does() {
    let Some(host) =
        JumpHost::start_with("[users]\ncreate_homes = \"refresh\"\nhome = \"/net/{account}x/{name}\"\n")
    else {
        return;
    };
    fs::create_dir_all("/net/x").unwrap();
    let place = |mode, owner| {
        fs::set_permissions("/net/x", fs::Permissions::from_mode(mode)).unwrap();
        chown("/net/x", Some(owner), Some(owner)).unwrap();
    };
    let _ = host.user("ana");
    for (mode, owner) in [(0o777, 0), (0o775, 0), (0o755, 1), (0o1777, 1)] {
        place(mode, owner);
        host.refresh();
        assert!(!fs::exists("/net/x/ana").unwrap(), "{mode:o} {owner}");
    }
    place(0o1777, 0);
    host.refresh();
    let made = fs::metadata("/net/x/ana").unwrap();
    assert_eq!((made.uid().to_string(), made.mode() & 0o7777), (host.passwd("ana", 2), 0o700));
}

/// The lines behind a prompt of root, in the guide.
fn commands(page: &str) -> Vec<&str> {
    page.lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.starts_with(['/', 'n', 'p', 's']))
        .collect()
}

#[test]
fn the_commands_of_the_guide_do_what_it_says() {
    let Some(host) = JumpHost::start() else { return };
    let _ = host.refreshed_user("ana");
    fs::create_dir_all("/etc/nss-iam/config.d").unwrap();
    assert!(types(&host, "ana", "cd\n").contains("/home/ana"), "no home yet");
    for page in [GUIDE, CLUSTERS] {
        let commands = commands(page);
        assert!(commands.len() > 1, "{commands:?}");
        for command in commands {
            let mut shell = host.machine.command(&["sh", "-c", command]);
            let ran = shell.envs(host.account.direct()).output().unwrap();
            assert!(ran.status.success(), "{command}: {ran:?}");
            if command.starts_with("stat") {
                assert!(
                    page.contains(&format!("# {command}\n{}```", text(&ran.stdout))),
                    "{command}: {ran:?}"
                );
            }
        }
        assert_eq!(types(&host, "ana", "cd; pwd\n"), "/home/ana\n");
        fs::remove_dir_all("/home/ana").unwrap();
        let _ = fs::remove_file("/etc/nss-iam/config.d/50-homes.toml");
    }
}
