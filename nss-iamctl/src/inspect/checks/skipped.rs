//! What to do about users, groups, keys and tags that a refresh left out, by the reason in `status.json`.

use crate::inspect::remedy::{ANOTHER_NAME, allow_command};

/// For one that was left out: `what` is `user`, `group`, `key` or `tag`, `id` the UserId or GroupId.
pub(crate) fn remedy(what: &str, id: &str, reason: &str) -> String {
    let says = |words: &str| reason.contains(words);
    match what {
        "key" if says("private key") => {
            "delete it in IAM and make a new pair: a private key that was uploaded is known to others"
                .to_owned()
        }
        "key" if says("belongs into IAM") => "upload it: aws iam upload-ssh-public-key".to_owned(),
        "key" => "upload the line of the .pub file again; ssh-keygen -l -f FILE must show it".to_owned(),
        "tag" => "correct the tag in IAM".to_owned(),
        _ => of_name(what, id, reason)
            .or_else(|| of_id(reason))
            .or_else(|| of_home(reason))
            .unwrap_or_else(|| another(what)),
    }
}

/// For a user or group that keeps its name because the new one is refused, by the refresher's warning; none for others.
pub(crate) fn kept_name(warning: &str) -> Option<String> {
    let (who, why) = warning.split_once(", since the one in ")?;
    let (_, reason) = why.split_once(" is refused: ")?;
    let id = quoted(who).next()?;
    Some(remedy("user", id, reason))
}

/// What stands in single ticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('\'').skip(1).step_by(2)
}

/// What gives a user or group another name.
fn another(what: &str) -> String {
    if what == "group" {
        "its members are users all the same; rename the group in IAM, and give power by [local_groups], not by names in sudoers"
            .to_owned()
    } else {
        format!("{ANOTHER_NAME}, or rename it in IAM")
    }
}

/// A name that this host uses already, or that nobody gets. The texts are those of `Refusal` in cache-refresher.
fn of_name(what: &str, id: &str, reason: &str) -> Option<String> {
    let says = |words: &str| reason.contains(words);
    let (name, last) = (quoted(reason).next()?, quoted(reason).last()?);
    let another = another(what);
    // The reasons quote names and paths, so what begins them decides.
    let rest = reason.strip_prefix(&format!("'{name}' "))?;
    let meant = if what == "group" { "if this group is" } else { "if this person is" };
    let allow = allow_command(id, name);
    if let Some(of) = rest.strip_prefix("cannot be given: ") {
        let asked = cannot_be_asked(of);
        let may = format!("; {meant} to have '{name}' and whatever this host gives to it: {allow}");
        return Some(if of.starts_with("service '") { asked } else { asked + &may });
    }
    if let Some(done) = undone(what, name, rest) {
        return Some(format!("{done}; {meant} to have '{name}' and what this host gives to it: {allow}"));
    }
    match rest {
        _ if rest.starts_with("is a user of /etc/passwd") && what != "group" => Some(format!(
            "a local user of that name comes first: 'nss-iamctl adopt' takes it over, or {ANOTHER_NAME}"
        )),
        _ if rest.starts_with("is a group of /etc/group") => {
            Some(format!("if nothing needs the local group: groupdel {name}; else {another}"))
        }
        _ if says("' of nsswitch.conf (") => {
            Some(format!("{another}; or remove '{name}' from service '{last}', if nobody needs it there"))
        }
        _ => None,
    }
}

/// What takes away what the host gives to whoever has the name; none if it gives nothing.
fn undone(what: &str, name: &str, rest: &str) -> Option<String> {
    let place = quoted(rest).last().unwrap_or_default();
    if let Some(of) = rest.strip_prefix("is a member of ") {
        return Some(taken_out(name, of));
    }
    if rest.starts_with("is reserved ") {
        return Some(another(what));
    }
    if !rest.ends_with(" on this host") {
        return None;
    }
    Some(if rest.starts_with("is in a sudo rule ") {
        format!("take the name out of '{place}' (visudo -f {place})")
    } else if rest.starts_with("is in a netgroup, ") {
        format!("take the name out of /etc/netgroup, or netgroups out of '{place}' (visudo -f {place})")
    } else if rest.starts_with("is in a doas rule ") {
        format!("take the name out of '{place}'")
    } else {
        format!("give what is in '{place}' a user of its own, or remove it")
    })
}

