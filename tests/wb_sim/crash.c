#include "tests/wb_sim/crash.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "tests/simverbs/world.h"

/* Where the program is built with a sanitizer. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static unsigned trace_lines;
static void (*say_more)(void);

/* Nothing here allocates, and what is printed lies still: good enough for a process that is lost.
 */
static void say(void)
{
    sim_trace_print(stderr, trace_lines);
    if (say_more != NULL) {
        say_more();
    }
}

static void on_signal(int number)
{
    say();
    raise(number); /* now with its usual end */
}

void crash_on_death(unsigned lines, void (*also)(void))
{
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    bool sanitized = __sanitizer_set_death_callback != NULL;
    trace_lines = lines;
    say_more = also;
    if (sanitized) {
        __sanitizer_set_death_callback(say);
    }
    /* a sanitizer says more of the others than we do */
    for (unsigned i = 0; i < (sanitized ? 1 : sizeof signals / sizeof signals[0]); i++) {
        sigaction(signals[i], &action, NULL);
    }
}
