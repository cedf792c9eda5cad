#include "perf/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <waybill/explain.h>

#include "perf/actions.h"
#include "perf/common_command.h"
#include "perf/common_resources.h"
#include "perf/common_say.h"
#include "perf/common_words.h"
#include "perf/demo_actions.h"
#include "perf/payload.h"

WB_EXPLAIN(perf_mirror_in)
WB_EXPLAIN(perf_bytes_in)
WB_EXPLAIN(perf_rma_in)
WB_EXPLAIN(demo_record_in)

enum { SIZE = 16 << 10, STAMP = 1 };

/* The types whose arguments can be shown, as --type names them. */
enum type { TYPE_SCALARS, TYPE_BYTES, TYPE_RMA, TYPE_RECORD, TYPE_COUNT };
static const char *const type_names[TYPE_COUNT] = {"scalars", "bytes", "rma", "record"};
static const struct wb_field *const type_fields[TYPE_COUNT] = {
    perf_mirror_in_fields, perf_bytes_in_fields, perf_rma_in_fields, demo_record_in_fields};

struct show_options {
    int type; /* enum type */
    size_t size;
    bool copy;
    const char *archive; /* a file, or NULL; borrowed */
};

static const char *const show_help[] = {
    "wb_perf show: the archive of a call's arguments in words, and how the call would travel.\n"
    "\n"
    "  wb_perf show [options]\n"
    "\n"
    "Prints which parts become chunks and by which threshold, how the message is laid out, how\n"
    "much the receiver READs, and the archive: of each value the offset, type, name and value.\n"
    "Fabric and limits are shm's, and the default configuration's. Nothing is sent.\n"
    "\n"
    "Options:\n"
    "  --type TYPE     what to show (record):\n"
    "                    scalars  some integers\n"
    "                    bytes    a word, and --size bytes of the caller's memory\n"
    "                    rma      a word, and --size bytes as an rma_vector\n"
    "                    record   --size bytes of identifiers and 100 strings\n"
    "  --size N        bytes; suffixes K, M, G (16K)\n"
    "  --copy          as with WB_CALL_COPY: no chunks\n"
    "  --archive FILE  print the archive in FILE, of arguments of TYPE, and plan nothing\n"
    "  --help          this text\n"
    "\n"
    "Exit status: 0; 1 if something failed, or the archive is malformed; 2 for wrong usage.\n",
    NULL};

enum { OPT_TYPE = 256, OPT_SIZE, OPT_COPY, OPT_ARCHIVE };

static const struct option long_options[] = {
    {"type", required_argument, NULL, OPT_TYPE}, {"size", required_argument, NULL, OPT_SIZE},
    {"copy", no_argument, NULL, OPT_COPY},       {"archive", required_argument, NULL, OPT_ARCHIVE},
    {"help", no_argument, NULL, COMMAND_HELP},   {NULL, 0, NULL, 0},
};

/* ---- values ---- */

static int show_scalars(const struct wb_limits *limits, wb_bytes data)
{
    struct perf_mirror_in in = {
        .step = 1, .path = 2, .size = data.len, .calls = 3, .window = 4, .verify = 1, .same = 1};
    return perf_mirror_in_explain(stdout, limits, &in);
}

static int show_bytes(const struct wb_limits *limits, wb_bytes data)
{
    struct perf_bytes_in in = {.stamp = STAMP, .data = data};
    return perf_bytes_in_explain(stdout, limits, &in);
}

static int show_record(const struct wb_limits *limits, wb_bytes data)
{
    struct demo_record_in in = {.bytes = data};
#define SET_STRING(kind, type, name) in.name = wb_str_of(#name);
    DEMO_STRINGS(SET_STRING)
#undef SET_STRING
    return demo_record_in_explain(stdout, limits, &in);
}

/* A vector is an RMA chunk where it is in a pool. */
static int show_rma(const struct wb_limits *limits, wb_bytes data)
{
    struct wb_engine *engine;
    struct perf_rma_in in = {.stamp = STAMP};
    int status = wb_engine_create(NULL, &engine);
    if (status != WB_OK) {
        return status;
    }
    status = wb_rma_vector_create(wb_engine_allocator(engine), 1, data.len, &in.data);
    if (status == WB_OK) {
        memcpy(in.data.data, data.data, data.len);
        status = perf_rma_in_explain(stdout, limits, &in);
        wb_rma_vector_drop(&in.data);
    }
    wb_engine_destroy(engine);
    return status;
}

static int show_value(const struct show_options *o)
{
    static int (*const shows[TYPE_COUNT])(const struct wb_limits *, wb_bytes) = {
        show_scalars, show_bytes, show_rma, show_record};
    struct wb_limits limits;
    struct wb_call_options options = {.flags = o->copy ? WB_CALL_COPY : 0};
    wb_limits_of_config(&limits, NULL, &options);
    /* the bytes, a vector's, and a packed archive's */
    void *data = o->size <= memory_available() / 3 ? malloc(o->size) : NULL;
    if (data == NULL) {
        return say(EXIT_FAILURE, "no memory for --size %zu", o->size);
    }
    pattern_fill(data, o->size, STAMP);
    int status = shows[o->type](&limits, (wb_bytes){.data = data, .len = o->size});
    free(data);
    return status == WB_OK ? 0
                           : say(EXIT_FAILURE, "cannot show %s of %zu bytes: %s",
                                 type_names[o->type], o->size, status_words(status));
}

/* ---- a file ---- */

/* Reads all of the file. The bytes are the caller's to free; NULL with a line said. */
static void *read_file(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    long end = file != NULL && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    bool fits = end >= 0 && (uint64_t)end <= memory_available();
    void *data = fits ? malloc((size_t)end + 1) : NULL;
    *bytes = fits ? (size_t)end : 0;
    bool read =
        data != NULL && fseek(file, 0, SEEK_SET) == 0 && fread(data, 1, *bytes, file) == *bytes;
    if (file != NULL) {
        fclose(file);
    }
    if (!read) {
        free(data);
        say(EXIT_FAILURE, "--archive %s: not a file that can be read whole", path);
        return NULL;
    }
    return data;
}

static int show_file(const struct show_options *o)
{
    size_t bytes;
    void *data = read_file(o->archive, &bytes);
    if (data == NULL) {
        return EXIT_FAILURE;
    }
    int status = wb_archive_print(stdout, type_fields[o->type], data, bytes, NULL, 0);
    free(data);
    return status == WB_OK ? 0 : EXIT_FAILURE; /* what is wrong has been printed, at its place */
}

/* ---- the subcommand ---- */

/* Takes one option; 0, or EXIT_USAGE with a line said. */
static int take(void *into, int option, const char *text)
{
    struct show_options *o = into;
    switch (option) {
    case OPT_TYPE:
        return words_choice("type", text, type_names, TYPE_COUNT, 0, &o->type);
    case OPT_SIZE:
        return words_size("size", text, &o->size);
    case OPT_COPY:
        o->copy = true;
        return 0;
    case OPT_ARCHIVE:
        o->archive = text;
        return 0;
    default:
        return EXIT_USAGE; /* getopt has said it */
    }
}

int show_main(int argc, char **argv)
{
    static const struct command command = {
        .name = "show", .help = show_help, .options = long_options, .take = take};
    struct show_options o = {.type = TYPE_RECORD, .size = SIZE};
    int ended = command_read(&command, argc, argv, &o);
    if (ended != COMMAND_RUN) {
        return ended;
    }
    return finish_output(o.archive != NULL ? show_file(&o) : show_value(&o));
}
