/*
 * The conformance suite on the simulated device, with threads. All engines are on one host, as the
 * suite expects, with a device for each server; so what they do to each other goes over a device
 * and not past it. The first argument names a profile.
 */
#include <string.h>

#include "tests/conformance/verbs_url.h"
#include "tests/conformance/world.h"
#include "tests/simverbs/world.h"

static void make_url(char *url, size_t size, unsigned number)
{
    unsigned device = number % TEST_SERVERS;
    if (test_world_rails_asked()) {
        snprintf(url, size, "verbs://10.0.%u.1,10.0.%u.1:%u", device, 1 - device, 20000 + number);
    } else {
        snprintf(url, size, "verbs://10.0.%u.1:%u", device, 20000 + number);
    }
}

int main(int argc, char **argv)
{
    struct fabric_under_test verbs = {
        .scheme = "verbs", .make_url = make_url, .bad_addresses = test_verbs_bad_addresses};
    const struct sim_profile *profile = argc > 1 ? sim_profile_named(argv[1]) : NULL;
    if (profile == NULL) {
        fprintf(stderr, "usage: %s mlx5|rxe|aries|tiny [case]\n", argv[0]);
        return 2;
    }
    verbs.has_time = strcmp(argv[1], "mlx5") == 0;
    sim_open(&(struct sim_options){.seed = 1, .threads = true});
    struct sim_host *host = sim_host_add();
    sim_device_add(host, profile, "10.0.0.1");
    sim_device_add(host, profile, "10.0.1.1");
    argv[1] = argv[0];
    int failed = test_conformance_run(&verbs, argc - 1, argv + 1);
    unsigned long long not_ready = sim_not_ready_count();
    if (not_ready > 0) {
        fprintf(stderr, "%llu messages found no receive\n", not_ready);
    }
    return failed != 0 || not_ready > 0 || sim_close() != 0;
}
