/* What memory is left, by a machine and its control groups that are files of the test's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mr_cache/room.h"
#include "tests/mr_cache/rma.h"

static char root[64];

/* Writes a file of the machine to be, and the directories before it. */
static void put(const char *path, const char *text)
{
    char full[512];

    (void)snprintf(full, sizeof full, "%s%s", root, path);
    for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(full, 0700);
        *at = '/';
    }
    FILE *file = fopen(full, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void begin(void)
{
    (void)snprintf(root, sizeof root, "/tmp/waybill-room-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void end(void)
{
    char command[128];

    (void)snprintf(command, sizeof command, "rm -r %s", root);
    ck_assert_int_eq(system(command), 0); // NOLINT(cert-env33-c)
}

static void assert_room(uint64_t bytes, const char *limit)
{
    struct wbi_room room;

    wbi_room_read(root, &room);
    ck_assert_uint_eq(room.bytes, bytes);
    ck_assert_msg(strstr(room.limit, limit) != NULL, "'%s' and not '%s'", room.limit, limit);
}

static const char meminfo[] =
    "MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable: 1000 kB\nSwapFree: 24 kB\n";

START_TEST(test_a_machine_without_groups)
{
    begin();
    put("/proc/none", "");
    assert_room(UINT64_MAX, "");
    put("/proc/meminfo", meminfo);
    assert_room(1024 * 1024, "/proc/meminfo");
    end();
}
END_TEST

START_TEST(test_the_smallest_of_all_groups_above_counts)
{
    begin();
    put("/proc/meminfo", meminfo);
    put("/proc/self/cgroup", "0::/outer/inner\n");
    put("/proc/self/mountinfo", "24 30 0:22 / /proc rw - proc proc rw\n"
                                "33 30 0:29 / /groups rw,nosuid shared:9 - cgroup2 cgroup2 rw\n");
    assert_room(1024 * 1024, "/proc/meminfo");
    put("/groups/outer/inner/memory.max", "max\n");
    put("/groups/outer/inner/memory.current", "700000\n");
    assert_room(1024 * 1024, "/proc/meminfo");
    put("/groups/outer/memory.max", "1000000\n");
    put("/groups/outer/memory.current", "900000\n");
    assert_room(100000 + 24 * 1024, "/groups/outer/memory.max"); /* all free swap may be its */
    put("/groups/outer/memory.swap.max", "5000\n");
    put("/groups/outer/memory.swap.current", "1000\n");
    assert_room(104000, "/groups/outer/memory.max");
    put("/groups/outer/memory.stat", "active_file 5\nfile 7\ninactive_file 50000\n");
    assert_room(154005, "/groups/outer/memory.max");
    put("/groups/outer/inner/memory.max", "800000\n");
    put("/groups/outer/inner/memory.swap.max", "0\n");
    assert_room(100000, "/groups/outer/inner/memory.max");
    put("/groups/outer/inner/memory.current", "800001\n");
    assert_room(0, "/groups/outer/inner/memory.max");
    end();
}
END_TEST

START_TEST(test_version_1_and_a_mount_that_shows_a_part)
{
    begin();
    put("/proc/meminfo", meminfo);
    put("/proc/self/cgroup", "5:cpu,cpuacct:/other\n4:memory:/box/mine\n0::/\n");
    put("/proc/self/mountinfo", "31 30 0:27 / /c/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
                                "32 30 0:28 /box /c/memory rw - cgroup cgroup rw,memory\n");
    put("/c/memory/mine/memory.limit_in_bytes", "9223372036854771712\n");
    put("/c/memory/mine/memory.usage_in_bytes", "10\n");
    assert_room(1024 * 1024, "/proc/meminfo");
    put("/c/memory/memory.limit_in_bytes", "50000\n");
    put("/c/memory/memory.usage_in_bytes", "20000\n");
    put("/c/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 10000\n");
    assert_room(40000 + 24 * 1024, "/c/memory/memory.limit_in_bytes");
    put("/c/memory/memory.memsw.limit_in_bytes", "60000\n");
    put("/c/memory/memory.memsw.usage_in_bytes", "22000\n");
    assert_room(48000, "/c/memory/memory.memsw.limit_in_bytes");
    put("/proc/self/cgroup", "4:memory:/boxes\n"); /* which that mount does not show */
    assert_room(48000, "/c/memory/memory.memsw.limit_in_bytes");
    end();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_a_machine_without_groups,
                                  test_the_smallest_of_all_groups_above_counts,
                                  test_version_1_and_a_mount_that_shows_a_part};

    return test_run(test_suite("rma room", tests, sizeof(tests) / sizeof(*tests), 60));
}
