#!/bin/sh
# Makes the good files again from the schema, with pages of 512 bytes, so that a few users are enough for deep trees. The files
# are committed, because the corpus consists of changes to exactly these bytes.
set -eu
cd "$(dirname "$0")"
make() { # file, its section in schema.sql, rows
    rm -f "$1"
    {
        echo "PRAGMA page_size = 512; PRAGMA user_version = 100; BEGIN;"
        awk -v file="$2" '/^-- file:/ {on = $3 == file} on' ../../cache/src/schema.sql
        echo "$3 COMMIT;"
    } | sqlite3 "$1"
    # The write version in the header, by which readers recognise a published file.
    printf '\003' | dd of="$1" bs=1 seek=18 conv=notrunc status=none
}
users() {
    echo "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < $1 - 1)
        INSERT INTO passwd (uid, name, gid, pinned, active, gecos, home, shell, lastchg, expire, groups, local)
            SELECT 0x70000000 + n, 'user' || n, 0x70000000 + n, 0, n % 7 != 3,
            iif(n % 40 = 1, printf('%.900c', 'x'), 'AWS User'), '/home/user' || n, '/bin/bash', 20000,
            iif(n % 7 != 3, -1, 1), '1895825408', iif(n % 7 != 3, '27', '') FROM n;
        INSERT INTO grp (gid, name, pinned, count, members) SELECT uid, name, pinned, 0, '' FROM passwd;
        INSERT INTO grp (gid, name, pinned, count, members)
            SELECT 0x71000000, 'all', 0, count(*), group_concat(name) FROM passwd;"
}
make small.db cache.db "$(users 3)"
make deep.db cache.db "$(users 121)"
make keys.db keys.db "INSERT INTO about (id, machine_id, max_age, options)
        VALUES (1, '0123456789abcdef0123456789abcdef', 259200, 'restrict,pty');
    WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 11)
    INSERT INTO login (uid, name, iam_id, confirmed, source, keys)
        SELECT 0x70000000 + n, 'user' || n, 'AIDA' || n, 1800000000, 'iam:123456789012',
        'SHA256:x ssh-ed25519 AAAA' || char(10) || 'SHA256:y ssh-rsa ' || printf('%.700c', 'A') FROM n;"