/// `'a', 'b' in /etc/group`, or `in service 'sss' of nsswitch.conf`.
fn taken_out(name: &str, groups_and_place: &str) -> String {
    if let Some(groups) = groups_and_place.strip_suffix(" in /etc/group") {
        let commands: Vec<String> =
            quoted(groups).map(|group| format!("gpasswd -d {name} {group}")).collect();
        let commands = commands.join("; ");
        return format!(
            "take the name out: {commands} (from the administrators in /etc/gshadow: gpasswd -A)"
        );
    }
    let service = quoted(groups_and_place).last().unwrap_or_default();
    format!("take '{name}' out of these groups in service '{service}'")
}

/// Nobody new gets a name.
fn cannot_be_asked(why: &str) -> String {
    let quoted = quoted(why).next().unwrap_or_default();
    let refresh = "in /etc/nss-iam/config.toml; then nss-iamctl refresh";
    if why.starts_with("service '") {
        return format!(
            "mend the service, or take '{quoted}' out of nsswitch.conf; or, if no name of it matters here: names.exclude = \
             [\"{quoted}\"] {refresh}"
        );
    }
    let part = match quoted {
        place if place.contains("sysusers.d") => "sysusers",
        place if place.contains("doas") => "doas",
        place if place.contains("systemd") || place.contains("dbus-1") => "systemd-units",
        _ => "sudo",
    };
    format!(
        "correct '{quoted}' so that it can be resolved; or leave all such files out: names.exclude = [\"{part}\"] {refresh}"
    )
}

/// Texts of plan/ids.rs and of the names that cannot be names, policy/src/value.rs.
fn of_id(reason: &str) -> Option<String> {
    let says = |words: &str| reason.contains(words);
    let text = if says("is in the range") {
        "give the user an id in [ids] that is outside that range, or none: the calculated one is the same on every host"
    } else if says("was the id of a user") || says("is also the id of a group") {
        "the source must not give a user the id that a group has, or had"
    } else if says("its id ") || reason.starts_with("[ids]") {
        "give the user another id in [ids], the same on every host"
    } else if [
        "name is empty",
        "bytes, more than",
        "which no login name",
        "may not begin",
        "digits only",
        "as the number",
    ]
    .iter()
    .any(|words| says(words))
    {
        "give another login name by a tag ('nss-iam:name' with [tags] use = [\"name\"]); [users] strip_domains shortens addresses"
    } else {
        return None;
    };
    Some(text.to_owned())
}

