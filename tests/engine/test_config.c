/* The configuration: its bounds, what is said of a value beyond them, its text. */
#include <stdio.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/filter.h"
#include "tests/support/program.h"

static struct wb_engine_config config;

static void set_defaults(void)
{
    wb_engine_config_default(&config);
}

static const struct field {
    const char *name;
    uint32_t *small; /* one of the two */
    uint64_t *large;
    uint64_t low, high;
} fields[] = {{"eager_bytes", &config.eager_bytes, NULL, 512, 65536},
              {"slab_bytes", NULL, &config.slab_bytes, 2 << 20, 1 << 30},
              {"rma_threshold", &config.rma_threshold, NULL, 1, UINT32_MAX},
              {"filter_from", &config.filter_from, NULL, 1, UINT32_MAX},
              {"max_depth", &config.max_depth, NULL, 1, 1024},
              {"max_chunks", &config.max_chunks, NULL, 1, 65536},
              {"streams", &config.streams, NULL, 1, 65536},
              {"stream_items", &config.stream_items, NULL, 1, 1024},
              {"stream_bytes", NULL, &config.stream_bytes, 16384, UINT64_MAX / 2},
              {"arena_bytes", NULL, &config.arena_bytes, 1, UINT32_MAX},
              {"max_calls", &config.max_calls, NULL, 1, 65536},
              {"credits", &config.credits, NULL, 1, 4096},
              {"max_peers", &config.max_peers, NULL, 1, 1024},
              {"call_timeout_us", NULL, &config.call_timeout_us, 1, UINT64_MAX},
              {"connect_timeout_us", NULL, &config.connect_timeout_us, 1, UINT64_MAX / 2}};
enum { FIELDS = sizeof fields / sizeof fields[0] };

/* Whether the field can have the value at all. */
static bool set(const struct field *field, uint64_t value)
{
    set_defaults();
    if (field->large != NULL) {
        *field->large = value;
        return true;
    }
    *field->small = (uint32_t)value;
    return value <= UINT32_MAX;
}

static void assert_refused(const struct field *field, uint64_t value)
{
    char number[32];
    struct wb_engine *engine = NULL;
    if (!set(field, value)) {
        return;
    }
    ck_assert_int_eq(wbi_config_check(&config), WB_ERR_INVALID);
    snprintf(number, sizeof number, "%llu", (unsigned long long)value);
    ck_assert_msg(strstr(wb_last_error(), field->name) != NULL, "%s", wb_last_error());
    ck_assert_msg(strstr(wb_last_error(), number) != NULL, "%s", wb_last_error());
    ck_assert_int_eq(wb_engine_create(&config, &engine), WB_ERR_INVALID);
    ck_assert_ptr_null(engine);
}

START_TEST(test_the_defaults_are_within_bounds)
{
    ck_assert_int_eq(wbi_config_check(&config), WB_OK);
}
END_TEST

START_TEST(test_bounds)
{
    for (unsigned i = 0; i < FIELDS; i++) {
        ck_assert(set(&fields[i], fields[i].low));
        ck_assert_int_eq(wbi_config_check(&config), WB_OK);
        ck_assert(set(&fields[i], fields[i].high));
        config.budget_bytes = UINT64_MAX / 4;
        ck_assert_int_eq(wbi_config_check(&config), WB_OK);
        assert_refused(&fields[i], fields[i].low - 1);
        if (fields[i].high < UINT64_MAX) {
            assert_refused(&fields[i], fields[i].high + 1);
        }
        assert_refused(&fields[i], 0);
    }
}
END_TEST

START_TEST(test_slabs_are_powers_of_two)
{
    static const uint64_t odd[] = {(2 << 20) + 1, 3 << 20, (8 << 20) - 1, (1 << 30) - 1};
    for (unsigned i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        config.slab_bytes = odd[i];
        ck_assert_int_eq(wbi_config_check(&config), WB_ERR_INVALID);
        ck_assert_ptr_nonnull(strstr(wb_last_error(), "slab_bytes"));
    }
}
END_TEST

