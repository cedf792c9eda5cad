/*
 * A program with all kinds of handles, several allocators under one budget and memory that it
 * lends, at random by seed, against a model.
 *
 * ctest runs a few seeds. Many: CK_FORK=no test_rma_model FIRST COUNT [STEPS]
 * It stops at the first that fails and says which; FIRST 1 runs that one alone.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "mr_cache/budget.h"
#include "tests/mr_cache/model_steps.h"
#include "tests/support/program.h"
#include "tests/support/scale.h"

enum { STEPS = 4000, SEEDS = 12, MOST_LOANS = 128, SLAB_BYTES = 2 << 20 };

/* The engine's own, with a reserve; one that comes and goes; one of lent memory that does. */
enum { OWN, OTHER, LENT, SITES };

struct lender {
    void *base;
    size_t bytes;
    atomic_uint releases;
};

struct scene {
    struct model model;
    struct model_hand hand;
    struct test_registrar registrar;
    struct wbi_budget *budget;
    struct model_pool *sites[SITES]; /* NULL: none now */
    unsigned seed;
    struct lender lenders[MOST_LOANS];
    unsigned lender_count;
};

static unsigned steps = STEPS;
static bool is_under_way; /* of a seed that failed, too: its threads are still there */

/* ---- pools come and go ---- */

static void make_pool(struct scene *scene, unsigned site)
{
    struct model *model = &scene->model;
    struct wbi_registrar table = test_registrar_table(&scene->registrar);
    uint64_t limit = model->limit_bytes;
    struct wbi_rma_config config = {
        .budget_bytes = site == OWN ? limit : limit / 2,
        .slab_bytes = site == OWN ? SLAB_BYTES : (uint64_t)2 * SLAB_BYTES,
        .registrars = &table,
        .registrar_count = site == LENT ? 0 : 1, /* which takes no memory but files */
        .checks = site == OTHER && scene->seed % 3 == 0 ? WB_RMA_CHECKS_BLOCKS : 0,
        .numa_node = -1,
        .budget = scene->budget,
        .reserve_bytes = site == OWN ? limit / 16 : 0,
        .lent_only = site == LENT};
    struct model_pool *pool = &model->pools[model->pool_count];

    if (model->pool_count == MODEL_POOLS)
        return;
    *pool = (struct model_pool){.budget_bytes = config.budget_bytes,
                                .has_checks = config.checks != WB_RMA_CHECKS_CHEAP};
    int status = wbi_rma_allocator_create(&config, &pool->handle);
    if (site == OTHER && status == WB_AGAIN) /* the others have the room for its first slab */
        return;
    ck_assert_int_eq(status, WB_OK);
    model->pool_count++;
    scene->sites[site] = pool;
}

static void end_pool(struct scene *scene, unsigned site)
{
    wbi_rma_allocator_destroy(scene->sites[site]->handle);
    scene->sites[site]->handle = NULL;
    scene->sites[site] = NULL;
}

static void renew_pool(struct scene *scene)
{
    unsigned site = OTHER + (unsigned)model_draw(&scene->model, SITES - OTHER);

    if (scene->sites[site] && scene->model.pool_count < MODEL_POOLS)
        end_pool(scene, site);
    if (!scene->sites[site])
        make_pool(scene, site);
}

/* ---- lent memory ---- */

static void take_back(void *context, void *base, size_t bytes)
{
    struct lender *lender = context;

    memset(base, 0xee, bytes); /* it is the program's, all of it */
    lender->releases++;
}

static void lend(struct scene *scene)
{
    struct model *model = &scene->model;
    struct lender *lender = &scene->lenders[scene->lender_count];
    size_t bytes = ((size_t)(1 + model_draw(model, 6)) << 20) + (model_draw(model, 64) << 12);

    if (scene->lender_count == MOST_LOANS || !scene->sites[LENT])
        return;
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(base, MAP_FAILED);
    lender->base = base;
    lender->bytes = bytes;
    scene->lender_count++;
    int status =
        wb_rma_allocator_add_region(scene->sites[LENT]->handle, base, bytes, -1, take_back, lender);
    test_check(status == WB_OK || status == WB_AGAIN || status == WB_ERR_BUDGET ||
                   status == WB_ERR_INVALID,
               "%s", wb_status_name(status));
    test_check(status != WB_ERR_INVALID || bytes < 2 * SLAB_BYTES, "a whole piece is in it");
    test_check(lender->releases == (status != WB_OK), "released %u times, and it said %s",
               lender->releases, wb_status_name(status));
}

/* What came back is no more needed. */
static void check_lenders(struct scene *scene, bool all_back)
{
    for (unsigned i = 0; i < scene->lender_count; i++) {
        struct lender *lender = &scene->lenders[i];
        unsigned releases = lender->releases;
        test_check(releases <= 1 && (!all_back || releases == 1), "region %u was released %u times",
                   i, releases);
        if (releases > 0 && lender->base) {
            munmap(lender->base, lender->bytes);
            lender->base = NULL;
        }
    }
}

