//! One line of nsswitch.conf(5), as glibc reads it: its services with their actions.

use message::Message;

/// The service, after which glibc looks for `libnss_iam.so.2`.
pub(super) const SERVICE: &str = "iam";

/// Other databases of glibc (nss_database.c). Since 2.33, glibc ignores the whole file if one of their lines has an error.
const OTHERS: [&str; 13] = [
    "aliases",
    "ethers",
    "group_compat",
    "gshadow",
    "hosts",
    "netgroup",
    "networks",
    "passwd_compat",
    "protocols",
    "publickey",
    "rpc",
    "services",
    "shadow_compat",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Database {
    Passwd,
    Group,
    Shadow,
    Initgroups,
    /// Never changed.
    Other,
}

impl Database {
    fn of(name: &str) -> Option<Self> {
        match name {
            "passwd" => Some(Self::Passwd),
            "group" => Some(Self::Group),
            "shadow" => Some(Self::Shadow),
            "initgroups" => Some(Self::Initgroups),
            name => OTHERS.contains(&name).then_some(Self::Other),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Passwd => "passwd",
            Self::Group => "group",
            Self::Shadow => "shadow",
            Self::Initgroups => "initgroups",
            Self::Other => "",
        }
    }
}

/// A line of one of the four databases.
pub(super) struct Entry<'a> {
    pub(super) database: Database,
    pub(super) tokens: Vec<Token<'a>>,
}

/// A service, an action in brackets, or a condition in braces, with its position in the line, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl<'a> Token<'a> {
    pub(super) fn is_action(&self) -> bool {
        self.text.starts_with('[')
    }

    pub(super) fn is_braces(&self) -> bool {
        self.text.starts_with('{')
    }

    /// The services that it stands for: in authselect's `{if "feature":sss files|files sss}`, there are several.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let alternatives = self.text.split_once(':').map_or(self.text, |(_, alternatives)| alternatives);
        alternatives.split(|c| is_blank(c) || "{|}".contains(c)).filter(|name| !name.is_empty())
    }
}

/// One character for each byte. Only ASCII matters here, and all other bytes must be preserved.
pub(super) fn chars(text: &[u8]) -> String {
    text.iter().copied().map(char::from).collect()
}

pub(super) fn bytes(text: &str) -> Vec<u8> {
    text.chars().filter_map(|c| u8::try_from(c).ok()).collect()
}

/// Why a line is left as it is.
pub(super) fn because<T>(why: &str, hint: &str) -> Result<T, Message> {
    Err(Message::new(String::from_utf8_lossy(&bytes(why))).with_hint(hint))
}

