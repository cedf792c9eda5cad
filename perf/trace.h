/* A trace: what each of many calls carries, read from a file. */
#ifndef WAYBILL_PERF_TRACE_H
#define WAYBILL_PERF_TRACE_H

#include <stddef.h>
#include <stdint.h>

enum { TRACE_CALLS_MAX = 65536 };

struct trace_call {
    size_t argument, reply; /* bytes of payload */
};

/* Invariant: `calls` of them at `call`, and the sums and largest are theirs. All zero is none. */
struct trace {
    struct trace_call *call;
    size_t calls;
    uint64_t arguments, replies; /* sums */
    struct trace_call largest;   /* of either kind by itself */
};

/*
 * Reads the file: a call a line, bytes of argument and of reply with blanks between, each with a
 * suffix K, M or G or without; what follows a # is a comment, and empty lines are passed over.
 * Returns 0, or EXIT_FAILURE with a line said that names the file's line; then *trace is all zero.
 */
int trace_read(const char *path, struct trace *trace);
void trace_drop(struct trace *trace);

#endif
