/* Types made of types: on board, in long archives, as chunks, gathered, and kept by handlers. */
#include <string.h>

#include "tests/conformance/world.h"

enum { NUMBERS = 4000, WORDS = 40, SAMPLES = 30, VECTORS = 20, WORD_BYTES = 6000 };

static wb_f64 numbers[NUMBERS];
static wb_u16 tags[SAMPLES];
static _Alignas(8) char letters[WORDS * WORD_BYTES];
static wb_str words[WORDS];
static test_sample samples[SAMPLES];

/* So many of each; words of `word_bytes` bytes. Vectors are the caller's. */
static struct echo_types_in survey(size_t of_each, size_t word_bytes)
{
    for (size_t i = 0; i < NUMBERS; i++) {
        numbers[i] = (double)i / 3;
    }
    test_pattern_fill(letters, sizeof letters, 3);
    for (size_t i = 0; i < WORDS; i++) {
        words[i] = (wb_str){.data = letters + i, .len = word_bytes > i ? word_bytes - i : 0};
    }
    for (size_t i = 0; i < SAMPLES; i++) {
        tags[i] = (wb_u16)i;
        samples[i] =
            (test_sample){.name = {letters, i}, .values = {numbers + i, i % 5}, .tags = {tags, i}};
    }
    return (struct echo_types_in){
        .odd = 7,
        .numbers = {numbers, of_each < NUMBERS ? of_each : NUMBERS},
        .words = {words, of_each < WORDS ? of_each : WORDS},
        .samples = {samples, of_each < SAMPLES ? of_each : SAMPLES},
    };
}

static void expect_doubles(test_doubles expected, test_doubles found)
{
    ck_assert_uint_eq(found.len, expected.len);
    ck_assert_uint_eq((uintptr_t)found.data % _Alignof(wb_f64), 0);
    for (size_t i = 0; i < found.len; i++) {
        ck_assert(found.data[i] == expected.data[i]);
    }
}

static void expect_word(wb_str expected, wb_str found)
{
    ck_assert_uint_eq(found.len, expected.len);
    ck_assert(found.len == 0 || memcmp(found.data, expected.data, found.len) == 0);
}

static void expect_samples(test_samples expected, test_samples found)
{
    ck_assert_uint_eq(found.len, expected.len);
    for (size_t i = 0; i < found.len; i++) {
        const test_sample *e = &expected.data[i], *f = &found.data[i];
        expect_word(e->name, f->name);
        expect_doubles(e->values, f->values);
        ck_assert_uint_eq(f->tags.len, e->tags.len);
        for (size_t k = 0; k < f->tags.len; k++) {
            ck_assert_uint_eq(f->tags.data[k], k);
        }
    }
}

static void expect_vectors(size_t count, size_t bytes, test_vectors found)
{
    ck_assert_uint_eq(found.len, count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(wb_rma_vector_bytes(&found.data[i]), bytes);
        ck_assert_uint_eq(test_pattern_check(found.data[i].data, bytes, i), bytes);
    }
}

#define EXPECT_SURVEY(in, out, vector_bytes)                                                       \
    do {                                                                                           \
        ck_assert_uint_eq((out).odd, (in).odd);                                                    \
        expect_doubles((in).numbers, (out).numbers);                                               \
        ck_assert_uint_eq((out).words.len, (in).words.len);                                        \
        for (size_t i_ = 0; i_ < (in).words.len; i_++) {                                           \
            expect_word((in).words.data[i_], (out).words.data[i_]);                                \
        }                                                                                          \
        expect_samples((in).samples, (out).samples);                                               \
        expect_vectors((in).vectors.len, vector_bytes, (out).vectors);                             \
    } while (0)

/* Calls, checks the answer, and returns how many READs the server had made when it came. */
static uint64_t echo(const struct echo_types_in *in, size_t vector_bytes,
                     const struct wb_call_options *options)
{
    struct echo_types_out out;
    test_assert_status(echo_types_call(test_world.peer, in, &out, options), WB_OK);
    EXPECT_SURVEY(*in, out, vector_bytes);
    uint64_t reads = out.reads;
    echo_types_out_drop(&out);
    return reads;
}

static const struct wb_call_options roomy = {.reply_bytes = 1 << 20};

/* Whether all of the arguments, as one archive, are one READ: a tiny device takes more, and what
 * READs are made for is then not to be seen from their number. */
static bool reads_whole(const struct echo_types_in *in, size_t vector_bytes)
{
    struct wb_call_options copied = roomy;
    copied.flags = WB_CALL_COPY;
    uint64_t before = echo(in, vector_bytes, &copied);
    return echo(in, vector_bytes, &copied) - before == 1;
}

START_TEST(test_types_on_board_and_beyond)
{
    test_world_open(1);
    for (size_t n = 0; n <= 30; n += 5) {
        struct echo_types_in in = survey(n, n); /* a few bytes, up to a message's */
        echo(&in, 0, NULL);
    }
    struct echo_types_in in = survey(NUMBERS, 100), few = survey(400, 300);
    echo(&few, 0, &roomy);
    echo(&in, 0, &roomy);
    struct wb_call_options copied = roomy;
    copied.flags = WB_CALL_COPY;
    echo(&in, 0, &copied);
    test_world_close();
}
END_TEST

/* By the engine's thresholds, those of the call, and none. */
START_TEST(test_thresholds_of_a_call)
{
    test_world_open(1);
    struct echo_types_in in = survey(10, 1000);
    words[0].len = 3000; /* multiples of 4: an Aries has no other chunks */
    words[4].len = 2996;
    uint64_t before = echo(&in, 0, &roomy);
    struct wb_call_options options = roomy;
    options.pointer_threshold = 2996;
    uint64_t chunks = echo(&in, 0, &options) - before;
    options.pointer_threshold = SIZE_MAX;
    uint64_t none = echo(&in, 0, &options) - before - chunks;
    if (reads_whole(&in, 0)) {
        ck_assert_uint_eq(none, 1);       /* of the long archive alone */
        ck_assert_uint_eq(chunks, 2 + 1); /* and of two words */
    }
    test_world_close();
}
END_TEST

