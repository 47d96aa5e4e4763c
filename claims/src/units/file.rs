//! The users and groups in a unit file or a drop-in: systemd.syntax(7), conf-parser.c.

/// Settings of systemd.exec(5) and systemd.socket(5) whose value is a user or a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    User,
    Group,
    Member,
    SocketUser,
    SocketGroup,
}

impl Role {
    fn of(key: &str) -> Option<Self> {
        Some(match key {
            "User" => Self::User,
            "Group" => Self::Group,
            "SupplementaryGroups" => Self::Member,
            "SocketUser" => Self::SocketUser,
            "SocketGroup" => Self::SocketGroup,
            _ => return None,
        })
    }

    /// As in "the user of 'mosquitto.service'".
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::User => "the user",
            Self::Group => "the group",
            Self::Member => "a group",
            Self::SocketUser => "the socket's user",
            Self::SocketGroup => "the socket's group",
        }
    }
}

/// One file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct File {
    /// The path, for messages.
    pub place: String,
    /// Users and groups as written, specifiers included.
    pub values: Vec<(Role, String)>,
    /// Whether `DynamicUser=` is true. A later false does not matter: a drop-in may be removed.
    pub is_dynamic: bool,
    /// Whether `User=` is reset, so that the value in another file may not count.
    pub resets_user: bool,
    /// Instances such as `getty@tty1.service` that a value names.
    pub mentions: Vec<String>,
    /// `DefaultInstance=` of a template.
    pub default_instance: Option<String>,
}

impl File {
    /// Does not distinguish sections: a setting in the wrong section is at worst one name too many.
    pub(super) fn parse(place: String, text: &str) -> Self {
        let mut file = Self { place, ..Self::default() };
        let mut open = String::new();
        for line in text.lines() {
            let line = line.trim_start_matches(['\u{feff}', ' ', '\t', '\r']);
            // Comments inside a continued line are skipped.
            if line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(begun) = line.strip_suffix('\\').filter(|_| is_continued(line)) {
                open.push_str(begun);
                open.push(' ');
                continue;
            }
            if open.is_empty() {
                file.setting(line);
            } else {
                open.push_str(line);
                file.setting(&std::mem::take(&mut open));
            }
        }
        file.setting(&open);
        file
    }

    fn setting(&mut self, line: &str) {
        let Some((key, value)) = line.split_once('=') else { return };
        let (key, value) = (key.trim(), value.trim());
        if let Some(role) = Role::of(key) {
            self.resets_user |= role == Role::User && value.is_empty();
            match role {
                Role::Member => self.values.extend(words(value).map(|word| (role, word))),
                _ if value.is_empty() => {}
                _ => self.values.push((role, value.to_owned())),
            }
        } else if key == "DynamicUser" {
            // parse_boolean() of parse-util.c.
            let is_true = |word: &&str| value.eq_ignore_ascii_case(word);
            self.is_dynamic |= ["1", "yes", "y", "true", "t", "on"].iter().any(is_true);
        } else if key == "DefaultInstance" {
            self.default_instance = Some(value.to_owned());
        } else if value.contains('@') {
            let units = value.split_whitespace().filter(|word| word.contains('@') && super::is_unit(word));
            self.mentions.extend(units.map(str::to_owned));
        }
    }

    pub(super) fn sets_user(&self) -> bool {
        self.values.iter().any(|(role, _)| *role == Role::User)
    }
}

/// Whether the line ends with a backslash that is not escaped.
fn is_continued(line: &str) -> bool {
    (line.len() - line.trim_end_matches('\\').len()) % 2 == 1
}

/// The words of a list, which may be quoted: names contain no blanks, so the words remain when quotes are removed.
fn words(value: &str) -> impl Iterator<Item = String> {
    value.split_whitespace().map(|word| word.replace(['"', '\'', '\\'], "")).filter(|word| !word.is_empty())
}
