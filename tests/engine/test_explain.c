/* The planner's decision in words: exact text for limits given by hand, and for a peer what then
 * happens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <waybill/explain.h>

#include "engine/filter.h"
#include "engine/wire.h"
#include "serial/chunk_list.h"
#include "tests/engine/scene.h"

WB_EXPLAIN(echo_in)

/* clang-format off */
WB_ARRAY_OF(wb_str, names)
#define LIST(F) F(TYPE, names, names)
WB_STRUCT(list, LIST)
WB_EXPLAIN(list)
/* clang-format on */

static struct test_scene scene;

/* Explains; the text is the caller's to free. */
static char *explain(const struct wb_limits *limits, const struct echo_in *in, int expected)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(echo_in_explain(out, limits, in), expected);
    fclose(out);
    return text;
}

/* Up to the archive, which is print.h's. */
static void expect_decision(const struct wb_limits *limits, const struct echo_in *in,
                            const char *expected)
{
    char *text = explain(limits, in, WB_OK);
    char *archive = strstr(text, "archive:\n");
    ck_assert_ptr_nonnull(archive);
    *archive = '\0';
    ck_assert_str_eq(text, expected);
    free(text);
}

static const char bytes[10000] = "explained";

START_TEST(test_all_on_board)
{
    struct wb_limits limits;
    const struct echo_in in = {.number = 7, .raw = {bytes, 100}};
    wb_limits_of_config(&limits, NULL, NULL);
    expect_decision(&limits, &in,
                    "request, thresholds: pointer 7936, rma 1024, buffer 4096; eager limit 8192\n"
                    "chunk list: 0\n"
                    "message: 159 bytes\n"
                    "       0  header, 48 bytes\n"
                    "      48  archive, 111 bytes on board\n"
                    "READs of the receiver: 0\n");
}
END_TEST

START_TEST(test_chunk)
{
    struct wb_limits limits;
    const struct echo_in in = {.number = 7, .raw = {bytes, sizeof bytes}};
    wb_limits_of_config(&limits, NULL, NULL);
    limits.max_read_bytes = 4096;
    expect_decision(&limits, &in,
                    "request, thresholds: pointer 7936, rma 1024, buffer 4096; eager limit 8192\n"
                    "chunk list: 3\n"
                    "       0  INDEX: archive 0 to 9\n"
                    "       1  POINTER: 10000 bytes, from the pointer threshold of 7936 on\n"
                    "       2  INDEX: archive 9 to 11\n"
                    "message: 155 bytes\n"
                    "       0  header, 48 bytes\n"
                    "      48  lease id, 8 bytes\n"
                    "      56  chunk list, 88 bytes on board\n"
                    "     144  archive, 11 bytes on board\n"
                    "READs of the receiver: 3\n");
}
END_TEST

START_TEST(test_long_archive)
{
    struct wb_limits limits;
    const struct echo_in in = {.number = 7, .raw = {bytes, sizeof bytes}};
    struct wb_call_options options = {.flags = WB_CALL_COPY};
    wb_limits_of_config(&limits, NULL, &options);
    limits.reply = true;
    limits.key_bytes = 4;
    expect_decision(&limits, &in,
                    "reply, thresholds: pointer off, rma off, buffer off; eager limit 8192\n"
                    "chunk list: 0\n"
                    "message: 72 bytes\n"
                    "       0  header, 32 bytes\n"
                    "      32  lease id, 8 bytes\n"
                    "      40  record of the archive, whose 10013 bytes are READ\n"
                    "READs of the receiver: 1\n");
}
END_TEST

/* In a reply what is borrowed is copied, whatever the threshold. */
START_TEST(test_borrowed_results)
{
    struct wb_limits limits;
    const struct echo_in in = {.number = 7, .raw = {bytes, sizeof bytes}};
    wb_limits_of_config(&limits, NULL, NULL);
    limits.reply = true;
    char *text = explain(&limits, &in, WB_OK);
    ck_assert_ptr_nonnull(strstr(text, "reply, thresholds: pointer off, rma 1024, buffer 4096;"));
    ck_assert_ptr_nonnull(strstr(text, "record of the archive, whose 10013 bytes are READ\n"));
    ck_assert_ptr_null(strstr(text, "gathered"));
    free(text);
}
END_TEST

/* What is said of the filter, where there is one, is what it does. */
START_TEST(test_filter)
{
    struct wb_engine_config config;
    struct wb_limits limits;
    struct wb_call_options options = {.flags = WB_CALL_COPY};
    struct echo_in in = {.number = 7, .raw = {bytes, sizeof bytes}};
    wb_engine_config_default(&config);
    config.filter = WB_FILTER_LZ4;
    config.filter_from = 5000;
    wb_limits_of_config(&limits, &config, &options);
    ck_assert_uint_eq(limits.filter_from, 5000);
    char *text = explain(&limits, &in, WB_OK);
    const char *said = strstr(text, "filter: from 5000 on, of 10013 bytes of archive it leaves ");
    ck_assert_ptr_nonnull(said);
    size_t left = strtoul(strrchr(strtok((char *)(uintptr_t)said, "\n"), ' '), NULL, 10);
    ck_assert_uint_lt(left, 200);
    char line[64];
    snprintf(line, sizeof line, "archive, %zu bytes on board\n", left);
    ck_assert_ptr_nonnull(strstr(said + strlen(said) + 1, line));
    free(text);

    in.raw.len = 4900;
    text = explain(&limits, &in, WB_OK);
    ck_assert_ptr_null(strstr(text, "filter:"));
    free(text);

    char noise[6000];
    test_pattern_fill(noise, sizeof noise, 1);
    in.raw = (wb_bytes){noise, sizeof noise};
    text = explain(&limits, &in, WB_OK);
    ck_assert_ptr_nonnull(
        strstr(text, "filter: from 5000 on, leaves the 6013 bytes of archive as they are\n"));
    ck_assert_ptr_nonnull(strstr(text, "archive, 6013 bytes on board\n"));
    free(text);

    config.filter = WB_FILTER_NONE;
    wb_limits_of_config(&limits, &config, &options);
    ck_assert_uint_eq(limits.filter_from, SIZE_MAX);
}
END_TEST

