/* What is done with each input of fuzz_archive. */
#ifndef WAYBILL_TESTS_FUZZ_ARCHIVE_H
#define WAYBILL_TESTS_FUZZ_ARCHIVE_H

#include "tests/fuzz/input.h"
#include "tests/fuzz/kinds.h"
#include "tests/fuzz/store.h"

/*
 * Decodes an input. Where that fails, the value must be zero; where it does not, it goes there and
 * back; in the end nothing is held. Dies where that is not so. Returns how the decoding ended.
 */
int fuzz_archive_try(const uint8_t *data, size_t size);

/*
 * Encodes what was decoded, decodes that, and encodes it again, packed and with everything in
 * chunks; what comes out must be the same each time. `archive` is what the value came from where it
 * must come out again, or NULL. Dies where it does not.
 */
void fuzz_round_trip(const struct fuzz_kind *kind, const void *value, const uint8_t *archive,
                     size_t len);

/* Reads a value of a kind out of an archive; *arena is for those that have none of their own. */
int fuzz_decode(const struct fuzz_kind *kind, struct wb_reader *reader, struct wb_arena *arena,
                void *value);

#endif
