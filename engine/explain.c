/* What the planner decides, in words. */
#include <waybill/explain.h>

#include <stdlib.h>

#include "engine/call.h"
#include "engine/engine.h"
#include "engine/filter.h"
#include "engine/lane.h"
#include "engine/parcel.h"
#include "engine/peer.h"
#include "engine/plan.h"
#include "engine/thresholds.h"
#include "engine/wire.h"
#include "serial/archive.h"

enum { SHM_KEY_BYTES = 16, SHM_OFFERS = 1024, CHUNKS_SHOWN = 64 };

void wb_limits_of_config(struct wb_limits *limits, const struct wb_engine_config *config,
                         const struct wb_call_options *options)
{
    struct wb_engine_config defaults;
    if (config == NULL) {
        wb_engine_config_default(&defaults);
        config = &defaults;
    }
    *limits = (struct wb_limits){
        .thresholds = wbi_call_thresholds(config, config->eager_bytes, true, 1, options),
        .exact = wbi_call_is_exact(options),
        .eager_bytes = config->eager_bytes,
        .key_bytes = SHM_KEY_BYTES,
        .max_offers = SHM_OFFERS,
        .max_read_bytes = UINT64_MAX,
        .filter_from = wbi_filter_from(config, wbi_filter_features(config))};
}

void wb_limits_of_peer(struct wb_limits *limits, struct wb_peer *peer,
                       const struct wb_call_options *options)
{
    const struct wbi_fabric_caps *caps = peer->lane->caps;
    struct wb_sizer sizer;
    wb_call_size(&sizer, peer, options);
    *limits = (struct wb_limits){
        .thresholds = sizer.thresholds,
        .exact = sizer.exact,
        .eager_bytes = atomic_load_explicit(&peer->eager_bytes, memory_order_relaxed),
        .key_bytes = atomic_load_explicit(&peer->key_bytes, memory_order_relaxed),
        .max_offers = caps->max_offers,
        .max_read_bytes = caps->max_read_bytes,
        .filter_from = atomic_load_explicit(&peer->filter_from, memory_order_relaxed)};
}

/* ---- the value, written ---- */

/* What the writer's owner is. */
struct written {
    struct wb_sizer sizer;
    void *archive; /* aligned as one that is long */
    struct wb_chunk chunks[];
};

void wb_explain_size(struct wb_sizer *sizer, const struct wb_limits *limits)
{
    struct wb_thresholds thresholds = limits->thresholds;
    if (limits->reply) {
        thresholds.pointer = SIZE_MAX; /* as wb_reply_size has it */
    }
    wb_sizer_start(sizer, thresholds);
    sizer->exact = limits->exact && !limits->reply;
}

int wb_explain_begin(const struct wb_sizer *sizer, struct wb_writer *writer)
{
    if (sizer->bytes > PTRDIFF_MAX - WBI_RMA_ALIGN) {
        return wbi_error(WB_ERR_INVALID, "the value has more bytes than memory can hold");
    }
    size_t room = (size_t)wbi_landing_bytes(sizer->bytes + 1);
    struct written *w = malloc(sizeof *w + sizer->records * sizeof *w->chunks);
    void *archive = w != NULL ? aligned_alloc(WBI_RMA_ALIGN, room) : NULL;
    if (archive == NULL) {
        free(w);
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for an archive of %zu bytes", sizer->bytes);
    }
    w->sizer = *sizer;
    w->archive = archive;
    wb_writer_start(writer, sizer->thresholds, archive, sizer->bytes, w->chunks, sizer->records);
    writer->owner = w;
    return WB_OK;
}

/* ---- what is printed ---- */

static uint64_t reads_of(const struct wb_limits *limits, uint64_t bytes)
{
    return bytes / limits->max_read_bytes + (bytes % limits->max_read_bytes != 0);
}

/* Bytes of a READ of the chunk: its fabric may want it to be aligned. */
static uint64_t read_bytes(const struct wb_limits *limits, const struct wb_chunk *chunk)
{
    uint32_t align = (uint32_t)limits->thresholds.pointer_mask + 1;
    return chunk->len + wbi_chunk_head(chunk, align) + wbi_chunk_tail(chunk, align);
}

