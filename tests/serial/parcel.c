#include "tests/serial/parcel.h"

#include <check.h>
#include <string.h>

#include "serial/chunk_list.h"

static struct wb_rma_block *block_at(void *data)
{
    return (struct wb_rma_block *)data;
}

wb_rma_vector test_vector(void *data, size_t count, uint32_t elem_size)
{
    return (wb_rma_vector){.data = data,
                           .count = count,
                           .capacity = count * elem_size,
                           .elem_size = elem_size,
                           .block = block_at(data)};
}

#define SIZE_SCALAR(type)                                                                          \
    case TEST_##type:                                                                              \
        wb_size_##type(s, 0);                                                                      \
        break;

static void size_field(struct wb_sizer *s, const struct test_field *field)
{
    switch (field->kind) {
        TEST_SCALARS(SIZE_SCALAR)
    case TEST_str:
        wb_size_str(s, (wb_str){.data = field->bytes.data, .len = field->bytes.len});
        break;
    case TEST_bytes:
        wb_size_bytes(s, field->bytes);
        break;
    case TEST_rma:
    case TEST_object:
        wb_size_rma(s, &field->vector);
        break;
    case TEST_buffer:
        wb_size_buffer(s, &field->buffer);
        break;
    default:
        ck_abort_msg("no such kind");
    }
}

#define PUT_SCALAR(type)                                                                           \
    case TEST_##type: {                                                                            \
        wb_##type value;                                                                           \
        memcpy(&value, &field->scalar, sizeof value);                                              \
        wb_put_##type(w, value);                                                                   \
        break;                                                                                     \
    }

static void put_field(struct wb_writer *w, const struct test_field *field)
{
    switch (field->kind) {
        TEST_SCALARS(PUT_SCALAR)
    case TEST_str:
        wb_put_str(w, (wb_str){.data = field->bytes.data, .len = field->bytes.len});
        break;
    case TEST_bytes:
        wb_put_bytes(w, field->bytes);
        break;
    case TEST_rma:
        wb_put_rma(w, &field->vector);
        break;
    case TEST_object:
        wb_put_object(w, &field->vector, TEST_OBJECT_BYTES);
        break;
    case TEST_buffer:
        wb_put_buffer(w, &field->buffer);
        break;
    default:
        ck_abort_msg("no such kind");
    }
}

#define GET_SCALAR(type)                                                                           \
    case TEST_##type: {                                                                            \
        wb_##type value = wb_get_##type(r);                                                        \
        memcpy(&field->scalar, &value, sizeof value);                                              \
        break;                                                                                     \
    }

static void get_field(struct wb_reader *r, struct test_field *field)
{
    uint32_t landing = r->landing_next;
    *field = (struct test_field){.kind = field->kind};
    switch (field->kind) {
        TEST_SCALARS(GET_SCALAR)
    case TEST_str: {
        wb_str value = wb_get_str(r);
        field->bytes = (wb_bytes){.data = value.data, .len = value.len};
        break;
    }
    case TEST_bytes:
        field->bytes = wb_get_bytes(r);
        break;
    case TEST_rma:
        field->vector = wb_get_rma(r);
        break;
    case TEST_object:
        field->vector = wb_get_object(r, TEST_OBJECT_BYTES);
        break;
    case TEST_buffer:
        field->buffer = wb_get_buffer(r);
        field->bytes = (wb_bytes){.data = field->buffer.data, .len = field->buffer.len};
        break;
    default:
        ck_abort_msg("no such kind");
    }
    field->was_chunk = r->landing_next != landing;
}

static struct wb_thresholds thresholds_of(const struct test_field *field,
                                          const struct wb_thresholds *thresholds)
{
    if (thresholds != NULL) {
        return *thresholds;
    }
    size_t each = field->was_chunk ? 0 : SIZE_MAX;
    return (struct wb_thresholds){.pointer = each, .rma = each, .buffer = each};
}

void test_parcel_open(struct test_arena *arena, struct test_parcel *parcel,
                      const struct wb_sizer *sizer, struct wb_writer *writer)
{
    ck_assert_uint_eq(sizer->offered, sizer->records / 2);
    *parcel = (struct test_parcel){
        .archive = test_arena_alloc(arena, sizer->bytes),
        .archive_bytes = sizer->bytes,
        .chunks = test_arena_alloc(arena, sizer->records * sizeof *parcel->chunks),
        .chunk_count = sizer->records,
    };
    wb_writer_start(writer, sizer->thresholds, parcel->archive, sizer->bytes, parcel->chunks,
                    sizer->records);
}

int test_parcel_write(struct test_arena *arena, struct test_parcel *parcel,
                      const struct test_field *fields, size_t count,
                      const struct wb_thresholds *thresholds)
{
    struct wb_sizer sizer;
    struct wb_writer writer;
    wb_sizer_start(&sizer, (struct wb_thresholds){0});
    for (size_t i = 0; i < count; i++) {
        sizer.thresholds = thresholds_of(&fields[i], thresholds);
        size_field(&sizer, &fields[i]);
    }
    wb_sizer_finish(&sizer);
    test_parcel_open(arena, parcel, &sizer, &writer);
    for (size_t i = 0; i < count; i++) {
        writer.thresholds = thresholds_of(&fields[i], thresholds);
        put_field(&writer, &fields[i]);
    }
    return wb_writer_finish(&writer);
}

