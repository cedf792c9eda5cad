/* The planner: a table of what goes where, and what holds for every parcel. */
#include <string.h>
#include <waybill/status.h>

#include "engine/plan.h"
#include "engine/wire.h"
#include "serial/chunk_list.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

enum { PACKED = 0, LONG_ARCHIVE = 1, LONG_LIST = 2, LONG_BOTH = 3 };

/* Records are 24 bytes for an index chunk and 40 for an offered one of a key of 16. */
static const struct row {
    struct wbi_plan_input input;
    int how;
    bool leased;
    uint32_t releases;
    size_t bytes;
} rows[] = {
    {{.kind = WBI_REQUEST, .eager_bytes = 512}, PACKED, false, 0, 48},
    {{.kind = WBI_REQUEST, .archive_bytes = 8, .eager_bytes = 512}, PACKED, false, 0, 56},
    {{.kind = WBI_REPLY, .archive_bytes = 8, .eager_bytes = 512}, PACKED, false, 0, 40},
    /* just fits, and one byte more does not: the archive goes, behind a lease id and its record */
    {{.kind = WBI_REQUEST, .key_bytes = 16, .archive_bytes = 464, .eager_bytes = 512},
     PACKED,
     false,
     0,
     512},
    {{.kind = WBI_REQUEST, .key_bytes = 16, .archive_bytes = 465, .eager_bytes = 512},
     LONG_ARCHIVE,
     true,
     0,
     48 + 8 + 40},
    {{.kind = WBI_REPLY, .key_bytes = 16, .archive_bytes = (size_t)1 << 40, .eager_bytes = 8192},
     LONG_ARCHIVE,
     true,
     0,
     32 + 8 + 40},
    /* releases ride along where there is room, and are left behind before anything else is */
    {{.kind = WBI_REPLY, .releases = 4, .archive_bytes = 100, .eager_bytes = 512},
     PACKED,
     false,
     4,
     32 + 32 + 100},
    {{.kind = WBI_REPLY, .releases = 4, .archive_bytes = 448, .eager_bytes = 512},
     PACKED,
     false,
     4,
     512},
    {{.kind = WBI_REPLY, .releases = 4, .archive_bytes = 449, .eager_bytes = 512},
     PACKED,
     false,
     0,
     32 + 449},
    /* chunks: a lease id, and the list on board as long as it fits */
    {{.kind = WBI_REQUEST,
      .index_chunks = 1,
      .offered = 1,
      .key_bytes = 16,
      .archive_bytes = 9,
      .eager_bytes = 512},
     PACKED,
     true,
     0,
     48 + 8 + 24 + 40 + 9},
    {{.kind = WBI_REQUEST,
      .index_chunks = 6,
      .offered = 6,
      .key_bytes = 16,
      .archive_bytes = 72,
      .eager_bytes = 512},
     PACKED,
     true,
     0,
     48 + 8 + 6 * 64 + 72},
    {{.kind = WBI_REQUEST,
      .index_chunks = 6,
      .offered = 6,
      .key_bytes = 16,
      .archive_bytes = 73,
      .eager_bytes = 512},
     LONG_LIST,
     true,
     0,
     48 + 8 + 40 + 73},
    /* the larger of the two goes first, and both where one is not enough */
    {{.kind = WBI_REQUEST,
      .index_chunks = 2,
      .offered = 1,
      .key_bytes = 16,
      .archive_bytes = 4000,
      .eager_bytes = 512},
     LONG_ARCHIVE,
     true,
     0,
     48 + 8 + 40 + 88},
    {{.kind = WBI_REQUEST,
      .index_chunks = 100,
      .offered = 100,
      .key_bytes = 16,
      .archive_bytes = 1000,
      .eager_bytes = 512},
     LONG_BOTH,
     true,
     0,
     48 + 8 + 2 * 40},
    {{.kind = WBI_REQUEST,
      .index_chunks = 65536,
      .offered = 65536,
      .key_bytes = 32,
      .archive_bytes = (size_t)1 << 50,
      .eager_bytes = 512},
     LONG_BOTH,
     true,
     0,
     48 + 8 + 2 * 56},
};

