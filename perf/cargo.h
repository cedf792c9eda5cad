/* What a burst of the baseline moves; both processes lay it out alike. */
#ifndef WAYBILL_PERF_CARGO_H
#define WAYBILL_PERF_CARGO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perf/options.h"
#include "perf/pieces.h"

/*
 * Invariant: `there` is what each thread of the client has the server take, and `back` (of as many
 * calls, or all zero) what the client takes of the server; with bibw that is the same again, and
 * else the replies. Thread t's memory is `stretch` behind that of the thread before. All zero is
 * none.
 */
struct cargo {
    size_t size; /* that was asked for */
    uint32_t threads;
    size_t stretch;
    struct pieces there, back;
    bool rewritten; /* whether the server writes anew for each burst, as the client does */
    bool same;      /* whether nothing is, once it has been laid out and written */
};

/* Calls a thread in a burst of the baseline, of the `calls` that ours makes: as many, but not more
 * than 64 MiB of all threads, unless it is one; with a trace always as many. */
uint32_t cargo_calls(const struct options *options, size_t size, uint32_t calls);

/* Bytes that the payloads of one direction take at most, of all sizes and threads. */
uint64_t cargo_most(const struct options *options);

/* Lays it out, if it is not already; *anew says whether it was not. Returns 0, or -1 where there is
 * no memory: then *cargo is all zero. */
int cargo_lay(struct cargo *cargo, const struct options *options, size_t size, size_t calls,
              bool *anew);
void cargo_drop(struct cargo *cargo);

/* Bytes that one burst moves, both ways. */
uint64_t cargo_bytes(const struct cargo *cargo);

/* What a burst is stamped with: thread t's arguments, and the server's payloads. */
uint64_t cargo_stamp_there(uint64_t stamp, uint32_t thread);
uint64_t cargo_stamp_back(const struct cargo *cargo, uint64_t stamp);

/* Writes the arguments of a thread into its memory, and the server's payloads. */
void cargo_write_there(const struct cargo *cargo, uint8_t *memory, uint64_t stamp, uint32_t thread);
void cargo_write_back(const struct cargo *cargo, uint8_t *memory, uint64_t stamp);

#endif