/* More small chunks than are worth a READ each: the large ones stay chunks. */
START_TEST(test_small_ranges_are_gathered)
{
    wb_rma_vector vectors[VECTORS];
    test_world_open(1);
    struct echo_types_in in = survey(WORDS, WORD_BYTES);
    words[5] = (wb_str){letters, 40000}; /* of all, the only one to be offered */
    for (size_t i = 0; i < VECTORS; i++) {
        vectors[i] = test_world_vector(1, 2000, i);
    }
    in.vectors = (test_vectors){vectors, VECTORS};
    bool whole = reads_whole(&in, 2000);
    uint64_t before = echo(&in, 2000, &roomy), reads = echo(&in, 2000, &roomy) - before;
    ck_assert(reads == 2 || !whole); /* it, and the long archive */
    in.words.len = 0;
    in.vectors.len = 16; /* too few to be gathered: each is read */
    before = echo(&in, 2000, &roomy);
    reads = echo(&in, 2000, &roomy) - before;
    ck_assert_uint_ge(reads, 1); /* neighbours in one block may go as one READ */
    ck_assert_uint_le(reads, 17);
    for (size_t i = 0; i < VECTORS; i++) {
        wb_rma_vector_drop(&vectors[i]);
    }
    test_world_close();
}
END_TEST

static void open_with_vectors(wb_rma_vector vectors[8])
{
    test_world_open(1);
    for (size_t i = 0; i < 8; i++) {
        vectors[i] = test_world_vector(1, 5000, i);
    }
}

static void close_with_vectors(wb_rma_vector vectors[8])
{
    test_world_assert_works(test_world.peer);
    for (size_t i = 0; i < 8; i++) {
        wb_rma_vector_drop(&vectors[i]);
    }
    test_world_close();
}

/* What a server's limits refuse is that call's end, and nobody else's. */
START_TEST(test_limits_of_requests)
{
    wb_rma_vector vectors[8];
    struct echo_types_out out;
    test_world.server_config.max_chunks = 10; /* index chunks between them count */
    test_world.server_config.arena_bytes = 1000;
    open_with_vectors(vectors);
    struct echo_types_in in = survey(0, 0);
    for (size_t count = 0; count <= 8; count += 4) {
        in.vectors = (test_vectors){vectors, count};
        int status = echo_types_call(test_world.peer, &in, &out, &roomy);
        test_assert_status(status, count > 4 ? WB_ERR_BUDGET : WB_OK);
        echo_types_out_drop(&out);
    }
    in = survey(WORDS, 10); /* the samples alone take more than the arena may */
    test_assert_status(echo_types_call(test_world.peer, &in, &out, &roomy), WB_ERR_NO_MEMORY);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "arena"));
    echo_types_out_drop(&out);
    close_with_vectors(vectors);
}
END_TEST

START_TEST(test_limits_of_results)
{
    wb_rma_vector vectors[8];
    struct echo_types_out out;
    test_world.client_config.max_chunks = 10; /* index chunks between them count */
    open_with_vectors(vectors);
    struct echo_types_in in = survey(0, 0);
    in.vectors = (test_vectors){vectors, 8};
    test_assert_status(echo_types_call(test_world.peer, &in, &out, &roomy), WB_ERR_REPLY_TOO_LARGE);
    echo_types_out_drop(&out);
    close_with_vectors(vectors);
}
END_TEST

/* A handler keeps all of its arguments beyond its call, and answers from them. */
START_TEST(test_what_a_handler_keeps)
{
    wb_rma_vector vectors[4];
    test_world_open(1);
    struct echo_types_in in = survey(25, 90);
    struct echo_later_out out;
    for (size_t i = 0; i < 4; i++) {
        vectors[i] = test_world_vector(1, 3000, i);
    }
    struct echo_later_in later = {.odd = in.odd,
                                  .numbers = in.numbers,
                                  .words = in.words,
                                  .samples = in.samples,
                                  .vectors = {vectors, 4}};
    struct echo_later_in nothing = {.odd = 0};
    for (unsigned round = 0; round < 3; round++) {
        test_assert_status(echo_later_call(test_world.peer, &later, &out, &roomy), WB_OK);
        ck_assert_uint_eq(out.words.len, 0); /* of the call before, nothing was kept */
        echo_later_out_drop(&out);
        test_world_assert_works(test_world.peer); /* its slot and landings have been used again */
        test_assert_status(echo_later_call(test_world.peer, &nothing, &out, &roomy), WB_OK);
        EXPECT_SURVEY(later, out, 3000);
        echo_later_out_drop(&out);
    }
    test_assert_status(echo_later_call(test_world.peer, &nothing, &out, &roomy), WB_OK);
    ck_assert_uint_eq(out.words.len + out.vectors.len, 0);
    echo_later_out_drop(&out);
    for (size_t i = 0; i < 4; i++) {
        wb_rma_vector_drop(&vectors[i]);
    }
    test_world_close();
}
END_TEST

TCase *test_types_case(void)
{
    const TTest *const tests[] = {test_types_on_board_and_beyond, test_thresholds_of_a_call,
                                  test_small_ranges_are_gathered, test_what_a_handler_keeps,
                                  test_limits_of_requests,        test_limits_of_results};
    return test_world_case("types", tests, sizeof tests / sizeof tests[0]);
}
