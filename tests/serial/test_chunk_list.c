/* Walking a chunk list: what it visits, and what it refuses. */
#include <stdbool.h>
#include <string.h>

#include "serial/chunk_list.h"
#include "tests/serial/arena.h"
#include "tests/serial/chunks.h"
#include "tests/serial/run.h"

static struct test_arena arena;

/* A list under construction, each record as given, sound or not. */
struct list {
    uint8_t bytes[16 * WBI_CHUNK_RECORD_MAX];
    size_t len;
    uint32_t count;
};

static void add(struct list *list, struct wbi_chunk_record record)
{
    list->len += wbi_chunk_record_encode(&record, list->bytes + list->len);
    list->count++;
}

/* What a walk has visited. */
struct visits {
    unsigned count;
    uint64_t offsets[8], lens[8];
    unsigned stop_at; /* visit number stop_at (from 1) answers WB_AGAIN */
};

static int visit(void *context, const struct wbi_chunk_record *record, uint64_t archive_offset)
{
    struct visits *visits = context;
    ck_assert_uint_lt(visits->count, 8);
    ck_assert_uint_ne(record->kind, WB_CHUNK_INDEX);
    visits->offsets[visits->count] = archive_offset;
    visits->lens[visits->count] = record->len;
    return ++visits->count == visits->stop_at ? WB_AGAIN : WB_OK;
}

/* Walks a copy of just the list's size. */
static int walk(const struct list *list, uint64_t archive_len, struct visits *visits)
{
    size_t mark = arena.count;
    const uint8_t *bytes = test_arena_copy(&arena, list->bytes, list->len);
    int status = wbi_chunk_list_walk(bytes, list->len, list->count, archive_len,
                                     visits == NULL ? NULL : visit, visits);
    test_arena_rewind(&arena, mark);
    return status;
}

/* INDEX 0..2, 100 bytes, INDEX 2..5, 50 bytes, INDEX 5..9. */
static struct list good_list(void)
{
    struct list list = {0};
    add(&list, test_index_chunk(0, 2));
    add(&list, test_offered_chunk(WB_CHUNK_POINTER, 0x1000, 100));
    add(&list, test_index_chunk(2, 3));
    add(&list, test_offered_chunk(WB_CHUNK_RMA, 0, 50));
    add(&list, test_index_chunk(5, 4));
    return list;
}

START_TEST(test_walk_visits_in_order)
{
    struct list list = good_list();
    struct visits visits = {0};
    ck_assert_int_eq(walk(&list, 9, NULL), WB_OK);
    ck_assert_int_eq(walk(&list, 9, &visits), WB_OK);
    ck_assert_uint_eq(visits.count, 2);
    ck_assert_uint_eq(visits.offsets[0], 2);
    ck_assert_uint_eq(visits.lens[0], 100);
    ck_assert_uint_eq(visits.offsets[1], 5);
    ck_assert_uint_eq(visits.lens[1], 50);
    visits = (struct visits){.stop_at = 1};
    ck_assert_int_eq(walk(&list, 9, &visits), WB_AGAIN);
    ck_assert_uint_eq(visits.count, 1);
}
END_TEST

START_TEST(test_walk_counts)
{
    struct list list = good_list();
    list.count--; /* a record too many for the count */
    ck_assert_int_eq(walk(&list, 9, NULL), WB_ERR_PROTOCOL);
    list.count += 2; /* one too few */
    ck_assert_int_eq(walk(&list, 9, NULL), WB_ERR_PROTOCOL);
    list.count = UINT32_MAX;
    ck_assert_int_eq(walk(&list, 9, NULL), WB_ERR_PROTOCOL);

    struct list empty = {0};
    ck_assert_int_eq(walk(&empty, 0, NULL), WB_OK);
    ck_assert_int_eq(walk(&empty, 9, NULL), WB_OK);
    empty.len = 8;
    ck_assert_int_eq(walk(&empty, 9, NULL), WB_ERR_PROTOCOL);
}
END_TEST

/* The archive is another than the one that the index chunks tile. */
START_TEST(test_walk_archive_length)
{
    struct list list = good_list();
    ck_assert_int_eq(walk(&list, 0, NULL), WB_ERR_PROTOCOL);
    ck_assert_int_eq(walk(&list, 8, NULL), WB_ERR_PROTOCOL);
    ck_assert_int_eq(walk(&list, 10, NULL), WB_ERR_PROTOCOL);
    ck_assert_int_eq(walk(&list, UINT64_MAX, NULL), WB_ERR_PROTOCOL);
}
END_TEST

