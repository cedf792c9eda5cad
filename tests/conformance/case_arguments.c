/* Every type of argument and result, with the values at its edges, by every path. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/world.h"

START_TEST(test_no_arguments_and_no_results)
{
    test_world_open(1);
    struct nothing_in in = {0};
    struct nothing_out out;
    for (unsigned i = 0; i < 100; i++) {
        test_assert_status(nothing_call(test_world.peer, &in, &out, NULL), WB_OK);
        nothing_out_drop(&out);
    }
    test_world_close();
}
END_TEST

static float f32_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double f64_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void assert_scalars_come_back(const struct scalars_in *in)
{
    struct scalars_out out;
    test_assert_status(scalars_call(test_world.peer, in, &out, NULL), WB_OK);
    ck_assert_int_eq(out.a, in->a);
    ck_assert_int_eq(out.b, in->b);
    ck_assert_int_eq(out.c, in->c);
    ck_assert_int_eq(out.d, in->d);
    ck_assert_uint_eq(out.e, in->e);
    ck_assert_uint_eq(out.f, in->f);
    ck_assert_uint_eq(out.g, in->g);
    ck_assert_uint_eq(out.h, in->h);
    /* the bits: NaNs compare unequal, and zeros equal */
    ck_assert_mem_eq(&out.i, &in->i, sizeof out.i);
    ck_assert_mem_eq(&out.j, &in->j, sizeof out.j);
    scalars_out_drop(&out);
}

START_TEST(test_scalars_keep_every_bit)
{
    static const uint32_t floats[] = {0,          0x80000000, 1,          0x007fffff, 0x00800000,
                                      0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001,
                                      0x7f800001, 0x7fbfffff, 0xffffffff, 0x3f800000};
    static const uint64_t doubles[] = {0,
                                       0x8000000000000000,
                                       1,
                                       0x000fffffffffffff,
                                       0x0010000000000000,
                                       0x7fefffffffffffff,
                                       0x7ff0000000000000,
                                       0xfff0000000000000,
                                       0x7ff8000000000000,
                                       0xfff8000000000001,
                                       0x7ff0000000000001,
                                       0x7ff7ffffffffffff,
                                       0xffffffffffffffff,
                                       0x3ff0000000000000};
    test_world_open(1);
    for (unsigned i = 0; i < sizeof floats / sizeof floats[0]; i++) {
        struct scalars_in low = {.a = INT8_MIN,
                                 .b = INT16_MIN,
                                 .c = INT32_MIN,
                                 .d = INT64_MIN,
                                 .i = f32_of(floats[i]),
                                 .j = f64_of(doubles[i])};
        struct scalars_in high = {.a = INT8_MAX,
                                  .b = INT16_MAX,
                                  .c = INT32_MAX,
                                  .d = INT64_MAX,
                                  .e = UINT8_MAX,
                                  .f = UINT16_MAX,
                                  .g = UINT32_MAX,
                                  .h = UINT64_MAX,
                                  .i = f32_of(floats[i]),
                                  .j = f64_of(doubles[i])};
        assert_scalars_come_back(&low);
        assert_scalars_come_back(&high);
    }
    struct scalars_in minus = {.a = -1, .b = -1, .c = -1, .d = -1, .e = 1, .f = 1, .g = 1, .h = 1};
    assert_scalars_come_back(&minus);
    test_world_close();
}
END_TEST

/* ---- strings and byte ranges ---- */

/* Lengths at which the length's own form, the kind of chunk, or the message changes. */
static const size_t lengths[] = {0,    1,    2,    7,    8,     9,     250,   251,
                                 252,  253,  254,  255,  256,   257,   1023,  1024,
                                 1025, 4094, 4095, 4096, 4097,  8000,  8100,  8150,
                                 8191, 8192, 8193, 9000, 65534, 65535, 65536, 65537};
enum { LENGTHS = sizeof lengths / sizeof lengths[0], LONGEST = 65537 };

static void assert_texts_come_back(size_t text_len, size_t raw_len, uint32_t flags)
{
    static char text[LONGEST], raw[LONGEST];
    struct wb_call_options options = {.reply_bytes = 4 * (uint64_t)LONGEST, .flags = flags};
    struct texts_in in = {.text = {.data = text_len > 0 ? text : NULL, .len = text_len},
                          .between = 0xa5,
                          .raw = {.data = raw_len > 0 ? raw : NULL, .len = raw_len}};
    struct texts_out out;
    test_pattern_fill(text, text_len, text_len);
    test_pattern_fill(raw, raw_len, raw_len + 1);
    test_assert_status(texts_call(test_world.peer, &in, &out, &options), WB_OK);
    ck_assert_uint_eq(out.text.len, text_len);
    ck_assert_uint_eq(out.raw.len, raw_len);
    ck_assert_uint_eq(out.between, 0xa5);
    ck_assert_uint_eq(test_pattern_check(out.text.data, text_len, text_len), text_len);
    ck_assert_uint_eq(test_pattern_check(out.raw.data, raw_len, raw_len + 1), raw_len);
    texts_out_drop(&out);
    ck_assert_ptr_null(out.text.data);
}

