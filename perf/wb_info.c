/* wb_info: what is here, and what is missing. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <waybill/waybill.h>

#include "perf/common_say.h"
#include "perf/wb_info_limits.h"
#include "perf/wb_info_print.h"

static const char help[] =
    "wb_info: what Waybill finds on this machine, and what is missing where a fabric cannot\n"
    "be used.\n"
    "\n"
    "  wb_info [--format text|json]\n"
    "\n"
    "Prints the versions of the library and of the wire, each fabric and its limits, the\n"
    "limits of this process that matter, the machine as hwloc sees it, and the configuration\n"
    "of an engine that is given none. JSON is one object.\n"
    "Exit status: 0; 1 if something failed; 2 for wrong usage.\n";

/* Reads the command line. Returns 0 to go on, EXIT_USAGE with a line said, or -1 after --help. */
static int parse(int argc, char **argv, bool *json)
{
    static const struct option options[] = {{"format", required_argument, NULL, 'f'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return -1;
        }
        if (option != 'f') {
            return EXIT_USAGE;
        }
        *json = strcmp(optarg, "json") == 0;
        if (!*json && strcmp(optarg, "text") != 0) {
            return say(EXIT_USAGE, "--format %s: not one of text, json", optarg);
        }
    }
    return optind == argc ? 0 : say(EXIT_USAGE, "%s: wb_info takes options only", argv[optind]);
}

static void print_versions(struct printer *printer)
{
    print_begin(printer, "waybill");
    print_value(printer, "library", wb_version());
    print_valuef(printer, "wire", "%d", WB_WIRE_VERSION_MAX);
    print_valuef(printer, "oldest_wire", "%d", WB_WIRE_VERSION_MIN);
    print_end(printer);
}

static void print_fabrics(struct printer *printer)
{
    struct wb_fabric_info info;
    print_begin(printer, "fabrics");
    for (unsigned i = 0; wb_fabric_info(i, &info) == WB_OK; i++) {
        print_begin(printer, info.scheme);
        print_value(printer, "usable", info.usable ? "yes" : "no");
        if (!info.usable) {
            print_value(printer, "missing", info.why_not);
        }
        print_lines(printer, info.details);
        print_end(printer);
    }
    print_end(printer);
}

/* Prints what `write` (of the kind of snprintf) gives, under `title`. */
static int print_text(struct printer *printer, const char *title,
                      int (*write)(char *text, size_t size))
{
    int needed = write(NULL, 0);
    char *text = needed >= 0 ? malloc((size_t)needed + 1) : NULL;
    if (text == NULL) {
        return say(EXIT_FAILURE, "cannot describe the %s: %s", title,
                   needed < 0 ? status_words(needed) : strerror(errno));
    }
    write(text, (size_t)needed + 1);
    print_begin(printer, title);
    print_lines(printer, text);
    print_end(printer);
    free(text);
    return 0;
}

static int config_text(char *text, size_t size)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    return wb_engine_config_text(&config, text, size);
}

int main(int argc, char **argv)
{
    struct printer printer = {0};
    int wrong = parse(argc, argv, &printer.json);
    if (wrong != 0) {
        return wrong < 0 ? finish_output(EXIT_SUCCESS) : wrong;
    }
    print_begin(&printer, NULL);
    print_versions(&printer);
    print_fabrics(&printer);
    print_begin(&printer, "limits");
    print_limits(&printer);
    print_end(&printer);
    wrong = print_text(&printer, "machine", wb_machine_text);
    int config_wrong = print_text(&printer, "configuration", config_text);
    print_end(&printer);
    return finish_output(wrong != 0 ? wrong : config_wrong);
}
