/* The streams that hosts open to each other: two kinds, one with chunks on its way up, one on its
 * way down; the other way has plain numbers, which are never held. */
#ifndef WAYBILL_TESTS_WB_SIM_STREAM_ITEMS_H
#define WAYBILL_TESTS_WB_SIM_STREAM_ITEMS_H

#include <stdbool.h>
#include <waybill/waybill.h>

struct node;
struct play;

#define SIM_STREAM_IN(F) F(VALUE, u64, number) F(BYTES, wb_bytes, raw)
#define SIM_ITEM_FULL(F)                                                                           \
    F(VALUE, u64, number)                                                                          \
    F(VALUE, u64, place)                                                                           \
    F(VALUE, u32, raw_bytes)                                                                       \
    F(VALUE, u32, data_bytes)                                                                      \
    F(BYTES, wb_bytes, raw)                                                                        \
    F(RMA, wb_rma_vector, data)
#define SIM_ITEM_PLAIN(F) F(VALUE, u64, number) F(VALUE, u64, place)
WB_STREAM(flow, SIM_STREAM_IN, SIM_ITEM_FULL, SIM_ITEM_PLAIN)
WB_STREAM(ebb, SIM_STREAM_IN, SIM_ITEM_PLAIN, SIM_ITEM_FULL)

/* A kind is the first of its two. */
enum item_type { FLOW_UP, FLOW_DOWN, EBB_UP, EBB_DOWN };

/* An item of any type: which stream's, its place among those of its way, and its bytes. */
struct item {
    enum item_type type;
    uint64_t number, place;
    uint32_t raw_bytes, data_bytes; /* as its sender says */
    wb_bytes raw;
    wb_rma_vector data;
    union {
        struct flow_up flow_up;
        struct flow_down flow_down;
        struct ebb_up ebb_up;
        struct ebb_down ebb_down;
    } got; /* by items_next; items_drop ends it */
    struct item *next;
};

/* Whether items of the type have bytes, and count until they are dropped. */
bool item_is_full(enum item_type type);

/* Gives the item bytes, of sizes that it says, from `raw` on; its vector is made. */
void items_fill(const struct play *play, struct item *item, uint8_t *raw);

/* Ends the run if an item that came is not this one of this stream, byte for byte. */
void items_must_be(const struct play *play, const struct item *item, uint64_t number,
                   uint64_t place);

/* NAME_open, and *_send, *_next and *_drop of a type, with timeout 0. */
int items_open(struct wb_peer *peer, enum item_type kind, uint64_t number, wb_bytes raw,
               const struct wb_stream_options *options, struct wb_stream **stream);
int items_send(struct wb_stream *stream, const struct item *item);
int items_next(struct wb_stream *stream, enum item_type type, struct item *item);
void items_drop(struct item *item);

/* Both kinds are served by streams_serve (streams.h). A status. */
int items_register(struct node *node);

#endif
