/*
 * One background thread a domain, for what takes too long on a lane: mapping and unmapping peers'
 * slabs.
 *
 * A job belongs to who submits it until submit(), and again after finished(). It is in one state at
 * a time: idle -> queued -> running -> idle. An abandoned job is discarded by the worker instead of
 * finished.
 */
#ifndef WBI_SHM_WORKER_H
#define WBI_SHM_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/shm/list.h"

struct wbi_shm_job {
    void (*run)(struct wbi_shm_job *job);      /* without a lock; may block */
    void (*finished)(struct wbi_shm_job *job); /* under the worker's lock: must be short */
    void (*discard)(struct wbi_shm_job *job);  /* without a lock: frees an abandoned job */

    /* the worker's own, under its lock */
    struct wbi_shm_list node;
    enum { WBI_SHM_JOB_IDLE, WBI_SHM_JOB_QUEUED, WBI_SHM_JOB_RUNNING } state;
    bool abandoned;
};

struct wbi_shm_worker {
    pthread_mutex_t lock;
    struct wbi_shm_list queue;
    bool stopping;
    bool started;
    _Atomic uint32_t signal; /* moves when there is something to look at */
    pthread_t thread;
};

/* Starts the thread. WB_ERR_SYSTEM. */
int wbi_shm_worker_start(struct wbi_shm_worker *worker);

/* Runs what is queued, then ends the thread. Accepts a zeroed or never started worker. */
void wbi_shm_worker_stop(struct wbi_shm_worker *worker);

/* Queues an idle job. Any thread; never blocks for long. */
void wbi_shm_worker_submit(struct wbi_shm_worker *worker, struct wbi_shm_job *job);

/* Leaves a job to the worker: it is run if it was queued or idle, and discarded in any case; run()
 * sees the job->run of now, or of when it began. finished() is not called any more. */
void wbi_shm_worker_abandon(struct wbi_shm_worker *worker, struct wbi_shm_job *job,
                            void (*run)(struct wbi_shm_job *job));

#endif
