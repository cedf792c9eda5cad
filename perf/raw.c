/* What both sides of --vs raw do. */
#include "perf/raw.h"

#include <stdio.h>
#include <stdlib.h>

#include "perf/common_say.h"
#include "perf/raw_meet.h"

enum { SOURCE_ALIGN = 4096, SHORT_BYTES = 64 };

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

bool raw_trips_read(const struct options *o)
{
    return o->chunks > 1;
}

struct raw_link_wish raw_wish_of(const struct options *o)
{
    bool traced = o->trace_path != NULL, trips = o->test == TEST_LAT || o->test == TEST_RATE;
    size_t argument = traced ? o->trace.largest.argument : o->size_max;
    size_t answer = RAW_ANSWER_BYTES + (traced ? o->trace.largest.reply : o->reply);
    size_t source = larger((size_t)(cargo_most(o) / o->threads), PIECES_SHIFT + answer);
    source = (source + SOURCE_ALIGN - 1) & ~(size_t)(SOURCE_ALIGN - 1);
    size_t receive = !trips ? 0 : raw_trips_read(o) ? SHORT_BYTES : larger(argument, answer);
    size_t landing = trips && !raw_trips_read(o) ? 0 : source;
    return (struct raw_link_wish){.landing = source,
                                  .receive_bytes = receive,
                                  .bytes = source + landing + receive,
                                  .list = o->chunks};
}

struct raw_end *raw_end_make(struct raw *raw, uint32_t t)
{
    if (raw->ends == NULL) {
        raw->ends = calloc(raw->options->threads, sizeof(struct raw_end *));
    }
    if (raw->ends == NULL || t >= raw->options->threads) {
        return NULL;
    }
    if (raw->ends[t] == NULL) {
        raw->ends[t] = calloc(1, sizeof *raw->ends[t]);
    }
    return raw->ends[t];
}

size_t raw_answer_bytes(const struct cargo *cargo, size_t i)
{
    size_t there = pieces_span(&cargo->there, i);
    size_t back = cargo->back.calls > 0 ? pieces_span(&cargo->back, i) : 0;
    return (there < RAW_ANSWER_BYTES ? there : RAW_ANSWER_BYTES) + back;
}

size_t raw_answer_at(const struct cargo *cargo, size_t i)
{
    return i + 1 < cargo->there.calls ? 0 : PIECES_SHIFT;
}

int raw_lay(struct raw *raw, bool *anew)
{
    const struct area_head *head = raw->orders->area.head;
    int wrong = cargo_lay(&raw->cargo, raw->options, head->size, head->calls, anew);
    if (wrong != 0 || !*anew) {
        return wrong;
    }
    raw_plan_drop(&raw->plan);
    const struct pieces *taken = raw->side == 0 ? &raw->cargo.back : &raw->cargo.there;
    const struct raw_link *link = &raw->ends[0]->link; /* all are alike */
    size_t room = link->bytes - link->landing - link->receive_bytes;
    if (taken->calls > 0 && room > 0) {
        wrong = raw_plan_make(&raw->plan, taken, link->max_message, room);
    }
    if (wrong != 0) {
        cargo_drop(&raw->cargo);
    }
    return wrong;
}

void raw_begin_reads(struct raw *raw, uint32_t t, size_t from, size_t to)
{
    const struct area_raw *about = &raw->orders->area.head->raw[t];
    int other = 1 - raw->side;
    struct raw_end *end = raw->ends[t];
    end->reads =
        raw_reads_of(&end->link, &raw->plan, about->address[other], about->rkey[other], from, to);
}

int raw_verify(const struct raw *raw, const struct pieces *pieces, size_t i, const uint8_t *landing,
               uint64_t stamp)
{
    bool right = !raw->options->verify || pieces_check(pieces, i, landing, stamp);
    return right ? 0 : RAW_WRONG_BYTES;
}

void raw_words(const struct raw *raw, uint32_t t, char *text, size_t size)
{
    const struct raw_end *end = raw->ends[t];
    switch (end->error) {
    case RAW_WRONG_BYTES:
        snprintf(text, size, "raw verbs: a payload that the baseline moved is wrong");
        break;
    case RAW_NO_ANSWER:
        snprintf(text, size, "raw verbs: nothing came for long");
        break;
    default:
        raw_link_words(&end->link, text, size);
        break;
    }
}

int raw_failed(const struct raw *raw, uint32_t t)
{
    char words[AREA_WHY_ROOM];
    raw_words(raw, t, words, sizeof words);
    return say(EXIT_FAILURE, "%s", words);
}

void raw_leave(struct raw *raw)
{
    for (uint32_t t = 0; raw->ends != NULL && t < raw->options->threads; t++) {
        if (raw->ends[t] != NULL) {
            raw_link_close(&raw->ends[t]->link);
            free(raw->ends[t]);
        }
    }
    free(raw->ends);
    raw_plan_drop(&raw->plan);
    cargo_drop(&raw->cargo);
    *raw = (struct raw){0};
}
