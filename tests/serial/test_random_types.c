/*
 * Random values of random types (tests/serial/random/generate.c): what goes in comes out, packed or
 * as chunks, and again in the same bytes; what is cut or changed on the way is refused or read, and
 * nothing is left behind. `test_random_types <type> <seed> <count>` runs those values of one type,
 * or of `all`; WAYBILL_TYPE_SEEDS of CMake says which types there are.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mr_cache/allocator.h"
#include "tests/serial/parcel.h"
#include "tests/serial/random_type.h"
#include "tests/serial/run.h"

/* Values of each type; archives that are cut everywhere, and at so many places; bytes changed. */
enum { VALUES = 24, SHORT_ARCHIVE = 160, CUTS = 24, CHANGES = 40, MOST_CHANGED = 20000 };

#define TEST_DECLARE(seed)                                                                         \
    extern const struct test_type *const test_types_##seed[];                                      \
    extern const struct test_generations test_generations_##seed[];
#define S TEST_DECLARE
TEST_TYPE_SEEDS
#undef S
#define S(seed) test_types_##seed,
static const struct test_type *const *const type_tables[] = {TEST_TYPE_SEEDS};
#undef S
#define S(seed) test_generations_##seed,
static const struct test_generations *const generation_tables[] = {TEST_TYPE_SEEDS};
#undef S
enum { TABLES = sizeof type_tables / sizeof *type_tables };

static const struct wb_thresholds packed = {
    .pointer = SIZE_MAX, .rma = SIZE_MAX, .buffer = SIZE_MAX};

static const char *program = "test_random_types", *wanted = "all";
static int first_seed = 1, last_seed = 1 + VALUES;

static struct test_arena arena;       /* of one case, as all below */
static struct wb_arena memory;        /* of decoded arrays */
static struct wb_rma_allocator *pool; /* but this, of a test */
static struct test_source source;
static unsigned vectors, vectors_until; /* made by a reader, and which of them fails; 0: none */

/* ---- how a case that fails is run again ---- */

static char under_way[200]; /* "": none */

static void tell(void)
{
    if (under_way[0] != '\0') {
        (void)!write(STDERR_FILENO, under_way, strlen(under_way));
        under_way[0] = '\0';
    }
}

static void tell_of_signal(int number)
{
    tell();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* A sanitizer's, where there is one. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

static void tell_of_crashes(void)
{
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(tell);
    } else {
        (void)signal(SIGSEGV, tell_of_signal);
        (void)signal(SIGBUS, tell_of_signal);
        (void)signal(SIGFPE, tell_of_signal);
    }
    (void)signal(SIGABRT, tell_of_signal);
}

/* ---- a case ---- */

static void open_case(const char *name, int seed)
{
    (void)snprintf(under_way, sizeof under_way, "random types: to see it again: %s %s %d 1\n",
                   program, name, seed);
    arena = (struct test_arena){0};
    memory = (struct wb_arena){.limit = (size_t)1 << 30};
    source = (struct test_source){.arena = &arena, .pool = pool, .state = (uint64_t)seed};
    for (const char *c = name; *c != '\0'; c++) {
        source.state = (source.state ^ (uint8_t)*c) * 0x100000001b3;
    }
    vectors_until = 0;
}

static size_t draw(size_t bound)
{
    return (size_t)test_random_below(&source.state, bound);
}

/* Of what values own, nothing is there. */
static void expect_nothing_left(void)
{
    struct wb_rma_stats stats;
    wb_rma_allocator_stats(pool, &stats);
    ck_assert_uint_eq(stats.used_bytes, 0);
    ck_assert_uint_eq(stats.blocks, 0);
    ck_assert_uint_eq(source.counted, 0);
}

static void close_case(void)
{
    expect_nothing_left();
    wb_arena_free(&memory);
    test_arena_clear(&arena);
    under_way[0] = '\0';
}

static void *draw_value(const struct test_type *type)
{
    static const size_t budgets[] = {0, 12, 60, 300, 1200};
    void *value = test_arena_alloc(&arena, type->bytes);
    source.left = budgets[draw(5)];
    type->fill(&source, value);
    return value;
}

