#include "perf/serializers/processes.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perf/common_say.h"
#include "perf/series.h"

int processes_answer(const struct race *race)
{
    for (size_t i = 0; i < race->rows; i++) {
        if (fwrite(&race->row[i].figures, sizeof(struct figures), 1, stdout) != 1) {
            return say(EXIT_FAILURE, "cannot hand on the figures");
        }
    }
    return 0;
}

/* Runs one child and takes its figures. */
static int ask(struct figures *figures, size_t rows, char *const *arguments)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return say(EXIT_FAILURE, "cannot make a pipe");
    }
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execv("/proc/self/exe", arguments);
        _exit(EXIT_FAILURE);
    }
    close(ends[1]);
    FILE *answer = fdopen(ends[0], "r");
    size_t taken = answer == NULL ? 0 : fread(figures, sizeof *figures, rows, answer);
    if (answer == NULL) {
        close(ends[0]);
    } else {
        fclose(answer);
    }
    int status = 0;
    bool ended = child > 0 && waitpid(child, &status, 0) == child && status == 0;
    return ended && taken == rows ? 0 : say(EXIT_FAILURE, "a process of the comparison failed");
}

static double median_of(struct series *series)
{
    double median = 0, least = 0;
    series_sum_up(series, &median, &least);
    series_drop(series);
    return median;
}

int processes_run(struct race *race, size_t count, char *const *arguments)
{
    struct series ns[ROWS_MAX][TASKS] = {{{0}}};
    int wrong = 0;
    for (size_t process = 0; process < count && wrong == 0; process++) {
        struct figures figures[ROWS_MAX] = {{.bytes = 0}};
        wrong = ask(figures, race->rows, arguments);
        for (size_t i = 0; i < race->rows && wrong == 0; i++) {
            race->row[i].figures.bytes = figures[i].bytes;
            for (enum task task = 0; task < TASKS && wrong == 0; task++) {
                wrong = series_add(&ns[i][task], figures[i].ns[task]);
            }
        }
    }
    for (size_t i = 0; i < race->rows; i++) {
        for (enum task task = 0; task < TASKS; task++) {
            race->row[i].figures.ns[task] = median_of(&ns[i][task]);
        }
    }
    return wrong;
}
