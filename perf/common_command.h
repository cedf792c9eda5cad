/* How the programs, and the subcommands of wb_perf, read their command lines. */
#ifndef WAYBILL_PERF_COMMON_COMMAND_H
#define WAYBILL_PERF_COMMON_COMMAND_H

#include <getopt.h>

enum {
    COMMAND_RUN = -1,  /* no exit status */
    COMMAND_HELP = 255 /* the value of "help" among the options */
};

/* What there is to read. The functions return 0, or the exit status to end with, a line said. */
struct command {
    const char *name;
    const char *const *help;      /* the text of --help in parts, NULL at the end */
    const struct option *options; /* as getopt_long has them */
    int (*take)(void *into, int option, const char *text); /* one that is there */
    int (*take_words)(void *into, int count,
                      char **words); /* that are no options; NULL: has none */
    int (*check)(void *into);        /* at last, what no single one can know; NULL: nothing */
};

/* Reads the words behind argv[0] into *into, which has the defaults. Returns COMMAND_RUN, or the
 * exit status to end with: --help has been printed, or a line was said. */
int command_read(const struct command *command, int argc, char **argv, void *into);

#endif
