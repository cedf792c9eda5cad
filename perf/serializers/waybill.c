/* Waybill, through its public API: each case is a WB_STRUCT, written in one sizing and one writing
 * pass into a buffer that is kept, as a call writes into its slot; decoded as views, nested arrays
 * in an arena that is kept. With zero copy, arrays of numbers of 4096 bytes and more are pointer
 * chunks, which are read where they are, as if they had landed. */
#include <stdlib.h>
#include <waybill/custom.h>

#include "perf/serializers/checksum.h"
#include "perf/serializers/contestant.h"

/* clang-format off */
WB_ARRAY_OF(wb_i64, longs)
WB_ARRAY_OF(wb_i32, ints)
WB_ARRAY_OF(wb_f64, doubles)
WB_ARRAY_OF(wb_str, texts)

#define RECORD(F) F(TYPE, longs, ids) F(TYPE, texts, strings)
WB_STRUCT(record, RECORD)

#define SCALARS(F)                                                                                 \
    F(VALUE, f64, d0) F(VALUE, f64, d1) F(VALUE, f64, d2) F(VALUE, f64, d3) F(VALUE, f64, d4)      \
    F(VALUE, f64, d5) F(VALUE, f64, d6) F(VALUE, f64, d7) F(VALUE, i64, l0) F(VALUE, i64, l1)      \
    F(VALUE, i64, l2) F(VALUE, i64, l3) F(VALUE, i64, l4) F(VALUE, i64, l5) F(VALUE, i32, i0)      \
    F(VALUE, i32, i1) F(VALUE, i32, i2) F(VALUE, i32, i3) F(VALUE, i32, i4) F(VALUE, i32, i5)
WB_STRUCT(scalars, SCALARS)

#define PARTICLE(F) F(VALUE, i64, id) F(VALUE, f64, weight) F(TYPE, ints, tags)
WB_STRUCT(particle, PARTICLE)
WB_ARRAY_OF(particle, particles)
#define GROUP(F) F(STRING, wb_str, name) F(FIXED, wb_f64, position, 3) F(TYPE, particles, particles)
WB_STRUCT(group, GROUP)
WB_ARRAY_OF(group, groups)
#define NESTED(F) F(TYPE, groups, groups)
WB_STRUCT(nested, NESTED)

#define VECTOR(F)                                                                                  \
    F(STRING, wb_str, name) F(VALUE, i64, step) F(VALUE, f64, time) F(TYPE, doubles, values)
WB_STRUCT(vector, VECTOR)
/* clang-format on */

enum { ROOM = 2 << 20, MOST_CHUNKS = 8 };

struct codec {
    record record;
    scalars scalars;
    nested nested;
    vector vector;
    struct wb_thresholds thresholds;
    uint8_t *archive;
    size_t bytes;
    struct wb_chunk chunks[MOST_CHUNKS];
    uint32_t chunk_count;
    struct wb_landing landings[MOST_CHUNKS];
    struct wb_arena arena;
    void *memory[3]; /* of what the values point to */
};

static wb_str text_of(struct plain_text text)
{
    return (wb_str){.data = text.data, .len = text.len};
}

static void *take(size_t count, size_t bytes)
{
    void *memory = calloc(count + 1, bytes); /* none is memory, too */
    if (memory == NULL) {
        contestant_fail("waybill", "no memory");
    }
    return memory;
}

static void fill_record(struct codec *codec, const struct plain_record *from)
{
    wb_str *strings = codec->memory[0] = take(from->string_count, sizeof *strings);
    for (size_t i = 0; i < from->string_count; i++) {
        strings[i] = text_of(from->strings[i]);
    }
    codec->record =
        (record){.ids = {from->ids, from->id_count}, .strings = {strings, from->string_count}};
}

static void fill_nested(struct codec *codec, const struct plain_nested *from)
{
    size_t most = 0;
    for (size_t i = 0; i < from->group_count; i++) {
        most += from->groups[i].particle_count;
    }
    group *to = codec->memory[1] = take(from->group_count, sizeof *to);
    particle *next = codec->memory[2] = take(most, sizeof *next);
    for (size_t i = 0; i < from->group_count; i++) {
        const struct plain_group *g = &from->groups[i];
        to[i] = (group){.name = text_of(g->name),
                        .position = {g->position[0], g->position[1], g->position[2]},
                        .particles = {next, g->particle_count}};
        for (size_t k = 0; k < g->particle_count; k++) {
            const struct plain_particle *p = &g->particles[k];
            *next++ = (particle){.id = p->id, .weight = p->weight, .tags = {p->tags, p->tag_count}};
        }
    }
    codec->nested = (nested){.groups = {to, from->group_count}};
}

static void *codec_open(const struct contestant *row, const struct input *input)
{
    struct codec *codec = take(1, sizeof *codec);
    size_t pointer = row->zero_copy ? 4096 : SIZE_MAX;
    codec->thresholds =
        (struct wb_thresholds){.pointer = pointer, .rma = SIZE_MAX, .buffer = SIZE_MAX};
    codec->archive = take(1, ROOM);
    fill_record(codec, &input->record);
    fill_nested(codec, &input->nested);
    const struct plain_scalars *s = &input->scalars;
    codec->scalars =
        (scalars){s->d0, s->d1, s->d2, s->d3, s->d4, s->d5, s->d6, s->d7, s->l0, s->l1,
                  s->l2, s->l3, s->l4, s->l5, s->i0, s->i1, s->i2, s->i3, s->i4, s->i5};
    const struct plain_vector *v = &input->vector;
    codec->vector = (vector){.name = text_of(v->name),
                             .step = v->step,
                             .time = v->time,
                             .values = {v->values, v->value_count}};
    return codec;
}

