/* What has happened: the last of it in words, all of it as a hash. */
#include <inttypes.h>
#include <string.h>

#include "tests/simverbs/model.h"

enum { KEPT = 1 << 15 };

struct line {
    uint64_t at;
    uint32_t device;
    const char *what;
    uint64_t a, b, c;
};

static struct line lines[KEPT];
static uint64_t written, hash;

static void mix(uint64_t value)
{
    hash = (hash ^ value) * 0x100000001b3;
    hash ^= hash >> 29;
}

void sim_trace_open(void)
{
    written = 0;
    hash = 0xcbf29ce484222325;
}

/* Nothing that is traced may depend on an address. */
void sim_trace(const struct sim_device *device, const char *what, uint64_t a, uint64_t b,
               uint64_t c)
{
    struct line line = {.at = sim_now_ns(),
                        .device = device != NULL ? device->number : 0,
                        .what = what,
                        .a = a,
                        .b = b,
                        .c = c};
    lines[written++ % KEPT] = line;
    mix(line.at);
    mix(line.device);
    for (const char *at = what; *at != 0; at++) {
        mix((uint8_t)*at);
    }
    mix(a);
    mix(b);
    mix(c);
}

uint64_t sim_trace_hash(void)
{
    sim_enter(0);
    uint64_t now = hash;
    sim_leave();
    return now;
}

uint64_t sim_not_ready_count(void)
{
    sim_enter(0);
    uint64_t count = sim_world.not_ready;
    sim_leave();
    return count;
}

/* Also where the lock is held: sim_bug prints. */
void sim_trace_print(FILE *out, unsigned most)
{
    uint64_t count = written < KEPT ? written : KEPT;
    count = count < most ? count : most;
    for (uint64_t i = written - count; i < written; i++) {
        const struct line *line = &lines[i % KEPT];
        fprintf(out,
                "%12" PRIu64 ".%03u us  device %" PRIu32 "  %-24s %" PRIu64 " %" PRIu64 " %" PRIu64
                "\n",
                line->at / 1000, (unsigned)(line->at % 1000), line->device, line->what, line->a,
                line->b, line->c);
    }
}
