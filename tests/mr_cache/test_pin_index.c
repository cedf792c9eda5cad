/* The index of pinned ranges, against a list that is searched from end to end. */
#include "mr_cache/pin_index.h"

#include "tests/mr_cache/rma.h"
#include "tests/support/memcheck.h"

enum { MOST = 200, STEPS = 4000, SPACE = 400 };

struct model {
    struct wbi_pin_range ranges[MOST];
    unsigned count;
};

static bool contains(const struct wbi_pin_range *range, uintptr_t base, uintptr_t end)
{
    return range->base <= base && range->end >= end;
}

static bool is_in(const struct model *model, uintptr_t base, uintptr_t end)
{
    for (unsigned i = 0; i < model->count; i++) {
        if (model->ranges[i].base == base && model->ranges[i].end == end) {
            return true;
        }
    }
    return false;
}

static unsigned containers(const struct model *model, uintptr_t base, uintptr_t end)
{
    unsigned count = 0;
    for (unsigned i = 0; i < model->count; i++) {
        count += contains(&model->ranges[i], base, end);
    }
    return count;
}

/* The order is as stated, and every container is found, from the inside. */
static void check(const struct wbi_pin_index *index, const struct model *model, uintptr_t base,
                  uintptr_t end)
{
    unsigned found = 0;
    uint32_t before = index->count;
    int64_t at;
    while ((at = wbi_pin_index_find(index, base, end, before)) >= 0) {
        ck_assert_int_lt(at, before);
        ck_assert(contains(&index->ranges[at], base, end));
        before = (uint32_t)at;
        found++;
    }
    ck_assert_uint_eq(found, containers(model, base, end));
    at = wbi_pin_index_exact(index, base, end);
    ck_assert_int_eq(at >= 0, is_in(model, base, end));
    if (at >= 0) {
        ck_assert(index->ranges[at].base == base && index->ranges[at].end == end);
    }
}

static struct wbi_pin_range random_range(uint64_t *random)
{
    uintptr_t base = test_random(random) % SPACE;
    uintptr_t end = base + 1 + test_random(random) % (test_random(random) % 4 == 0 ? SPACE : 20);
    return (struct wbi_pin_range){.base = base, .end = end};
}

static void add(struct wbi_pin_index indexes[2], unsigned *live, struct model *model,
                const struct wbi_pin_range *range)
{
    struct wbi_pin_index *spare = &indexes[!*live];
    if (!wbi_pin_index_holds(spare, model->count + 1)) {
        wbi_pin_index_close(spare);
        ck_assert(wbi_pin_index_open(spare, model->count + 1));
    }
    wbi_pin_index_with(spare, &indexes[*live], range);
    model->ranges[model->count++] = *range;
    *live = !*live;
}

static void take_out(struct wbi_pin_index indexes[2], unsigned *live, struct model *model,
                     unsigned victim)
{
    struct wbi_pin_range *range = &model->ranges[victim];
    int64_t at = wbi_pin_index_exact(&indexes[*live], range->base, range->end);
    ck_assert_int_ge(at, 0);
    wbi_pin_index_without(&indexes[!*live], &indexes[*live], (uint32_t)at);
    *range = model->ranges[--model->count];
    *live = !*live;
}

START_TEST(test_random_ranges)
{
    struct wbi_pin_index indexes[2] = {{0}};
    struct model model = {.count = 0};
    uint64_t random = (uint64_t)_i * 7919 + 1;
    unsigned live = 0;
    for (unsigned step = 0; step < STEPS; step++) {
        struct wbi_pin_range range = random_range(&random);
        bool grows = test_random(&random) % 100 < (step / 500 % 2 == 0 ? 70 : 30);
        if (grows && model.count < MOST && !is_in(&model, range.base, range.end)) {
            add(indexes, &live, &model, &range);
        } else if (!grows && model.count > 0) {
            take_out(indexes, &live, &model, (unsigned)(test_random(&random) % model.count));
        }
        ck_assert_uint_eq(indexes[live].count, model.count);
        range = random_range(&random);
        check(&indexes[live], &model, range.base, range.end);
        if (model.count > 0) {
            range = model.ranges[test_random(&random) % model.count];
            check(&indexes[live], &model, range.base, range.end);
        }
    }
    wbi_pin_index_close(&indexes[0]);
    wbi_pin_index_close(&indexes[1]);
}
END_TEST

START_TEST(test_ends_of_the_address_space)
{
    struct wbi_pin_index indexes[2] = {{0}};
    struct model model = {.count = 0};
    unsigned live = 0;
    struct wbi_pin_range all = {.base = 0, .end = UINTPTR_MAX};
    struct wbi_pin_range last = {.base = UINTPTR_MAX - 1, .end = UINTPTR_MAX};
    check(&indexes[live], &model, 0, 1);
    add(indexes, &live, &model, &last);
    add(indexes, &live, &model, &all);
    check(&indexes[live], &model, 0, 1);
    check(&indexes[live], &model, UINTPTR_MAX - 1, UINTPTR_MAX);
    check(&indexes[live], &model, 0, UINTPTR_MAX);
    take_out(indexes, &live, &model, 1);
    take_out(indexes, &live, &model, 0);
    check(&indexes[live], &model, 0, 1);
    wbi_pin_index_close(&indexes[0]);
    wbi_pin_index_close(&indexes[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mr_cache: index of pins");
    TCase *tcase = tcase_create("index");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, test_random_ranges, 0, RUNNING_ON_VALGRIND > 0 ? 1 : 8);
    tcase_add_test(tcase, test_ends_of_the_address_space);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