impl<'a> Entry<'a> {
    /// `None` for other databases, comments, and lines that glibc does not read.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let read = read(line);
        let start = read.len() - read.trim_start_matches(is_blank).len();
        let (name, _) = read.get(start..)?.split_once(|c: char| c == ':' || is_blank(c))?;
        let database = Database::of(name)?;
        // Current versions of glibc read '#' as a service; `iam` goes before it.
        let body = read.split('#').next()?;
        let from = start + name.len() + 1;
        // Spaces are allowed before the colon.
        let from = body.len() - body.get(from..)?.trim_start_matches(|c| c == ':' || is_blank(c)).len();
        Some(Self { database, tokens: tokens(body, from) })
    }

    /// # Errors
    /// When glibc ignores a part of the line.
    pub(super) fn check(&self, line: &str) -> Result<(), Message> {
        let read = read(line);
        let is_template = read.contains('{');
        if self.database == Database::Other && (is_template || !line.ends_with('\n')) {
            return Ok(());
        }
        let from = read.find(':').map_or(0, |at| at + 1);
        let (ours, comment) =
            read.split_at_checked(read.find('#').unwrap_or(read.len())).unwrap_or((read, ""));
        if self.database != Database::Other
            && !comment.is_empty()
            && !ours.ends_with(|c| c == ':' || is_blank(c))
        {
            let what = "glibc since 2.33 takes '#' for a part of the word before it";
            return because(what, "put the comment on a separate line");
        }
        // Including what follows '#'.
        let tokens = tokens(read, from);
        for (index, token) in tokens.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|index| tokens.get(index));
            if token.is_action() && before.is_none_or(Token::is_action) {
                if self.database == Database::Other {
                    return Ok(());
                }
                let why = format!("glibc stops reading at '{}', which follows no service", token.text);
                return because(&why, "put all actions of a service into one pair of brackets");
            }
            if token.is_braces() && !token.text.ends_with('}') {
                return because("'{' without '}'", "correct the line");
            }
            if token.is_action() && pairs(token.text).is_none() {
                let why = match token.text.ends_with(']') {
                    true => format!("'{}' is not an action", token.text),
                    false => "'[' without ']'".to_owned(),
                };
                return because(&why, "correct the line: it makes glibc ignore the whole file");
            }
        }
        Ok(())
    }

    pub(super) fn asks_iam(&self) -> bool {
        self.tokens.iter().any(|token| token.text == SERVICE)
    }

    /// Services and actions, separated by single spaces.
    pub(super) fn words(&self) -> String {
        let words: Vec<&str> = self.tokens.iter().flat_map(|token| token.text.split(is_blank)).collect();
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// The comment of a line, whose words current versions of glibc read as services, after a space.
pub(super) fn comment(line: &str) -> String {
    let comment = read(line).split_once('#').map(|(_, comment)| comment.trim_end_matches(is_blank));
    comment.map_or_else(String::new, |comment| format!(" #{comment}"))
}

/// glibc's strings end at a NUL.
fn read(line: &str) -> &str {
    line.split(['\n', '\0']).next().unwrap_or_default()
}

fn tokens(body: &str, from: usize) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = from;
    while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
        let blank = rest.len() - rest.trim_start_matches(is_blank).len();
        if blank > 0 {
            at += blank;
            continue;
        }
        // Conditions of authselect that apply to the whole line come last.
        if rest.starts_with("{exclude") || rest.starts_with("{include") {
            break;
        }
        let upto = |end: char| rest.find(end).map(|at| at + 1);
        let length = match rest.chars().next() {
            Some('[') => upto(']'),
            Some('{') => upto('}'),
            _ => rest.find(|c: char| is_blank(c) || c == '[' || c == '{'),
        };
        let length = length.unwrap_or(rest.len());
        tokens.push(Token { text: rest.get(..length).unwrap_or_default(), start: at, end: at + length });
        at += length;
    }
    tokens
}

/// `[STATUS=ACTION ...]` in lower case, and whether the status itself or all others are meant. `None` if glibc does not know
/// the action.
pub(super) fn pairs(action: &str) -> Option<Vec<(bool, String, String)>> {
    let mut rest = action.strip_prefix('[')?.strip_suffix(']')?.trim_start_matches(is_blank);
    let mut pairs = Vec::new();
    while !rest.is_empty() || pairs.is_empty() {
        let (meant, behind) = rest.strip_prefix('!').map_or((true, rest), |behind| (false, behind));
        let (status, behind) = word(behind);
        let (action, behind) = word(behind.strip_prefix('=')?.trim_start_matches(is_blank));
        let is_known = ["success", "unavail", "notfound", "tryagain"].contains(&status.as_str())
            && ["return", "continue", "merge"].contains(&action.as_str());
        pairs.push(is_known.then_some((meant, status, action))?);
        rest = behind;
    }
    Some(pairs)
}

/// The first word in lower case, and what follows it and the spaces after it.
fn word(text: &str) -> (String, &str) {
    let length = text.find(|c: char| is_blank(c) || c == '=').unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(length).unwrap_or((text, ""));
    (word.to_ascii_lowercase(), rest.trim_start_matches(is_blank))
}

/// isspace(3) in the C locale.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}
