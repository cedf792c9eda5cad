#include "perf/trace.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/common_say.h"
#include "perf/common_words.h"

static const char blanks[] = " \t\r\n";

/* Reads a line's two numbers, if there is anything on it. Returns 0, or -1. */
static int read_line(char *line, struct trace_call *call, bool *empty)
{
    const char *at = line;
    line[strcspn(line, "#")] = '\0';
    at += strspn(at, blanks);
    *empty = *at == '\0';
    if (*empty) {
        return 0;
    }
    if (words_bytes(at, &call->argument, &at) != 0 || strspn(at, blanks) == 0) {
        return -1;
    }
    at += strspn(at, blanks);
    if (words_bytes(at, &call->reply, &at) != 0) {
        return -1;
    }
    at += strspn(at, blanks);
    return *at == '\0' ? 0 : -1;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void add(struct trace *trace, const struct trace_call *call)
{
    trace->call[trace->calls++] = *call;
    trace->arguments += call->argument;
    trace->replies += call->reply;
    trace->largest.argument = larger(trace->largest.argument, call->argument);
    trace->largest.reply = larger(trace->largest.reply, call->reply);
}

static int read_lines(FILE *file, const char *path, struct trace *trace)
{
    char *line = NULL;
    size_t room = 0, number = 0;
    int wrong = 0;
    errno = 0;
    while (wrong == 0 && getline(&line, &room, file) >= 0) {
        struct trace_call call;
        bool empty;
        number++;
        if (read_line(line, &call, &empty) != 0) {
            wrong = say(EXIT_FAILURE,
                        "%s:%zu: not the bytes of an argument and of a reply, each 0 to 1024G",
                        path, number);
        } else if (!empty && trace->calls == TRACE_CALLS_MAX) {
            wrong = say(EXIT_FAILURE, "%s:%zu: a trace has %d calls at most", path, number,
                        TRACE_CALLS_MAX);
        } else if (!empty) {
            add(trace, &call);
        }
    }
    if (wrong == 0 && ferror(file) != 0) {
        wrong = say(EXIT_FAILURE, "%s: %s", path, strerror(errno));
    }
    free(line);
    return wrong;
}

int trace_read(const char *path, struct trace *trace)
{
    *trace = (struct trace){0};
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return say(EXIT_FAILURE, "%s: %s", path, strerror(errno));
    }
    trace->call = calloc(TRACE_CALLS_MAX, sizeof *trace->call);
    int wrong = trace->call != NULL ? read_lines(file, path, trace)
                                    : say(EXIT_FAILURE, "no memory for the trace");
    fclose(file);
    if (wrong == 0 && trace->arguments + trace->replies == 0) {
        wrong = say(EXIT_FAILURE, "%s: no call in it carries anything", path);
    }
    if (wrong != 0) {
        trace_drop(trace);
    }
    return wrong;
}

void trace_drop(struct trace *trace)
{
    free(trace->call);
    *trace = (struct trace){0};
}
