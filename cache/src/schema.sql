-- The DDL of nss-iam: four files, split at the lines that begin with "-- file:".
-- The crate `reader` reads cache.db and keys.db without SQLite, so both use only rowid tables, explicit indexes, UTF-8
-- and the rollback journal format. New columns are only added at the end of a table, with a new minor version. A new rule
-- for rows that readers rely on also needs a new minor version.

-- file: cache.db
-- What NSS answers. Replaced only when an answer changes, so it contains no time of day and no counter.
PRAGMA application_id = 0x6e696163;             -- "niac"

CREATE TABLE passwd (
  uid       INTEGER PRIMARY KEY,                -- 0x70000000..0x7ffdffff; lower (>= 1000) only if pinned
  name      TEXT NOT NULL,
  gid       INTEGER NOT NULL,                   -- the private group, gid = uid
  pinned    INTEGER NOT NULL,                   -- 1: [ids], a uid tag or `adopt` gave the id
  active    INTEGER NOT NULL,                   -- 0: left, deleted or locked: found by uid only, never by name
  gecos     TEXT NOT NULL,
  home      TEXT NOT NULL,
  shell     TEXT NOT NULL,
  lastchg   INTEGER NOT NULL,                   -- shadow(5) sp_lstchg, days since 1970, > 0
  expire    INTEGER NOT NULL,                   -- shadow(5) sp_expire, days since 1970; -1: none
  groups    TEXT NOT NULL,                      -- supplementary gids that cache.db publishes, "1879048200 1879048201";
                                                -- of one who is not active, that of iam-disabled, which only a module
                                                -- of an earlier release gives out
  local     TEXT NOT NULL                       -- supplementary gids of local groups, > 0, "27"
);
CREATE UNIQUE INDEX passwd_name ON passwd (name);

-- Groups that exist by name. The private group of an inactive user has no row: readers derive it from the user's row.
-- "groups" (a keyword since SQLite 3.28 in window clauses only) and "group" are avoided as table names.
CREATE TABLE grp (
  gid       INTEGER PRIMARY KEY,
  name      TEXT NOT NULL,
  pinned    INTEGER NOT NULL,
  count     INTEGER NOT NULL,                   -- of members
  members   TEXT NOT NULL                       -- ready-made: "ana,bob", sorted, all active; no lookup joins
);
CREATE UNIQUE INDEX grp_name ON grp (name);

-- file: keys.db
-- The keys that sshd is offered. Replaced when anything but times of confirmation changes: see the file "confirmed".
PRAGMA application_id = 0x6e69616b;             -- "niak"

CREATE TABLE about (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  machine_id TEXT NOT NULL,                     -- machine-id(5) of the host that this was made for
  max_age    INTEGER NOT NULL,                  -- seconds; 0: no limit
  options    TEXT NOT NULL,                     -- authorized_keys options before every key; may be empty
  fleet      TEXT NOT NULL,                     -- since 103. Of the signed listing that this was made from; empty: of none
  generation INTEGER NOT NULL,                  -- since 103. Of that listing
  listing    TEXT NOT NULL,                     -- since 103. Where that listing came from, "s3://..."
  digest     TEXT NOT NULL                      -- since 104. Identifies the content of this file: SHA-256, hexadecimal. The
                                                -- file "confirmed" names it, see policy/src/confirmed.rs
);

CREATE TABLE login (                            -- active users only
  uid       INTEGER PRIMARY KEY,
  name      TEXT NOT NULL,
  iam_id    TEXT NOT NULL,                      -- UserId
  confirmed INTEGER NOT NULL,                   -- when the source last listed these keys, seconds since 1970; the file
                                                -- "confirmed" can have a later time for it
  source    TEXT NOT NULL,                      -- "iam:123456789012", "file:///..."
  keys      TEXT NOT NULL,                      -- lines "SHA256:<base64> <type> <base64>", joined by \n
  forward_only INTEGER NOT NULL,                -- since 101. 1: offered only to an sshd that lets the user run nothing
  principals TEXT NOT NULL                      -- since 102. What a certificate may have instead of the name, joined by \n
);
CREATE UNIQUE INDEX login_name ON login (name);

