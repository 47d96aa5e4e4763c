-- The only DDL of nss-iam. Three files, split at the lines that begin with "-- file:".
-- Readers (crate `reader`) walk cache.db and keys.db without SQLite, so both keep to: rowid tables, explicit
-- indexes, UTF-8, rollback journal format. A column is only ever added at the end, with a new minor version, and so is
-- a rule for rows that readers rely on.

-- file: cache.db
-- What NSS answers. Replaced only when an answer changes: no time of day, no counter in here.
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

-- Groups that exist by name. The private group of a user who is not active has no row: readers make it of the user's.
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
-- What sshd is offered. Replaced at each successful refresh.
PRAGMA application_id = 0x6e69616b;             -- "niak"

CREATE TABLE about (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  machine_id TEXT NOT NULL,                     -- machine-id(5) of the host that this was made for
  max_age    INTEGER NOT NULL,                  -- seconds; 0: no limit
  options    TEXT NOT NULL                      -- authorized_keys options before every key; may be empty
);

CREATE TABLE login (                            -- active users only
  uid       INTEGER PRIMARY KEY,
  name      TEXT NOT NULL,
  iam_id    TEXT NOT NULL,                      -- UserId
  confirmed INTEGER NOT NULL,                   -- when the source last listed these keys, seconds since 1970
  source    TEXT NOT NULL,                      -- "iam:123456789012", "file:///..."
  keys      TEXT NOT NULL                       -- lines "SHA256:<base64> <type> <base64>", joined by \n
);
CREATE UNIQUE INDEX login_name ON login (name);

-- file: state.db
-- apply's own memory, never read by anyone else: ids for ever, and who is disabled since when.
-- Earlier minor versions are migrated (state/migrations.rs), and later ones are used as they are: rows that stay keep what
-- this release does not know. So whatever a minor version adds may be NULL or has a default, which it finds in rows that an
-- earlier release has added since; and it refers to no table but identity, since rows of the others may go.
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
  confirmed INTEGER NOT NULL,
  source    TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE member_group (                     -- IAM groups that were published
  iam_id    TEXT PRIMARY KEY REFERENCES identity (iam_id),
  account   TEXT NOT NULL,
  name      TEXT NOT NULL
) WITHOUT ROWID;

-- Since 101. No home is ever given to a second user, whoever had it and wherever that user lives now.
CREATE TABLE home (
  path      TEXT PRIMARY KEY,
  iam_id    TEXT NOT NULL REFERENCES identity (iam_id)
) WITHOUT ROWID;

-- Since 101. Who had a name last, users and groups: only they get it back with what the host has granted to it meanwhile.
CREATE TABLE name (
  name      TEXT PRIMARY KEY,
  iam_id    TEXT NOT NULL REFERENCES identity (iam_id)
) WITHOUT ROWID;

-- Since 101.
CREATE TABLE about (
  id        INTEGER PRIMARY KEY CHECK (id = 1),
  asked     INTEGER NOT NULL,                   -- until when the host was asked for the names that are due, seconds since 1970
  rebuilt   INTEGER,                            -- when this file was last rebuilt from cache.db, having been lost; NULL: never
  held      INTEGER                             -- since 102: how many users were active when max_removed_percent began to
                                                -- hold removals; NULL: it holds none
);