START_TEST(test_table)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wbi_plan plan;
        const struct row *row = &rows[i];
        ck_assert_int_eq(wbi_plan(&row->input, &plan), WB_OK);
        ck_assert_msg(plan.long_archive + 2 * plan.long_list == row->how,
                      "row %zu: archive %d, list %d", i, plan.long_archive, plan.long_list);
        ck_assert_msg(plan.leased == row->leased, "row %zu", i);
        ck_assert_msg(plan.releases == row->releases, "row %zu: %u releases", i, plan.releases);
        ck_assert_msg(plan.bytes == row->bytes, "row %zu: %zu bytes", i, plan.bytes);
    }
}
END_TEST

/* The parts on board stand one behind the other, from the header to the end. */
static void assert_tiles(const struct wbi_plan_input *input, const struct wbi_plan *plan)
{
    size_t record = wbi_chunk_record_size(input->key_bytes);
    size_t list = input->index_chunks * wbi_chunk_record_size(0) + (size_t)input->offered * record;
    size_t at = wbi_header_bytes(input->kind);
    test_check(plan->chunk_count == input->index_chunks + input->offered,
               "plan->chunk_count is %zu", (size_t)plan->chunk_count);
    test_check(plan->list_bytes == list, "plan->list_bytes is %zu", (size_t)plan->list_bytes);
    test_check(plan->archive_bytes == input->archive_bytes, "plan->archive_bytes is %zu",
               (size_t)plan->archive_bytes);
    if (plan->leased) {
        test_check(plan->lease_at == at, "plan->lease_at is %zu", (size_t)plan->lease_at);
        at += WBI_ID_BYTES;
    }
    test_check(plan->releases_at == at, "plan->releases_at is %zu", (size_t)plan->releases_at);
    at += (size_t)plan->releases * WBI_ID_BYTES;
    if (plan->long_archive) {
        test_check(plan->archive_record_at == at, "plan->archive_record_at is %zu",
                   (size_t)plan->archive_record_at);
        at += record;
    }
    if (plan->long_list) {
        test_check(plan->list_record_at == at, "plan->list_record_at is %zu",
                   (size_t)plan->list_record_at);
        at += record;
    } else {
        test_check(plan->list_at == at, "plan->list_at is %zu", (size_t)plan->list_at);
        at += list;
    }
    if (!plan->long_archive) {
        test_check(plan->archive_at == at, "plan->archive_at is %zu", (size_t)plan->archive_at);
        test_check(input->archive_bytes <= SIZE_MAX - at, "input->archive_bytes is %zu",
                   (size_t)input->archive_bytes);
        at += input->archive_bytes;
    }
    test_check(plan->bytes == at, "plan->bytes is %zu", (size_t)plan->bytes);
    test_check(plan->bytes <= input->eager_bytes, "plan->bytes is %zu", (size_t)plan->bytes);
}

static void assert_sensible(const struct wbi_plan_input *input, const struct wbi_plan *plan)
{
    size_t whole = wbi_header_bytes(input->kind) + (plan->chunk_count > 0 ? WBI_ID_BYTES : 0) +
                   plan->list_bytes;
    bool fits = whole <= input->eager_bytes && input->archive_bytes <= input->eager_bytes - whole;
    test_check(plan->releases <= input->releases, "plan->releases is %zu", (size_t)plan->releases);
    test_check(plan->leased == (plan->chunk_count > 0 || plan->long_archive), "not sensible");
    test_check(!plan->long_list || plan->chunk_count > 0, "not sensible");
    test_check(fits == (!plan->long_archive && !plan->long_list), "not sensible");
}

START_TEST(test_every_parcel)
{
    uint64_t seed = 7;
    for (unsigned i = 0; i < 200000; i++) {
        uint32_t offered =
            (uint32_t)(test_pattern_random(&seed) % 4 == 0 ? test_pattern_random(&seed) % 3000
                                                           : test_pattern_random(&seed) % 8);
        unsigned shift = (unsigned)(test_pattern_random(&seed) % 48);
        struct wbi_plan_input input = {
            .kind = i % 2 ? WBI_REQUEST : WBI_REPLY,
            .offered = offered,
            .index_chunks = offered > 0 ? offered + (uint32_t)(i / 2 % 2) : 0,
            .key_bytes = 1 + (uint32_t)(test_pattern_random(&seed) % 32),
            .releases = (uint32_t)(test_pattern_random(&seed) % 30),
            .archive_bytes = (test_pattern_random(&seed) & (((uint64_t)1 << shift) - 1)) + offered,
            .eager_bytes =
                WBI_EAGER_MIN + test_pattern_random(&seed) % (65536 - WBI_EAGER_MIN + 1)};
        struct wbi_plan plan;
        test_check(wbi_plan(&input, &plan) == WB_OK, "no plan");
        assert_tiles(&input, &plan);
        assert_sensible(&input, &plan);
    }
}
END_TEST

