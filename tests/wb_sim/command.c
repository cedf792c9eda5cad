#include "tests/wb_sim/command.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/program.h"

static const char help[] =
    "usage: wb_sim [OPTION VALUE]...\n"
    "\n"
    "Runs engines on hosts of a simulated RDMA network through random calls, connects, closes,\n"
    "faults and deaths, and checks at every step what must hold. A run is a function of its seed;\n"
    "one that fails prints its last events and the command that shows it again.\n"
    "\n"
    "  --seed S      the first seed (1; with --time: drawn)\n"
    "  --seeds N     how many seeds from there on (1)\n"
    "  --time T      as many as there is time for in T seconds\n"
    "  --steps N     steps of each (2000)\n"
    "  --hosts H     hosts of each, 2 to 16 (3); 17 to 1001 are a crowd: all others connect to "
    "the\n"
    "                first and call it, and what each of them costs there is reported\n"
    "                (with --seed and --profile, and no other option)\n"
    "  --profile P   their devices: mlx5, rxe, aries or tiny (any: each seed draws one)\n"
    "  --disturb D   yes, or no: nothing is disturbed, every call has to end well (yes)\n"
    "  --breaks B    yes: devices, links, shared receive queues and new connections break by\n"
    "                themselves; no: as it was when the older seeds were found (yes)\n"
    "  --gives-up G  yes: some calls are given up, of some the arguments are spoilt as soon as "
    "they\n"
    "                are said to be sent, and some results come back in vectors of the caller's; "
    "no:\n"
    "                as it was when the older seeds were found (yes)\n"
    "  --defers D    yes: in half of the runs handlers answer later, or never, or run on an\n"
    "                executor; no: as it was when the older seeds were found (yes)\n"
    "  --lines L     yes: in some runs connections come and go by themselves, and hosts are "
    "drained "
    "before\n"
    "                they end; no: as it was when the older seeds were found (yes)\n"
    "  --streams S   yes: in half of the runs hosts open streams to each other; no: as it was "
    "when\n"
    "                the older seeds were found (yes)\n"
    "  --rails R     yes: in a quarter of the runs hosts have two devices, and READs go over "
    "both;\n"
    "                no: as it was when the older seeds were found (yes)\n"
    "  --lanes N     lanes of each host's engine, 1 to 16 (1)\n"
    "  --jobs J      processes that share the seeds; 0: this one runs them, for debuggers (1)\n"
    "  --trace N     events that a failure prints (100)\n"
    "  --summary S   yes: says at the end what has happened (no)\n"
    "  --hash S      yes: prints a number for each seed that says what has happened (no)\n"
    "  --help\n";

static bool read_number(const char *text, uint64_t low, uint64_t high, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || text[0] == '-' || number < low || number > high) {
        return false;
    }
    *out = number;
    return true;
}

static bool read_unsigned(const char *text, uint64_t low, uint64_t high, unsigned *out)
{
    uint64_t number;
    bool good = read_number(text, low, high, &number);
    *out = good ? (unsigned)number : *out;
    return good;
}

static bool read_bool(const char *text, bool *out)
{
    *out = strcmp(text, "yes") == 0;
    return *out || strcmp(text, "no") == 0;
}

static bool read_profile(const char *text, const struct sim_profile **out)
{
    *out = sim_profile_named(text);
    return *out != NULL || strcmp(text, "any") == 0;
}

