/* Another directory service of a host, in place of sssd or winbind. A test writes its data to /etc/directory, one per line:
 *   user NAME UID
 *   group NAME GID [MEMBER,MEMBER]
 *   status unavailable | busy | hang | crash     (of every call for which no line above answers)
 *   initgroups unavailable                       (of that call alone)
 * Built with -DSERVICE=sss it is libnss_sss.so.2. */
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOIN2(a, b, c) a##b##c
#define JOIN(a, b, c) JOIN2(a, b, c)
#define CALL(name) JOIN(_nss_, SERVICE, _##name)

struct entry { char kind[8], name[64], members[256]; unsigned id; };

/* Finds by name, or by id where name is null. */
static enum nss_status find(const char *kind, const char *name, unsigned id, struct entry *found, int *error)
{
    FILE *file = fopen("/etc/directory", "re");
    char line[512], status[32] = "";
    int hit = 0;
    while (file && fgets(line, sizeof line, file)) {
        struct entry entry = {.members = ""};
        if (sscanf(line, "status %31s", status) == 1)
            continue;
        if (!hit && sscanf(line, "%7s %63s %u %255s", entry.kind, entry.name, &entry.id, entry.members) >= 3
            && !strcmp(entry.kind, kind) && (name ? !strcmp(entry.name, name) : entry.id == id)) {
            *found = entry;
            hit = 1;
        }
    }
    if (file)
        fclose(file);
    if (!strcmp(status, "hang"))
        pause();
    if (!strcmp(status, "crash"))
        abort();
    if (!strcmp(status, "unavailable")) { *error = ECONNREFUSED; return NSS_STATUS_UNAVAIL; }
    if (!strcmp(status, "busy")) { *error = EAGAIN; return NSS_STATUS_TRYAGAIN; }
    if (hit)
        return NSS_STATUS_SUCCESS;
    *error = ENOENT;
    return NSS_STATUS_NOTFOUND;
}

static enum nss_status user(enum nss_status status, struct entry *entry, struct passwd *user, char *buffer, size_t size)
{
    if (status == NSS_STATUS_SUCCESS && size > sizeof entry->name) {
        strcpy(buffer, entry->name);
        *user = (struct passwd){.pw_name = buffer, .pw_passwd = "*", .pw_uid = entry->id, .pw_gid = entry->id,
                                .pw_gecos = "", .pw_dir = "/home/of-directory", .pw_shell = "/bin/bash"};
    }
    return status;
}

static enum nss_status group(enum nss_status status, struct entry *entry, struct group *group, char *buffer, size_t size)
{
    static char *none[] = {0};
    if (status == NSS_STATUS_SUCCESS && size > sizeof entry->name) {
        strcpy(buffer, entry->name);
        *group = (struct group){.gr_name = buffer, .gr_passwd = "*", .gr_gid = entry->id, .gr_mem = none};
    }
    return status;
}

enum nss_status CALL(getpwnam_r)(const char *name, struct passwd *result, char *buffer, size_t size, int *error)
{
    struct entry found;
    return user(find("user", name, 0, &found, error), &found, result, buffer, size);
}

enum nss_status CALL(getpwuid_r)(uid_t id, struct passwd *result, char *buffer, size_t size, int *error)
{
    struct entry found;
    return user(find("user", 0, id, &found, error), &found, result, buffer, size);
}

enum nss_status CALL(getgrnam_r)(const char *name, struct group *result, char *buffer, size_t size, int *error)
{
    struct entry found;
    return group(find("group", name, 0, &found, error), &found, result, buffer, size);
}

enum nss_status CALL(getgrgid_r)(gid_t id, struct group *result, char *buffer, size_t size, int *error)
{
    struct entry found;
    return group(find("group", 0, id, &found, error), &found, result, buffer, size);
}

/* Adds every group that has `name` in its third field; glibc gives room for one at least. */
enum nss_status CALL(initgroups_dyn)(const char *name, gid_t primary, long *start, long *size, gid_t **groups, long limit,
                                     int *error)
{
    FILE *file = fopen("/etc/directory", "re");
    char line[512];
    (void)primary, (void)limit;
    while (file && fgets(line, sizeof line, file)) {
        struct entry entry = {.members = ""};
        if (!strcmp(line, "initgroups unavailable\n")) {
            fclose(file);
            *error = ECONNREFUSED;
            return NSS_STATUS_UNAVAIL;
        }
        if (sscanf(line, "%7s %63s %u %255s", entry.kind, entry.name, &entry.id, entry.members) < 4
            || strcmp(entry.kind, "group"))
            continue;
        for (char *member = strtok(entry.members, ","); member; member = strtok(0, ","))
            if (!strcmp(member, name)) {
                if (*start == *size) {
                    *size *= 2;
                    *groups = realloc(*groups, *size * sizeof **groups);
                }
                (*groups)[(*start)++] = entry.id;
            }
    }
    if (file)
        fclose(file);
    return NSS_STATUS_SUCCESS;
}
