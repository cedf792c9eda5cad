/* wb_sim: random schedules by seed. See --help. */
#include "tests/wb_sim/command.h"
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
    bool good = jobs_run(&command, &summary);
    if (command.summary) {
        summary_print(&summary, stdout);
    }
    return good ? 0 : 1;
}
