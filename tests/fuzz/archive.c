#include "tests/fuzz/archive.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_LIMIT = 1 << 20 };

int fuzz_decode(const struct fuzz_kind *kind, struct wb_reader *reader, struct wb_arena *arena,
                void *value)
{
    reader->arena = arena;
    memset(value, 0xa5, kind->bytes); /* nothing may be taken for set */
    return kind->get(reader, value);
}

static void expect_failed(const struct fuzz_kind *kind, const struct wb_reader *reader, int status,
                          const uint8_t *value)
{
    fuzz_check(status == WB_ERR_MALFORMED || status == WB_ERR_NO_MEMORY || status == WB_AGAIN,
               "%s: ends with %d", kind->name, status);
    fuzz_check(reader->what != NULL, "%s: no words for %d", kind->name, status);
    for (size_t i = 0; i < kind->bytes; i++) {
        fuzz_check(value[i] == 0, "%s: byte %zu of what failed is not zero", kind->name, i);
    }
}

/* The archive in memory of just its size: a block of its own, or not. */
static int decode(const struct fuzz_input *input, struct wb_landing *landings, uint32_t count)
{
    _Alignas(16) static uint8_t value[FUZZ_VALUE_MAX];
    const struct fuzz_kind *kind = fuzz_kind_at(input->kind);
    struct wb_landing backing = {0};
    bool backed = (input->flags & FUZZ_BACKED) != 0;
    void *plain = malloc(input->len > 0 ? input->len : 1);
    fuzz_check(plain != NULL, "no memory");
    memcpy(plain, input->archive, input->len);
    if (backed) {
        backing = fuzz_land(WB_CHUNK_RMA, plain, input->len, 0);
    }
    struct fuzz_maker maker = {.fails_at = input->fails_at,
                               .status =
                                   (input->flags & FUZZ_LATER) != 0 ? WB_AGAIN : WB_ERR_NO_MEMORY};
    struct wb_arena arena = {.limit = ARENA_LIMIT};
    struct wb_reader reader;
    wb_reader_start(&reader, backed ? backing.data : plain, input->len);
    reader.landings = landings;
    reader.landing_count = count;
    reader.backing = backing.block;
    reader.make_vector = fuzz_make_vector;
    reader.context = &maker;
    int status = fuzz_decode(kind, &reader, &arena, value);
    if (status == WB_OK) {
        bool same = kind->exact && count == 0;
        fuzz_round_trip(kind, value, same ? input->archive : NULL, input->len);
    } else {
        expect_failed(kind, &reader, status, value);
    }
    kind->drop(value);
    wb_arena_free(&arena);
    if (backed) {
        fuzz_unland(&backing);
    }
    free(plain);
    return status;
}

int fuzz_archive_try(const uint8_t *data, size_t size)
{
    static struct fuzz_input input;
    struct wb_landing *landings;
    fuzz_input_read(&input, data, size);
    /* no more than there are, or a look behind the last is none that ASan sees */
    landings = malloc(input.landing_count > 0 ? input.landing_count * sizeof *landings : 1);
    fuzz_check(landings != NULL, "no memory");
    for (unsigned i = 0; i < input.landing_count; i++) {
        const struct fuzz_landing *from = &input.landings[i];
        landings[i] = fuzz_land(from->kind % 2 == 0 ? WB_CHUNK_POINTER : WB_CHUNK_RMA, NULL,
                                from->len > 0 ? from->len : 65536, from->position);
    }
    int status = decode(&input, landings, input.landing_count);
    for (unsigned i = 0; i < input.landing_count; i++) {
        fuzz_unland(&landings[i]);
    }
    free(landings);
    fuzz_store_check_empty();
    return status;
}