-- file: state.db
-- All assigned ids, for ever, and since when users are disabled.
-- Earlier minor versions are migrated (state/migrations.rs). Later ones are used as they are: existing rows keep the
-- columns that this release does not know, and new rows get their defaults. So a column that a minor version adds must
-- allow NULL or have a default. Its tables may refer only to identity, since rows of other tables can be deleted.
PRAGMA application_id = 0x6e696173;             -- "nias"

CREATE TABLE identity (
  iam_id    TEXT PRIMARY KEY,                   -- UserId, GroupId, or "group:" and the name of a group of ours
  id        INTEGER NOT NULL UNIQUE,            -- uid or gid, never given to another
  pinned    INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE user (                             -- everyone who was ever published
  iam_id    TEXT PRIMARY KEY REFERENCES identity (iam_id),
  account   TEXT NOT NULL,                      -- the account's name in the configuration
  iam_name  TEXT NOT NULL,
  created   TEXT NOT NULL,                      -- CreateDate, RFC 3339; may be empty
  name      TEXT NOT NULL,                      -- the login name held, or last held
  gecos     TEXT NOT NULL,
  home      TEXT NOT NULL,
  shell     TEXT NOT NULL,
  lastchg   INTEGER NOT NULL,
  groups    TEXT NOT NULL,                      -- GroupIds, "AGPA1 AGPA2"
  disabled  INTEGER,                            -- since when, seconds since 1970; NULL: active
  hidden    INTEGER NOT NULL DEFAULT 0,         -- 1: no longer published
  keys      TEXT NOT NULL,                      -- as in login.keys
  confirmed INTEGER NOT NULL,                   -- the file "confirmed" can have a later time for it
  source    TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE member_group (                     -- IAM groups that were published
  iam_id    TEXT PRIMARY KEY REFERENCES identity (iam_id),
  account   TEXT NOT NULL,
  name      TEXT NOT NULL
) WITHOUT ROWID;

-- Since 101. All homes that were ever assigned: none is assigned to a second user, even if the first one has moved.
CREATE TABLE home (
  path      TEXT PRIMARY KEY,
  iam_id    TEXT NOT NULL REFERENCES identity (iam_id)
) WITHOUT ROWID;

-- Since 101. The user or group that had each name last: only they get it back if the host grants something to it.
CREATE TABLE name (
  name      TEXT PRIMARY KEY,
  iam_id    TEXT NOT NULL REFERENCES identity (iam_id)
) WITHOUT ROWID;

-- Since 101.
CREATE TABLE about (
  id        INTEGER PRIMARY KEY CHECK (id = 1),
  asked     INTEGER NOT NULL,                   -- until when the host was asked for the names that are due, seconds since 1970
  rebuilt   INTEGER,                            -- when this file was last rebuilt from cache.db, having been lost; NULL: never
  held      INTEGER,                            -- since 102: how many users were active when max_removed_percent began to
                                                -- hold removals; NULL: it holds none
  fleet      TEXT,                              -- since 103: of the last signed listing that was accepted; NULL: none was
  generation INTEGER,                           -- since 103: of that listing; an older one is refused
  listing    TEXT                               -- since 103: where it came from; from there, none without signature is accepted
);

-- file: known.db
-- The last valid configuration, and the users who were read with it: what is used instead of a broken configuration or a lost
-- listing. Only rows that differ are written (parts.rs).
PRAGMA application_id = 0x6e69616f;             -- "niao"

CREATE TABLE part (
  name      TEXT PRIMARY KEY,                   -- "configuration", "account/00000", "account/00000/user/AIDAEXAMPLE"
  content   TEXT NOT NULL                       -- JSON
) WITHOUT ROWID;
