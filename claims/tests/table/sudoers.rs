//! Texts of sudoers(5), and the names in them. The oracle is `sudo -l -U NAME`: every user that it lets run
//! something is in `named`.

/// When a text cannot be resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unresolved {
    Never,
    /// sudo's parser resolves it, the scan of this crate does not.
    WithoutExport,
    Always,
}
use Unresolved::{Always, Never, WithoutExport};

/// Files of one host.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// Names that sudo uses.
    pub(crate) named: &'static [&'static str],
    /// Names that sudo does not use; without sudo's parser, names that begin with `~` may be taken for names.
    pub(crate) free: &'static [&'static str],
    pub(crate) unresolved: Unresolved,
}

const fn row(
    what: &'static str,
    text: &'static [(&'static str, &'static str)],
    named: &'static [&'static str],
    free: &'static [&'static str],
) -> Row {
    Row { what, files: text, named, free, unresolved: Never }
}

const MAIN: &str = "/etc/sudoers";

pub(crate) const ROWS: &[Row] = &[
    row(
        "a plain rule",
        &[(MAIN, "root ALL=(ALL:ALL) ALL\ndana ALL=(ALL:ALL) NOPASSWD: ALL\n")],
        &["dana"],
        &["all", "nopasswd"],
    ),
    row("capital letters", &[(MAIN, "DaNa ALL=ALL\n")], &["dana"], &[]),
    row("a user in capitals that is not an alias", &[(MAIN, "DANA ALL=ALL\n")], &["dana"], &[]),
    row(
        "a user with the name of an alias of commands",
        &[(MAIN, "Cmnd_Alias DANA = /bin/ls\nDANA ALL=ALL\n")],
        &["dana"],
        &[],
    ),
    row("a user with the name of a tag", &[(MAIN, "MAIL ALL=ALL\n")], &["mail"], &[]),
    row("a group", &[(MAIN, "%ops ALL=ALL\n")], &["ops"], &[]),
    row("a list with blanks", &[(MAIN, "ann , ben\t,cara ALL = ALL\n")], &["ann", "ben", "cara"], &[]),
    row("a negated user", &[(MAIN, "ALL, !dana ALL=ALL\n")], &["dana"], &[]),
    row("line continuation", &[(MAIN, "ann, \\\n   dana \\\n ALL=ALL\n")], &["ann", "dana"], &[]),
    row(
        "line continuation with blanks after it",
        &[(MAIN, "ann, \\  \n dana ALL=ALL\n")],
        &["ann", "dana"],
        &[],
    ),
    row("a comment does not continue", &[(MAIN, "# old: \\\ndana ALL=ALL\n")], &["dana"], &["old"]),
    row(
        "words of comments",
        &[(MAIN, "## Networking\n#grace ALL=ALL\n # Will\nann ALL=ALL # for eva\n#\n")],
        &["ann"],
        &["networking", "grace", "will", "for", "eva"],
    ),
    row(
        "a comment that looks like an include",
        &[(MAIN, "# include /etc/other\n#includes /etc/other\n#include\n"), ("/etc/other", "dana ALL=ALL\n")],
        &[],
        &["dana"],
    ),
    row("an id", &[(MAIN, "#1000 ALL=ALL\n%#1001 ALL=ALL\n")], &[], &["1000", "1001", "#1000"]),
    row("a hexadecimal escape", &[(MAIN, "\\x64ana ALL=ALL\n")], &["dana"], &[]),
    row("a hexadecimal escape in a group", &[(MAIN, "%\\x6fps ALL=ALL\n")], &["ops"], &[]),
    row("an escape of a letter", &[(MAIN, "d\\ana ALL=ALL\n")], &["dana"], &[]),
    row("escaped marks", &[(MAIN, "d\\,ana\\=x ALL=ALL\n")], &["d,ana=x"], &["d", "ana"]),
    row("a group with a blank", &[(MAIN, "%dom\\ users ALL=ALL\n")], &["dom users"], &["dom", "users"]),
    row("a quoted user", &[(MAIN, "\"dana\" ALL=ALL\n")], &["dana"], &[]),
    row(
        "a quoted group with a blank",
        &[(MAIN, "\"%dom users\" ALL=ALL\n")],
        &["dom users"],
        &["~dom", "~users"],
    ),
    row("a quoted user over two lines", &[(MAIN, "\"da\\\n   na\" ALL=ALL\n")], &["dana"], &[]),
    row(
        "an alias of users",
        &[(MAIN, "User_Alias OPS = ann, %dbas : DEVS = ben\nOPS ALL=ALL\n")],
        &["ann", "dbas", "ben"],
        &["ops", "devs"],
    ),
    row(
        "an alias of run-as users",
        &[(MAIN, "Runas_Alias DB = postgres, #999\nann ALL=(DB) ALL\n")],
        &["ann", "postgres"],
        &["db"],
    ),
    row(
        "hosts and commands",
        &[(
            MAIN,
            "Host_Alias WEB = web1, web2\nCmnd_Alias LS = /bin/ls eva\nann WEB, mail1 = LS, /bin/cat fay\n",
        )],
        &["ann"],
        &["web", "web1", "ls", "eva", "~mail1", "~fay"],
    ),
    row(
        "run-as users and groups",
        &[(MAIN, "ann ALL = (ben, %cgroup : dgroup) ALL, (eva) /bin/ls\n")],
        &["ann", "ben", "cgroup", "dgroup", "eva"],
        &[],
    ),
    row(
        "two specifications of one user",
        &[(MAIN, "ann A1 = /bin/ls : A2 = (ben) /bin/cat\n")],
        &["ann", "ben"],
        &["ls"],
    ),
    row(
        "defaults of a user",
        &[(MAIN, "Defaults:dana !authenticate\nDefaults>eva !lecture\nDefaults:fay,gus !lecture\n")],
        &["dana", "eva", "fay", "gus"],
        &["~authenticate"],
    ),
    row(
        "defaults of hosts and commands",
        &[(MAIN, "Defaults@web1 !lecture\nDefaults!/bin/ls noexec\nDefaults env_reset\n")],
        &[],
        &["web1", "ls", "env_reset", "lecture", "noexec"],
    ),
    row(
        "defaults that take a name",
        &[(
            MAIN,
            "Defaults exempt_group=ops, runas_default=\"dana\"\nDefaults iolog_user = ann, iolog_group=\\x62en, timestampowner=cara\n",
        )],
        &["ops", "dana", "ann", "ben", "cara"],
        &[],
    ),
    row("a non-Unix group", &[(MAIN, "%:ops ALL=ALL\n\"%:dbas\" ALL=ALL\n")], &["ops", "dbas"], &[]),
    row("a user of a domain", &[(MAIN, "dana@example.com ALL=ALL\n")], &["dana@example.com"], &["dana"]),
    row(
        "@include with a comment",
        &[(MAIN, "@include /etc/site.sudoers # site\n"), ("/etc/site.sudoers", "dana ALL=ALL\n")],
        &["dana"],
        &["site"],
    ),
    row(
        "#include",
        &[(MAIN, "#include /etc/site.sudoers\n"), ("/etc/site.sudoers", "dana ALL=ALL\n")],
        &["dana"],
        &[],
    ),
    row(
        "a relative include",
        &[(MAIN, "@include more/a\n"), ("/etc/more/a", "@include b\n"), ("/etc/more/b", "dana ALL=ALL\n")],
        &["dana"],
        &[],
    ),
    row(
        "an include in quotes",
        &[(MAIN, "@include \"/etc/a b\"\n"), ("/etc/a b", "dana ALL=ALL\n")],
        &["dana"],
        &[],
    ),
    row(
        "an include with an escaped blank",
        &[(MAIN, "@include /etc/a\\ b\n"), ("/etc/a b", "dana ALL=ALL\n")],
        &["dana"],
        &[],
    ),
    row(
        "an include without a blank",
        &[(MAIN, "@include/etc/a\n"), ("/etc/a", "dana ALL=ALL\n")],
        &["dana"],
        &[],
    ),
    row(
        "an include on the next line",
        &[(MAIN, "@include \\\n /etc/a\n"), ("/etc/a", "dana ALL=ALL\n")],
        &["dana"],
        &[],
    ),
    row(
        "a word with an escaped blank at the end of a line",
        &[(MAIN, "Host_Alias WEB = web1\\ \ndana ALL=ALL\n")],
        &["dana"],
        &["web1"],
    ),
    row(
        "an include on a continued line",
        &[(MAIN, "ann ALL = \\\n@include /etc/a\n"), ("/etc/a", "dana ALL=ALL\n")],
        &["dana"],
        &[],
    ),
    row(
        "an include of this host",
        &[(MAIN, "@include /etc/sudoers.%h\n"), ("/etc/sudoers.HOST", "dana ALL=ALL\n")],
        &["dana"],
        &[],
    ),
    row(
        "a directory",
        &[
            (MAIN, "@includedir /etc/sudoers.d\n"),
            ("/etc/sudoers.d/a", "dana ALL=ALL\n"),
            ("/etc/sudoers.d/b.bak", "eva ALL=ALL\n"),
            ("/etc/sudoers.d/c~", "fay ALL=ALL\n"),
        ],
        &["dana"],
        &["eva", "fay"],
    ),
    row("a missing directory", &[(MAIN, "@includedir /etc/none.d\ndana ALL=ALL\n")], &["dana"], &[]),
    row(
        "a directory that is not included",
        &[(MAIN, "ann ALL=ALL\n"), ("/etc/sudoers.d/a", "dana ALL=ALL\n")],
        &["ann"],
        &["dana"],
    ),
    row(
        "a carriage return at the end of lines",
        &[(MAIN, "ann ALL=ALL\r\n# eva\r\ndana, \\\r\n ben ALL=ALL\r\n")],
        &["ann", "ben", "dana"],
        &["eva"],
    ),
    row("no newline at the end", &[(MAIN, "dana ALL=ALL")], &["dana"], &[]),
    row("a line that sudo skips", &[(MAIN, "ann ALL ALL ALL(\ndana ALL=ALL\n")], &["dana"], &[]),
    row(
        "sudoers_file in sudo.conf",
        &[
            (MAIN, "root ALL=ALL\n"),
            ("/etc/sudo.conf", "Plugin sudoers_policy sudoers.so sudoers_file=/etc/alt\n"),
            ("/etc/alt", "dana ALL=ALL\n"),
        ],
        &["dana"],
        &[],
    ),
    row(
        "a netgroup of /etc/netgroup",
        &[
            (MAIN, "+ops ALL=ALL\n"),
            ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nnetgroup: files\n"),
            ("/etc/netgroup", "ops (-,dana,)\n"),
        ],
        &["dana"],
        &["ops"],
    ),
    Row {
        unresolved: WithoutExport,
        ..row(
            "a netgroup of hosts",
            &[
                (MAIN, "ann +ops = ALL\n"),
                ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nnetgroup: files\n"),
                ("/etc/netgroup", "ops (,,)\n"),
            ],
            &["ann"],
            &["ops"],
        )
    },
    Row {
        unresolved: Always,
        ..row(
            "a netgroup that matches anyone",
            &[
                (MAIN, "+ops ALL=ALL\n"),
                ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nnetgroup: files\n"),
                ("/etc/netgroup", "ops (,,)\n"),
            ],
            &[],
            &[],
        )
    },
    Row { unresolved: Always, ..row("a missing include", &[(MAIN, "@include /etc/none\n")], &[], &[]) },
    Row {
        unresolved: WithoutExport,
        ..row(
            "an include with a per cent sign",
            &[(MAIN, "@include /etc/a%x\n"), ("/etc/a%x", "dana ALL=ALL\n")],
            &[],
            &[],
        )
    },
    Row {
        unresolved: Always,
        ..row(
            "a group plugin",
            &[(MAIN, "Defaults group_plugin=\"group_file.so /etc/sudo.group\"\n%:ops ALL=ALL\n")],
            &["ops"],
            &[],
        )
    },
    row(
        "a group plugin that asks the host",
        &[(MAIN, "Defaults group_plugin=system_group.so\n%:ops ALL=ALL\n")],
        &["ops"],
        &[],
    ),
    Row {
        unresolved: Always,
        ..row(
            "rules in LDAP",
            &[(MAIN, "root ALL=ALL\n"), ("/etc/nsswitch.conf", "passwd: files\nsudoers: files ldap\n")],
            &[],
            &[],
        )
    },
    Row {
        unresolved: Always,
        ..row(
            "a different plugin",
            &[(MAIN, "root ALL=ALL\n"), ("/etc/sudo.conf", "Plugin policy /opt/policy.so\n")],
            &[],
            &[],
        )
    },
];
