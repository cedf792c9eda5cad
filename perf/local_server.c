#include "perf/local_server.h"

#include <stdlib.h>

#include "perf/common_say.h"

enum { READY_MS = 20000 };

/* What is said at once, rather than by the other side. */
static int check_fabric(const struct options *o)
{
    struct wb_fabric_info *info = calloc(1, sizeof *info);
    if (info == NULL) {
        return say(EXIT_FAILURE, "no memory");
    }
    int wrong = fabric_usable(o->fabric, info)
                    ? 0
                    : say(EXIT_FAILURE, "--fabric %s cannot be used: %s", o->fabric, info->why_not);
    free(info);
    return wrong;
}

int local_server_start(struct child *child, const struct options *o, int area_fd,
                       char url[LISTEN_URL_ROOM])
{
    struct option_words words;
    int wrong = check_fabric(o);
    if (wrong != 0) {
        return wrong;
    }
    option_words_begin(&words, o);
    option_words_addf(&words, "--listen=%s://", o->fabric);
    if (area_fd != NO_FD) {
        option_words_addf(&words, "--area=%d", area_fd);
    }
    wrong = child_start(child, words.word, area_fd);
    return wrong == 0 ? child_await_ready(child, READY_MS, url, LISTEN_URL_ROOM) : wrong;
}