/* Sets one option; false: no such option, or not with that value. */
static bool set(struct command *c, const char *name, const char *value)
{
    static const uint64_t most = UINT64_MAX / 2;
    if (strcmp(name, "--seed") == 0) {
        return read_number(value, 0, most, &c->seed);
    }
    if (strcmp(name, "--seeds") == 0) {
        return read_number(value, 1, most, &c->seeds);
    }
    if (strcmp(name, "--time") == 0) {
        return read_number(value, 1, most / 1000000, &c->time_s);
    }
    if (strcmp(name, "--steps") == 0) {
        return read_number(value, 1, most, &c->play.steps);
    }
    if (strcmp(name, "--hosts") == 0) {
        return read_unsigned(value, 2, PLAY_MOST_CROWD, &c->play.hosts);
    }
    if (strcmp(name, "--profile") == 0) {
        return read_profile(value, &c->play.profile);
    }
    if (strcmp(name, "--disturb") == 0) {
        return read_bool(value, &c->play.disturb);
    }
    if (strcmp(name, "--breaks") == 0) {
        return read_bool(value, &c->play.breaks);
    }
    if (strcmp(name, "--gives-up") == 0) {
        return read_bool(value, &c->play.gives_up);
    }
    if (strcmp(name, "--defers") == 0) {
        return read_bool(value, &c->play.defers);
    }
    if (strcmp(name, "--lines") == 0) {
        return read_bool(value, &c->play.lines);
    }
    if (strcmp(name, "--streams") == 0) {
        return read_bool(value, &c->play.streams);
    }
    if (strcmp(name, "--rails") == 0) {
        return read_bool(value, &c->play.rails);
    }
    if (strcmp(name, "--lanes") == 0) {
        return read_unsigned(value, 1, WB_LANES_MOST, &c->play.lanes);
    }
    if (strcmp(name, "--jobs") == 0) {
        return read_unsigned(value, 0, 64, &c->jobs);
    }
    if (strcmp(name, "--trace") == 0) {
        return read_unsigned(value, 0, UINT_MAX, &c->trace);
    }
    if (strcmp(name, "--summary") == 0) {
        return read_bool(value, &c->summary);
    }
    return strcmp(name, "--hash") == 0 && read_bool(value, &c->hash);
}

/* A crowd is one run in this process, without disturbance: what would be ignored is refused. */
static bool suits_a_crowd(int argc, char **argv)
{
    static const char *const suited[] = {"--seed", "--hosts", "--profile"};
    for (int i = 1; i < argc; i += 2) {
        bool good = false;
        for (unsigned k = 0; k < sizeof suited / sizeof suited[0]; k++) {
            good |= strcmp(argv[i], suited[k]) == 0;
        }
        if (!good) {
            fprintf(
                stderr,
                "wb_sim: %s means nothing to a crowd (--hosts above %d), which takes --seed and "
                "--profile\n",
                argv[i], PLAY_MOST_HOSTS);
            return false;
        }
    }
    return true;
}

int command_read(int argc, char **argv, struct command *command, bool *done)
{
    const uint64_t not_told = UINT64_MAX;
    *command = (struct command){.program = argv[0],
                                .play = {.steps = 2000,
                                         .hosts = 3,
                                         .disturb = true,
                                         .breaks = true,
                                         .gives_up = true,
                                         .defers = true,
                                         .lines = true,
                                         .streams = true,
                                         .rails = true,
                                         .lanes = 1},
                                .seed = not_told,
                                .seeds = 1,
                                .jobs = 1,
                                .trace = 100};
    *done = argc == 2 && strcmp(argv[1], "--help") == 0;
    if (*done) {
        fputs(help, stdout);
        return 0;
    }
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc || !set(command, argv[i], argv[i + 1])) {
            fprintf(stderr, "wb_sim: %s%s%s: no such option, or not with that value; see --help\n",
                    argv[i], i + 1 < argc ? " " : "", i + 1 < argc ? argv[i + 1] : "");
            return 2;
        }
    }
    if (command->play.hosts > PLAY_MOST_HOSTS && !suits_a_crowd(argc, argv)) {
        return 2;
    }
    if (command->seed == not_told) {
        command->seed = command->time_s > 0 ? test_clock_us() : 1;
    }
    return 0;
}

void command_print(const struct command *c, uint64_t seed, FILE *out)
{
    const char *profile = c->play.profile != NULL ? c->play.profile->name : "any";
    fprintf(out, "%s --seed %" PRIu64 " --steps %" PRIu64 " --hosts %u --profile %s%s%s%s%s%s%s%s",
            c->program, seed, c->play.steps, c->play.hosts, profile,
            c->play.disturb ? "" : " --disturb no", c->play.breaks ? "" : " --breaks no",
            c->play.gives_up ? "" : " --gives-up no", c->play.defers ? "" : " --defers no",
            c->play.lines ? "" : " --lines no", c->play.streams ? "" : " --streams no",
            c->play.rails ? "" : " --rails no");
    if (c->play.lanes > 1) {
        fprintf(out, " --lanes %u", c->play.lanes);
    }
}
