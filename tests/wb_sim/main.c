/* wb_sim: random schedules by seed. See --help. */
#include "tests/wb_sim/command.h"
#include "tests/wb_sim/crowd.h"
#include "tests/wb_sim/jobs.h"

int main(int argc, char **argv)
{
    struct command command;
    struct summary summary = {.seeds = 0};
    bool done;
    int code = command_read(argc, argv, &command, &done);
    if (code != 0 || done) {
        return code;
    }
    if (command.play.hosts > PLAY_MOST_HOSTS) {
        crowd_run(&command.play, command.seed, stdout);
        return 0;
    }
    bool good = jobs_run(&command, &summary);
    if (command.summary) {
        summary_print(&summary, stdout);
    }
    const char *idle = good ? summary_is_idle(&summary) : NULL;
    if (idle != NULL) {
        fprintf(stderr, "wb_sim: this proves nothing: %s\n", idle);
    }
    return good && idle == NULL ? 0 : 1;
}
