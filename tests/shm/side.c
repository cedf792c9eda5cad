#include "tests/shm/side.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void test_side_open(struct test_side *side, uint32_t eager)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.eager_bytes = eager != 0 ? eager : TEST_EAGER;
    test_side_open_on(side, &wbi_shm_fabric, &config);
}

void test_meet(struct test_side *server, struct test_side *client, struct test_end **server_end,
               struct test_end **client_end)
{
    char name[64];
    snprintf(name, sizeof name, "%s", test_name());
    TEST_OK(wbi_shm_fabric.listen(server->lane, name));
    test_join(server, name, client, server_end, client_end);
}

const char *test_name(void)
{
    static char name[64];
    static unsigned count;
    snprintf(name, sizeof name, "test-%d-%u", (int)getpid(), count++);
    return name;
}

unsigned test_open_fds(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    TEST_THAT(folder != NULL);
    while (readdir(folder)) {
        count++;
    }
    closedir(folder);
    return count;
}

unsigned test_mapped_memfds(void)
{
    unsigned count = 0;
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    TEST_THAT(maps != NULL);
    while (fgets(line, sizeof line, maps)) {
        count += strstr(line, "memfd:") != NULL;
    }
    fclose(maps);
    return count;
}

bool test_under_tsan(void)
{
#if defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
    return true;
#else
    return false;
#endif
#else
    return false;
#endif
}