static void print_chunk(FILE *out, const struct wb_limits *limits, uint32_t number,
                        const struct wb_chunk *chunk)
{
    if (chunk->kind == WB_CHUNK_INDEX) {
        uint64_t end = chunk->offset + chunk->len;
        fprintf(out, "%8u  INDEX: archive %llu to %llu\n", number,
                (unsigned long long)chunk->offset, (unsigned long long)end);
        return;
    }
    bool rma = chunk->kind == WB_CHUNK_RMA;
    bool counted = !rma && chunk->owner != NULL;
    fprintf(out, "%8u  %s: %llu bytes, from the %s threshold of %zu on\n", number,
            rma ? "RMA" : "POINTER", (unsigned long long)chunk->len,
            rma       ? "rma"
            : counted ? "buffer"
                      : "pointer",
            rma       ? limits->thresholds.rma
            : counted ? limits->thresholds.buffer
                      : limits->thresholds.pointer);
}

/* The thresholds, where they are not switched off. */
static void print_limits(FILE *out, const struct wb_limits *limits)
{
    const struct wb_thresholds *t = &limits->thresholds;
    const struct {
        const char *name;
        size_t bytes;
    } all[] = {{"pointer", t->pointer}, {"rma", t->rma}, {"buffer", t->buffer}};
    fprintf(out, "%s, thresholds:", limits->reply ? "reply" : "request");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        fprintf(out, "%s %s ", i > 0 ? "," : "", all[i].name);
        if (all[i].bytes == SIZE_MAX) {
            fprintf(out, "off");
        } else {
            fprintf(out, "%zu", all[i].bytes);
        }
    }
    if (t->pointer_mask != 0) {
        fprintf(out, "; pointer chunks are multiples of %zu", t->pointer_mask + 1);
    }
    fprintf(out, "; eager limit %u\n", limits->eager_bytes);
}

static void print_list(FILE *out, const struct wb_limits *limits, const struct wb_writer *writer)
{
    fprintf(out, "chunk list: %u\n", writer->chunk_count);
    for (uint32_t i = 0; i < writer->chunk_count && i < CHUNKS_SHOWN; i++) {
        print_chunk(out, limits, i, &writer->chunks[i]);
    }
    if (writer->chunk_count > CHUNKS_SHOWN) {
        fprintf(out, "%8s  ... %u more\n", "", writer->chunk_count - CHUNKS_SHOWN);
    }
}

/* Either the part or its record is on board. */
static void print_part(FILE *out, const char *name, bool is_long, size_t record_at, size_t at,
                       size_t bytes)
{
    if (is_long) {
        fprintf(out, "%8zu  record of the %s, whose %zu bytes are READ\n", record_at, name, bytes);
    } else if (bytes > 0) {
        fprintf(out, "%8zu  %s, %zu bytes on board\n", at, name, bytes);
    }
}

static void print_message(FILE *out, const struct wbi_plan *plan, uint8_t kind)
{
    fprintf(out, "message: %zu bytes\n", plan->bytes);
    fprintf(out, "%8d  header, %zu bytes\n", 0, wbi_header_bytes(kind));
    if (plan->leased) {
        fprintf(out, "%8zu  lease id, %d bytes\n", plan->lease_at, WBI_ID_BYTES);
    }
    /* the records of long parts stand before the parts on board */
    if (plan->long_archive) {
        print_part(out, "archive", true, plan->archive_record_at, 0, plan->archive_bytes);
    }
    print_part(out, "chunk list", plan->long_list, plan->list_record_at, plan->list_at,
               plan->list_bytes);
    if (!plan->long_archive) {
        print_part(out, "archive", false, 0, plan->archive_at, plan->archive_bytes);
    }
}

static uint64_t all_reads(const struct wb_limits *limits, const struct wb_writer *writer,
                          const struct wbi_plan *plan)
{
    uint64_t reads = plan->long_archive ? reads_of(limits, plan->archive_bytes) : 0;
    reads += plan->long_list ? reads_of(limits, plan->list_bytes) : 0;
    for (uint32_t i = 0; i < writer->chunk_count; i++) {
        bool offered = writer->chunks[i].kind != WB_CHUNK_INDEX;
        reads += offered ? reads_of(limits, read_bytes(limits, &writer->chunks[i])) : 0;
    }
    return reads;
}

