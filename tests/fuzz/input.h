/*
 * An input of fuzz_archive, as bytes:
 *   0 the kind   1 flags   2 the vector that finds no memory, from 1 on; 0: all do
 *   3 landings, then 5 bytes each: kind, u16 length, u16 position behind its mark
 *   then the archive
 * Any bytes are an input: what is missing is 0.
 */
#ifndef WAYBILL_TESTS_FUZZ_INPUT_H
#define WAYBILL_TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

enum {
    FUZZ_HEAD = 4,
    FUZZ_LANDING = 5,
    FUZZ_LANDINGS = 32,
    FUZZ_ARCHIVE_MAX = 16384,
    FUZZ_BACKED = 1, /* flag: the archive lies in a block that vectors may share */
    FUZZ_LATER = 2   /* flag: no memory is WB_AGAIN */
};

struct fuzz_landing {
    uint8_t kind; /* odd: WB_CHUNK_RMA, even: WB_CHUNK_POINTER */
    uint16_t len; /* 0 is 65536, since no chunk is empty */
    uint16_t position;
};

struct fuzz_input {
    uint8_t kind, flags, fails_at;
    unsigned landing_count;
    struct fuzz_landing landings[FUZZ_LANDINGS];
    size_t len;
    uint8_t archive[FUZZ_ARCHIVE_MAX];
};

void fuzz_input_read(struct fuzz_input *input, const uint8_t *data, size_t size);

/* Writes it to data, in `room` bytes; what does not fit is cut off. Returns the bytes written. */
size_t fuzz_input_write(const struct fuzz_input *input, uint8_t *data, size_t room);

#endif
