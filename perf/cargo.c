#include "perf/cargo.h"

#include <waybill/status.h>

#include "perf/actions.h"
#include "perf/setup.h"

enum { STRETCH_ALIGN = 4096, PITCH_MOST = 128 };

static const uint64_t most_bytes = (uint64_t)64 << 20;

uint32_t cargo_calls(const struct options *o, size_t size, uint32_t calls)
{
    if (o->trace_path != NULL) {
        return calls;
    }
    uint64_t fits = most_bytes / o->threads / (size > o->reply ? size : o->reply);
    return fits == 0 ? 1 : fits < calls ? (uint32_t)fits : calls;
}

/* Bytes that a thread's arguments take, at most. */
static uint64_t room_of(const struct options *o, size_t size, uint32_t window)
{
    struct calls_wanted wanted = wanted_calls(o, size, window);
    uint64_t calls = cargo_calls(o, size, burst_calls(&wanted));
    uint64_t between = o->chunks > 1 ? calls * o->chunks * PITCH_MOST : 0;
    uint64_t bytes = o->trace_path != NULL ? burst_bytes(&wanted) : calls * size;
    uint64_t parts = o->chunks * PIECES_PARTS * PIECES_SHIFT;
    return bytes + between + (o->same ? parts : 0) + STRETCH_ALIGN;
}

uint64_t cargo_most(const struct options *o)
{
    uint64_t most = 0;
    uint64_t back = PIECES_SHIFT + (o->trace_path != NULL ? o->trace.largest.reply : o->reply);
    for (struct step step = first_step(o); step.size > 0; step = next_step(o, step)) {
        uint64_t room = o->threads * room_of(o, step.size, step.window);
        most = room > most ? room : most;
    }
    return most > back ? most : back;
}

static int lay(struct cargo *cargo, const struct options *o, size_t size, size_t calls)
{
    struct calls_wanted wanted = wanted_calls(o, size, 1);
    *cargo = (struct cargo){
        .size = size, .threads = o->threads, .rewritten = o->test == TEST_BIBW, .same = o->same};
    int status = pieces_lay_arguments(&cargo->there, &wanted, calls);
    if (status == WB_OK && cargo->rewritten) {
        status = pieces_lay_arguments(&cargo->back, &wanted, calls);
    } else if (status == WB_OK && (wanted.reply > 0 || wanted.trace != NULL)) {
        status = pieces_lay_replies(&cargo->back, &wanted, calls);
    }
    size_t room = cargo->there.room;
    cargo->stretch = (room + STRETCH_ALIGN - 1) & ~(size_t)(STRETCH_ALIGN - 1);
    return status;
}

int cargo_lay(struct cargo *cargo, const struct options *o, size_t size, size_t calls, bool *anew)
{
    *anew = cargo->size != size || cargo->there.calls != calls;
    if (!*anew) {
        return 0;
    }
    cargo_drop(cargo);
    int status = lay(cargo, o, size, calls);
    if (status != WB_OK) {
        cargo_drop(cargo);
        return -1;
    }
    return 0;
}

void cargo_drop(struct cargo *cargo)
{
    pieces_drop(&cargo->there);
    pieces_drop(&cargo->back);
    *cargo = (struct cargo){0};
}

uint64_t cargo_bytes(const struct cargo *cargo)
{
    return cargo->threads * (pieces_bytes(&cargo->there) + pieces_bytes(&cargo->back));
}

uint64_t cargo_stamp_there(uint64_t stamp, uint32_t thread)
{
    return stamp + (thread + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

uint64_t cargo_stamp_back(const struct cargo *cargo, uint64_t stamp)
{
    return cargo->rewritten ? ~stamp : REPLY_STAMP;
}

void cargo_write_there(const struct cargo *cargo, uint8_t *memory, uint64_t stamp, uint32_t thread)
{
    pieces_fill(&cargo->there, memory, cargo_stamp_there(stamp, thread));
}

void cargo_write_back(const struct cargo *cargo, uint8_t *memory, uint64_t stamp)
{
    if (cargo->rewritten) {
        pieces_fill(&cargo->back, memory, cargo_stamp_back(cargo, stamp));
    } else {
        pattern_fill(memory, cargo->back.room, REPLY_STAMP);
    }
}
