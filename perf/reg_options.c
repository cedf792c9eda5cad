
#include "perf/common_command.h"
#include "perf/common_say.h"
#include "perf/common_words.h"
#include "perf/reg.h"

enum { SIZE_FIRST = 4 << 10, SIZE_LAST = 64 << 20 };

const char *const reg_help[] = {
    "wb_perf reg: what registering memory with an RDMA device costs, and how often the memory\n"
    "must be used for it to pay.\n"
    "\n"
    "  wb_perf reg [options]\n"
    "\n"
    "For each size it does in turn, with touched memory:\n"
    "  Register   ibv_reg_mr and ibv_dereg_mr\n"
    "  Copy       memcpy into memory that stays registered; of memory that was just copied, so\n"
    "             small ones are in the caches: as cheap as a copy gets\n"
    "  Pin        wb_mr_pin and wb_mr_unpin of memory that is not pinned: registers\n"
    "  Found      both for memory that is pinned: registers nothing, and is the most that a use\n"
    "             of pinned memory costs\n"
    "and says from how many uses of the same memory on it pays:\n"
    "  Pays from  to register it once, and not to copy it at each use\n"
    "  Over copy  to pin it once, and not to copy it at each use\n"
    "  Over reg   to pin it once, and not to register it at each use\n"
    "\n"
    "Options:\n"
    "  --size N[:M]    bytes: N, powers of two, and M; suffixes K, M, G (4K:64M)\n"
    "  --time SECONDS  how long to measure each size (0.5)\n"
    "  --device NAME   the RDMA device (the first)\n"
    "  --format F      text (default), or json: one object a line\n"
    "  --help          this text\n"
    "\n"
    "Exit status: 0; 1 if something failed, or no RDMA device is here; 2 for wrong usage.\n",
    NULL};

enum { OPT_SIZE = 256, OPT_TIME, OPT_DEVICE, OPT_FORMAT };

static const struct option long_options[] = {
    {"size", required_argument, NULL, OPT_SIZE},
    {"time", required_argument, NULL, OPT_TIME},
    {"device", required_argument, NULL, OPT_DEVICE},
    {"format", required_argument, NULL, OPT_FORMAT},
    {"help", no_argument, NULL, COMMAND_HELP},
    {NULL, 0, NULL, 0},
};

/* Takes one option; 0, or EXIT_USAGE with a line said. */
static int take(void *into, int option, const char *text)
{
    struct reg_options *o = into;
    switch (option) {
    case OPT_SIZE:
        return words_sizes(text, &o->size_min, &o->size_max);
    case OPT_TIME:
        return words_seconds(text, &o->seconds);
    case OPT_DEVICE:
        o->device = text;
        return 0;
    case OPT_FORMAT:
        return words_format(text, FORMAT_JSON, &o->format);
    default:
        return EXIT_USAGE; /* getopt has said it */
    }
}

int reg_options_parse(struct reg_options *options, int argc, char **argv)
{
    static const struct command command = {
        .name = "reg", .help = reg_help, .options = long_options, .take = take};
    *options = (struct reg_options){.size_min = SIZE_FIRST, .size_max = SIZE_LAST, .seconds = 0.5};
    return command_read(&command, argc, argv, options);
}
