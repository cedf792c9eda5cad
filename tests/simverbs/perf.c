/*
 * wb_perf alloc and reg on the simulated device, with threads: what they do with registrations,
 * wherever the tests run. Takes their words: sim_perf alloc|reg [options].
 */
#include <stdio.h>
#include <string.h>

#include "perf/alloc.h"
#include "perf/reg.h"
#include "tests/simverbs/world.h"

int main(int argc, char **argv)
{
    bool alloc = argc > 1 && strcmp(argv[1], "alloc") == 0;
    if (!alloc && (argc < 2 || strcmp(argv[1], "reg") != 0)) {
        fprintf(stderr, "usage: %s alloc|reg [options]\n", argv[0]);
        return 2;
    }
    sim_open(&(struct sim_options){.seed = 1, .threads = true});
    sim_device_add(sim_host_add(), sim_profile_named("mlx5"), "10.0.0.1");
    argv[1] = argv[0];
    int wrong = alloc ? alloc_main(argc - 1, argv + 1) : reg_main(argc - 1, argv + 1);
    unsigned left = sim_close(); /* registrations above all */
    return wrong != 0 ? wrong : left != 0;
}