static void codec_close(void *state)
{
    struct codec *codec = state;
    wb_arena_free(&codec->arena);
    for (size_t i = 0; i < 3; i++) {
        free(codec->memory[i]);
    }
    free(codec->archive);
    free(codec);
}

static void start(struct codec *codec, const struct wb_sizer *sizer, struct wb_writer *writer)
{
    if (sizer->bytes > ROOM || sizer->records > MOST_CHUNKS) {
        contestant_fail("waybill", "an archive is too long");
    }
    codec->bytes = sizer->bytes;
    wb_writer_start(writer, codec->thresholds, codec->archive, sizer->bytes, codec->chunks,
                    sizer->records);
}

static size_t finish(struct codec *codec, struct wb_writer *writer)
{
    if (wb_writer_finish(writer) != WB_OK) {
        contestant_fail("waybill", "an archive was not written");
    }
    codec->chunk_count = writer->chunk_count;
    return codec->bytes;
}

/* The chunks have landed where they are. */
static void open_reader(struct codec *codec, struct wb_reader *reader)
{
    wb_reader_start(reader, codec->archive, codec->bytes);
    uint64_t offset = 0;
    for (uint32_t i = 0; i < codec->chunk_count; i++) {
        const struct wb_chunk *chunk = &codec->chunks[i];
        if (chunk->kind == WB_CHUNK_INDEX) {
            offset += chunk->len;
            continue;
        }
        codec->landings[reader->landing_count++] =
            (struct wb_landing){.data = (void *)(uintptr_t)chunk->data,
                                .len = chunk->len,
                                .archive_offset = offset,
                                .kind = chunk->kind};
    }
    reader->landings = codec->landings;
    reader->arena = &codec->arena;
}

static uint64_t sum_record(const record *v)
{
    uint64_t sum = checksum_words(0, v->ids.data, v->ids.len);
    const wb_str *at = v->strings.data, *end = at + v->strings.len;
    for (; at != end; at++) {
        sum = checksum_bytes(sum, at->data, at->len);
    }
    return sum;
}

static uint64_t sum_scalars(const scalars *v)
{
    uint64_t sum = 0;
#define ADD_DOUBLE(field) sum = checksum_double(sum, v->field);
#define ADD_INTEGER(field) sum = checksum_long(sum, v->field);
    SCALARS_DOUBLES(ADD_DOUBLE)
    SCALARS_LONGS(ADD_INTEGER)
    SCALARS_INTS(ADD_INTEGER)
    return sum;
}

static uint64_t sum_group(uint64_t sum, const group *v)
{
    sum = checksum_bytes(sum, v->name.data, v->name.len);
    for (size_t i = 0; i < 3; i++) {
        sum = checksum_double(sum, v->position[i]);
    }
    for (size_t i = 0; i < v->particles.len; i++) {
        const particle *p = &v->particles.data[i];
        sum = checksum_long(sum, p->id);
        sum = checksum_double(sum, p->weight);
        sum = checksum_ints(sum, p->tags.data, p->tags.len);
    }
    return sum;
}

static uint64_t sum_nested(const nested *v)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < v->groups.len; i++) {
        sum = sum_group(sum, &v->groups.data[i]);
    }
    return sum;
}

static uint64_t sum_vector(const vector *v)
{
    uint64_t sum = checksum_bytes(0, v->name.data, v->name.len);
    sum = checksum_long(sum, v->step);
    sum = checksum_double(sum, v->time);
    return checksum_vector(sum, v->values.data, v->values.len);
}

/* The passes over one case; the arena's memory is used again by the next decoding. */
#define CASE(T)                                                                                    \
    static size_t encode_##T(void *state)                                                          \
    {                                                                                              \
        struct codec *codec = state;                                                               \
        struct wb_sizer sizer;                                                                     \
        struct wb_writer writer;                                                                   \
        wb_sizer_start(&sizer, codec->thresholds);                                                 \
        T##_size(&sizer, &codec->T);                                                               \
        start(codec, &sizer, &writer);                                                             \
        T##_put(&writer, &codec->T);                                                               \
        return finish(codec, &writer);                                                             \
    }                                                                                              \
    static uint64_t decode_##T(void *state)                                                        \
    {                                                                                              \
        struct codec *codec = state;                                                               \
        struct wb_reader reader;                                                                   \
        T value;                                                                                   \
        open_reader(codec, &reader);                                                               \
        if (T##_get(&reader, &value) != WB_OK) {                                                   \
            contestant_fail("waybill", "an archive does not decode");                              \
        }                                                                                          \
        uint64_t sum = sum_##T(&value);                                                            \
        T##_drop(&value);                                                                          \
        wb_arena_reset(&codec->arena);                                                             \
        return sum;                                                                                \
    }
CASE(record)
CASE(scalars)
CASE(nested)
CASE(vector)

#define ROW(which, T, zero_copy)                                                                   \
    {                                                                                              \
        "waybill", which, zero_copy, COUNTS_BUILD, codec_open, encode_##T, decode_##T, codec_close \
    }

const struct contestant waybill_rows[] = {
    ROW(CASE_RECORD, record, false),
    ROW(CASE_RECORD, record, true),
    ROW(CASE_SCALARS, scalars, false),
    ROW(CASE_NESTED, nested, false),
    ROW(CASE_VECTOR, vector, false),
    ROW(CASE_VECTOR, vector, true),
    {.library = NULL},
};
