/* bench_serializers: the comparison of serializers; see its --help and docs/serializers.md. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/common_say.h"
#include "perf/serializers/processes.h"
#include "perf/serializers/race.h"
#include "perf/serializers/results.h"

struct options {
    enum format format;
    struct race_filter filter;
    size_t rounds, processes;
    double milliseconds;
    const char *save; /* a file for a table in CSV; NULL: none */
    bool answer;      /* this is a process of processes_run */
};

static void help(void)
{
    puts("usage: bench_serializers [OPTION...]\n"
         "\n"
         "Encodes and decodes the same data with each library in turn, and prints medians.\n"
         "\n"
         "  --format table|csv|json   table without it; json is an object a line\n"
         "  --case NAME               record, scalars, nested or vector; all without it\n"
         "  --library NAME            this library, and others so named, but no more\n"
         "  --zero-copy on|off|both   both without it\n"
         "  --rounds N                figures taken of each row, 15 without it\n"
         "  --time MS                 the least time for each of them, 2 without it\n"
         "  --processes N             the medians of N processes, one after another\n"
         "  --save FILE               writes csv to the file too\n"
         "  --help                    this text");
}

/* Sets *chosen to the place of `word` among `count` names. */
static int choose(const char *option, const char *word, const char *const *names, int count,
                  int *chosen)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(word, names[i]) == 0) {
            *chosen = i;
            return 0;
        }
    }
    return say(EXIT_USAGE, "there is no --%s '%s'", option, word);
}

static int read_number(const char *option, const char *word, double least, double *number)
{
    char *end = NULL;
    *number = strtod(word, &end);
    bool right = end != word && *end == '\0' && *number >= least && *number <= 1e6;
    return right ? 0
                 : say(EXIT_USAGE, "--%s '%s' is no number of at least %g", option, word, least);
}

static int read_count(const char *option, const char *word, size_t *count)
{
    double number = 0;
    int wrong = read_number(option, word, 1, &number);
    *count = (size_t)number;
    return wrong;
}

static int read_case(const char *word, enum serial_case *which)
{
    const char *names[CASES];
    for (enum serial_case at = 0; at < CASES; at++) {
        names[at] = case_name(at);
    }
    int chosen = 0;
    int wrong = choose("case", word, names, CASES, &chosen);
    *which = (enum serial_case)chosen;
    return wrong;
}

static int read_format(const char *word, enum format *format)
{
    static const char *const names[FORMATS] = {"table", "csv", "json"};
    int chosen = 0;
    int wrong = choose("format", word, names, FORMATS, &chosen);
    *format = (enum format)chosen;
    return wrong;
}

static int read_zero_copy(const char *word, struct race_filter *filter)
{
    static const char *const names[] = {"on", "off", "both"};
    int chosen = 0;
    int wrong = choose("zero-copy", word, names, 3, &chosen);
    filter->zero_copy = chosen != 1;
    filter->copying = chosen != 0;
    return wrong;
}

static int add_library(const char *name, struct race_filter *filter)
{
    bool known = false;
    for (const struct contestant *const *table = contestants; *table != NULL; table++) {
        for (const struct contestant *one = *table; one->library != NULL; one++) {
            known = known || strcmp(one->library, name) == 0;
        }
    }
    if (!known) {
        return say(EXIT_USAGE, "there is no --library '%s'", name);
    }
    if (filter->libraries == LIBRARIES_MAX) {
        return say(EXIT_USAGE, "more libraries than %d", LIBRARIES_MAX);
    }
    filter->library[filter->libraries++] = name;
    return 0;
}

static int take(struct options *options, int option, const char *word)
{
    switch (option) {
    case 'f':
        return read_format(word, &options->format);
    case 'c':
        return read_case(word, &options->filter.which);
    case 'l':
        return add_library(word, &options->filter);
    case 'z':
        return read_zero_copy(word, &options->filter);
    case 'r':
        return read_count("rounds", word, &options->rounds);
    case 'p':
        return read_count("processes", word, &options->processes);
    case 't':
        return read_number("time", word, 0, &options->milliseconds);
    case 's':
        options->save = word;
        return 0;
    case 'a':
        options->answer = true;
        return 0;
    case 'h':
        help();
        exit(finish_output(EXIT_SUCCESS));
    default:
        return EXIT_USAGE; /* getopt has said it */
    }
}

static int read_options(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"format", required_argument, NULL, 'f'},
        {"case", required_argument, NULL, 'c'},
        {"library", required_argument, NULL, 'l'},
        {"rounds", required_argument, NULL, 'r'},
        {"time", required_argument, NULL, 't'},
        {"processes", required_argument, NULL, 'p'},
        {"save", required_argument, NULL, 's'},
        {"answer", no_argument, NULL, 'a'},
        {"zero-copy", required_argument, NULL, 'z'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option = 0;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        int wrong = take(options, option, optarg);
        if (wrong != 0) {
            return wrong;
        }
    }
    return optind == argc ? 0 : say(EXIT_USAGE, "'%s' is no option", argv[optind]);
}

/* What each process gets: the same options, and --answer. */
static int run_processes(struct race *race, const struct options *options, int argc, char **argv)
{
    static char answer[] = "--answer";
    char **arguments = calloc((size_t)argc + 2, sizeof *arguments);
    if (arguments == NULL) {
        return say(EXIT_FAILURE, "no memory");
    }
    memcpy(arguments, argv, (size_t)argc * sizeof *arguments);
    arguments[argc] = answer;
    int wrong = processes_run(race, options->processes, arguments);
    free(arguments);
    return wrong;
}

static int run_here(struct race *race)
{
    struct input input;
    int wrong = input_open(&input, WB_RECORD_FILE);
    if (wrong == 0) {
        wrong = race_run(race, &input);
        input_close(&input);
    }
    return wrong;
}

static int save(const struct race *race, const char *path)
{
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        return say(EXIT_FAILURE, "cannot write %s: %s", path, strerror(errno));
    }
    results_print(file, race, FORMAT_CSV);
    return fclose(file) == 0 ? 0 : say(EXIT_FAILURE, "cannot write %s", path);
}

static int answer_or_print(const struct race *race, const struct options *options)
{
    if (options->answer) {
        return processes_answer(race);
    }
    results_print(stdout, race, options->format);
    return options->save == NULL ? 0 : save(race, options->save);
}

int main(int argc, char **argv)
{
    static struct race race;
    struct options options = {.filter = {.which = CASES, .copying = true, .zero_copy = true},
                              .rounds = 15,
                              .processes = 1,
                              .milliseconds = 2};
    int wrong = read_options(&options, argc, argv);
    if (wrong != 0) {
        return wrong;
    }
    race.rounds = options.rounds;
    race.seconds = options.milliseconds / 1000;
    race_add(&race, &options.filter);
    if (race.rows == 0) {
        return say(EXIT_USAGE, "there is no such row");
    }
    if (options.processes > 1 && !options.answer) {
        wrong = run_processes(&race, &options, argc, argv);
    } else {
        wrong = run_here(&race);
    }
    if (wrong == 0) {
        wrong = answer_or_print(&race, &options);
    }
    return finish_output(wrong);
}
