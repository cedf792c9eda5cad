/* Streams of the conformance suite, and what is said of those of a server (service_streams.c). */
#ifndef WAYBILL_TESTS_CONFORMANCE_ACTIONS_STREAMS_H
#define WAYBILL_TESTS_CONFORMANCE_ACTIONS_STREAMS_H

#include <waybill/waybill.h>

#include "tests/conformance/actions_types.h"

/* What the side that serves does. */
enum test_talk_how {
    TEST_TALK_ECHO,    /* sends back each item, and finishes behind the last */
    TEST_TALK_HOLD,    /* takes nothing until streams are let go, then all; then finishes */
    TEST_TALK_CHATTER, /* takes all, and sends an empty item for each, where there is room */
    TEST_TALK_SOURCE,  /* sends `count` items, finishes, and drops the stream */
    TEST_TALK_ABORT,   /* takes `count` items, and aborts: 7, "enough" */
    TEST_TALK_LEAVE,   /* takes `count` items, and drops the stream */
    TEST_TALK_REFUSE,  /* is not opened: 5, "not today" */
    TEST_TALK_QUIT,    /* likewise; but its handler has dropped it before */
    TEST_TALK_LIE      /* is opened by an answer that breaks the rules, and stays as it is */
};

/* An item's bytes: raw has the pattern of its number, data of its number + 1. */
#define TEST_TALK_IN(F) F(VALUE, u32, how) F(VALUE, u32, count) F(STRING, wb_str, text)
#define TEST_TALK_ITEM(F) F(VALUE, u64, number) F(BYTES, wb_bytes, raw) F(RMA, wb_rma_vector, data)
WB_STREAM(talk, TEST_TALK_IN, TEST_TALK_ITEM, TEST_TALK_ITEM)

/* Each chunk that is taken out of such an item moves what follows. The server takes all, and
 * finishes. */
#define TEST_GAPS_IN(F)
#define TEST_GAPS_UP(F) F(VALUE, u16, number) F(RMA, wb_rma_vector, data) F(TYPE, test_doubles, few)
#define TEST_GAPS_DOWN(F)
WB_STREAM(gaps, TEST_GAPS_IN, TEST_GAPS_UP, TEST_GAPS_DOWN)

/* Serves no handler: an opening is refused. */
#define TEST_NOTHING(F)
WB_STREAM(nobodys, TEST_NOTHING, TEST_NOTHING, TEST_NOTHING)

/* What a server says of its streams: how many are open, how many were, and of the last one that has
 * ended how it did, and how many items it has taken; how many items were wrong. Lets those go that
 * hold. */
#define TEST_TALKS_IN(F) F(VALUE, u8, let_go)
#define TEST_TALKS_OUT(F)                                                                          \
    F(VALUE, u32, open)                                                                            \
    F(VALUE, u32, ended)                                                                           \
    F(VALUE, i32, status) F(VALUE, i32, code) F(VALUE, u32, taken) F(VALUE, u32, wrong)
WB_ACTION(talks, TEST_TALKS_IN, TEST_TALKS_OUT)

#endif
