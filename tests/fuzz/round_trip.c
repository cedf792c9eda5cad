#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/archive.h"

/* What a value encodes to, in memory of just that size. */
struct encoding {
    uint8_t *archive;
    size_t len;
    struct wb_chunk *chunks;
    uint32_t chunk_count;
};

static void *take(size_t bytes)
{
    void *memory = malloc(bytes > 0 ? bytes : 1);
    fuzz_check(memory != NULL, "no memory");
    return memory;
}

static struct encoding encode(const struct fuzz_kind *kind, const void *value, size_t threshold)
{
    struct wb_thresholds thresholds = {.pointer = threshold, .rma = threshold, .buffer = threshold};
    struct wb_sizer sizer;
    struct wb_writer writer;
    wb_sizer_start(&sizer, thresholds);
    kind->size(&sizer, value);
    struct encoding made = {.archive = take(sizer.bytes),
                            .len = sizer.bytes,
                            .chunks = take(sizer.records * sizeof *made.chunks),
                            .chunk_count = sizer.records};
    wb_writer_start(&writer, thresholds, made.archive, made.len, made.chunks, made.chunk_count);
    kind->put(&writer, value);
    int status = wb_writer_finish(&writer);
    fuzz_check(status == WB_OK, "%s: what was decoded does not encode: %d", kind->name, status);
    return made;
}

static void drop_encoding(struct encoding *encoding)
{
    free(encoding->archive);
    free(encoding->chunks);
}

static void expect_same(const struct fuzz_kind *kind, const struct encoding *encoding,
                        const uint8_t *archive, size_t len, const char *what)
{
    fuzz_check(encoding->len == len && memcmp(encoding->archive, archive, len) == 0,
               "%s: %s encodes to %zu other bytes than the %zu before", kind->name, what,
               encoding->len, len);
}

/* Each offered chunk lands; the archive goes on behind its mark. */
static uint32_t land_all(const struct encoding *encoding, struct wb_landing *landings)
{
    uint32_t count = 0;
    uint64_t position = 0;
    for (uint32_t i = 0; i < encoding->chunk_count; i++) {
        const struct wb_chunk *chunk = &encoding->chunks[i];
        if (chunk->kind == WB_CHUNK_INDEX) {
            position = chunk->offset + chunk->len;
        } else {
            landings[count++] = fuzz_land(chunk->kind, chunk->data, chunk->len, position);
        }
    }
    return count;
}

static void there_and_back(const struct fuzz_kind *kind, const void *value, size_t threshold,
                           const struct encoding *packed)
{
    _Alignas(16) uint8_t again[FUZZ_VALUE_MAX];
    struct encoding sent = encode(kind, value, threshold);
    struct wb_landing *landings = take(sent.chunk_count / 2 * sizeof *landings);
    struct fuzz_maker maker = {0};
    struct wb_arena arena = {0};
    struct wb_reader reader;
    wb_reader_start(&reader, sent.archive, sent.len);
    reader.landings = landings;
    reader.landing_count = land_all(&sent, landings);
    reader.make_vector = fuzz_make_vector;
    reader.context = &maker;
    int status = fuzz_decode(kind, &reader, &arena, again);
    fuzz_check(status == WB_OK, "%s: what was encoded does not decode: %s", kind->name,
               reader.what);
    struct encoding received = encode(kind, again, SIZE_MAX);
    expect_same(kind, &received, packed->archive, packed->len, "what went there and back");
    drop_encoding(&received);
    kind->drop(again);
    wb_arena_free(&arena);
    for (uint32_t i = 0; i < reader.landing_count; i++) {
        fuzz_unland(&landings[i]);
    }
    free(landings);
    drop_encoding(&sent);
}

void fuzz_round_trip(const struct fuzz_kind *kind, const void *value, const uint8_t *archive,
                     size_t len)
{
    struct encoding packed = encode(kind, value, SIZE_MAX);
    if (archive != NULL) {
        expect_same(kind, &packed, archive, len, "what was decoded");
    }
    there_and_back(kind, value, SIZE_MAX, &packed);
    there_and_back(kind, value, 0, &packed);
    drop_encoding(&packed);
}
