#include "mr_cache/worker.h"

#include <signal.h>

#include "mr_cache/pool.h"
#include "mr_cache/round.h"

static void *work(void *argument)
{
    struct wb_rma_allocator *pool = argument;

    pthread_mutex_lock(&pool->mutex);
    while (!pool->worker_stop) {
        if (!pool->worker_work) {
            pthread_cond_wait(&pool->worker_wake, &pool->mutex);
            continue;
        }
        pool->worker_work = false;
        pthread_mutex_unlock(&pool->mutex);
        wbi_round(pool);
        pthread_mutex_lock(&pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

int wbi_worker_start(struct wb_rma_allocator *pool)
{
    sigset_t all, former;

    if (pool->worker_stop)
        return WB_ERR_CLOSED;
    if (pool->worker_started)
        return WB_OK;
    sigfillset(&all); /* the program's signals are for the program's threads */
    pthread_sigmask(SIG_SETMASK, &all, &former);
    int failed = pthread_create(&pool->worker, NULL, work, pool);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    if (failed)
        return WB_ERR_NO_MEMORY;
    (void)pthread_setname_np(pool->worker, "waybill-pool");
    pool->worker_started = true;
    return WB_OK;
}

void wbi_worker_wake(struct wb_rma_allocator *pool)
{
    pool->worker_work = true;
    pthread_cond_signal(&pool->worker_wake);
}

void wbi_worker_stop(struct wb_rma_allocator *pool)
{
    pthread_mutex_lock(&pool->mutex);
    pool->worker_stop = true;
    bool started = pool->worker_started;
    pool->worker_started = false;
    pthread_cond_signal(&pool->worker_wake);
    pthread_mutex_unlock(&pool->mutex);
    if (started)
        pthread_join(pool->worker, NULL);
}
