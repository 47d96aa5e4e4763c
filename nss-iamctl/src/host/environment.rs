//! The environment that systemd gives to the unit that reads the source: its proxy, its credentials, its endpoints.

use message::Message;

use crate::host::Host;
use crate::host::paths::SERVICES;
use crate::host::services::{DIRECTORIES, are_usable};

/// Settings of systemd.exec(5) that decide about it.
const SETTINGS: [&str; 3] = ["Environment=", "EnvironmentFile=", "PassEnvironment="];

/// Drop-ins of the unit: systemd.unit(5), "foo-.service.d/", "service.d/".
const DROP_INS: [&str; 4] = ["nss-iam-fetch.service.d", "nss-iam-.service.d", "nss-.service.d", "service.d"];

/// The variables that a fetch uses, as systemd sets them for the unit.
///
/// # Errors
/// Why they are not used. Then a run from here can end otherwise than one of the timer.
pub(crate) fn environment(host: &Host) -> Result<Vec<(String, String)>, Message> {
    if are_usable(host) {
        return asked(host).map_err(|why| {
            let what =
                format!("cannot ask systemd for the environment of '{}': {why}; it is not used", SERVICES[0]);
            Message::new(what).with_hint("set its variables for this command")
        });
    }
    let places = places(host);
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let what = format!(
        "systemd does not run here, so the environment that {} sets for '{}' is not used",
        message::quoted(&places, 3),
        SERVICES[0]
    );
    Err(Message::new(what).with_hint("set its variables for this command"))
}

/// Files are read, and variables passed on, by systemd itself: a transient unit with the same settings prints what it gets.
fn asked(host: &Host) -> Result<Vec<(String, String)>, String> {
    let text = |line: &[&str]| host.must(line).map(|output| output.stdout).map_err(|cause| cause.to_string());
    let shown =
        text(&["systemctl", "show", "-p", "Environment,EnvironmentFiles,PassEnvironment", SERVICES[0]])?;
    let mut line: Vec<String> = ["systemd-run", "--quiet", "--wait", "--pipe"].map(str::to_owned).to_vec();
    for (key, value) in shown.lines().filter_map(|line| line.split_once('=')) {
        match key {
            "Environment" => line.extend(words(value).into_iter().map(|word| format!("--setenv={word}"))),
            "EnvironmentFiles" => line.push(format!("--property=EnvironmentFile={}", file(value))),
            "PassEnvironment" if !value.is_empty() => {
                line.push(format!("--property=PassEnvironment={value}"))
            }
            _ => {}
        }
    }
    line.extend(["env", "-0"].map(str::to_owned));
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let set = text(&line)?;
    let pairs = set.split('\0').filter_map(|pair| pair.split_once('='));
    let used = pairs.filter(|(name, _)| config::environment::is_used(name));
    Ok(used.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// `/etc/default/x (ignore_errors=yes)` as in a unit file: `-/etc/default/x`.
fn file(shown: &str) -> String {
    match shown.rsplit_once(" (ignore_errors=") {
        Some((path, "yes)")) => format!("-{path}"),
        Some((path, _)) => path.to_owned(),
        None => shown.to_owned(),
    }
}

/// The words as systemd prints them: separated by spaces, in double quotes if they contain any, with backslashes.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' => word.extend(characters.next()),
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// The files that set something, where systemd cannot be asked.
fn places(host: &Host) -> Vec<String> {
    let mut places = Vec::new();
    for directory in DIRECTORIES {
        places.push(format!("{directory}/{}", SERVICES[0]));
        for drop_in in DROP_INS.map(|name| format!("{directory}/{name}")) {
            let files = std::fs::read_dir(host.path(&drop_in)).into_iter().flatten().flatten();
            let names = files.filter_map(|file| file.file_name().into_string().ok());
            let mut names: Vec<String> = names.filter(|name| name.ends_with(".conf")).collect();
            names.sort();
            places.extend(names.into_iter().map(|name| format!("{drop_in}/{name}")));
        }
    }
    // /lib may be a link to /usr/lib.
    let mut seen = Vec::new();
    places.retain(|place| {
        let path = host.path(place);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let sets = text.lines().any(|line| SETTINGS.iter().any(|key| line.trim_start().starts_with(key)));
        let real = path.canonicalize().unwrap_or(path);
        let is_news = !seen.contains(&real);
        seen.push(real);
        sets && is_news
    });
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_read_as_systemd_prints_it() {
        assert_eq!(words(r#"A=1 "B=x y" C=\"q\" "#), ["A=1", "B=x y", "C=\"q\""]);
        assert!(words("").is_empty());
        assert_eq!(file("/etc/default/a b (ignore_errors=yes)"), "-/etc/default/a b");
        assert_eq!(file("/etc/default/x (ignore_errors=no)"), "/etc/default/x");
    }

    #[test]
    fn without_systemd_the_files_are_named_whose_environment_is_not_used() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::this_directory(root.path());
        assert_eq!(environment(&host), Ok(Vec::new()));
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("usr/lib/systemd/system/nss-iam-fetch.service", "[Service]\nUser=x\n#Environment=A=1\n");
        write("etc/systemd/system/nss-iam-fetch.service.d/limit.conf", "[Service]\nCPUQuota=1%\n");
        assert_eq!(environment(&host), Ok(Vec::new()));
        write(
            "etc/systemd/system/nss-iam-fetch.service.d/p.conf",
            "[Service]\nEnvironmentFile=-/etc/proxy\n",
        );
        std::os::unix::fs::symlink("usr/lib", root.path().join("lib")).unwrap();
        let told = environment(&host).unwrap_err();
        assert_eq!(
            told.what(),
            "systemd does not run here, so the environment that \
             '/etc/systemd/system/nss-iam-fetch.service.d/p.conf' sets for 'nss-iam-fetch.service' is not used"
        );
    }
}
