//! Splits sudoers(5) into words like sudo's plugins/sudoers/toke.l, and in case of doubt into more words.

/// One line of sudoers, continuation lines included.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// `@include`, `#include`; sudo(8) supports the former since 1.9.1.
    Include {
        number: usize,
        path: String,
        is_dir: bool,
    },
    Words {
        number: usize,
        tokens: Vec<Token>,
    },
}

/// A piece of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// As written: escapes are kept, quotes are removed.
    Word(String),
    /// One of `, = : ! ( ) >`.
    Mark(char),
}

/// All lines except comments.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let mut lexer = Lexer { rest: text, number: 1, found: Vec::new() };
    while !lexer.rest.is_empty() {
        lexer.line();
    }
    lexer.found
}

struct Lexer<'a> {
    rest: &'a str,
    number: usize,
    found: Vec<Line>,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        self.number += usize::from(next == '\n');
        Some(next)
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// Skips a backslash at the end of a line: `\\[[:blank:]]*\r?\n` in toke.l.
    fn continuation(&mut self) -> bool {
        let Some(after) = self.rest.strip_prefix('\\') else { return false };
        let after = after.trim_start_matches([' ', '\t']);
        let Some(after) = after.strip_prefix("\r\n").or_else(|| after.strip_prefix('\n')) else {
            return false;
        };
        self.rest = after;
        self.number += 1;
        true
    }

    fn skip_comment(&mut self) {
        // A comment cannot be continued: the text after a backslash at its end is a separate line.
        self.rest = self.rest.trim_start_matches(|c| c != '\n');
    }

    /// `@include` needs no blank before its path. `#include` does, or it is a comment.
    fn include(&mut self) -> bool {
        let number = self.number;
        let line = self.rest;
        let Some(after) = line.strip_prefix(['@', '#']).and_then(|line| line.strip_prefix("include")) else {
            return false;
        };
        let (after, is_dir) = after.strip_prefix("dir").map_or((after, false), |after| (after, true));
        if line.starts_with('#') && !after.starts_with([' ', '\t']) {
            return false;
        }
        self.rest = after;
        self.skip_blanks();
        while self.continuation() {
            self.skip_blanks();
        }
        let path =
            if self.rest.starts_with('"') { self.quoted().replace('\n', "") } else { self.bare_path() };
        self.found.push(Line::Include { number, path, is_dir });
        true
    }

    fn bare_path(&mut self) -> String {
        let mut path = String::new();
        while let Some(c) = self.rest.chars().next() {
            if c.is_whitespace() || self.continuation() {
                break;
            }
            self.next();
            path.push(c);
            if c == '\\'
                && let Some(escaped) = self.next()
            {
                path.push(escaped);
            }
        }
        decode(&path)
    }

    /// A string in double quotes, which ends at the end of the line at the latest. If it continues on the next
    /// line, it contains a newline here.
    fn quoted(&mut self) -> String {
        self.next();
        let mut string = String::new();
        while let Some(c) = self.rest.chars().next() {
            if self.continuation() {
                self.skip_blanks();
                string.push('\n');
                self.include();
                continue;
            }
            if c == '\n' {
                break;
            }
            self.next();
            match c {
                '"' => break,
                '\\' if self.rest.starts_with('"') => string.extend(self.next()),
                c => string.push(c),
            }
        }
        string
    }

    fn line(&mut self) {
        self.skip_blanks();
        if self.include() {
            return;
        }
        let number = self.number;
        let (mut tokens, mut word) = (Vec::new(), String::new());
        let mut end = |word: &mut String, more: Option<Token>| {
            if !word.is_empty() {
                tokens.push(Token::Word(std::mem::take(word)));
            }
            tokens.extend(more);
        };
        while let Some(c) = self.rest.chars().next() {
            let is_escaped_blank = !word.is_empty() && self.rest.starts_with("\\ ");
            if self.continuation() {
                end(&mut word, None);
                // Within a word, an escaped blank is one of its characters; sudo then ends the line
                // here.
                if is_escaped_blank {
                    break;
                }
                // sudo complains about an include on a continued line, but reads it.
                self.skip_blanks();
                self.include();
                continue;
            }
            if c == '#' && !is_id(self.rest) {
                self.skip_comment();
                continue;
            }
            if c == '"' {
                let string = self.quoted();
                end(&mut word, None);
                // sudo's commands have no quotes, and sudo-rs has no quotes across lines: in these
                // cases, each word inside is a word.
                for inner in string.split(|c: char| c.is_whitespace() || ",=:!()>".contains(c)) {
                    end(&mut inner.to_owned(), None);
                }
                end(&mut word, Some(Token::Word(string.replace('\n', ""))));
                continue;
            }
            self.next();
            match c {
                '\n' => break,
                '\\' => {
                    word.push(c);
                    word.extend(self.next());
                }
                ',' | '=' | ':' | '!' | '(' | ')' | '>' => end(&mut word, Some(Token::Mark(c))),
                c if c.is_whitespace() => end(&mut word, None),
                c => word.push(c),
            }
        }
        end(&mut word, None);
        if !tokens.is_empty() {
            self.found.push(Line::Words { number, tokens });
        }
    }
}

