//! Whether an account can be converted, regardless of other accounts. Pure.

use std::path::Path;

use config::TagUse;
use message::Message;
use policy::home::{self, Placeholders};
use policy::id::{LAST, PINNED_FIRST};
use policy::{IamId, Id, Invalid, Name};

use super::facts::Home;
use super::outcome::Adoption;
use super::pair::{self, IamUser, Pair};
use super::world::{Request, World};
use super::{impact, script};
use crate::edit::owners::Moves;
use crate::host::accounts::{Account, Group};

fn because<T>(why: impl Into<Message>, hint: &str) -> Result<T, Message> {
    Err(why.into().with_hint(hint))
}

/// How the account is converted.
///
/// # Errors
/// Why it is not converted.
pub(super) fn check(world: &World<'_>, name: &str, request: &Request) -> Result<Adoption, Message> {
    let Some(account) = the_one(world, name)? else { return because("it is not an account", "") };
    let iam = paired(world, account)?;
    let login = login(world, account, &iam)?;
    free_name(world, account, &login)?;
    let id = if request.renumber { id_of(world, &iam)? } else { pin(world, account, &iam)? };
    if !request.elsewhere {
        same_home(world, account, &iam, &login, id)?;
    }
    let private = private_group(world, account)?;
    let mut adoption = Adoption {
        name: account.name.clone(),
        uid: account.uid,
        private_gid: private.is_some().then_some(account.gid),
        private_group: private.flatten(),
        home: account.home.clone(),
        iam_id: iam.user.id.clone(),
        iam_name: iam.user.name.escape_default().to_string(),
        login: login.to_string(),
        id: id.get(),
        loses: Vec::new(),
        notes: Vec::new(),
    };
    if let Some(moves) = adoption.moves().filter(|_| !request.elsewhere) {
        movable(world, account, moves)?;
    }
    impact::tell(world, account, &iam, &mut adoption);
    Ok(adoption)
}

fn the_one<'a>(world: &'a World<'_>, name: &str) -> Result<Option<&'a Account>, Message> {
    let mut found = world.accounts.iter().filter(|account| account.name == name);
    let (first, second) = (found.next(), found.next());
    if second.is_some() {
        return because("it has two lines in '/etc/passwd'", "remove one of them");
    }
    let Some(account) = first else { return Ok(None) };
    if account.uid > LAST || Id::pinned(account.uid).is_err() {
        return because(format!("uid {} is reserved for the system", account.uid), "");
    }
    if let Some(other) = world.accounts.iter().find(|other| other.uid == account.uid && other.name != name) {
        return because(
            format!("'{}' has the same uid {}", other.name, account.uid),
            "change the uid of one of them",
        );
    }
    Ok(Some(account))
}

fn paired<'a>(world: &World<'a>, account: &Account) -> Result<IamUser<'a>, Message> {
    let name_of = |iam: &IamUser<'_>| login(world, account, iam).ok();
    match pair::find(&account.name, &world.iam, &world.facts.config, name_of) {
        Pair::One(iam) => Ok(iam),
        Pair::None => because(
            "no user at the source has this name",
            "add the user to such a group, or remove the account with userdel(8) if the person has left",
        ),
        Pair::Two(one, two) => because(
            format!(
                "it could be user '{}' ({}) or '{}' ({})",
                one.user.name.escape_default(),
                one.user.id,
                two.user.name.escape_default(),
                two.user.id
            ),
            "rename one of them at the source, or remove the other from the configured groups",
        ),
    }
}

/// The login name that the refresher will assign, once the account is removed.
fn login(world: &World<'_>, account: &Account, iam: &IamUser<'_>) -> Result<Name, Message> {
    let config = &world.facts.config;
    let give = |name: Result<Name, Invalid>| match name {
        Ok(name) => granted(world, account, iam, name.as_str()).map(|()| name),
        Err(cause) => {
            let name = config.users.mapping().spelling(&iam.user.name);
            because(format!("'{}' cannot be a login name: {cause}", name.escape_default()), "")
        }
    };
    config.login(&iam.user.name, &iam.user.tags, give).name
}

