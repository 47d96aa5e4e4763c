//! The shell completions of nss-iamctl in the packages. The tests type into each shell.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use tests::text;

use crate::support::unpacked;

const BASH: &str = "usr/share/bash-completion/completions/nss-iamctl";
const FISH: &str = "usr/share/fish/vendor_completions.d/nss-iamctl.fish";
const ZSH: &str = "usr/share/zsh/vendor-completions/_nss-iamctl";
/// A command, an option and a subcommand. Then the shell exits.
const TYPED: &str = "nss-iamctl en\t--dr\t\rnss-iamctl listing va\t\rexit\r";

/// Types into a shell on a terminal, in which nss-iamctl is a function that records how it was called.
fn assert_completes(home: &Path, shell: &str) {
    let mut terminal = Command::new("timeout")
        .args(["60", "script", "--quiet", "--return", "--command", shell, "/dev/null"])
        .env_clear()
        .envs([("HOME", home), ("ZDOTDIR", home), ("PATH", Path::new("/usr/bin:/bin"))])
        .envs([("TERM", "xterm"), ("LC_ALL", "C.UTF-8")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    terminal.stdin.take().unwrap().write_all(TYPED.as_bytes()).unwrap();
    let ran = terminal.wait_with_output().unwrap();
    let called = fs::read_to_string(home.join("called")).unwrap_or_default();
    assert_eq!(called, "enable --dry-run\nlisting validate\n", "{shell}: {}", text(&ran.stdout));
}

#[test]
fn bash_completes_commands_and_options() {
    let (deb, home) = (unpacked(), tempfile::tempdir().unwrap());
    let script = deb.path().join(BASH);
    let rc = format!("source '{}'\nnss-iamctl() {{ echo \"$@\" >>~/called; }}\n", script.display());
    fs::write(home.path().join("rc"), rc).unwrap();
    assert_completes(home.path(), "bash --rcfile ~/rc -i");
}

#[test]
fn zsh_completes_commands_and_options() {
    let (deb, home) = (unpacked(), tempfile::tempdir().unwrap());
    let script = deb.path().join(ZSH);
    let rc = format!(
        "fpath=('{}' $fpath)\nautoload -U compinit\ncompinit -u -D\nnss-iamctl() {{ echo \"$@\" >>~/called }}\n",
        script.parent().unwrap().display()
    );
    fs::write(home.path().join(".zshrc"), rc).unwrap();
    assert_completes(home.path(), "zsh -i");
}

#[test]
fn fish_completes_commands_and_options() {
    let (deb, home) = (unpacked(), tempfile::tempdir().unwrap());
    let script = deb.path().join(FISH);
    let rc = format!("source '{}'\nfunction nss-iamctl; echo $argv >>~/called; end\n", script.display());
    fs::write(home.path().join("rc"), rc).unwrap();
    assert_completes(home.path(), "fish --no-config --private --init-command 'source ~/rc' -i");
}

#[test]
fn every_command_of_the_help_is_completed_and_no_other() {
    let deb = unpacked();
    let help = Command::new(deb.path().join("usr/sbin/nss-iamctl")).arg("--help").output().unwrap();
    let (_, commands) = text(&help.stdout).split_once("\nCommands:\n").unwrap();
    let commands: Vec<&str> =
        commands.lines().map_while(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    assert!(commands.contains(&"enable"), "{commands:?}");

    let read = |path: &str| fs::read_to_string(deb.path().join(path)).unwrap();
    let (bash, fish, zsh) = (read(BASH), read(FISH), read(ZSH));
    let words = bash.lines().find_map(|line| line.trim().strip_prefix("opts=\"-h ")).unwrap();
    let words = words.trim_end_matches('"').split(' ').filter(|word| !word.starts_with('-'));
    assert_eq!(words.collect::<Vec<_>>(), commands, "bash");
    let first = "-n \"__fish_nss_iamctl_needs_command\" -f -a \"";
    let words = fish.lines().filter_map(|line| line.split_once(first)?.1.split('"').next());
    assert_eq!(words.collect::<Vec<_>>(), commands, "fish");
    let (_, described) =
        zsh.split_once("_nss-iamctl_commands() {\n    local commands; commands=(\n").unwrap();
    let words = described.lines().map_while(|line| line.strip_prefix('\'')?.split(':').next());
    assert_eq!(words.collect::<Vec<_>>(), commands, "zsh");
}