START_TEST(test_strings_and_bytes_of_any_length)
{
    test_world_open(1);
    for (unsigned i = 0; i < LENGTHS; i++) {
        for (uint32_t flags = 0; flags <= WB_CALL_COPY; flags++) {
            assert_texts_come_back(lengths[i], 0, flags);
            assert_texts_come_back(0, lengths[i], flags);
            assert_texts_come_back(lengths[i], lengths[LENGTHS - 1 - i], flags);
        }
    }
    test_world_close();
}
END_TEST

START_TEST(test_zeros_are_bytes_like_others)
{
    static const char text[] = "a\0b\0\0c";
    static char zeros[5000];
    test_world_open(1);
    struct wb_call_options options = {.reply_bytes = 20000};
    struct texts_in in = {.text = {.data = text, .len = sizeof text},
                          .raw = {.data = zeros, .len = sizeof zeros}};
    struct texts_out out;
    test_assert_status(texts_call(test_world.peer, &in, &out, &options), WB_OK);
    ck_assert_uint_eq(out.text.len, sizeof text);
    ck_assert_mem_eq(out.text.data, text, sizeof text);
    ck_assert_uint_eq(out.raw.len, sizeof zeros);
    ck_assert_mem_eq(out.raw.data, zeros, sizeof zeros);
    texts_out_drop(&out);
    test_world_close();
}
END_TEST

START_TEST(test_views_live_until_they_are_dropped)
{
    enum { HELD = 32 };
    struct texts_out out[HELD];
    char text[600];
    test_world_open(1);
    for (unsigned i = 0; i < HELD; i++) {
        struct texts_in in = {.text = {.data = text, .len = sizeof text}};
        test_pattern_fill(text, sizeof text, i);
        test_assert_status(texts_call(test_world.peer, &in, &out[i], NULL), WB_OK);
    }
    for (unsigned i = 0; i < HELD; i++) {
        ck_assert_uint_eq(out[i].text.len, sizeof text);
        ck_assert_uint_eq(test_pattern_check(out[i].text.data, sizeof text, i), sizeof text);
        texts_out_drop(&out[i]);
    }
    test_world_close();
}
END_TEST

/* ---- vectors ---- */

static void assert_vector_comes_back(const wb_rma_vector *data, uint64_t seed, uint32_t flags)
{
    size_t bytes = wb_rma_vector_bytes(data);
    struct wb_call_options options = {.reply_bytes = bytes + 4096, .flags = flags};
    struct vector_in in = {.before = 1, .data = *data, .after = 0xdeadbeef};
    struct vector_out out;
    test_assert_status(vector_call(test_world.peer, &in, &out, &options), WB_OK);
    ck_assert_uint_eq(out.before, 1);
    ck_assert_uint_eq(out.after, 0xdeadbeef);
    ck_assert_uint_eq(out.data.elem_size, data->elem_size);
    ck_assert_uint_eq(out.data.count, data->count);
    ck_assert_uint_eq(test_pattern_check(out.data.data, bytes, seed), bytes);
    vector_out_drop(&out);
    ck_assert_uint_eq(test_pattern_check(data->data, bytes, seed), bytes);
}

START_TEST(test_vectors_of_any_element)
{
    static const uint32_t elem_sizes[] = {1, 2, 3, 4, 8, 24, 64, 251, 252, 1000};
    static const size_t counts[] = {0, 1, 2, 3, 42, 43, 128, 341, 342, 1023, 1024, 1025, 8192};
    test_world_open(1);
    for (unsigned i = 0; i < sizeof elem_sizes / sizeof elem_sizes[0]; i++) {
        for (unsigned j = 0; j < sizeof counts / sizeof counts[0]; j++) {
            wb_rma_vector data = test_world_vector(elem_sizes[i], counts[j], i + j);
            assert_vector_comes_back(&data, i + j, 0);
            assert_vector_comes_back(&data, i + j, WB_CALL_COPY);
            wb_rma_vector_drop(&data);
        }
    }
    test_world_close();
}
END_TEST

