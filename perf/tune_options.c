#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "perf/common_say.h"
#include "perf/tune.h"
#include "perf/words.h"

static const char *const format_names[] = {"text", "json"};

const char tune_help[] =
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
    "Exit status: 0; 1 if something failed; 2 for wrong usage.\n";

enum { OPT_FABRIC = 256, OPT_DEVICE, OPT_TIME, OPT_FORMAT, OPT_PARENT, OPT_HELP };

static const struct option long_options[] = {
    {"fabric", required_argument, NULL, OPT_FABRIC},
    {"device", required_argument, NULL, OPT_DEVICE},
    {"time", required_argument, NULL, OPT_TIME},
    {"format", required_argument, NULL, OPT_FORMAT},
    {"parent", required_argument, NULL, OPT_PARENT},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static int set_fabric(struct tune_options *o, const char *text)
{
    if (text[0] == '\0' || strlen(text) >= sizeof o->fabric) {
        return say(EXIT_USAGE, "--fabric %s: no name of a fabric; wb_info lists what is here",
                   text);
    }
    snprintf(o->fabric, sizeof o->fabric, "%s", text);
    return 0;
}

/* Takes one option; 0, or EXIT_USAGE with a line said. */
static int take(struct tune_options *o, int option, const char *text)
{
    int choice = 0;
    uint64_t number = 0;
    int wrong = 0;
    switch (option) {
    case OPT_FABRIC:
        return set_fabric(o, text);
    case OPT_DEVICE:
        o->devices = text;
        return 0;
    case OPT_TIME:
        return words_seconds(text, &o->seconds);
    case OPT_FORMAT:
        wrong = words_choice("format", text, format_names, COUNT_OF(format_names), 0, &choice);
        o->format = choice == 1 ? FORMAT_JSON : FORMAT_TEXT;
        return wrong;
    case OPT_PARENT:
        wrong = words_between("parent", text, 0, 1 << 20, &number);
        o->parent_fd = (int)number;
        return wrong;
    default:
        return EXIT_USAGE; /* getopt has said it */
    }
}

enum parsed tune_options_parse(struct tune_options *options, int argc, char **argv)
{
    struct tune_options o = {.fabric = "shm", .seconds = 0.3, .parent_fd = NO_FD};
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == OPT_HELP) {
            return PARSED_HELP;
        }
        if (take(&o, option, optarg) != 0) {
            return PARSED_WRONG;
        }
    }
    if (optind < argc) {
        say(EXIT_USAGE, "%s: tune takes options only", argv[optind]);
        return PARSED_WRONG;
    }
    *options = o;
    return PARSED_RUN;
}
