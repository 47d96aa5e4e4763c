//! The commands in a remedy that `doctor` or `why` prints: what a person copies from it.

/// Programs that remedies name. Other text is for people.
const PROGRAMS: [&str; 13] = [
    "aws",
    "chmod",
    "chown",
    "echo",
    "gpasswd",
    "groupdel",
    "mv",
    "nss-iamctl",
    "printf",
    "rm",
    "systemd-sysusers",
    "usermod",
    "visudo",
];

/// The ways in which a remedy can be followed; each is a list of commands.
///
/// # Panics
/// Never: a list that is never empty has a last entry.
#[must_use]
pub fn ways(remedy: &str) -> Vec<Vec<String>> {
    ways_with(remedy, |_| None)
}

/// The same, where `sentence` finds what else can be carried out in a clause.
///
/// # Panics
/// As [`ways`].
#[must_use]
pub fn ways_with(remedy: &str, sentence: impl Fn(&str) -> Option<String>) -> Vec<Vec<String>> {
    let command = |clause: &str| sentence(clause).or_else(|| command(clause));
    let mut ways: Vec<Vec<String>> = vec![Vec::new()];
    let text = remedy.replace(", or ", "; or ").replace(": if ", "; if ");
    let clauses: Vec<&str> = text.split("; ").collect();
    for clause in &clauses {
        let is_other = ["or ", "if ", "for "].iter().any(|word| clause.starts_with(word));
        if is_other && ways.last().is_some_and(|way| !way.is_empty()) {
            ways.push(Vec::new());
        }
        ways.last_mut().unwrap().extend(command(clause));
    }
    ways.retain(|way| !way.is_empty());
    // What comes last, and then, belongs to all.
    if let Some(last) = clauses.last().filter(|last| last.starts_with("then ")).and_then(|last| command(last))
    {
        ways.iter_mut().filter(|way| way.last() != Some(&last)).for_each(|way| way.push(last.clone()));
    }
    ways
}

/// The command in a clause: it begins with a program, perhaps behind words for people.
fn command(clause: &str) -> Option<String> {
    let mut starts = vec![0];
    starts.extend(clause.match_indices([' ', '\'', '(']).map(|(at, _)| at + 1));
    let is_program = |at: &&usize| {
        let rest = &clause[**at..];
        PROGRAMS.iter().any(|program| rest.strip_prefix(program).is_some_and(|rest| rest.starts_with(' ')))
    };
    // What is in parentheses behind it is for people; `$(` begins a part of the command.
    let command = clause[*starts.iter().find(is_program)?..].split(" (").next()?;
    // A sentence can go on behind a command of nss-iamctl.
    let Some(rest) = command.strip_prefix("nss-iamctl ") else { return Some(command.to_owned()) };
    let mut words = rest.split([' ', ',', '\'']);
    let mut taken = vec!["nss-iamctl", words.next()?];
    let is_argument = |word: &str, before: &str| {
        word.starts_with("--")
            || ["--group", "--use-tag", "--exclude", "--sudo"].iter().any(|flag| before.starts_with(flag))
            || ["--apply", "lock", "uid", "unlock"].contains(&before)
    };
    for word in words {
        if !is_argument(word, taken.last().unwrap()) {
            break;
        }
        taken.push(word);
    }
    Some(taken.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_of_a_remedy_are_found_in_it() {
        for (remedy, wanted) in [
            ("chmod go-w /usr/libexec", &[&["chmod go-w /usr/libexec"][..]][..]),
            ("run nss-iamctl refresh, and read what it reports", &[&["nss-iamctl refresh"]]),
            ("nss-iamctl enable changes it to 'passwd: files iam'", &[&["nss-iamctl enable"]]),
            ("wait for the end of the boot, or rm /etc/nologin", &[&["rm /etc/nologin"]]),
            (
                "correct the tag: aws iam a; or remove it: aws iam b; then nss-iamctl refresh",
                &[&["aws iam a", "nss-iamctl refresh"], &["aws iam b", "nss-iamctl refresh"]],
            ),
            (
                "give it another name: aws iam e; then printf 'y' >g, or rename it; if this person should have it: printf 'x' >f && \
                 nss-iamctl refresh",
                &[&["aws iam e", "printf 'y' >g"], &["printf 'x' >f && nss-iamctl refresh"]],
            ),
            ("aws iam c; an RSA key is uploaded instead: aws iam d", &[&["aws iam c", "aws iam d"]]),
            (
                "convert it: nss-iamctl adopt --apply ana (without --apply, it shows how); or ask somebody",
                &[&["nss-iamctl adopt --apply ana"]],
            ),
            ("ask somebody", &[]),
        ] {
            assert_eq!(ways(remedy), wanted, "{remedy}");
        }
    }
}
