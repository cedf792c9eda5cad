/* wb_perf: what calls cost. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/alloc.h"
#include "perf/cargo.h"
#include "perf/client.h"
#include "perf/common_command.h"
#include "perf/common_resources.h"
#include "perf/common_say.h"
#include "perf/crowd.h"
#include "perf/reg.h"
#include "perf/server.h"
#include "perf/setup.h"
#include "perf/show.h"
#include "perf/ticks.h"
#include "perf/tune.h"

/* Says so if the sizes do not fit the machine, which would otherwise end in the dark. */
static int check_memory(const struct options *o)
{
    uint64_t sides = o->role == ROLE_LOCAL ? 2 : 1;
    uint64_t baseline = vs_has_orders(o->vs) ? 4 * cargo_most(o) + sides * o->size_max : 0;
    uint64_t needed = sides * memory_needed(o) + baseline;
    if (needed <= memory_available()) {
        return 0;
    }
    return say(EXIT_FAILURE,
               "payloads of up to %zu bytes need %" PRIu64 " MiB here and %" PRIu64
               " MiB are available; choose less of --size, --window, --threads or --processes",
               o->size_max, needed >> 20, memory_available() >> 20);
}

/* What has no other side, and options of its own. */
static const struct {
    const char *name;
    int (*main)(int argc, char **argv);
} subcommands[] = {
    {"alloc", alloc_main}, {"reg", reg_main}, {"show", show_main}, {"tune", tune_main}};

static int run(const struct options *o)
{
    if (o->role == ROLE_LISTEN) {
        return server_run(o);
    }
    if (check_memory(o) != 0) {
        return EXIT_FAILURE;
    }
    return o->processes > 0 && !is_client_of_many(o) ? crowd_run(o) : client_run(o);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < COUNT_OF(subcommands); i++) {
        if (strcmp(argv[1], subcommands[i].name) == 0) {
            argv[1] = argv[0]; /* getopt says it where it complains */
            return subcommands[i].main(argc - 1, argv + 1);
        }
    }
    struct options options;
    int ended = options_parse(&options, argc, argv);
    if (ended != COMMAND_RUN) {
        return ended;
    }
    ticks_start();
    int wrong = run(&options);
    options_drop(&options);
    return finish_output(wrong);
}
