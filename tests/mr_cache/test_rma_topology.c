/* What is read of the machine is plausible, and a placement that cannot be is no error. */
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mr_cache/topology.h"
#include "tests/mr_cache/rma.h"

START_TEST(test_the_machine_adds_up)
{
    struct wbi_topology machine = {0};

    ck_assert_int_eq(wbi_topology_read(&machine), WB_OK);
    ck_assert_uint_ge(machine.numa_nodes, 1);
    ck_assert_uint_ge(machine.packages, 1);
    ck_assert_uint_ge(machine.cores, machine.packages);
    ck_assert_uint_ge(machine.cpus, machine.cores);
    ck_assert_uint_eq(machine.page_bytes, (size_t)sysconf(_SC_PAGESIZE));
    if (access("/sys/kernel/mm/hugepages/hugepages-2048kB", F_OK) == 0)
        ck_assert_uint_gt(machine.huge_page_bytes, machine.page_bytes);
}
END_TEST

START_TEST(test_binding_is_a_hint)
{
    size_t bytes = 1 << 20;
    unsigned char *base =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(base, MAP_FAILED);
    wbi_topology_bind(base, bytes, -1);
    wbi_topology_bind(base, bytes, 0);
    wbi_topology_bind(base, bytes, 100000);
    base[0] = base[bytes - 1] = 1;
    ck_assert_int_eq(munmap(base, bytes), 0);
}
END_TEST

/* Whether this thread may run on some CPUs, all of which are of `allowed`. */
static bool keeps_to(const cpu_set_t *allowed)
{
    cpu_set_t now, both;

    ck_assert_int_eq(sched_getaffinity(0, sizeof(now), &now), 0);
    CPU_AND(&both, &now, allowed);
    return CPU_COUNT(&now) > 0 && CPU_EQUAL(&now, &both);
}

/* A thread goes no further than its program lets it. */
START_TEST(test_a_thread_keeps_to_what_it_may)
{
    char text[64];
    cpu_set_t before, one;

    wbi_topology_nodes(text, sizeof text);
    int first = atoi(text);
    size_t cpu = 0;
    ck_assert_int_eq(sched_getaffinity(0, sizeof(before), &before), 0);
    wbi_topology_bind_thread(-1);
    wbi_topology_bind_thread(100000);
    ck_assert(keeps_to(&before));
    wbi_topology_bind_thread(first);
    ck_assert(keeps_to(&before));
    while (!CPU_ISSET(cpu, &before))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
    wbi_topology_bind_thread(first);
    ck_assert(keeps_to(&one));
    ck_assert_int_eq(sched_setaffinity(0, sizeof(before), &before), 0);
}
END_TEST

START_TEST(test_the_nodes_are_known_by_number)
{
    char text[64], cut[1] = {'x'};

    wbi_topology_nodes(text, sizeof text);
    wbi_topology_nodes(cut, sizeof cut);
    int first = atoi(text);
    ck_assert_int_ne(text[0], '\0');
    ck_assert_int_eq(cut[0], '\0');
    ck_assert(wbi_topology_has_node(first));
    ck_assert(!wbi_topology_has_node(100000));
    ck_assert(!wbi_topology_has_node(-3));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_the_machine_adds_up, test_binding_is_a_hint,
                                  test_a_thread_keeps_to_what_it_may,
                                  test_the_nodes_are_known_by_number};

    return test_run(test_suite("rma topology", tests, sizeof(tests) / sizeof(*tests), 60));
}