/// `#1000` and `#-1` are ids; any other text after `#` is a comment.
fn is_id(rest: &str) -> bool {
    let digits = rest.strip_prefix("#-").or_else(|| rest.strip_prefix('#')).unwrap_or(rest);
    digits.starts_with(|c: char| c.is_ascii_digit())
}

/// A word with its escapes decoded: `\x64` is a `d` in all known versions, `\,` a comma (copy_string in
/// toke_util.c).
pub(super) fn decode(word: &str) -> String {
    let mut plain = String::with_capacity(word.len());
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        let rest = chars.as_str();
        let hex = rest.strip_prefix('x').and_then(|rest| rest.get(..2));
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                plain.push(char::from(byte));
                chars = rest.get(3..).unwrap_or_default().chars();
            }
            None => plain.extend(chars.next()),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let words = |line| match line {
            Line::Include { path, is_dir, .. } => {
                vec![format!("{}{path}", if is_dir { "dir " } else { "file " })]
            }
            Line::Words { tokens, .. } => tokens
                .into_iter()
                .filter_map(|token| if let Token::Word(word) = token { Some(decode(&word)) } else { None })
                .collect(),
        };
        lines(text).into_iter().flat_map(words).collect()
    }

    #[test]
    fn comments_contain_no_words() {
        assert_eq!(
            words("## Networking\n#grace ALL=ALL\n # Will\n#-x\n#\nana ALL=ALL # bob\n"),
            ["ana", "ALL", "ALL"]
        );
        assert_eq!(words("# ends here \\\nana ALL=ALL"), ["ana", "ALL", "ALL"]);
        assert_eq!(words("#include\n#includes x\n# include x\n#included y"), [""; 0]);
        assert_eq!(words("#1000,ana"), ["#1000", "ana"]);
    }

    #[test]
    fn words_end_where_sudo_ends_them() {
        assert_eq!(
            words("ana,bob \\\n carl\tALL=(dora : eva)!f"),
            ["ana", "bob", "carl", "ALL", "dora", "eva", "f"]
        );
        assert_eq!(
            words(r#"\x64ana \xzz "%dom users" a\,b"#),
            ["dana", "xzz", "%dom", "users", "%dom users", "a,b"]
        );
        assert_eq!(words("\"an\\\n  a\" x"), ["an", "a", "ana", "x"]);
        assert_eq!(words("Defaults>ana x"), ["Defaults", "ana", "x"]);
    }

    #[test]
    fn an_include_in_all_its_spellings() {
        for (text, path) in [
            ("@include /a # b", "file /a"),
            ("  @includedir\t/a", "dir /a"),
            ("@include/a", "file /a"),
            ("@include \\\n  /a", "file /a"),
            ("@include \"/a b\" c", "file /a b"),
            ("@include /a\\ b", "file /a b"),
            ("#includedir /a#b", "dir /a#b"),
            ("#include /a\\x2fb", "file /a/b"),
            ("x \\\n#include /a", "file /a"),
        ] {
            assert_eq!(words(text).first().map(String::as_str), Some(path), "{text}");
        }
    }
}
