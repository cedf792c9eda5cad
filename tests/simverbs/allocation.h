/* Where the product's memory comes from in programs with simulated devices: its objects call these
 * by the names that they know (see the script `redirect`). In a deterministic world each call is a
 * place that can fail, unless it is a thread of the product's own that calls. */
#ifndef WAYBILL_TESTS_SIMVERBS_ALLOCATION_H
#define WAYBILL_TESTS_SIMVERBS_ALLOCATION_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

void *sim_malloc(size_t bytes);
void *sim_calloc(size_t count, size_t bytes);
void *sim_realloc(void *memory, size_t bytes);
void sim_free(void *memory);
void *sim_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);

struct sim_host;

/* Bytes of memory that the product has taken on this host and not given back, in a deterministic
 * world. */
int64_t sim_held_bytes(const struct sim_host *host);

#endif
