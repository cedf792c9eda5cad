#include <stdio.h>
#include <string.h>

#include "perf/alloc.h"
#include "perf/common_command.h"
#include "perf/common_say.h"
#include "perf/common_words.h"

enum { SIZE_FIRST = 64, SIZE_LAST = 65536, SIZE_STEP = 4, VECTOR_BYTES = 1 << 20 };
enum { BUDGET_MIN = 64 << 20, SIZE_LIMIT = 4 << 20 };

static const char *const case_names[CASES] = {"all",   "pair",   "batch",        "cross",
                                              "mixed", "vector", "fragmentation"};
static const char *const allocator_names[ALLOCATORS] = {"waybill", "glibc", "mimalloc", "register",
                                                        "mapreg"};

const char *const alloc_help[] = {
    "wb_perf alloc: what registered memory costs, against malloc and against registering by\n"
    "hand. Contestants take turns in slices of 4 ms in one process.\n"
    "\n"
    "  wb_perf alloc [options]\n"
    "  wb_perf alloc --case fragmentation [--ops N] [--budget N] [--seed N] [--format F]\n"
    "\n"
    "Contestants:\n"
    "  waybill    wb_rma_alloc and wb_rma_free, over every fabric of the machine\n"
    "  glibc      malloc and free\n"
    "  mimalloc   mi_malloc and mi_free, where libmimalloc.so.2 is\n"
    "  register   registers memory that was touched before, and deregisters it, where an\n"
    "             RDMA device is: pair, batch and vector\n"
    "  mapreg     maps, touches, registers, deregisters and unmaps, likewise\n"
    "\n"
    "Cases; an op is one block taken and given back, and its first byte is written:\n"
    "  pair           given back at once\n"
    "  batch          64 taken, then 64 given back\n"
    "  cross          one thread takes and another gives back, through a ring of 1024\n"
    "  mixed          256 blocks of 64 B to 64 KiB (log-uniform) are held, and any of them\n"
    "                 is replaced by one of another size\n"
    "  vector         an rma_vector as waybill, against register and mapreg\n"
    "  fragmentation  blocks of 64 B to 4 MiB (log-uniform) come and go while those held ask\n"
    "                 for 70 % of the budget; a tenth live 20 times as long. Reported is the\n"
    "                 pool's registered memory over what was asked for\n"
    "\n"
    "Options:\n"
    "  --case CASE     one of these (all but fragmentation)\n"
    "  --size N[:M]    bytes: N, times 4 and again, and M, at most 4M; for pair, batch, cross\n"
    "                  and vector (64:64K; vector 1M)\n"
    "  --threads N     so many at once, 1 to 64; of cross, so many pairs of them (1)\n"
    "  --time SECONDS  how long to measure each line of the report (1)\n"
    "  --device NAME   the RDMA device (the first)\n"
    "  --budget N      of the engine's pool, 64M or more (1G)\n"
    "  --ops N         blocks to take and give back in fragmentation, each counted (100000000)\n"
    "  --seed N        of the random sizes (1)\n"
    "  --format F      text (default), or json: one object a line\n"
    "  --help          this text\n"
    "\n"
    "ns is an op's time as its thread sees it: the median slice, and the least. Ratios are\n"
    "those of slices of one round, to mimalloc, and in vector to waybill: median and least.\n"
    "Sizes and options but fragmentation's take K, M or G.\n"
    "\n"
    "Exit status: 0; 1 if something failed; 2 for wrong usage.\n",
    NULL};

const char *alloc_case_name(enum alloc_case which)
{
    return case_names[which];
}

const char *allocator_name(enum allocator allocator)
{
    return allocator_names[allocator];
}

enum {
    OPT_CASE = 256,
    OPT_SIZE,
    OPT_THREADS,
    OPT_TIME,
    OPT_DEVICE,
    OPT_BUDGET,
    OPT_OPS,
    OPT_SEED,
    OPT_FORMAT
};

static const struct option long_options[] = {
    {"case", required_argument, NULL, OPT_CASE},
    {"size", required_argument, NULL, OPT_SIZE},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"time", required_argument, NULL, OPT_TIME},
    {"device", required_argument, NULL, OPT_DEVICE},
    {"budget", required_argument, NULL, OPT_BUDGET},
    {"ops", required_argument, NULL, OPT_OPS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"format", required_argument, NULL, OPT_FORMAT},
    {"help", no_argument, NULL, COMMAND_HELP},
    {NULL, 0, NULL, 0},
};

