//! Remedies that several commands name.

use crate::say::show::printable;

/// How to give a user another login name.
pub(crate) const ANOTHER_NAME: &str =
    "give the user another login name (tag 'nss-iam:name' with [tags] use = [\"name\"])";

/// A command that allows a UserId or GroupId to have this name. Each name has a separate file, because a section can
/// only be in a TOML file once.
pub(crate) fn allow_command(iam_id: &str, name: &str) -> String {
    let (iam_id, name) = (printable(iam_id), printable(name));
    format!(
        "printf '[names.allow]\\n{iam_id} = \"{name}\"\\n' >/etc/nss-iam/config.d/60-name-{name}.toml && nss-iamctl refresh"
    )
}

/// The setting that excludes one more part of the host.
pub(crate) fn exclude(excluded: &[String], part: &str) -> String {
    let all: Vec<String> =
        excluded.iter().map(String::as_str).chain([part]).map(|part| format!("\"{part}\"")).collect();
    format!("names.exclude = [{}]", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_allowed_by_a_command_to_copy() {
        assert_eq!(
            allow_command("AIDAANA", "ana"),
            r#"printf '[names.allow]\nAIDAANA = "ana"\n' >/etc/nss-iam/config.d/60-name-ana.toml && nss-iamctl refresh"#
        );
        assert_eq!(exclude(&[], "sudo"), r#"names.exclude = ["sudo"]"#);
        assert_eq!(exclude(&["ldap".to_owned()], "sss"), r#"names.exclude = ["ldap", "sss"]"#);
    }
}