/* What becomes of a hundred strings that are just long enough for chunks; to be freed. */
static char *explain_list(bool exact, uint32_t eager_bytes)
{
    wb_str strings[100];
    struct wb_limits limits;
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    for (size_t i = 0; i < 100; i++) {
        strings[i] = (wb_str){.data = bytes, .len = 20};
    }
    const list value = {.names = {strings, 100}};
    wb_limits_of_config(&limits, NULL, NULL);
    limits.thresholds.pointer = 20;
    limits.exact = exact;
    limits.eager_bytes = eager_bytes;
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(list_explain(out, &limits, &value), WB_OK);
    fclose(out);
    return text;
}

/* So many small chunks are gathered, unless the call wants them as they are. */
START_TEST(test_gathered)
{
    char *text = explain_list(false, 8192);
    ck_assert_ptr_nonnull(strstr(text, "more than 16 chunks: small ones are gathered"));
    ck_assert_ptr_nonnull(strstr(text, "chunk list: 0\n"));
    ck_assert_ptr_nonnull(strstr(text, "READs of the receiver: 0\n"));
    free(text);
}
END_TEST

/* Of more chunks than are shown, in a list that is longer than the message may be. */
START_TEST(test_long_list)
{
    char *text = explain_list(true, 4096);
    ck_assert_ptr_nonnull(strstr(text, "chunk list: 200\n"));
    ck_assert_ptr_nonnull(strstr(text, " ... 136 more\n"));
    ck_assert_ptr_nonnull(strstr(text,
                                 " lease id, 8 bytes\n"
                                 "      56  record of the chunk list, whose 6400 bytes are READ\n"
                                 "      96  archive, 101 bytes on board\n"
                                 "READs of the receiver: 101\n"));
    free(text);
}
END_TEST

START_TEST(test_too_many_offers)
{
    struct wb_limits limits;
    const struct echo_in in = {.raw = {bytes, sizeof bytes}};
    wb_limits_of_config(&limits, NULL, NULL);
    limits.max_offers = 2;
    char *text = explain(&limits, &in, WB_ERR_INVALID);
    free(text);
    limits.max_offers = 3;
    text = explain(&limits, &in, WB_OK);
    free(text);
}
END_TEST

START_TEST(test_limits_that_make_no_sense)
{
    struct wb_limits good, limits;
    const struct echo_in in = {0};
    wb_limits_of_config(&good, NULL, NULL);
    limits = good;
    limits.eager_bytes = WBI_EAGER_MIN - 1;
    free(explain(&limits, &in, WB_ERR_INVALID));
    limits = good;
    limits.key_bytes = WBI_KEY_MAX + 1;
    free(explain(&limits, &in, WB_ERR_INVALID));
    limits = good;
    limits.max_read_bytes = 0;
    free(explain(&limits, &in, WB_ERR_INVALID));
}
END_TEST

/* READs that are foretold are those that the host counts. */
START_TEST(test_peer)
{
    static const struct wb_call_options copy = {.flags = WB_CALL_COPY,
                                                .reply_bytes = 4 * sizeof bytes};
    static const struct wb_call_options chunks = {.reply_bytes = 4 * sizeof bytes};
    const struct wb_call_options *options = _i == 0 ? &chunks : &copy;
    struct wb_limits limits;
    struct wb_call *call;
    struct echo_out out;
    struct echo_in in = {.number = 7, .raw = {bytes, sizeof bytes}};
    test_scene_open(&scene, NULL);
    test_scene_assert_serves(&scene); /* so the peer is connected */
    wb_limits_of_peer(&limits, scene.peer, options);
    char *text = explain(&limits, &in, WB_OK);
    uint64_t reads = test_scene_stats(&scene).reads;
    ck_assert_int_eq(echo_async(scene.peer, &in, options, &call), WB_OK);
    test_scene_until(&scene, wb_call_done(call));
    ck_assert_int_eq(echo_finish(call, &out), WB_OK);
    reads = test_scene_stats(&scene).reads - reads;
    char line[64];
    snprintf(line, sizeof line, "READs of the receiver: %llu\n", (unsigned long long)reads);
    ck_assert_uint_eq(reads, 1);
    ck_assert_ptr_nonnull(strstr(text, line));
    ck_assert_int_eq(strstr(text, "POINTER") != NULL, _i == 0);
    free(text);
    echo_out_drop(&out);
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("engine: explain");
    TCase *tcase = tcase_create("explain");
    tcase_add_test(tcase, test_all_on_board);
    tcase_add_test(tcase, test_chunk);
    tcase_add_test(tcase, test_long_archive);
    tcase_add_test(tcase, test_borrowed_results);
    if (wbi_filter_is_here(WB_FILTER_LZ4)) {
        tcase_add_test(tcase, test_filter);
    }
    tcase_add_test(tcase, test_gathered);
    tcase_add_test(tcase, test_long_list);
    tcase_add_test(tcase, test_too_many_offers);
    tcase_add_test(tcase, test_limits_that_make_no_sense);
    tcase_add_loop_test(tcase, test_peer, 0, 2);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
