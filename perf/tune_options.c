#include "perf/common_command.h"
#include "perf/common_say.h"
#include "perf/common_words.h"
#include "perf/tune.h"

const char *const tune_help[] = {
    "wb_perf tune: where on this machine one way of a payload overtakes another, and the\n"
    "configuration that follows.\n"
    "\n"
    "  wb_perf tune [options]\n"
    "\n"
    "Starts a server as a second process, and for each size makes calls, one at a time, in\n"
    "slices that alternate between the two ways that a threshold chooses from:\n"
    "  eager_bytes        packed, in one eager message; or READ by the receiver beyond it\n"
    "  pointer_threshold  a byte range of malloc's, packed; or a pointer chunk\n"
    "  rma_threshold      an rma_vector, packed; or an rma chunk\n"
    "The latter two are measured with the eager_bytes that the first gave. A threshold is the\n"
    "size with which the product of the times of all the sizes is the least, each taken the way\n"
    "that the threshold sends it. That is for one call at a time, and for speed alone: larger\n"
    "eager messages also take more memory, up to credits * eager_bytes for a peer.\n"
    "On a machine that has other work chance may decide: compare two runs before you paste.\n"
    "\n"
    "Options:\n"
    "  --fabric F      shm (default) or verbs\n"
    "  --device NAMES  RDMA devices, with commas between (all)\n"
    "  --time SECONDS  how long to measure each size of each threshold (0.3)\n"
    "  --format F      text (default), or json: one object a threshold\n"
    "  --help          this text\n"
    "\n"
    "Exit status: 0; 1 if something failed; 2 for wrong usage.\n",
    NULL};

enum { OPT_FABRIC = 256, OPT_DEVICE, OPT_TIME, OPT_FORMAT, OPT_PARENT };

static const struct option long_options[] = {
    {"fabric", required_argument, NULL, OPT_FABRIC},
    {"device", required_argument, NULL, OPT_DEVICE},
    {"time", required_argument, NULL, OPT_TIME},
    {"format", required_argument, NULL, OPT_FORMAT},
    {"parent", required_argument, NULL, OPT_PARENT},
    {"help", no_argument, NULL, COMMAND_HELP},
    {NULL, 0, NULL, 0},
};

/* Takes one option; 0, or EXIT_USAGE with a line said. */
static int take(void *into, int option, const char *text)
{
    struct tune_options *o = into;
    switch (option) {
    case OPT_FABRIC:
        return words_fabric(text, o->fabric);
    case OPT_DEVICE:
        o->devices = text;
        return 0;
    case OPT_TIME:
        return words_seconds(text, &o->seconds);
    case OPT_FORMAT:
        return words_format(text, FORMAT_JSON, &o->format);
    case OPT_PARENT:
        return words_fd("parent", text, &o->parent_fd);
    default:
        return EXIT_USAGE; /* getopt has said it */
    }
}

int tune_options_parse(struct tune_options *options, int argc, char **argv)
{
    static const struct command command = {
        .name = "tune", .help = tune_help, .options = long_options, .take = take};
    *options = (struct tune_options){.fabric = "shm", .seconds = 0.3, .parent_fd = NO_FD};
    return command_read(&command, argc, argv, options);
}