/* What is sent of the archive, and says so where it is filtered. */
static size_t print_filter(FILE *out, const struct wb_limits *limits, const struct written *w)
{
    size_t bytes = w->sizer.bytes;
    void *packed = bytes >= limits->filter_from && bytes > 0 ? malloc(bytes) : NULL;
    size_t left = packed != NULL ? wbi_filter_apply(w->archive, bytes, packed) : 0;
    if (left > 0) {
        fprintf(out, "filter: from %zu on, of %zu bytes of archive it leaves %zu%s\n",
                limits->filter_from, bytes, left,
                limits->reply ? "; done where the caller has room for both" : "");
    } else if (packed != NULL) {
        fprintf(out, "filter: from %zu on, leaves the %zu bytes of archive as they are\n",
                limits->filter_from, bytes);
    }
    free(packed);
    return left > 0 ? left : bytes;
}

static int print_decision(FILE *out, const struct wb_limits *limits, const struct wb_writer *writer)
{
    const struct written *w = writer->owner;
    const struct wbi_plan_limits plan_limits = {.whom = "explain",
                                                .kind = limits->reply ? WBI_REPLY : WBI_REQUEST,
                                                .key_bytes = limits->key_bytes,
                                                .max_offers = limits->max_offers,
                                                .eager_bytes = limits->eager_bytes};
    struct wbi_plan plan;
    struct wb_sizer sizer = w->sizer;
    print_limits(out, limits);
    print_list(out, limits, writer);
    sizer.bytes = print_filter(out, limits, w);
    int status = wbi_plan_parcel(&sizer, &plan_limits, 0, &plan);
    if (status != WB_OK) {
        fprintf(out, "message: none: %s\n", wb_status_text(status));
        return status;
    }
    print_message(out, &plan, plan_limits.kind);
    fprintf(out, "READs of the receiver: %llu\n",
            (unsigned long long)all_reads(limits, writer, &plan));
    return WB_OK;
}

static int print_archive(FILE *out, const struct wb_field *fields, const struct wb_writer *writer)
{
    struct wb_landing *landings = calloc(writer->chunk_count + 1, sizeof *landings);
    if (landings == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for a list of %u chunks",
                         writer->chunk_count);
    }
    uint32_t count = wbi_land_in_place(writer, landings);
    fprintf(out, "archive:\n");
    size_t bytes = (size_t)(writer->at - writer->begin);
    int status = wb_archive_print(out, fields, writer->begin, bytes, landings, count);
    free(landings);
    return status;
}

/* What would be shifts and divisions of nothing. */
static bool make_sense(const struct wb_limits *limits)
{
    return limits->eager_bytes >= WBI_EAGER_MIN && limits->key_bytes > 0 &&
           limits->key_bytes <= WBI_KEY_MAX && limits->max_offers > 2 && limits->max_read_bytes > 0;
}

int wb_explain_end(FILE *out, const struct wb_limits *limits, const struct wb_field *fields,
                   struct wb_writer *writer)
{
    struct written *w = writer->owner;
    int status = wb_writer_finish(writer);
    if (status != WB_OK) {
        status = wbi_error(status, "the value cannot be packed");
    } else if (!make_sense(limits)) {
        status = wbi_error(WB_ERR_INVALID, "limits that no peer has");
    } else {
        struct wb_limits raised = *limits; /* where many small chunks were gathered */
        struct wb_sizer begun;
        wb_explain_size(&begun, limits);
        raised.thresholds = w->sizer.thresholds;
        bool gathered = raised.thresholds.pointer != begun.thresholds.pointer ||
                        raised.thresholds.rma != begun.thresholds.rma ||
                        raised.thresholds.buffer != begun.thresholds.buffer;
        if (gathered) {
            fprintf(out, "more than %d chunks: small ones are gathered, by other thresholds\n",
                    WB_GATHER_FROM - 1);
        }
        int decided = print_decision(out, &raised, writer);
        status = print_archive(out, fields, writer);
        status = decided != WB_OK ? decided : status;
    }
    free(w->archive);
    free(w);
    return status;
}
