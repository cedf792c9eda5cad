/*
 * The model of streams: one talk a stream, written when it is opened, looked up by its number when
 * it is served. It knows what each side has sent, taken and let go, and how each side may end.
 *
 *   of each way: gone <= taken <= sent; sent - gone within what the taking side takes ahead
 *   of each side: OPEN -> DROPPED, once; in between its status goes from WB_OK to one other, once
 */
#ifndef WAYBILL_TESTS_WB_SIM_STREAM_MODEL_H
#define WAYBILL_TESTS_WB_SIM_STREAM_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <waybill/waybill.h>

#include "tests/wb_sim/stream_items.h"

struct hoard;
struct node;
struct play;
struct talk;

/* One direction. */
struct way {
    uint64_t quota; /* items that are sent before the finish */
    uint64_t sent, sent_bytes;
    uint64_t taken, gone, gone_bytes; /* gone: counts no more */
    bool finished;
};

/* What a side's program does in the end. */
enum side_plan { SIDE_IN_ORDER, SIDE_DROPS, SIDE_DROPS_FINISHED, SIDE_ABORTS };

struct side {
    struct talk *talk;
    struct node *node;
    bool opener;
    struct wb_stream *stream; /* NULL: it is not there yet, or dropped */
    bool began, dropped, dropping;
    bool listens;         /* sends nothing before it has taken all */
    bool tells;           /* it has a `ready` */
    bool told;            /* there may be something to do */
    bool sending, taking; /* inside these: a `ready` may come meanwhile */
    bool took_end, aborted;
    bool gave_up;  /* an item could not be decoded */
    bool has_all;  /* what comes to it has arrived: it is taken, whatever happens */
    bool early;    /* dropped while it went on: not both finished and taken */
    bool in_order; /* it has ended so: nothing ends it otherwise */
    int end;       /* what wb_stream_status says, once not WB_OK; then with this */
    struct wb_error error;
    enum side_plan plan;
    uint64_t plan_at, done; /* items, both ways */
    uint64_t slow_until_ns;
    struct item *held; /* taken and not dropped */
    unsigned held_count;
};

struct talk {
    uint64_t number;
    enum item_type kind;
    uint64_t begun_ns, timeout_us;
    bool hasty; /* with too little time */
    unsigned served;
    bool refused;
    struct side sides[2]; /* who opened, who serves */
    struct way ways[2];   /* up, down */
};

struct streams {
    bool on; /* in this run */
    uint64_t random;
    struct talk **talks; /* of number i + 1 */
    uint64_t count, room;
    struct hoard *hoards; /* of each host */
    uint64_t first;       /* those before are over, and are kept: nobody may be told of them */
};

/* The way on which the side sends; the one on which it takes, and what comes there. */
struct way *side_out(struct side *side);
struct way *side_in(struct side *side);
enum item_type side_out_type(const struct side *side);
enum item_type side_in_type(const struct side *side);
struct side *side_other(struct side *side);

struct talk *talk_add(struct streams *streams);
struct talk *talk_find(const struct streams *streams, uint64_t number);
bool talk_is_over(const struct talk *talk);

/* How a side aborts, or (refuses) its handler fails. */
int talk_code(const struct side *side, bool refuses);
void talk_words(const struct side *side, bool refuses, char *text, size_t size);

/* The side's status: one that it may have, and the one that it had if it had ended. */
void side_look(struct side *side);

/* How it has ended, though it may not have been looked at since; WB_OK: not, or in order, or it was
 * dropped before. */
int side_end(struct side *side);

/* What an open, a send, a take or a finish has returned, that is neither WB_OK nor asks to come
 * again. */
void side_check_refusal(struct side *side, const char *what, int status);

/* An item was sent, or none may be sent for its size. */
void side_check_size(struct side *side, const struct item *item, int status);

/* What is in flight is within the window. */
void talk_check(struct talk *talk);

/* The books of a host's streams; `quiet`: none is left. */
void model_check_node(const struct node *node, bool quiet);

#endif
