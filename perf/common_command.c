#include "perf/common_command.h"

#include <stdio.h>
#include <stdlib.h>

#include "perf/common_say.h"

static int print_help(const struct command *command)
{
    for (const char *const *part = command->help; *part != NULL; part++) {
        fputs(*part, stdout);
    }
    return finish_output(EXIT_SUCCESS);
}

static int take_words(const struct command *command, int count, char **words, void *into)
{
    if (command->take_words != NULL) {
        return command->take_words(into, count, words);
    }
    return count == 0 ? 0 : say(EXIT_USAGE, "%s: %s takes options only", words[0], command->name);
}

int command_read(const struct command *command, int argc, char **argv, void *into)
{
    int option, wrong = 0;
    while (wrong == 0 && (option = getopt_long(argc, argv, "", command->options, NULL)) != -1) {
        if (option == COMMAND_HELP) {
            return print_help(command);
        }
        wrong = option == '?' ? EXIT_USAGE /* getopt has said it */
                              : command->take(into, option, optarg);
    }
    wrong = wrong == 0 ? take_words(command, argc - optind, argv + optind, into) : wrong;
    wrong = wrong == 0 && command->check != NULL ? command->check(into) : wrong;
    return wrong == 0 ? COMMAND_RUN : wrong;
}