/* The record of a chunk whose key is where its bytes are. */
static struct wbi_chunk_record record_of(const struct wb_chunk *chunk)
{
    struct wbi_chunk_record record = {.kind = (uint8_t)chunk->kind, .len = chunk->len};
    if (chunk->kind == WB_CHUNK_INDEX) {
        record.address = chunk->offset;
        return record;
    }
    record.key_len = sizeof chunk->data;
    memcpy(record.key, &chunk->data, sizeof chunk->data);
    return record;
}

struct landing_context {
    struct test_arena *arena;
    struct test_parcel *parcel;
};

static int land(void *context, const struct wbi_chunk_record *record, uint64_t archive_offset)
{
    struct landing_context *to = context;
    const void *source;
    memcpy(&source, record->key, sizeof source);
    void *data = test_arena_copy(to->arena, source, record->len);
    to->parcel->landings[to->parcel->landing_count++] = (struct wb_landing){
        .data = data,
        .len = record->len,
        .archive_offset = archive_offset,
        .kind = record->kind,
        .block = block_at(data),
    };
    return WB_OK;
}

void test_parcel_land(struct test_arena *arena, struct test_parcel *parcel)
{
    for (uint32_t i = 0; i < parcel->chunk_count; i++) {
        parcel->list_bytes += wbi_chunk_record_size(record_of(&parcel->chunks[i]).key_len);
    }
    parcel->list = test_arena_alloc(arena, parcel->list_bytes);
    size_t at = 0;
    for (uint32_t i = 0; i < parcel->chunk_count; i++) {
        struct wbi_chunk_record record = record_of(&parcel->chunks[i]);
        at += wbi_chunk_record_encode(&record, parcel->list + at);
    }
    ck_assert_uint_eq(at, parcel->list_bytes);
    parcel->landings = test_arena_alloc(arena, parcel->chunk_count / 2 * sizeof *parcel->landings);
    struct landing_context context = {.arena = arena, .parcel = parcel};
    ck_assert_int_eq(wbi_chunk_list_walk(parcel->list, parcel->list_bytes, parcel->chunk_count,
                                         parcel->archive_bytes, land, &context),
                     WB_OK);
    ck_assert_uint_eq(parcel->landing_count, parcel->chunk_count / 2);
}

static int make_vector(void *context, struct wb_rma_block *block, const void *data, uint64_t bytes,
                       uint32_t elem_size, wb_rma_vector *out)
{
    struct test_maker *maker = context;
    ck_assert_uint_gt(elem_size, 0);
    ck_assert_uint_eq(bytes % elem_size, 0);
    if (++maker->made == maker->fails_at) {
        return -(int)maker->status;
    }
    if (block == NULL) {
        maker->copied++;
        void *copy = test_arena_alloc(maker->arena, bytes + 1); /* of 0 bytes is a vector too */
        memcpy(copy, data, bytes);
        *out = test_vector(copy, bytes / elem_size, elem_size);
        return WB_OK;
    }
    *out = (wb_rma_vector){.data = (uint8_t *)block + ((const uint8_t *)data - (uint8_t *)block),
                           .count = bytes / elem_size,
                           .capacity = bytes,
                           .elem_size = elem_size,
                           .block = block};
    return WB_OK;
}

struct wb_reader test_parcel_reader(const struct test_parcel *parcel, struct test_maker *maker)
{
    struct wb_reader reader;
    wb_reader_start(&reader, parcel->archive, parcel->archive_bytes);
    reader.landings = parcel->landings;
    reader.landing_count = parcel->landing_count;
    reader.make_vector = make_vector;
    reader.context = maker;
    return reader;
}

int test_fields_read(struct wb_reader *reader, struct test_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        get_field(reader, &fields[i]);
    }
    return wb_reader_finish(reader);
}

static void expect_bytes(const void *expected, size_t expected_len, const void *found, size_t len)
{
    ck_assert_uint_eq(expected_len, len);
    if (len > 0) {
        ck_assert(memcmp(expected, found, len) == 0);
    }
}

void test_fields_expect(const struct test_field *expected, const struct test_field *found,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const wb_rma_vector *a = &expected[i].vector, *b = &found[i].vector;
        ck_assert_int_eq(expected[i].kind, found[i].kind);
        ck_assert_uint_eq(expected[i].scalar, found[i].scalar);
        if (expected[i].kind == TEST_buffer) {
            expect_bytes(expected[i].buffer.data, expected[i].buffer.len, found[i].buffer.data,
                         found[i].buffer.len);
        } else {
            expect_bytes(expected[i].bytes.data, expected[i].bytes.len, found[i].bytes.data,
                         found[i].bytes.len);
        }
        ck_assert_uint_eq(a->elem_size, b->elem_size);
        expect_bytes(a->data, wb_rma_vector_bytes(a), b->data, wb_rma_vector_bytes(b));
    }
}
