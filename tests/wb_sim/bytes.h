/* What has arrived must be what was sent: the right number of bytes of the right pattern. */
#ifndef WAYBILL_TESTS_WB_SIM_BYTES_H
#define WAYBILL_TESTS_WB_SIM_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct play;
struct entry;

/* Ends the run if they are not. */
void bytes_must_be(const struct play *play, const struct entry *entry, const char *what,
                   const void *data, size_t bytes, size_t wanted, uint64_t seed);

#endif
