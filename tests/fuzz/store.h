/* Memory that chunks land in: blocks of a pool, of which only what was asked for may be touched.
 * One thread. */
#ifndef WAYBILL_TESTS_FUZZ_STORE_H
#define WAYBILL_TESTS_FUZZ_STORE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <waybill/serial.h>

/* Prints the words and dies, so that the fuzzer keeps the input. */
#define fuzz_check(condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, __VA_ARGS__);                                                    \
            fuzz_die();                                                                            \
        }                                                                                          \
    } while (0)
void fuzz_die(void) __attribute__((noreturn));

/* A landing of `len` bytes, copied from `data` or, where that is NULL, of some other bytes. */
struct wb_landing fuzz_land(uint32_t kind, const void *data, size_t len, uint64_t archive_offset);

/* Ends the store's reference to it. */
void fuzz_unland(struct wb_landing *landing);

/* A reader's context: it counts vectors, and can fail one. */
struct fuzz_maker {
    unsigned made, fails_at; /* from 1 on; 0: none fails */
    int status;              /* with which it fails */
};

/* make_vector of a reader whose context is a struct fuzz_maker; as wbi_make_vector. */
int fuzz_make_vector(void *context, struct wb_rma_block *block, const void *data, uint64_t bytes,
                     uint32_t elem_size, wb_rma_vector *out);

/* Dies where a block is not back. */
void fuzz_store_check_empty(void);

#endif
