#include "tests/wb_sim/stream_items.h"

#include "tests/wb_sim/bytes.h"
#include "tests/wb_sim/node.h"
#include "tests/wb_sim/play.h"
#include "tests/wb_sim/streams.h"

bool item_is_full(enum item_type type)
{
    return type == FLOW_UP || type == EBB_DOWN;
}

static uint64_t seed_of(const struct item *item, unsigned part)
{
    return item->number << 32 | item->place << 3 | (uint64_t)item->type << 1 | part;
}

void items_fill(const struct play *play, struct item *item, uint8_t *raw)
{
    bytes_fill(play, raw, item->raw_bytes, seed_of(item, 0));
    item->raw = (wb_bytes){.data = raw, .len = item->raw_bytes};
    if (item->data_bytes > 0) {
        bytes_fill(play, item->data.data, item->data_bytes, seed_of(item, 1));
    }
}

void items_must_be(const struct play *play, const struct item *item, uint64_t number,
                   uint64_t place)
{
    if (item->number != number || item->place != place) {
        play_fail(play, "stream %llu: item %llu of stream %llu came where item %llu is due",
                  (unsigned long long)number, (unsigned long long)item->place,
                  (unsigned long long)item->number, (unsigned long long)place);
    }
    size_t data_bytes = wb_rma_vector_bytes(&item->data);
    size_t raw = bytes_check(play, item->raw.data, item->raw.len, seed_of(item, 0));
    size_t data = bytes_check(play, item->data.data, data_bytes, seed_of(item, 1));
    if (item->raw.len != item->raw_bytes || data_bytes != item->data_bytes ||
        raw != item->raw.len || data != data_bytes) {
        play_fail(play,
                  "stream %llu: item %llu has %zu and %zu bytes instead of %u and %u, wrong from "
                  "bytes %zu and %zu on",
                  (unsigned long long)number, (unsigned long long)place, item->raw.len, data_bytes,
                  item->raw_bytes, item->data_bytes, raw, data);
    }
}

/* ---- by type ---- */

int items_open(struct wb_peer *peer, enum item_type kind, uint64_t number, wb_bytes raw,
               const struct wb_stream_options *options, struct wb_stream **stream)
{
    struct flow_in flow = {.number = number, .raw = raw};
    struct ebb_in ebb = {.number = number, .raw = raw};
    return kind == FLOW_UP ? flow_open(peer, &flow, options, stream)
                           : ebb_open(peer, &ebb, options, stream);
}

#define FULL_OF(item)                                                                              \
    .number = (item)->number, .place = (item)->place, .raw_bytes = (item)->raw_bytes,              \
    .data_bytes = (item)->data_bytes, .raw = (item)->raw, .data = (item)->data
#define PLAIN_OF(item) .number = (item)->number, .place = (item)->place

int items_send(struct wb_stream *stream, const struct item *item)
{
    switch (item->type) {
    case FLOW_UP:
        return flow_up_send(stream, &(struct flow_up){FULL_OF(item)}, 0);
    case FLOW_DOWN:
        return flow_down_send(stream, &(struct flow_down){PLAIN_OF(item)}, 0);
    case EBB_UP:
        return ebb_up_send(stream, &(struct ebb_up){PLAIN_OF(item)}, 0);
    default:
        return ebb_down_send(stream, &(struct ebb_down){FULL_OF(item)}, 0);
    }
}

int items_next(struct wb_stream *stream, enum item_type type, struct item *item)
{
    int status;
    *item = (struct item){.type = type};
    switch (type) {
    case FLOW_UP:
        status = flow_up_next(stream, &item->got.flow_up, 0);
        *item = (struct item){FULL_OF(&item->got.flow_up), .type = type, .got = item->got};
        return status;
    case FLOW_DOWN:
        status = flow_down_next(stream, &item->got.flow_down, 0);
        *item = (struct item){PLAIN_OF(&item->got.flow_down), .type = type, .got = item->got};
        return status;
    case EBB_UP:
        status = ebb_up_next(stream, &item->got.ebb_up, 0);
        *item = (struct item){PLAIN_OF(&item->got.ebb_up), .type = type, .got = item->got};
        return status;
    default:
        status = ebb_down_next(stream, &item->got.ebb_down, 0);
        *item = (struct item){FULL_OF(&item->got.ebb_down), .type = type, .got = item->got};
        return status;
    }
}

void items_drop(struct item *item)
{
    switch (item->type) {
    case FLOW_UP:
        flow_up_drop(&item->got.flow_up);
        break;
    case FLOW_DOWN:
        flow_down_drop(&item->got.flow_down);
        break;
    case EBB_UP:
        ebb_up_drop(&item->got.ebb_up);
        break;
    default:
        ebb_down_drop(&item->got.ebb_down);
        break;
    }
}

/* ---- serving ---- */

static int on_flow(struct wb_context *context, struct wb_stream *stream, struct flow_in *in,
                   void *user)
{
    return streams_serve(user, context, stream, FLOW_UP, in->number, in->raw);
}

static int on_ebb(struct wb_context *context, struct wb_stream *stream, struct ebb_in *in,
                  void *user)
{
    return streams_serve(user, context, stream, EBB_UP, in->number, in->raw);
}

int items_register(struct node *node)
{
    int status = flow_register(node->engine, on_flow, node);
    return status == WB_OK ? ebb_register(node->engine, on_ebb, node) : status;
}
