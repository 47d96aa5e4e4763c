/* What a 32-bit program sees of a user: the size of its pointers, the uid, and the number of groups. */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>

int main(int count, char **words) {
    gid_t groups[64];
    int number = 64;
    struct passwd *user = count > 1 ? getpwnam(words[1]) : NULL;
    if (user == NULL)
        return 2;
    getgrouplist(user->pw_name, user->pw_gid, groups, &number);
    printf("%zu bits, uid %u, %d groups, %s\n", 8 * sizeof(void *), user->pw_uid, number, user->pw_dir);
    return 0;
}
