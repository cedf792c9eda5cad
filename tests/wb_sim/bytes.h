/* The bytes of arguments and results, and that what has arrived is what was sent: the right number
 * of bytes of the right pattern. */
#ifndef WAYBILL_TESTS_WB_SIM_BYTES_H
#define WAYBILL_TESTS_WB_SIM_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct play;
struct entry;

/* Fills them with the pattern of `seed`; where archives are filtered, one that can be shorter. */
void bytes_fill(const struct play *play, void *data, size_t bytes, uint64_t seed);

/* The position of the first byte that is not of it; `bytes` if all are. */
size_t bytes_check(const struct play *play, const void *data, size_t bytes, uint64_t seed);

/* Ends the run if they are not. */
void bytes_must_be(const struct play *play, const struct entry *entry, const char *what,
                   const void *data, size_t bytes, size_t wanted, uint64_t seed);

#endif
