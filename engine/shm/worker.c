#include "engine/shm/worker.h"

#include <signal.h>
#include <string.h>

#include "engine/clock.h"
#include "engine/fabric.h"

enum { LOOK_AGAIN_US = 1000000 };

/* Under the lock: runs one job with the lock open. */
static void run_job(struct wbi_shm_worker *worker, struct wbi_shm_job *job)
{
    job->state = WBI_SHM_JOB_RUNNING;
    void (*run)(struct wbi_shm_job *) = job->run;
    pthread_mutex_unlock(&worker->lock);
    run(job);
    pthread_mutex_lock(&worker->lock);
    if (job->state == WBI_SHM_JOB_QUEUED) {
        return; /* what run() made known has led to the next submit() already */
    }
    job->state = WBI_SHM_JOB_IDLE;
    if (!job->abandoned) {
        job->finished(job);
        return;
    }
    pthread_mutex_unlock(&worker->lock);
    job->discard(job);
    pthread_mutex_lock(&worker->lock);
}

static void *work(void *argument)
{
    struct wbi_shm_worker *worker = argument;
    for (;;) {
        uint32_t signal = atomic_load(&worker->signal);
        pthread_mutex_lock(&worker->lock);
        struct wbi_shm_list *node;
        while ((node = wbi_shm_list_pop(&worker->queue)) != NULL) {
            run_job(worker, WBI_SHM_OF(node, struct wbi_shm_job, node));
        }
        bool stopping = worker->stopping;
        pthread_mutex_unlock(&worker->lock);
        if (stopping) {
            return NULL;
        }
        wbi_park(&worker->signal, signal, LOOK_AGAIN_US);
    }
}

int wbi_shm_worker_start(struct wbi_shm_worker *worker)
{
    wbi_shm_list_init(&worker->queue);
    pthread_mutex_init(&worker->lock, NULL);
    /* The program's signals are for the program's threads. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        pthread_mutex_destroy(&worker->lock);
        return wbi_error(WB_ERR_SYSTEM, "starting the thread that maps slabs: %s", strerror(error));
    }
    worker->started = true;
    return WB_OK;
}

static void signal_worker(struct wbi_shm_worker *worker)
{
    atomic_fetch_add(&worker->signal, 1);
    wbi_unpark(&worker->signal);
}

void wbi_shm_worker_stop(struct wbi_shm_worker *worker)
{
    if (!worker->started) {
        return;
    }
    pthread_mutex_lock(&worker->lock);
    worker->stopping = true;
    pthread_mutex_unlock(&worker->lock);
    signal_worker(worker);
    pthread_join(worker->thread, NULL);
    pthread_mutex_destroy(&worker->lock);
    worker->started = false;
}

/* Under the lock. */
static void enqueue(struct wbi_shm_worker *worker, struct wbi_shm_job *job)
{
    job->state = WBI_SHM_JOB_QUEUED;
    wbi_shm_list_append(&worker->queue, &job->node);
}

void wbi_shm_worker_submit(struct wbi_shm_worker *worker, struct wbi_shm_job *job)
{
    pthread_mutex_lock(&worker->lock);
    enqueue(worker, job);
    pthread_mutex_unlock(&worker->lock);
    signal_worker(worker);
}

void wbi_shm_worker_abandon(struct wbi_shm_worker *worker, struct wbi_shm_job *job,
                            void (*run)(struct wbi_shm_job *job))
{
    pthread_mutex_lock(&worker->lock);
    job->abandoned = true;
    if (job->state != WBI_SHM_JOB_RUNNING) {
        job->run = run;
    }
    if (job->state == WBI_SHM_JOB_IDLE) {
        enqueue(worker, job);
    }
    pthread_mutex_unlock(&worker->lock);
    signal_worker(worker);
}