/* Chunking off, or from a few bytes, or from many. */
static size_t draw_threshold(void)
{
    size_t kind = draw(4);
    return kind == 0 ? SIZE_MAX : kind == 1 ? 256 + draw(8000) : draw(24);
}

static struct wb_thresholds draw_thresholds(void)
{
    return (struct wb_thresholds){.pointer = draw_threshold(),
                                  .rma = draw_threshold(),
                                  .buffer = draw_threshold(),
                                  .pointer_mask = draw(4) == 0 ? (size_t)7 >> draw(3) : 0};
}

static void encode(const struct test_type *type, const void *value, struct wb_thresholds thresholds,
                   struct test_parcel *parcel)
{
    struct wb_sizer sizer;
    struct wb_writer writer;
    wb_sizer_start(&sizer, thresholds);
    type->size(&sizer, value);
    test_parcel_open(&arena, parcel, &sizer, &writer);
    type->put(&writer, value);
    ck_assert_int_eq(wb_writer_finish(&writer), WB_OK);
    ck_assert_uint_eq((size_t)(writer.at - writer.begin), sizer.bytes);
    ck_assert_uint_eq(writer.chunk_count, sizer.records);
}

/* ---- what arrives ---- */

/* As ck_assert, which takes a call of write() where it holds: too much for millions. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            ck_abort_msg("Not so: %s", #condition);                                                \
        }                                                                                          \
    } while (0)

/* What has landed of a parcel, and its archive, in blocks as the engine's receivers have them. */
struct arrival {
    struct test_parcel parcel;
    struct wb_rma_block *backing; /* or NULL */
};

static struct wb_rma_block *block_of(const void *data, size_t bytes)
{
    struct wb_rma_block *block;
    EXPECT(wbi_rma_alloc(pool, bytes, true, &block) == WB_OK);
    if (bytes > 0) {
        memcpy(wbi_rma_block_data(block), data, bytes);
    }
    return block;
}

static void land(struct arrival *arrival, bool backed)
{
    struct test_parcel *parcel = &arrival->parcel;
    test_parcel_land(&arena, parcel);
    for (uint32_t i = 0; i < parcel->landing_count; i++) {
        struct wb_landing *landing = &parcel->landings[i];
        landing->block = block_of(landing->data, landing->len);
        landing->data = wbi_rma_block_data(landing->block);
    }
    arrival->backing = NULL;
    if (backed) {
        arrival->backing = block_of(parcel->archive, parcel->archive_bytes);
        parcel->archive = wbi_rma_block_data(arrival->backing);
    }
}

static void release(struct arrival *arrival)
{
    for (uint32_t i = 0; i < arrival->parcel.landing_count; i++) {
        wbi_rma_block_unref(arrival->parcel.landings[i].block);
    }
    if (arrival->backing != NULL) {
        wbi_rma_block_unref(arrival->backing);
    }
}

static int make_vector(void *context, struct wb_rma_block *block, const void *data, uint64_t bytes,
                       uint32_t elem_size, wb_rma_vector *out)
{
    (void)context;
    if (++vectors == vectors_until) {
        return WB_AGAIN;
    }
    size_t count = (size_t)(bytes / elem_size);
    if (block == NULL) {
        return wbi_rma_vector_copy(pool, data, elem_size, count, out);
    }
    const uint8_t *begin = wbi_rma_block_data(block);
    *out = wbi_rma_vector_slice(block, (size_t)((const uint8_t *)data - begin), elem_size, count);
    EXPECT(out->block != NULL);
    return WB_OK;
}

/* Reads the value into fresh memory, which it sets *found to. What fails leaves nothing but zeros.
 */