/* Takes one option; 0, or EXIT_USAGE with a line said. */
static int take(void *into, int option, const char *text)
{
    struct alloc_options *o = into;
    uint64_t count = o->threads;
    int choice = 0;
    int wrong = 0;
    switch (option) {
    case OPT_CASE:
        wrong = words_choice("case", text, case_names, CASES, CASE_PAIR, &choice);
        o->which = wrong == 0 ? (enum alloc_case)choice : o->which;
        return wrong;
    case OPT_SIZE:
        return words_sizes(text, &o->size_min, &o->size_max);
    case OPT_THREADS:
        wrong = words_count("threads", text, THREADS_MAX, &count);
        o->threads = (uint32_t)count;
        return wrong;
    case OPT_TIME:
        return words_seconds(text, &o->seconds);
    case OPT_DEVICE:
        o->device = text;
        return 0;
    case OPT_BUDGET:
        return words_size("budget", text, &o->budget);
    case OPT_OPS:
        return words_count("ops", text, UINT64_MAX / 2, &o->ops);
    case OPT_SEED:
        return words_count("seed", text, UINT64_MAX / 2, &o->seed);
    case OPT_FORMAT:
        return words_format(text, FORMAT_JSON, &o->format);
    default:
        return EXIT_USAGE; /* getopt has said it */
    }
}

/* What no single option can know, and what was not given. */
static int check(void *into)
{
    struct alloc_options *o = into;
    bool churns = o->which == CASE_FRAGMENTATION;
    if (o->budget < BUDGET_MIN) {
        return say(EXIT_USAGE, "--budget %zu: at least 64M", o->budget);
    }
    if (churns && (o->threads > 1 || o->size_max > 0 || o->seconds > 0 || o->device != NULL)) {
        return say(EXIT_USAGE,
                   "fragmentation has one thread, sizes of its own, no device, and --ops");
    }
    if (!churns && o->ops > 0) {
        return say(EXIT_USAGE, "--ops is for --case fragmentation; the others have --time");
    }
    if (o->which == CASE_MIXED && o->size_max > 0) {
        return say(EXIT_USAGE, "mixed has sizes of its own; --size is for the other cases");
    }
    if (o->size_max > SIZE_LIMIT) {
        return say(EXIT_USAGE, "--size: at most 4M");
    }
    /* A batch of each thread, or what a ring holds back, must fit; half is for classes and slabs.
     */
    size_t held = (o->which == CASE_PAIR || o->which == CASE_VECTOR) ? 1 : 1024;
    if (o->size_max * held * o->threads > o->budget / 2) {
        return say(EXIT_USAGE, "%zu times %u blocks of %zu bytes do not fit half of --budget %zu",
                   held, o->threads, o->size_max, o->budget);
    }
    o->seconds = o->seconds > 0 ? o->seconds : 1.0;
    o->ops = o->ops > 0 ? o->ops : 100000000;
    return 0;
}

int alloc_options_parse(struct alloc_options *options, int argc, char **argv)
{
    static const struct command command = {
        .name = "alloc", .help = alloc_help, .options = long_options, .take = take, .check = check};
    *options = (struct alloc_options){.threads = 1, .budget = (size_t)1 << 30, .seed = 1};
    return command_read(&command, argc, argv, options);
}

size_t alloc_first_size(const struct alloc_options *options, enum alloc_case which)
{
    if (which == CASE_MIXED) {
        return 0;
    }
    if (which == CASE_VECTOR) {
        return options->which == CASE_VECTOR && options->size_max > 0 ? options->size_min
                                                                      : VECTOR_BYTES;
    }
    return options->size_max > 0 ? options->size_min : SIZE_FIRST;
}

size_t alloc_next_size(const struct alloc_options *options, enum alloc_case which, size_t size)
{
    size_t last = options->size_max > 0 ? options->size_max : SIZE_LAST;
    if (which == CASE_VECTOR && (options->which != CASE_VECTOR || options->size_max == 0)) {
        last = VECTOR_BYTES;
    }
    if (which == CASE_MIXED || size >= last) {
        return 0;
    }
    return size * SIZE_STEP < last ? size * SIZE_STEP : last;
}
