#include "tests/support/driver.h"

#include <inttypes.h>
#include <stdio.h>

#include "mr_cache/validate.h"
#include "tests/support/program.h"

static void *drive(void *context)
{
    struct test_driver *driver = context;
    while (!atomic_load(&driver->stop)) {
        wb_wait(driver->engine, 5000);
        if (driver->tick != NULL) {
            driver->tick(driver->context);
        }
    }
    return NULL;
}

bool test_driver_start(struct test_driver *driver)
{
    atomic_init(&driver->stop, false);
    driver->running = pthread_create(&driver->thread, NULL, drive, driver) == 0;
    return driver->running;
}

void test_driver_stop(struct test_driver *driver)
{
    if (driver->running) {
        atomic_store(&driver->stop, true);
        pthread_join(driver->thread, NULL);
        driver->running = false;
    }
}

void test_figures_take(struct wb_engine *engine, struct test_figures *figures)
{
    wb_engine_stats(engine, &figures->engine);
    wb_rma_allocator_stats(wb_engine_allocator(engine), &figures->pool);
}

const char *test_figures_unquiet(const struct test_figures *figures, uint64_t blocks)
{
    static _Thread_local char words[200];
    const struct wb_engine_stats *engine = &figures->engine;
    const struct wb_rma_stats *pool = &figures->pool;
    if (engine->calls_begun == engine->calls_ended && engine->leases_open == 0 &&
        engine->leases_quarantined == 0 && pool->leased_bytes == 0 && pool->blocks == blocks) {
        return NULL;
    }
    snprintf(words, sizeof words,
             "%" PRIu64 " calls begun, %" PRIu64 " ended; %" PRIu64 " leases open, %" PRIu64
             " quarantined; %" PRIu64 " bytes leased; %" PRIu64 " blocks held, not %" PRIu64,
             engine->calls_begun, engine->calls_ended, engine->leases_open,
             engine->leases_quarantined, pool->leased_bytes, pool->blocks, blocks);
    return words;
}

void test_assert_quiet(struct wb_engine *engine, uint64_t blocks)
{
    uint64_t start = test_clock_us();
    struct test_figures figures;
    const char *unquiet;
    do {
        wb_wait(engine, 1000);
        test_figures_take(engine, &figures);
        unquiet = test_figures_unquiet(&figures, blocks);
    } while (unquiet != NULL && test_clock_us() - start < test_patience_us / 6);
    ck_assert_msg(unquiet == NULL, "not quiet: %s", unquiet);
    const char *untrue = wbi_rma_validate(wb_engine_allocator(engine));
    ck_assert_msg(untrue == NULL, "the pool's books: %s", untrue);
}