START_TEST(test_walk_tiling)
{
    static const struct {
        uint64_t first[2], second[2]; /* offset, len */
        uint64_t archive_len;
        int status;
    } tilings[] = {
        {{0, 2}, {2, 3}, 5, WB_OK},
        {{0, 2}, {3, 2}, 5, WB_ERR_PROTOCOL},                   /* a gap */
        {{0, 3}, {2, 3}, 5, WB_ERR_PROTOCOL},                   /* an overlap */
        {{2, 3}, {0, 2}, 5, WB_ERR_PROTOCOL},                   /* the wrong order */
        {{1, 1}, {2, 3}, 5, WB_ERR_PROTOCOL},                   /* begins late */
        {{0, 0}, {0, 5}, 5, WB_ERR_PROTOCOL},                   /* an empty one */
        {{0, 5}, {5, 0}, 5, WB_ERR_PROTOCOL},                   /* an empty one at the end */
        {{0, 2}, {2, 4}, 5, WB_ERR_PROTOCOL},                   /* past the end */
        {{0, 2}, {2, UINT64_MAX}, 5, WB_ERR_PROTOCOL},          /* past the end of numbers */
        {{0, UINT64_MAX}, {UINT64_MAX, 6}, 5, WB_ERR_PROTOCOL}, /* their sum would be 5 */
        {{0, UINT64_MAX - 1}, {UINT64_MAX - 1, 1}, UINT64_MAX, WB_OK},
    };
    for (size_t i = 0; i < sizeof tilings / sizeof *tilings; i++) {
        struct list list = {0};
        add(&list, test_index_chunk(tilings[i].first[0], tilings[i].first[1]));
        add(&list, test_offered_chunk(WB_CHUNK_POINTER, 0, 1));
        add(&list, test_index_chunk(tilings[i].second[0], tilings[i].second[1]));
        ck_assert_msg(walk(&list, tilings[i].archive_len, NULL) == tilings[i].status, "tiling %zu",
                      i);
    }
}
END_TEST

/* Index and offered chunks take turns, and an index chunk begins. */
START_TEST(test_walk_order_of_kinds)
{
    for (unsigned turns = 0; turns < 64; turns++) { /* a bit is set for an offered chunk */
        for (uint32_t count = 1; count <= 6; count++) {
            struct list list = {0};
            uint64_t position = 0;
            bool valid = count > 1;
            for (uint32_t i = 0; i < count; i++) {
                bool offered = turns >> i & 1;
                add(&list, offered ? test_offered_chunk(WB_CHUNK_RMA, 0, 1)
                                   : test_index_chunk(position, 1));
                position += !offered;
                valid = valid && offered == (i % 2 == 1);
            }
            ck_assert_int_eq(walk(&list, position, NULL), valid ? WB_OK : WB_ERR_PROTOCOL);
        }
    }
}
END_TEST

/* The sum of what is to be fetched fits 64 bits, heads and tails included. */
START_TEST(test_walk_sum_of_lengths)
{
    for (unsigned extra = 0; extra < 3; extra++) {
        struct list list = {0};
        struct wbi_chunk_record first = test_offered_chunk(WB_CHUNK_RMA, 8, UINT64_C(1) << 63);
        struct wbi_chunk_record second = test_offered_chunk(WB_CHUNK_RMA, 8, first.len - 2);
        first.tail = extra > 0; /* a sum of 2^64 - 1 still fits */
        second.head = extra > 1;
        add(&list, test_index_chunk(0, 1));
        add(&list, first);
        add(&list, test_index_chunk(1, 1));
        add(&list, second);
        ck_assert_int_eq(walk(&list, 2, NULL), extra < 2 ? WB_OK : WB_ERR_PROTOCOL);
    }
}
END_TEST

START_TEST(test_walk_damaged)
{
    const struct list whole = good_list();
    struct visits visits;
    for (size_t len = 0; len < whole.len; len++) {
        struct list cut = whole;
        cut.len = len;
        visits = (struct visits){0};
        ck_assert_int_eq(walk(&cut, 9, &visits), WB_ERR_PROTOCOL);
        ck_assert_uint_le(visits.count, 2);
    }
    for (size_t i = 0; i < whole.len * 255; i++) {
        struct list damaged = whole;
        damaged.bytes[i / 255] ^= (uint8_t)(i % 255 + 1);
        visits = (struct visits){0};
        int status = walk(&damaged, 9, &visits);
        if (status == WB_OK) { /* other lengths, addresses, keys: the same shape */
            ck_assert_uint_eq(visits.count, 2);
            ck_assert_uint_eq(visits.offsets[0], 2);
            ck_assert_uint_eq(visits.offsets[1], 5);
        } else {
            ck_assert_int_eq(status, WB_ERR_PROTOCOL);
        }
    }
    test_arena_clear(&arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chunk list");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, test_walk_visits_in_order);
    tcase_add_test(tcase, test_walk_counts);
    tcase_add_test(tcase, test_walk_archive_length);
    tcase_add_test(tcase, test_walk_tiling);
    tcase_add_test(tcase, test_walk_order_of_kinds);
    tcase_add_test(tcase, test_walk_sum_of_lengths);
    tcase_add_test(tcase, test_walk_damaged);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