/// Texts of plan/homes.rs.
fn of_home(reason: &str) -> Option<String> {
    if reason.contains("can be its home") {
        let homes: Vec<&str> = quoted(reason).collect();
        return Some(format!(
            "look whose they are: ls -ld {}; nss-iamctl uid UID tells whose a uid was; move away what nobody needs, then nss-iamctl \
             refresh",
            homes.join(" ")
        ));
    }
    reason
        .contains("its home would")
        .then(|| "set [users] home to a path without {iam_name} or {account}".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: &str = r#"printf '[names.allow]\nAIDAX = "x"\n' >/etc/nss-iam/config.d/60-name-x.toml && nss-iamctl refresh"#;

    /// Each reason as the refresher writes it, and what its remedy must say.
    const TABLE: &[(&str, &[&str])] = &[
        // names.rs: Refusal.
        ("'x' is a user of /etc/passwd (uid 1001)", &["nss-iamctl adopt", "nss-iam:name"]),
        (
            "'x' is a user of service 'sss' of nsswitch.conf (uid 9)",
            &["nss-iam:name", "remove 'x' from service 'sss'"],
        ),
        ("'x' is a group of /etc/group (gid 7)", &["groupdel x", "nss-iam:name"]),
        ("'x' is a group of service 'sss' of nsswitch.conf (gid 7)", &["remove 'x' from service 'sss'"]),
        ("'x' is the name of a group that is published or joined", &["nss-iam:name"]),
        ("'x' is a member of 'sudo' in /etc/group", &["gpasswd -d x sudo (from", ALLOW]),
        (
            "'x' is a member of 'adm', 'sudo' in /etc/group",
            &["gpasswd -d x adm; gpasswd -d x sudo (", "gpasswd -A", ALLOW],
        ),
        ("'x' is a member of 'adm' in service 'sss' of nsswitch.conf", &["groups in service 'sss'", ALLOW]),
        ("'x' is in a sudo rule ('/etc/sudoers.d/x') on this host", &["visudo -f /etc/sudoers.d/x", ALLOW]),
        (
            "'x' is in a netgroup, and netgroups are in a sudo rule ('/etc/sudoers') on this host",
            &["/etc/sudoers", ALLOW],
        ),
        (
            "'x' is in a doas rule ('/etc/doas.conf') on this host",
            &["take the name out of '/etc/doas.conf'", ALLOW],
        ),
        (
            "'x' is the user of 'x.service' ('/usr/lib/x.service') on this host",
            &["what is in '/usr/lib/x.service'", ALLOW],
        ),
        (
            "'x' is the dynamic user of 'x.service' ('/etc/x.service') on this host",
            &["'/etc/x.service' a user", ALLOW],
        ),
        (
            "'x' is a system user ('/usr/lib/sysusers.d/x.conf') on this host",
            &["'/usr/lib/sysusers.d/x.conf'", ALLOW],
        ),
        ("'x' is reserved for the system", &["nss-iam:name", ALLOW]),
        (
            "'x' cannot be given: service 'ldap' cannot be asked whose it is: file too short",
            &["mend the service", "'ldap' out of nsswitch.conf", r#"exclude = ["ldap"]"#],
        ),
        (
            "'x' cannot be given: what '/etc/sudoers' grants is not known: line 7 includes '/a/home'",
            &["correct '/etc/sudoers'", r#"exclude = ["sudo"]"#, ALLOW],
        ),
        (
            "'x' cannot be given: what '/etc/doas.conf' grants is not known: line 7",
            &[r#"exclude = ["doas"]"#],
        ),
        (
            "'x' cannot be given: what '/etc/systemd/system/a.service' grants is not known: its id",
            &[r#"exclude = ["systemd-units"]"#],
        ),
        (
            "'x' cannot be given: what '/etc/sysusers.d/a.conf' grants is not known: line 7",
            &[r#"exclude = ["sysusers"]"#],
        ),
        // naming.rs.
        ("'x' is already the name of IAM user 'X'", &["nss-iam:name", "rename it in IAM"]),
        ("'AIDAX' was the id of a user", &["the source must not"]),
        // policy/src/value.rs: Invalid.
        ("name is empty", &["by a tag"]),
        ("name has 40 bytes, more than 32", &["strip_domains"]),
        ("name has ':', which no login name may have", &["by a tag"]),
        ("name may not begin with '-'", &["by a tag"]),
        ("name of digits only would be taken for an id", &["by a tag"]),
        ("name would be read as the number 0x10 by programs that take a name or an id", &["by a tag"]),
        // ids.rs.
        ("[ids]: 61200 is in the range 61184-65519 of systemd's DynamicUser=", &["outside that range"]),
        ("its id 1003 is that of 'bob' on this host (service 'files')", &["another id in [ids]"]),
        (
            "its id 1003 is that of 'AIDAY'; give one of them another in [ids], the same on every host",
            &["another id in [ids]"],
        ),
        ("[ids]: its id 1003 is that of 'bob' on this host (service 'sss')", &["another id in [ids]"]),
        ("'AIDAX' is also the id of a group", &["the source must not"]),
        // homes.rs.
        (
            "neither '/home/x' nor '/home/x-1879048200' can be its home: both belong to others",
            &["ls -ld /home/x /home/x-1879048200"],
        ),
        ("its home would not be a plain path", &["[users] home"]),
    ];

    #[test]
    fn each_reason_has_a_remedy_that_can_be_followed() {
        for (reason, wanted) in TABLE {
            let remedy = remedy("user", "AIDAX", reason);
            for words in *wanted {
                assert!(remedy.contains(words), "{reason}: '{words}' is not in: {remedy}");
            }
        }
    }

    #[test]
    fn one_who_keeps_the_name_has_the_remedy_of_the_refusal() {
        let text =
            "'AIDAX' keeps the name 'y', since the one in IAM is refused: 'x' is reserved for the system";
        assert!(kept_name(text).unwrap().contains(ALLOW));
        assert_eq!(kept_name("'AIDAX' keeps id 5, which it was given"), None);
    }

    #[test]
    fn a_group_is_renamed_or_allowed_and_a_tag_or_key_corrected() {
        let reserved = remedy("group", "AIDAX", "'x' is reserved for the system");
        assert!(reserved.starts_with(
            "its members are users all the same; rename the group in IAM, and give power by [local_groups]"
        ));
        assert!(reserved.ends_with(ALLOW), "{reserved}");
        assert_eq!(remedy("group", "G", "'x' is a user of /etc/passwd (uid 1)"), another("group"));
        assert_eq!(
            remedy("tag", "AIDAX", "tag 'name': 'x' is reserved for the system"),
            "correct the tag in IAM"
        );
        assert!(remedy("key", "AIDAX", "key 'APKA1': a private key").contains("new pair"));
    }
}