/* ---- a run ---- */

static void check_all(struct scene *scene)
{
    struct model *model = &scene->model;

    model_check_books(model);
    check_lenders(scene, false);
    for (unsigned i = 0; i < MODEL_PLACES; i++)
        if (model->places[i].kind != MODEL_NOTHING)
            model_check_place(&model->places[i]);
}

static void step(struct scene *scene)
{
    struct model *model = &scene->model;
    struct model_place *place = &model->places[model_draw(model, MODEL_PLACES)];
    struct model_pool *pool = scene->sites[model_draw(model, SITES)];

    if (place->kind == MODEL_NOTHING)
        model_create(model, &scene->hand, pool, place);
    else if (model_draw(model, 3) == 0)
        model_drop(model, &scene->hand, place);
    else
        model_change(model, place);
    switch (model_draw(model, 120)) {
    case 0:
        renew_pool(scene);
        break;
    case 1:
    case 2:
        lend(scene);
        break;
    case 3:
        if (pool)
            (void)wb_rma_allocator_trim(pool->handle);
        break;
    case 4:
        test_registrar_defer(&scene->registrar, model_draw(model, 2));
        break;
    case 5:
    case 6:
        test_registrar_confirm(&scene->registrar);
        break;
    default:
        break;
    }
}

static void count_line(void *context, const char *line)
{
    (void)context;
    ck_abort_msg("a block was lost: %s", line);
}

static void open_scene(struct scene *scene, unsigned seed)
{
    static const unsigned limits[] = {48, 16, 24, 12}; /* seldom full, and full most of the time */

    scene->seed = seed;
    scene->model.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    scene->model.limit_bytes = limits[seed % 4] * MIB;
    test_registrar_init(&scene->registrar);
    ck_assert_int_eq(wbi_budget_create(scene->model.limit_bytes, &scene->budget), WB_OK);
    for (unsigned site = 0; site < SITES; site++)
        make_pool(scene, site);
    model_hand_start(&scene->hand);
}

/* All is dropped: nothing is left anywhere. */
static void close_scene(struct scene *scene)
{
    struct model *model = &scene->model;
    uint64_t bytes, slabs;

    for (unsigned i = 0; i < MODEL_PLACES; i++)
        model_drop(model, &scene->hand, &model->places[i]);
    model_check_books(model);
    for (unsigned site = 0; site < SITES; site++) {
        if (!scene->sites[site])
            continue;
        ck_assert_uint_eq(scene->sites[site]->blocks, 0);
        if (scene->sites[site]->has_checks)
            ck_assert_int_eq(wb_rma_allocator_leaks(scene->sites[site]->handle, count_line, NULL),
                             0);
        end_pool(scene, site);
    }
    model_hand_stop(&scene->hand);
    test_registrar_defer(&scene->registrar, false);
    wbi_budget_close(scene->budget);
    test_registrar_confirm(&scene->registrar);
    check_lenders(scene, true);
    wbi_budget_count(scene->budget, &bytes, &slabs);
    ck_assert_uint_eq(bytes, 0);
    ck_assert_uint_eq(slabs, 0);
    wbi_budget_drop(scene->budget);
    ck_assert_uint_le(scene->registrar.peak_bytes, model->limit_bytes);
    test_registrar_finish(&scene->registrar);
    ck_assert_uint_eq(test_mapped_slabs(), 0);
}

START_TEST(test_against_a_model)
{
    if (is_under_way)
        return;
    is_under_way = true;
    struct scene *scene = calloc(1, sizeof(*scene));
    ck_assert_ptr_nonnull(scene);
    open_scene(scene, (unsigned)_i);
    for (unsigned i = 0; i < steps; i++) {
        step(scene);
        if (i % 16 == 0)
            model_check_books(&scene->model);
        if (i % 256 == 0)
            check_all(scene);
    }
    close_scene(scene);
    ck_assert_uint_gt(scene->model.served, steps / 16);
    free(scene);
    is_under_way = false;
}
END_TEST

int main(int argc, char **argv)
{
    int first = 0, count = SEEDS;
    Suite *suite = suite_create("rma model");
    TCase *tcase = tcase_create("by seed");

    steps = test_scaled(STEPS);
    if (argc > 2) {
        first = (int)strtol(argv[1], NULL, 10);
        count = (int)strtol(argv[2], NULL, 10);
    }
    if (argc > 3)
        steps = (unsigned)strtoul(argv[3], NULL, 10);
    tcase_set_timeout(tcase, 100);
    tcase_add_loop_test(tcase, test_against_a_model, first, first + count);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
