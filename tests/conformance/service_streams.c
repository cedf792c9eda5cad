/* The side of streams that serves: moved on by `ready` alone. */
#include <stdlib.h>
#include <string.h>

#include "engine/stream.h"
#include "tests/conformance/service.h"
#include "tests/support/pattern.h"

struct test_talk {
    struct test_talk *prev, *next;
    struct test_talks *owner;
    struct wb_stream *stream;
    uint32_t how, count;
    uint32_t taken;        /* items, and the number that the next one has */
    uint32_t sent;         /* SOURCE */
    struct talk_up echoed; /* ECHO, `full`: is yet to be sent back */
    bool full;
};

static bool is_right(const struct talk_up *item, uint64_t number)
{
    uint64_t bytes = wb_rma_vector_bytes(&item->data);
    return item->number == number &&
           test_pattern_check(item->raw.data, item->raw.len, number) == item->raw.len &&
           test_pattern_check(item->data.data, bytes, number + 1) == bytes;
}

/* Nothing is left to be done, or can be: `status` is why. */
static void end_talk(struct test_talk *talk, int status)
{
    struct test_talks *talks = talk->owner;
    struct wb_error error = {0};
    wb_stream_status(talk->stream, &error);
    talks->status = status;
    talks->code = error.code;
    talks->taken = talk->taken;
    talks->open--;
    talks->ended++;
    if (talk->next != NULL) {
        talk->next->prev = talk->prev;
    }
    *(talk->prev != NULL ? &talk->prev->next : &talks->first) = talk->next;
    talk_up_drop(&talk->echoed);
    wb_stream_drop(talk->stream);
    free(talk);
}

static int take(struct test_talk *talk, struct talk_up *item)
{
    int status = talk_up_next(talk->stream, item, 0);
    if (status == WB_OK) {
        talk->owner->wrong += !is_right(item, talk->taken);
        talk->taken++;
    }
    return status;
}

static int echo(struct test_talk *talk)
{
    int status = WB_OK;
    if (!talk->full) {
        status = take(talk, &talk->echoed);
        talk->full = status == WB_OK;
    }
    if (!talk->full) {
        return status;
    }
    struct talk_down item = {
        .number = talk->echoed.number, .raw = talk->echoed.raw, .data = talk->echoed.data};
    status = talk_down_send(talk->stream, &item, 0);
    if (status == WB_OK) {
        talk->full = false;
        talk_up_drop(&talk->echoed);
        talk->echoed = (struct talk_up){0};
    }
    return status;
}

static int take_and_drop(struct test_talk *talk)
{
    struct talk_up item;
    int status = take(talk, &item);
    talk_up_drop(&item);
    return status;
}

static int produce(struct test_talk *talk)
{
    static uint8_t raw[1000];
    struct talk_down item = {.number = talk->sent, .raw = {.data = raw, .len = sizeof raw}};
    if (talk->sent == talk->count) {
        return WB_END;
    }
    test_pattern_fill(raw, sizeof raw, talk->sent);
    int status = talk_down_send(talk->stream, &item, 0);
    talk->sent += status == WB_OK;
    return status;
}

/* Does one thing. WB_END: all is done in order. */
static int move(struct test_talk *talk)
{
    switch (talk->how) {
    case TEST_TALK_ECHO:
        return echo(talk);
    case TEST_TALK_LIE:
    case TEST_TALK_HOLD: {
        int status = wb_stream_status(talk->stream, NULL);
        return status == WB_OK && !talk->owner->let_go ? WB_AGAIN : take_and_drop(talk);
    }
    case TEST_TALK_CHATTER: {
        struct talk_down empty = {0};
        int status = take_and_drop(talk);
        if (status == WB_OK) {
            talk_down_send(talk->stream, &empty, 0);
        }
        return status;
    }
    case TEST_TALK_SOURCE:
        return produce(talk);
    case TEST_TALK_ABORT:
        if (talk->taken == talk->count) {
            wb_stream_abort(talk->stream, 7, "%s", "enough");
            return WB_ERR_CANCELLED;
        }
        return take_and_drop(talk);
    default:
        return talk->taken == talk->count ? WB_ERR_CANCELLED : take_and_drop(talk);
    }
}

static void on_ready(struct wb_stream *stream, void *user)
{
    struct test_talk *talk = user;
    int status = WB_OK;
    while (status == WB_OK) {
        status = move(talk);
    }
    if (status == WB_END) {
        wb_stream_finish(stream);
    }
    if (status != WB_AGAIN) {
        end_talk(talk, status);
    }
}

static int on_talk(struct wb_context *context, struct wb_stream *stream, struct talk_in *in,
                   void *user)
{
    struct test_service *service = user;
    struct test_talks *talks = &service->talks;
    if (in->how == TEST_TALK_QUIT) {
        wb_stream_drop(stream);
    }
    if (in->how == TEST_TALK_LIE) {
        stream->bytes = 0; /* which the answer says */
    }
    if (in->how == TEST_TALK_REFUSE || in->how == TEST_TALK_QUIT) {
        return wb_context_fail(context, 5, "%.*s", WB_STR_ARG(in->text));
    }
    struct test_talk *talk = calloc(1, sizeof *talk);
    if (talk == NULL) {
        return WB_ERR_NO_MEMORY;
    }
    *talk = (struct test_talk){
        .next = talks->first, .owner = talks, .stream = stream, .how = in->how, .count = in->count};
    if (talks->first != NULL) {
        talks->first->prev = talk;
    }
    talks->first = talk;
    talks->open++;
    wb_stream_on_ready(stream, on_ready, talk);
    return WB_OK;
}

static void take_gaps(struct wb_stream *stream, void *user)
{
    int status = WB_OK;
    (void)user;
    while (status == WB_OK) {
        struct gaps_up item;
        status = gaps_up_next(stream, &item, 0);
        gaps_up_drop(&item);
    }
    if (status == WB_END) {
        wb_stream_finish(stream);
    }
    if (status != WB_AGAIN) {
        wb_stream_drop(stream);
    }
}

static int on_gaps(struct wb_context *context, struct wb_stream *stream, struct gaps_in *in,
                   void *user)
{
    (void)context;
    (void)in;
    wb_stream_on_ready(stream, take_gaps, user);
    return WB_OK;
}

static int on_talks(struct wb_context *context, struct talks_in *in, struct talks_out *out,
                    void *user)
{
    struct test_service *service = user;
    struct test_talks *talks = &service->talks;
    (void)context;
    talks->let_go = in->let_go;
    for (struct test_talk *talk = talks->first; in->let_go && talk != NULL; talk = talk->next) {
        wb_stream_on_ready(talk->stream, on_ready, talk);
    }
    *out = (struct talks_out){.open = talks->open,
                              .ended = talks->ended,
                              .status = talks->status,
                              .code = talks->code,
                              .taken = talks->taken,
                              .wrong = talks->wrong};
    return WB_OK;
}

int test_service_register_streams(struct test_service *service)
{
    int status = talk_register(service->engine, on_talk, service);
    status = status == WB_OK ? gaps_register(service->engine, on_gaps, service) : status;
    return status == WB_OK ? talks_register(service->engine, on_talks, service) : status;
}