/* Lengths that wrap around when a header is added. */
START_TEST(test_archives_of_impossible_length)
{
    for (size_t less = 0; less < 300; less++) {
        struct wbi_plan_input input = {.kind = WBI_REQUEST,
                                       .key_bytes = 16,
                                       .releases = 2,
                                       .archive_bytes = SIZE_MAX - less,
                                       .eager_bytes = 512};
        struct wbi_plan plan;
        int status = wbi_plan(&input, &plan);
        if (status == WB_OK) {
            ck_assert_msg(plan.long_archive, "%zu bytes on board", input.archive_bytes);
        } else {
            ck_assert_int_eq(status, WB_ERR_INVALID);
        }
    }
}
END_TEST

START_TEST(test_messages_that_cannot_be)
{
    struct wbi_plan plan, untouched;
    memset(&plan, 0x5a, sizeof plan);
    memcpy(&untouched, &plan, sizeof plan);
    struct wbi_plan_input input = {
        .kind = WBI_REQUEST, .key_bytes = 16, .archive_bytes = 100, .eager_bytes = 95};
    ck_assert_int_eq(wbi_plan(&input, &plan), WB_ERR_INVALID);
    ck_assert_mem_eq(&plan, &untouched, sizeof plan);
    input.eager_bytes = 96;
    ck_assert_int_eq(wbi_plan(&input, &plan), WB_OK);
}
END_TEST

static void expect_same(const struct wbi_plan *a, const struct wbi_plan *b)
{
    ck_assert(!a->leased && !a->long_archive && !a->long_list);
    ck_assert(!b->leased && !b->long_archive && !b->long_list);
    ck_assert_uint_eq(a->chunk_count, b->chunk_count);
    ck_assert_uint_eq(a->releases, b->releases);
    ck_assert_uint_eq(a->list_bytes, b->list_bytes);
    ck_assert_uint_eq(a->archive_bytes, b->archive_bytes);
    ck_assert_uint_eq(a->lease_at, b->lease_at);
    ck_assert_uint_eq(a->releases_at, b->releases_at);
    ck_assert_uint_eq(a->archive_record_at, b->archive_record_at);
    ck_assert_uint_eq(a->list_record_at, b->list_record_at);
    ck_assert_uint_eq(a->list_at, b->list_at);
    ck_assert_uint_eq(a->archive_at, b->archive_at);
    ck_assert_uint_eq(a->bytes, b->bytes);
}

/* The short way is the planner's, wherever it is one. */
START_TEST(test_small_parcels)
{
    for (unsigned i = 0; i < 2 * 5 * 600; i++) {
        struct wbi_plan_input input = {.kind = i % 2 == 0 ? WBI_REQUEST : WBI_REPLY,
                                       .releases = i / 2 % 5,
                                       .archive_bytes = i / 10,
                                       .key_bytes = 16,
                                       .eager_bytes = 512};
        struct wbi_plan plan, small = {.bytes = 1};
        ck_assert_int_eq(wbi_plan(&input, &plan), WB_OK);
        if (wbi_plan_small(input.kind, input.archive_bytes, input.releases, 512, &small)) {
            expect_same(&small, &plan);
        } else {
            ck_assert(plan.leased || plan.releases < input.releases);
            ck_assert_uint_eq(small.bytes, 1);
        }
    }
    struct wbi_plan plan = {.bytes = 1};
    ck_assert(!wbi_plan_small(WBI_REQUEST, SIZE_MAX, 0, 512, &plan));
    ck_assert(!wbi_plan_small(WBI_REQUEST, 0, 100, 512, &plan));
    ck_assert_uint_eq(plan.bytes, 1);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_table, test_every_parcel, test_archives_of_impossible_length,
                                  test_messages_that_cannot_be, test_small_parcels};
    Suite *suite = suite_create("plan");
    suite_add_tcase(suite, test_program_case("plan", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
