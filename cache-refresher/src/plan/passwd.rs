//! Fills the fields of passwd(5) and shadow(5): from tags, from the configuration, or from the previous state.

use cache::passwd::Passwd;
use config::TagUse;
use policy::Field;
use status::{Part, SkipReason, escaped};

use super::candidates::{self, Known};
use super::homes::Homes;
use super::input::Input;
use super::naming::Member;
use super::told::Told;

/// None if the user must be skipped; the reason is then in `told`.
pub(super) fn of<'a>(
    input: &Input<'_>,
    member: &Member<'a>,
    homes: &mut Homes<'a>,
    told: &mut Told,
) -> Option<Passwd> {
    let candidate = member.candidate;
    let home = homes.give(member).map_err(|reason| {
        told.skip(candidate.account, Part::User, candidate.iam_name, &candidate.iam_id, reason);
    });
    let today = u32::try_from(input.now / 86_400).unwrap_or(1).max(1);
    Some(Passwd {
        home: home.ok()?,
        gecos: gecos(input, candidate, told)?,
        shell: shell(input, candidate, told)?,
        lastchg: candidate.previous.map_or(today, |user| user.passwd.lastchg),
    })
}

fn gecos(input: &Input<'_>, user: &candidates::User<'_>, told: &mut Told) -> Option<Field> {
    if let Known::Kept(kept) = user.known {
        return Some(kept.passwd.gecos.clone());
    }
    let tag = user.tag(input, TagUse::Gecos).and_then(|text| field(told, user, "gecos", text));
    tag.or_else(|| Field::new(&input.config.users.gecos).ok())
}

fn shell(input: &Input<'_>, user: &candidates::User<'_>, told: &mut Told) -> Option<Field> {
    if let Known::Kept(kept) = user.known {
        return Some(kept.passwd.shell.clone());
    }
    let tag = user.tag(input, TagUse::Shell).and_then(|tag| {
        if input.local.has_shell(tag) {
            return field(told, user, "shell", tag);
        }
        let reason = SkipReason::TagShell { shell: escaped(tag) };
        told.skip(user.account, Part::Tag("shell"), user.iam_name, &user.iam_id, reason);
        None
    });
    tag.or_else(|| Field::new(&input.config.users.shell).ok())
}

/// A tag's value as a field of passwd(5). None if it is not valid; the reason is then in `told`.
fn field(told: &mut Told, user: &candidates::User<'_>, tag: &str, text: &str) -> Option<Field> {
    match Field::new(text) {
        Ok(field) => Some(field),
        Err(cause) => {
            told.skip(user.account, Part::Tag(tag), user.iam_name, &user.iam_id, cause.into());
            None
        }
    }
}