START_TEST(test_the_budget_holds_a_slab)
{
    struct wb_engine *engine = NULL;
    config.budget_bytes = config.slab_bytes - 1;
    ck_assert_int_eq(wbi_config_check(&config), WB_ERR_BUDGET);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "budget_bytes"));
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "slab_bytes"));
    ck_assert_int_eq(wb_engine_create(&config, &engine), WB_ERR_BUDGET);
    config.budget_bytes = 0;
    ck_assert_int_eq(wb_engine_create(&config, &engine), WB_ERR_BUDGET);
    ck_assert_ptr_null(engine);
    config.budget_bytes = config.slab_bytes;
    ck_assert_int_eq(wb_engine_create(&config, &engine), WB_OK);
    wb_engine_destroy(engine);
}
END_TEST

/* lz4 where it was built in; otherwise a sentence about that. */
START_TEST(test_filters)
{
    struct wb_engine *engine = NULL;
    char text[2000];
    bool here = wbi_filter_is_here(WB_FILTER_LZ4);
    config.filter = WB_FILTER_LZ4;
    ck_assert_int_eq(wb_engine_create(&config, &engine), here ? WB_OK : WB_ERR_INVALID);
    ck_assert(here || strstr(wb_last_error(), "liblz4-dev") != NULL);
    wb_engine_destroy(engine);
    wb_engine_config_text(&config, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "filter lz4\n"));
    config.filter = (enum wb_filter)(WB_FILTER_LZ4 + 1);
    ck_assert_int_eq(wbi_config_check(&config), WB_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "config.filter"));
}
END_TEST

/* What is allowed works: engines at the ends of all ranges open, and close without a trace. */
START_TEST(test_engines_at_the_bounds)
{
    struct wb_engine *engine = NULL;
    for (unsigned i = 0; i < FIELDS; i++) {
        for (unsigned high = 0; high < 2; high++) {
            set(&fields[i], high ? fields[i].high : fields[i].low);
            config.budget_bytes = (uint64_t)2 << 30;
            int status = wb_engine_create(&config, &engine);
            ck_assert_msg(status == WB_OK, "%s %s: %s", fields[i].name, high ? "high" : "low",
                          wb_last_error());
            wb_engine_destroy(engine);
        }
    }
    ck_assert_int_eq(wb_engine_create(NULL, &engine), WB_OK);
    wb_engine_destroy(engine);
    wb_engine_destroy(NULL);
}
END_TEST

START_TEST(test_the_text_names_every_field)
{
    static const char *const others[] = {"budget_bytes", "spin_us"};
    char text[2000], little[10];
    int needed = wb_engine_config_text(&config, text, sizeof text);
    ck_assert_int_eq(needed, (int)strlen(text));
    for (unsigned i = 0; i < FIELDS; i++) {
        char line[80];
        uint64_t value = fields[i].large ? *fields[i].large : *fields[i].small;
        snprintf(line, sizeof line, "%s %llu ", fields[i].name, (unsigned long long)value);
        ck_assert_msg(strstr(text, line) != NULL, "no \"%s\" in\n%s", line, text);
    }
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
        ck_assert_ptr_nonnull(strstr(text, others[i]));
    }
    ck_assert_int_eq(wb_engine_config_text(&config, little, sizeof little), needed);
    ck_assert_uint_eq(strlen(little), sizeof little - 1);
    ck_assert_int_eq(wb_engine_config_text(&config, NULL, 0), needed);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {
        test_the_defaults_are_within_bounds, test_bounds,  test_slabs_are_powers_of_two,
        test_the_budget_holds_a_slab,        test_filters, test_engines_at_the_bounds,
        test_the_text_names_every_field};
    Suite *suite = suite_create("configuration");
    TCase *tcase = test_program_case("configuration", tests, sizeof tests / sizeof tests[0]);
    tcase_add_checked_fixture(tcase, set_defaults, NULL);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
