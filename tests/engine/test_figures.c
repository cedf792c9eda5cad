/* The engine's figures as text: each of them, with its value; whole, cut, and only measured. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/engine/scene.h"

static struct test_scene scene;

/* The value of the line of that name, which must be there. */
static uint64_t value_of(const char *text, const char *name)
{
    char lines[4096], pattern[64];
    uint64_t value = 0;
    snprintf(lines, sizeof lines, "\n%s", text);
    snprintf(pattern, sizeof pattern, "\n%s ", name);
    const char *at = strstr(lines, pattern);
    ck_assert_msg(at != NULL, "no line for %s", name);
    ck_assert_int_eq(sscanf(at + strlen(pattern), "%" SCNu64, &value), 1);
    return value;
}

START_TEST(test_each_figure_has_its_line)
{
    char text[4096];
    test_scene_open(&scene, NULL);
    test_scene_assert_serves(&scene);
    struct wb_engine_stats stats = test_scene_stats(&scene);
    int needed = wb_engine_stats_text(scene.host, text, sizeof text);
    ck_assert_uint_eq(strlen(text), (size_t)needed);
    ck_assert_uint_gt(stats.calls_served, 0);
    ck_assert_uint_eq(value_of(text, "calls_served"), stats.calls_served);
    ck_assert_uint_eq(value_of(text, "calls_begun"), stats.calls_begun);
    ck_assert_uint_eq(value_of(text, "read_bytes"), stats.read_bytes);
    ck_assert_uint_eq(value_of(text, "parcels_sent"), stats.parcels_sent);
    ck_assert_uint_eq(value_of(text, "pin_evictions"), stats.pin_evictions);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_a_text_that_is_cut)
{
    char text[4096], cut[100];
    test_scene_open(&scene, NULL);
    int needed = wb_engine_stats_text(scene.host, NULL, 0);
    ck_assert_int_eq(wb_engine_stats_text(scene.host, text, sizeof text), needed);
    for (size_t size = 1; size <= sizeof cut; size++) {
        memset(cut, 'x', sizeof cut);
        ck_assert_int_eq(wb_engine_stats_text(scene.host, cut, size), needed);
        ck_assert_uint_eq(strlen(cut), size - 1);
        ck_assert_mem_eq(cut, text, size - 1);
    }
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("engine: figures");
    TCase *tcase = tcase_create("text");
    tcase_add_test(tcase, test_each_figure_has_its_line);
    tcase_add_test(tcase, test_a_text_that_is_cut);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
