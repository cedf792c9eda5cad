#include "mr_cache/worker.h"

#include <signal.h>
#include <waybill/status.h>

#include "mr_cache/budget.h"
#include "mr_cache/round.h"

static void *work(void *argument)
{
    struct wbi_budget *budget = argument;

    pthread_mutex_lock(&budget->mutex);
    while (!budget->worker_stop) {
        if (!budget->worker_work) {
            pthread_cond_wait(&budget->worker_wake, &budget->mutex);
            continue;
        }
        budget->worker_work = false;
        pthread_mutex_unlock(&budget->mutex);
        wbi_round(budget);
        pthread_mutex_lock(&budget->mutex);
    }
    pthread_mutex_unlock(&budget->mutex);
    return NULL;
}

/* The mutex is held. */
static int start(struct wbi_budget *budget)
{
    sigset_t all, former;

    if (budget->worker_stop)
        return WB_ERR_CLOSED;
    if (budget->worker_started)
        return WB_OK;
    sigfillset(&all); /* the program's signals are for the program's threads */
    pthread_sigmask(SIG_SETMASK, &all, &former);
    int failed = pthread_create(&budget->worker, NULL, work, budget);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    if (failed)
        return WB_ERR_NO_MEMORY;
    (void)pthread_setname_np(budget->worker, "waybill-pool");
    budget->worker_started = true;
    return WB_OK;
}

int wbi_worker_start(struct wbi_budget *budget)
{
    pthread_mutex_lock(&budget->mutex);
    int rc = start(budget);
    pthread_mutex_unlock(&budget->mutex);
    return rc;
}

void wbi_worker_wake(struct wbi_budget *budget)
{
    pthread_mutex_lock(&budget->mutex);
    budget->worker_work = true;
    pthread_cond_signal(&budget->worker_wake);
    pthread_mutex_unlock(&budget->mutex);
}

bool wbi_worker_is_stopping(struct wbi_budget *budget)
{
    pthread_mutex_lock(&budget->mutex);
    bool stopping = budget->worker_stop;
    pthread_mutex_unlock(&budget->mutex);
    return stopping;
}

void wbi_worker_stop(struct wbi_budget *budget)
{
    pthread_mutex_lock(&budget->mutex);
    budget->worker_stop = true;
    bool started = budget->worker_started;
    budget->worker_started = false;
    pthread_cond_signal(&budget->worker_wake);
    pthread_mutex_unlock(&budget->mutex);
    if (started)
        pthread_join(budget->worker, NULL);
}