/// Checks that the refresher gives this name to new users, regardless of the accounts.
fn granted(world: &World<'_>, account: &Account, iam: &IamUser<'_>, login: &str) -> Result<(), Message> {
    let names = &world.facts.config.names;
    if names.allows(login, &iam.user.id) {
        return Ok(());
    }
    if names.reserves(login, &iam.user.id) {
        return because(format!("'{login}' is a name that no nss-iam user gets, see nss-iam(7)"), "");
    }
    let is_checked = !names.exclude.iter().any(|part| part == "sudo");
    let mention = world.facts.sudoers.iter().filter(|_| is_checked).find(|(_, text)| {
        script::sudoers_of(text).as_deref() != Some(account.name.as_str())
            && script::names_in_sudoers(text, login)
    });
    if let Some((path, _)) = mention {
        return because(
            format!("its name is in '{}', and nss-iam users never get such a name", path.display()),
            "write the rule for a local group, and map a group to it in [local_groups]",
        );
    }
    Ok(())
}

/// Checks that no other account or group has the name, even one that will be removed too: until then, the refresher refuses
/// the name.
fn free_name(world: &World<'_>, account: &Account, login: &Name) -> Result<(), Message> {
    let is_taken = world.accounts.iter().any(|other| other.name == login.as_str())
        || world.groups.iter().any(|group| group.name == login.as_str());
    if login.as_str() != account.name && is_taken {
        return because(
            format!("the user's login name '{login}' is already that of another account or group"),
            "",
        );
    }
    Ok(())
}

/// Checks that the home directory stays the same. Otherwise the user would no longer find the files.
fn same_home(
    world: &World<'_>,
    account: &Account,
    iam: &IamUser<'_>,
    name: &Name,
    id: Id,
) -> Result<(), Message> {
    if world.facts.homes.get(&account.home).is_none_or(|home| *home == Home::Missing) {
        return Ok(());
    }
    let template = &world.facts.config.users.home;
    let placeholders = Placeholders { name, id, iam_name: &iam.user.name, account: iam.account };
    let Some(home) = home::of_newcomer(template, placeholders) else {
        return because("its home would not be a plain path", "");
    };
    // With {uid}, no home directory of an account matches; this was configured on purpose.
    if *home == *home::normal(&account.home) || template.contains("{uid}") {
        return Ok(());
    }
    let same = account.name == iam.user.name && template.contains("{name}");
    let hint = match account.home.rsplit_once('/') {
        Some((directory, last)) if same && last == iam.user.name => {
            format!("[users] home = \"{directory}/{{iam_name}}\"")
        }
        _ if account.name.contains(".at.") || account.name.contains(".plus.") => {
            "[users] name_style = \"aws-ec2-ssh\"".to_owned()
        }
        _ => format!("move '{}' there, or set [users] home", account.home),
    };
    because(format!("its home '{}' would become '{home}'", account.home.escape_default()), &hint)
}

/// The account's own uid.
fn pin(world: &World<'_>, account: &Account, iam: &IamUser<'_>) -> Result<Id, Message> {
    let iam_id = IamId::new(&iam.user.id);
    let given = world.facts.identities.get(&iam_id).map(|identity| identity.id.get());
    let renumber = || {
        format!(
            "nss-iamctl adopt --renumber {}: changes the account's files to the id of the user",
            account.name
        )
    };
    if let Some(given) = given.filter(|given| *given != account.uid) {
        return because(
            format!("user '{}' was already published with id {given}, which never changes", iam.user.id),
            &renumber(),
        );
    }
    if let Some(other) = world.facts.config.ids.get(&iam.user.id).filter(|id| **id != account.uid) {
        return because(
            format!("[ids] gives '{}' the id {other}", iam.user.id),
            "correct [ids], or use --renumber",
        );
    }
    let uid = Id::pinned(account.uid).map_err(|cause| Message::new(cause.to_string()))?;
    if given.is_none()
        && let Err(foreign) = uid.may_be_pinned(&iam_id, &world.sub_ids)
    {
        return because(format!("it cannot keep its uid: {foreign}"), &renumber());
    }
    Ok(uid)
}

