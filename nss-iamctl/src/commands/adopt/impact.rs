//! What an account loses when it becomes an nss-iam user, and notes for its owner.

use super::keys;
use super::outcome::Adoption;
use super::pair::IamUser;
use super::script;
use super::world::World;
use crate::host::accounts::{self, Account};

pub(super) fn tell(world: &World<'_>, account: &Account, iam: &IamUser<'_>, adoption: &mut Adoption) {
    let facts = world.facts;
    let name = account.name.as_str();
    let renamed = adoption.login != name;
    let mut loses = Vec::new();
    if accounts::has_password(&facts.passwd, facts.shadow.as_deref().unwrap_or_default(), name) {
        loses.push("its password".to_owned());
    }
    let groups = world.groups.iter().filter(|group| {
        let primary = group.gid == account.gid && adoption.private_gid.is_none();
        group.name != world.marker
            && group.name != name
            && (primary || group.members.iter().any(|member| member == name))
    });
    let groups: Vec<&str> = groups.map(|group| group.name.as_str()).collect();
    if !groups.is_empty() {
        loses.push(format!("membership of local groups {} (see [local_groups])", groups.join(", ")));
    }
    for (path, text) in &facts.sudoers {
        if script::sudoers_of(text).as_deref() == Some(name) {
            let text = String::from_utf8_lossy(text);
            loses.push(format!(
                "sudo rule '{}' of '{}'",
                script::rules(&text).join("; ").escape_default(),
                path.display()
            ));
        }
    }
    let keys = keys::compared(world, account, iam);
    loses.extend(keys.loses);
    if may_only_forward(world, iam) {
        loses.push(
            "its shell and every command: it may only forward connections (forward_only), unless it joins a group in \
             shell_groups"
                .to_owned(),
        );
    } else if account.shell != facts.config.users.shell {
        loses.push(format!(
            "shell '{}', which becomes '{}'",
            account.shell.escape_default(),
            facts.config.users.shell
        ));
    }
    if renamed {
        loses.push(format!("the name '{name}': it will be '{}'", adoption.login));
        let by_name = [
            (owns_range(&facts.subuid, name), "its range in /etc/subuid"),
            (owns_range(&facts.subgid, name), "its range in /etc/subgid"),
            (facts.crontabs.contains(name), "its crontab, which is under the old name"),
            (facts.lingering.contains(name), "lingering, see loginctl(1)"),
        ];
        loses.extend(by_name.iter().filter(|(lost, _)| *lost).map(|(_, what)| (*what).to_owned()));
    }
    adoption.loses = loses;
    adoption.notes = keys.notes;
    adoption.notes.extend(notes(world, account, adoption));
}

fn may_only_forward(world: &World<'_>, iam: &IamUser<'_>) -> bool {
    let config = &world.facts.config;
    let shell_groups = config.shell_groups_of(iam.account);
    let of_account = world.facts.accounts_of_iam.iter().filter(|account| account.name == iam.account);
    let mut groups = of_account.flat_map(|account| &account.groups);
    config.users.forward_only
        && !groups.any(|group| {
            group.members.contains(&iam.user.id)
                && shell_groups.iter().any(|name| config.source.is_group(name, &group.id, &group.name))
        })
}

fn notes(world: &World<'_>, account: &Account, adoption: &Adoption) -> Vec<String> {
    let facts = world.facts;
    let mut notes = Vec::new();
    if let Some(count) = facts.running.get(&account.uid) {
        notes.push(format!(
            "{count} processes are running as it; they keep running, with their current groups"
        ));
    }
    if facts.invoker.is(account.uid) {
        notes.push(
            "you are logged in as this user: keep this session open until a new login has worked".to_owned(),
        );
    }
    let uid = account.uid.to_string();
    let numbered = owns_range(&facts.subuid, &uid) || owns_range(&facts.subgid, &uid);
    if adoption.id != account.uid && numbered {
        notes.push(format!("/etc/subuid and /etc/subgid contain uid {uid}, which the user no longer has"));
    }
    notes
}

/// subuid(5): a name, or a uid.
fn owns_range(text: &[u8], owner: &str) -> bool {
    text.split(|byte| *byte == b'\n')
        .any(|line| line.split(|byte| *byte == b':').next() == Some(owner.as_bytes()))
}
