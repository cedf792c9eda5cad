/* An engine belongs to the process that made it: its channels, keys and locks are the parent's. A
 * child of fork has copies of what describes them, and whatever it did with those would be done to
 * the parent's peers. */
#include "engine/circle.h"
#include "engine/defer.h"
#include "engine/engine.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int failure;            /* of pthread_atfork */
static _Atomic uint32_t forks; /* from the first engine on, down to this process */

static void on_child(void)
{
    atomic_fetch_add_explicit(&forks, 1, memory_order_relaxed);
    wbi_helpers_forget();
    wbi_circle_forget();
}

static void watch(void)
{
    failure = pthread_atfork(NULL, NULL, on_child);
}

int wbi_engine_adopt(struct wb_engine *engine)
{
    pthread_once(&once, watch);
    engine->forks = atomic_load_explicit(&forks, memory_order_relaxed);
    return failure == 0 ? WB_OK : wbi_error(WB_ERR_NO_MEMORY, "no memory to watch for forks");
}

bool wbi_engine_is_inherited(const struct wb_engine *engine)
{
    return engine->forks != atomic_load_explicit(&forks, memory_order_relaxed);
}

int wbi_engine_check_process(const struct wb_engine *engine)
{
    return wbi_engine_is_inherited(engine)
               ? wbi_error(WB_ERR_CLOSED, "this engine is the parent process's: a child of fork "
                                          "makes its own")
               : WB_OK;
}