static int decode(const struct test_type *type, const struct arrival *arrival, void **found)
{
    void *zero = test_arena_alloc(&arena, type->bytes);
    struct wb_reader reader = test_parcel_reader(&arrival->parcel, NULL);
    reader.backing = arrival->backing;
    reader.make_vector = make_vector;
    reader.arena = &memory;
    *found = test_arena_alloc(&arena, type->bytes);
    memset(zero, 0, type->bytes);
    memset(*found, 0xa5, type->bytes);
    vectors = 0;
    int status = type->get(&reader, *found);
    EXPECT((reader.what == NULL) == (status == WB_OK));
    EXPECT(reader.depth == 0);
    EXPECT(status == WB_OK || type->same(zero, *found));
    return status;
}

/* The archive of the value with chunking off is those bytes. */
static void expect_bytes(const struct test_type *type, const void *value, const uint8_t *bytes,
                         size_t len)
{
    struct test_parcel parcel;
    encode(type, value, packed, &parcel);
    EXPECT(parcel.archive_bytes == len);
    EXPECT(memcmp(parcel.archive, bytes, len) == 0);
}

static void expect_value(const struct test_type *type, const void *value,
                         const struct arrival *arrival, const struct test_parcel *plain)
{
    void *found;
    ck_assert_int_eq(decode(type, arrival, &found), WB_OK);
    ck_assert(type->same(value, found));
    expect_bytes(type, found, plain->archive, plain->archive_bytes);
    type->drop(found);
}

/* ---- what arrives otherwise ---- */

/* The first `len` bytes of the archive, in memory of just this size. */
static struct arrival part_of(const struct arrival *arrival, size_t len)
{
    struct arrival part = *arrival;
    part.parcel.archive = test_arena_copy(&arena, arrival->parcel.archive, len);
    part.parcel.archive_bytes = len;
    part.backing = NULL;
    return part;
}

static void expect_refused(const struct test_type *type, const struct arrival *arrival)
{
    void *found;
    int status = decode(type, arrival, &found);
    EXPECT(status == WB_ERR_MALFORMED || (status == WB_OK && type->ends_early));
    if (status == WB_OK) {
        type->drop(found);
    }
}

static void cut(const struct test_type *type, const struct arrival *arrival)
{
    size_t len = arrival->parcel.archive_bytes, mark = arena.count;
    size_t cuts = len <= SHORT_ARCHIVE ? len : CUTS;
    for (size_t i = 0; i < cuts; i++) {
        size_t kept = cuts == len ? i : draw(2) == 0 ? draw(len) : len - 1 - draw(SHORT_ARCHIVE);
        struct arrival part = part_of(arrival, kept);
        expect_refused(type, &part);
        wb_arena_reset(&memory);
        test_arena_rewind(&arena, mark);
    }
    if (arrival->parcel.landing_count > 0) {
        struct arrival part = *arrival;
        part.parcel.landing_count--;
        expect_refused(type, &part);
    }
}

/* One that often begins a length, a small one, or one with a bit changed. */
static uint8_t other_byte(uint8_t byte)
{
    size_t kind = draw(4);
    size_t other = kind == 0 ? 252 + draw(4) : kind == 1 ? draw(8) : byte ^ (size_t)1 << draw(8);
    return (uint8_t)other;
}

/* What decodes without chunks has only that one form, but for what a later program may add. */
static void change(const struct test_type *type, const struct arrival *arrival)
{
    size_t len = arrival->parcel.archive_bytes, mark = arena.count;
    for (size_t i = 0; i < CHANGES && len <= MOST_CHANGED; i++) {
        struct arrival other = part_of(arrival, len);
        uint8_t *byte = &other.parcel.archive[draw(draw(2) == 0 && len > 64 ? 64 : len)];
        void *found;
        *byte = other_byte(*byte);
        int status = decode(type, &other, &found);
        EXPECT(status == WB_OK || status == WB_ERR_MALFORMED);
        if (status == WB_OK && arrival->parcel.landing_count == 0 && !type->passes_over) {
            expect_bytes(type, found, other.parcel.archive, len);
        }
        if (status == WB_OK) {
            type->drop(found);
        }
        wb_arena_reset(&memory);
        test_arena_rewind(&arena, mark);
    }
}