/// The id that the user has, or that the refresher will assign.
fn id_of(world: &World<'_>, iam: &IamUser<'_>) -> Result<Id, Message> {
    let (facts, iam_id) = (world.facts, IamId::new(&iam.user.id));
    let given = facts.identities.get(&iam_id).map(|identity| identity.id);
    let configured = facts.config.ids.get(&iam.user.id).and_then(|&id| Id::pinned(id).ok());
    if let (None, Some(id)) = (given, configured)
        && let Err(foreign) = id.may_be_pinned(&iam_id, &world.sub_ids)
    {
        return because(format!("[ids]: {foreign}"), "correct [ids]");
    }
    let tag = facts.config.tags.value(TagUse::Uid, &iam.user.tags);
    // The refresher reports a tag that is not a valid id.
    let tagged = tag.and_then(|tag| Id::of_tag(tag, &iam_id, given, &world.sub_ids).ok());
    Ok(Id::decided(&iam_id, given, configured, tagged))
}

/// The name of the primary group, if only this account uses it. The outer `None` means that the group is shared, and so stays.
fn private_group(world: &World<'_>, account: &Account) -> Result<Option<Option<String>>, Message> {
    let own_name = world.groups.iter().find(|group| group.name == account.name);
    if let Some(group) = own_name.filter(|group| group.gid != account.gid) {
        return because(
            format!("group '{}' (gid {}) is not its primary group, but has its name", group.name, group.gid),
            "rename that group with groupmod(8)",
        );
    }
    let of_another = |group: &&Group| group.gid == account.gid && group.name != account.name;
    match (own_name, world.groups.iter().find(of_another)) {
        (Some(_), Some(other)) => {
            return because(
                format!("group '{}' has the gid of its group too", other.name),
                "change the gid of one of them",
            );
        }
        (Some(_), None) if account.gid < PINNED_FIRST => {
            return because(format!("gid {} of its group is reserved for the system", account.gid), "");
        }
        (None, Some(_)) => return Ok(None),
        (None, None) if account.gid < PINNED_FIRST => return Ok(None),
        (_, None) => {}
    }
    if let Some(other) =
        world.accounts.iter().find(|other| other.gid == account.gid && other.name != account.name)
    {
        return because(
            format!("its group, gid {}, is the primary group of '{}' too", account.gid, other.name),
            "change one of them with usermod(8) -g",
        );
    }
    if let Some(other) =
        own_name.and_then(|group| group.members.iter().find(|member| **member != account.name))
    {
        return because(
            format!("'{other}' is a member of its group"),
            "remove the members with gpasswd(1) -d",
        );
    }
    Ok(Some(own_name.map(|group| group.name.clone())))
}

/// Checks that the owners of files can be changed.
fn movable(world: &World<'_>, account: &Account, moves: Moves) -> Result<(), Message> {
    let ids = moves.to_string();
    if let Some(count) = world.facts.running.get(&account.uid) {
        return because(
            format!("{count} processes are running as it, but its files must be changed: {ids}"),
            &format!(
                "wait until the user has logged out, or end the processes: loginctl terminate-user {}",
                account.name
            ),
        );
    }
    if Path::new(&account.home).file_name().is_none() {
        return because(
            format!("its home '{}' does not belong to it alone", account.home.escape_default()),
            "",
        );
    }
    if world.facts.homes.get(&account.home) == Some(&Home::Other) {
        return because(
            format!(
                "its home '{}' is a symbolic link, not a directory, but its files must be changed: {ids}",
                account.home
            ),
            "move the directory itself there, or mount it there",
        );
    }
    Ok(())
}