START_TEST(test_the_empty_handle_stays_one)
{
    test_world_open(1);
    struct vector_in in = {.before = 3, .after = 4};
    for (uint32_t flags = 0; flags <= WB_CALL_COPY; flags++) {
        struct wb_call_options options = {.reply_bytes = 4096, .flags = flags};
        struct vector_out out;
        test_assert_status(vector_call(test_world.peer, &in, &out, &options), WB_OK);
        ck_assert_uint_eq(out.after, 4);
        ck_assert_ptr_null(out.data.block);
        ck_assert_uint_eq(out.data.elem_size, 0);
        ck_assert_uint_eq(out.data.count, 0);
        vector_out_drop(&out);
    }
    test_world_close();
}
END_TEST

START_TEST(test_a_received_vector_is_the_receivers)
{
    uint32_t last = 0x01020304;
    test_world_open(1);
    struct wb_call_options options = {.reply_bytes = 1 << 20};
    struct vector_in in = {.data = test_world_vector(4, 50000, 9)};
    struct vector_out out;
    test_assert_status(vector_call(test_world.peer, &in, &out, &options), WB_OK);
    ck_assert_ptr_ne(out.data.data, in.data.data);
    /* it can be changed, grown, sent again and kept longer than the result that it came in */
    wb_rma_vector mine = wb_rma_vector_take(&out.data);
    vector_out_drop(&out);
    memset(in.data.data, 0, wb_rma_vector_bytes(&in.data));
    ck_assert_uint_eq(test_pattern_check(mine.data, 200000, 9), 200000);
    test_assert_status(wb_rma_vector_push(&mine, &last), WB_OK);
    ck_assert_uint_eq(mine.count, 50001);
    ck_assert_uint_eq(test_pattern_check(mine.data, 200000, 9), 200000);
    wb_rma_vector_drop(&in.data);
    in.data = mine;
    test_assert_status(vector_call(test_world.peer, &in, &out, &options), WB_OK);
    ck_assert_uint_eq(out.data.count, 50001);
    ck_assert_mem_eq((const char *)out.data.data + 200000, &last, sizeof last);
    vector_out_drop(&out);
    vector_in_drop(&in);
    test_world_close();
}
END_TEST

START_TEST(test_a_vector_that_is_read_keeps_its_size)
{
    struct wb_call *call;
    struct vector_out out;
    struct wb_call_options options = {.reply_bytes = 100000};
    char last = 1;
    test_world_open(1);
    struct vector_in in = {.data = test_world_vector(1, 100000, 2)};
    ck_assert(wb_rma_vector_is_exclusive(&in.data));
    test_assert_status(vector_async(test_world.peer, &in, &options, &call), WB_OK);
    /* nothing has moved on since: the server cannot have released it */
    ck_assert(!wb_rma_vector_is_exclusive(&in.data));
    test_assert_status(wb_rma_vector_push(&in.data, &last), WB_ERR_SHARED);
    test_assert_status(wb_rma_vector_resize(&in.data, 5), WB_ERR_SHARED);
    ck_assert_uint_eq(in.data.count, 100000);
    test_assert_status(vector_finish(call, &out), WB_OK);
    vector_out_drop(&out);
    ck_assert(wb_rma_vector_is_exclusive(&in.data));
    test_assert_status(wb_rma_vector_push(&in.data, &last), WB_OK);
    vector_in_drop(&in);
    test_world_close();
}
END_TEST

START_TEST(test_a_vector_can_be_in_many_calls)
{
    enum { CALLS = 20 };
    struct wb_call *calls[CALLS];
    test_world_open(1);
    struct vector_in in = {.data = test_world_vector(1, 100000, 2)};
    struct wb_call_options options = {.reply_bytes = 100000};
    for (unsigned i = 0; i < CALLS; i++) {
        in.after = i;
        test_assert_status(vector_async(test_world.peer, &in, &options, &calls[i]), WB_OK);
    }
    vector_in_drop(&in); /* the calls have references of their own */
    for (unsigned i = 0; i < CALLS; i++) {
        struct vector_out out;
        test_assert_status(vector_finish(calls[i], &out), WB_OK);
        ck_assert_uint_eq(out.after, i);
        ck_assert_uint_eq(test_pattern_check(out.data.data, 100000, 2), 100000);
        vector_out_drop(&out);
    }
    test_world_close();
}
END_TEST

TCase *test_arguments_case(void)
{
    const TTest *const tests[] = {
        test_no_arguments_and_no_results,          test_scalars_keep_every_bit,
        test_strings_and_bytes_of_any_length,      test_zeros_are_bytes_like_others,
        test_views_live_until_they_are_dropped,    test_vectors_of_any_element,
        test_the_empty_handle_stays_one,           test_a_received_vector_is_the_receivers,
        test_a_vector_that_is_read_keeps_its_size, test_a_vector_can_be_in_many_calls};
    return test_world_case("arguments", tests, sizeof tests / sizeof tests[0]);
}
