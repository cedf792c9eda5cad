/* wb_info: what is here, and what is missing. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <waybill/waybill.h>

#include "perf/common_command.h"
#include "perf/common_listen.h"
#include "perf/common_say.h"
#include "perf/common_words.h"
#include "perf/wb_info_limits.h"
#include "perf/wb_info_print.h"

static const char *const help[] = {
    "wb_info: what Waybill finds on this machine, and what is missing where a fabric cannot\n"
    "be used.\n"
    "\n"
    "  wb_info [--pool] [--format text|json]\n"
    "  wb_info --check URL [--device NAMES] [--format text|json]\n"
    "\n"
    "Prints the versions of the library and of the wire, each fabric and its limits, the\n"
    "limits of this process that matter, the machine as hwloc sees it, and the configuration\n"
    "of an engine that is given none. JSON is one object; an RDMA device in it is a list of\n"
    "lines, named \"device NAME\".\n"
    "\n"
    "  --pool          makes an engine with the default configuration too, and prints how its\n"
    "                  allocator stands: what pages it got, and what memory is pinned; and the\n"
    "                  engine's own figures\n"
    "  --check URL     says before the first transfer what will go wrong with shm://NAME or\n"
    "                  verbs://HOST:PORT, where somebody should listen: a line for each\n"
    "                  finding, which begins with ok, doubt (works, and may disappoint) or\n"
    "                  BAD. JSON is one object: url, findings{verdict,text}, bad\n"
    "  --device NAMES  RDMA devices to check with, with commas between (all)\n"
    "  --format F      text (default), or json\n"
    "  --help          this text\n"
    "\n"
    "Exit status: 0; 1 if something failed or is BAD; 2 for wrong usage.\n",
    NULL};

struct arguments {
    enum format format; /* text or json */
    bool pool;
    const char *url, *devices;
};

static int take(void *into, int option, const char *text)
{
    struct arguments *arguments = into;
    switch (option) {
    case 'c':
        arguments->url = text;
        return 0;
    case 'p':
        arguments->pool = true;
        return 0;
    case 'd':
        arguments->devices = text;
        return 0;
    default:
        return words_format(text, FORMAT_JSON, &arguments->format);
    }
}

static int check_words(void *into)
{
    const struct arguments *arguments = into;
    return arguments->devices == NULL || arguments->url != NULL
               ? 0
               : say(EXIT_USAGE, "--device is for --check");
}

/* As command_read. */
static int parse(int argc, char **argv, struct arguments *arguments)
{
    static const struct option options[] = {
        {"format", required_argument, NULL, 'f'},  {"check", required_argument, NULL, 'c'},
        {"device", required_argument, NULL, 'd'},  {"pool", no_argument, NULL, 'p'},
        {"help", no_argument, NULL, COMMAND_HELP}, {NULL, 0, NULL, 0}};
    static const struct command command = {
        .name = "wb_info", .help = help, .options = options, .take = take, .check = check_words};
    return command_read(&command, argc, argv, arguments);
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
    struct wb_fabric_info info = {0};
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

/* Of an engine that is fresh. Needs one: none may be to be had here. */
static int print_pool(struct printer *printer)
{
    char text[8192];
    struct wb_engine *engine;
    if (wb_engine_create(NULL, &engine) != WB_OK) {
        return say(EXIT_FAILURE, "no engine: %s", wb_last_error());
    }
    wb_rma_allocator_text(wb_engine_allocator(engine), text, sizeof text);
    print_begin(printer, "pool");
    print_lines(printer, text);
    print_end(printer);
    wb_engine_stats_text(engine, text, sizeof text);
    print_begin(printer, "engine");
    print_lines(printer, text);
    print_end(printer);
    wb_engine_destroy(engine);
    return 0;
}

static void print_finding(void *context, enum wb_verdict verdict, const char *line)
{
    static const char *const words[] = {"ok", "doubt", "BAD"};
    struct printer *printer = context;
    if (!printer->json) {
        printf("%-5s %s\n", words[verdict], line);
        fflush(stdout); /* the next finding may take seconds */
        return;
    }
    print_begin(printer, NULL);
    print_value(printer, "verdict", words[verdict]);
    print_value(printer, "text", line);
    print_end(printer);
}

/* Returns the exit status. */
static int check(struct printer *printer, const struct arguments *arguments)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.verbs.devices = arguments->devices;
    config.verbs.rails = url_has_rails(arguments->url);
    if (!printer->json) {
        return wb_check(&config, arguments->url, print_finding, printer) == 0 ? EXIT_SUCCESS
                                                                              : EXIT_FAILURE;
    }
    print_begin(printer, NULL);
    print_value(printer, "url", arguments->url);
    print_list_begin(printer, "findings");
    int bad = wb_check(&config, arguments->url, print_finding, printer);
    print_list_end(printer);
    print_valuef(printer, "bad", "%d", bad);
    print_end(printer);
    return bad == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {0};
    int ended = parse(argc, argv, &arguments);
    if (ended != COMMAND_RUN) {
        return ended;
    }
    struct printer printer = {.json = arguments.format == FORMAT_JSON};
    if (arguments.url != NULL) {
        return finish_output(check(&printer, &arguments));
    }
    print_begin(&printer, NULL);
    print_versions(&printer);
    print_fabrics(&printer);
    print_begin(&printer, "limits");
    print_limits(&printer);
    print_end(&printer);
    int wrong = print_text(&printer, "machine", wb_machine_text);
    int config_wrong = print_text(&printer, "configuration", config_text);
    int pool_wrong = arguments.pool ? print_pool(&printer) : 0;
    print_end(&printer);
    wrong = wrong != 0 ? wrong : config_wrong;
    return finish_output(wrong != 0 ? wrong : pool_wrong);
}
