/*
 * A parcel without an engine: field lists as data, written, listed, landed and read back.
 * All memory is the arena's.
 */
#ifndef WAYBILL_TESTS_SERIAL_PARCEL_H
#define WAYBILL_TESTS_SERIAL_PARCEL_H

#include <stdbool.h>
#include <stdint.h>
#include <waybill/serial.h>

#include "tests/serial/arena.h"

#define TEST_SCALARS(X) X(i8) X(i16) X(i32) X(i64) X(u8) X(u16) X(u32) X(u64) X(f32) X(f64)

#define TEST_KIND_OF(type) TEST_##type,
enum test_kind {
    TEST_SCALARS(TEST_KIND_OF) TEST_str,
    TEST_bytes,
    TEST_rma,
    TEST_KINDS, /* of those that have no rules of their own as to what is a chunk */
    TEST_object = TEST_KINDS,
    TEST_buffer
};
enum { TEST_OBJECT_BYTES = 8 }; /* that an object has at its reader */

/* One field and its value, of which the member that fits its kind is used. */
struct test_field {
    enum test_kind kind;
    bool was_chunk;  /* as read */
    uint64_t scalar; /* the value's bits; zeros above its size */
    wb_bytes bytes;  /* of a str too */
    wb_rma_vector
        vector;       /* of an object too; block is any address: the archive never looks into it */
    wb_buffer buffer; /* likewise; as read, bytes is what it has */
};

/* What is sent (archive, chunks, and both as bytes) and what has landed of it. */
struct test_parcel {
    uint8_t *archive;
    size_t archive_bytes;
    struct wb_chunk *chunks;
    uint32_t chunk_count;
    uint8_t *list; /* the chunks as records; a key is the address of the sender's bytes */
    size_t list_bytes;
    struct wb_landing *landings;
    uint32_t landing_count;
};

/* The context of the vectors' maker. */
struct test_maker {
    struct test_arena *arena;
    unsigned made, copied;     /* vectors; those of them whose bytes were copied */
    unsigned fails_at, status; /* the vector number fails_at (from 1) ends with -status */
};

/* A vector of `count` elements at `data`, in a block. */
wb_rma_vector test_vector(void *data, size_t count, uint32_t elem_size);

/* Takes memory of just the sizes measured and starts to write into it. */
void test_parcel_open(struct test_arena *arena, struct test_parcel *parcel,
                      const struct wb_sizer *sizer, struct wb_writer *writer);

/*
 * Sizes and writes the fields into an archive of exactly the size measured. thresholds NULL: a
 * field becomes a chunk if it was one when it was read. Returns wb_writer_finish's status.
 */
int test_parcel_write(struct test_arena *arena, struct test_parcel *parcel,
                      const struct test_field *fields, size_t count,
                      const struct wb_thresholds *thresholds);

/* Encodes the chunk list, walks it, and copies each offered chunk to a landing of its own. */
void test_parcel_land(struct test_arena *arena, struct test_parcel *parcel);

/* A reader over the parcel whose vectors `maker` makes. The archive is a slot: it backs no vector.
 */
struct wb_reader test_parcel_reader(const struct test_parcel *parcel, struct test_maker *maker);

/* Reads values for fields of the kinds that `fields` has, into `fields`. Returns wb_reader_finish's
 * status. */
int test_fields_read(struct wb_reader *reader, struct test_field *fields, size_t count);

/* Asserts that two lists hold the same values. */
void test_fields_expect(const struct test_field *expected, const struct test_field *found,
                        size_t count);

#endif