/* There is no memory for one of the vectors. */
static void starve(const struct test_type *type, const struct arrival *arrival)
{
    void *found;
    ck_assert_int_eq(decode(type, arrival, &found), WB_OK);
    type->drop(found);
    if (vectors > 0) {
        vectors_until = 1 + (unsigned)draw(vectors);
        ck_assert_int_eq(decode(type, arrival, &found), WB_AGAIN);
        vectors_until = 0;
    }
}

static void run_case(const struct test_type *type, int seed)
{
    struct test_parcel plain;
    open_case(type->name, seed);
    void *value = draw_value(type);
    encode(type, value, packed, &plain);
    ck_assert_uint_eq(plain.chunk_count, 0);
    for (int i = 0; i < 3; i++) {
        struct arrival arrival;
        size_t mark = arena.count;
        encode(type, value, i == 0 ? packed : draw_thresholds(), &arrival.parcel);
        land(&arrival, i > 0 && draw(2) == 0);
        expect_value(type, value, &arrival, &plain);
        cut(type, &arrival);
        change(type, &arrival);
        starve(type, &arrival);
        release(&arrival);
        wb_arena_reset(&memory);
        test_arena_rewind(&arena, mark);
    }
    type->drop(value);
    close_case();
}

static void run_generations(const struct test_generations *pair, int seed)
{
    struct arrival arrival;
    void *found;
    open_case(pair->newer->name, seed);
    void *older = draw_value(pair->older), *newer = draw_value(pair->newer);
    encode(pair->newer, newer, draw_thresholds(), &arrival.parcel);
    land(&arrival, draw(2) == 0);
    ck_assert_int_eq(decode(pair->older, &arrival, &found), WB_OK);
    ck_assert(pair->common(found, newer));
    pair->older->drop(found);
    release(&arrival);
    encode(pair->older, older, draw_thresholds(), &arrival.parcel);
    land(&arrival, draw(2) == 0);
    ck_assert_int_eq(decode(pair->newer, &arrival, &found), WB_OK);
    ck_assert(pair->common(older, found) && pair->defaults(found));
    pair->newer->drop(found);
    release(&arrival);
    pair->older->drop(older);
    pair->newer->drop(newer);
    close_case();
}

static void open_pool(void)
{
    struct wbi_rma_config config = {.budget_bytes = (uint64_t)1 << 30,
                                    .slab_bytes = 2 << 20,
                                    .cache_bytes = WBI_RMA_NO_CACHES,
                                    .numa_node = -1};
    ck_assert_int_eq(wbi_rma_allocator_create(&config, &pool), WB_OK);
}

static void close_pool(void)
{
    wbi_rma_allocator_destroy(pool);
    tell();
}

static bool is_wanted(const struct test_type *type)
{
    return strcmp(wanted, "all") == 0 || strcmp(wanted, type->name) == 0;
}

START_TEST(test_types)
{
    for (const struct test_type *const *type = type_tables[_i]; *type != NULL; type++) {
        for (int seed = first_seed; is_wanted(*type) && seed < last_seed; seed++) {
            run_case(*type, seed);
        }
    }
}
END_TEST

START_TEST(test_generations)
{
    const struct test_generations *pair = generation_tables[_i];
    for (; pair->newer != NULL; pair++) {
        for (int seed = first_seed; is_wanted(pair->newer) && seed < last_seed; seed++) {
            run_generations(pair, seed);
        }
    }
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("random types");
    TCase *tcase = tcase_create("by seed");
    program = argv[0];
    if (argc > 3) {
        wanted = argv[1];
        first_seed = (int)strtol(argv[2], NULL, 10);
        last_seed = first_seed + (int)strtol(argv[3], NULL, 10);
    }
    tell_of_crashes();
    tcase_set_timeout(tcase, 100);
    tcase_add_checked_fixture(tcase, open_pool, close_pool);
    tcase_add_loop_test(tcase, test_types, 0, TABLES);
    tcase_add_loop_test(tcase, test_generations, 0, TABLES);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
