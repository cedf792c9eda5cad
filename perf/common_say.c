#include "perf/common_say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <waybill/engine.h>

int say(int exit_status, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    const char *program = program_invocation_short_name;
    if (exit_status == EXIT_USAGE) {
        fprintf(stderr, "%s: %s (%s --help says more)\n", program, line, program);
    } else {
        fprintf(stderr, "%s: %s\n", program, line);
    }
    return exit_status;
}

const char *status_words(int status)
{
    const char *words = wb_last_error();
    return words[0] != '\0' ? words : wb_status_text(status);
}

int finish_output(int exit_status)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        return say(EXIT_FAILURE, "cannot write to stdout: %s", strerror(errno));
    }
    return exit_status;
}
