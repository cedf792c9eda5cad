/* A work-stealing pool that takes part in calls, to be taken over as it is. Each worker has a deque
 * of tasks: it takes its own newest one, or steals the oldest of another's. Actions that are
 * registered on `executor` become tasks. A task that waits for calls by pool_then holds no worker:
 * they resume it, as a task; one that waits in NAME_call does other tasks on top of its own. */
#ifndef TASK_POOL_H
#define TASK_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <waybill/waybill.h>

enum { POOL_WORKERS = 4 };

/* A part of what it works on, so that giving it needs no memory. */
struct task {
    void (*run)(struct task *task); /* takes it */
    struct task *older, *newer;     /* the pool's */
};

struct pool_worker {
    struct pool *pool;
    pthread_t thread;
    pthread_mutex_t lock; /* of the deque */
    struct task *oldest, *newest;
};

struct pool {
    struct wb_executor executor; /* for NAME_register_on */
    struct pool_worker workers[POOL_WORKERS];
    unsigned started;
    atomic_uint next;          /* whose deque takes what comes from outside */
    atomic_uint ready, asleep; /* tasks in the deques; workers that have found none */
    atomic_ulong done, stolen;
    pthread_mutex_t lock; /* to sleep */
    pthread_cond_t more;
    atomic_bool stop;
};

static _Thread_local struct pool_worker *pool_me; /* NULL: this thread is none of a pool's */

/* Any thread, handlers and callbacks too. Takes the task. */
static void pool_give(struct pool *pool, struct task *task)
{
    struct pool_worker *to = pool_me;
    if (to == NULL || to->pool != pool) {
        to = &pool->workers[atomic_fetch_add(&pool->next, 1) % POOL_WORKERS];
    }
    pthread_mutex_lock(&to->lock);
    task->older = to->newest;
    task->newer = NULL;
    *(to->newest != NULL ? &to->newest->newer : &to->oldest) = task;
    to->newest = task;
    atomic_fetch_add(&pool->ready, 1);
    pthread_mutex_unlock(&to->lock);
    if (atomic_load(&pool->asleep) > 0) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_signal(&pool->more);
        pthread_mutex_unlock(&pool->lock);
    } else {
        wb_executor_wake(&pool->executor); /* workers may sleep in an engine, on top of a task */
    }
}

static struct task *pool_take(struct pool_worker *from, bool newest)
{
    pthread_mutex_lock(&from->lock);
    struct task *task = newest ? from->newest : from->oldest;
    if (task != NULL) { /* an end: it has one neighbour at most */
        *(task->older != NULL ? &task->older->newer : &from->oldest) = task->newer;
        *(task->newer != NULL ? &task->newer->older : &from->newest) = task->older;
        atomic_fetch_sub(&from->pool->ready, 1);
    }
    pthread_mutex_unlock(&from->lock);
    return task;
}

/* Does one task; false: there was none. */
static bool pool_do_one(struct pool_worker *me)
{
    struct pool *pool = me->pool;
    struct task *task = pool_take(me, true);
    for (unsigned i = 1; task == NULL && i < POOL_WORKERS; i++) {
        task = pool_take(&pool->workers[(me - pool->workers + i) % POOL_WORKERS], false);
        pool->stolen += task != NULL;
    }
    if (task != NULL) {
        pool->done++;
        task->run(task);
    }
    return task != NULL;
}

struct pool_action {
    struct task task; /* the first */
    struct wb_deferred *work;
};

static void pool_run_action(struct task *task)
{
    wb_deferred_run(((struct pool_action *)task)->work);
    free(task);
}

static void pool_run(void *self, struct wb_deferred *work)
{
    struct pool_action *action = malloc(sizeof *action);
    if (action == NULL) {
        wb_deferred_fail(work, 1, "no memory for a task");
        return;
    }
    *action = (struct pool_action){.task.run = pool_run_action, .work = work};
    pool_give(self, &action->task);
}

static bool pool_help(void *self)
{
    struct pool *pool = self; /* asked in a spin: it takes no lock in vain */
    return pool->ready > 0 && pool_do_one(pool_me);
}

/* A task that the pool gets when all of its parts have ended. Whoever begins its calls has a part
 * as well: a call may end before NAME_async has returned. */
struct pool_join {
    struct task task; /* the first */
    struct pool *pool;
    atomic_uint parts;
};

/* Any thread: a part has ended. After the last one the join is the pool's. */
static void pool_part(struct pool_join *join)
{
    struct pool *pool = join->pool;
    if (atomic_fetch_sub(&join->parts, 1) == 1) {
        pool_give(pool, &join->task);
    }
}

/* The `then` of a call that is a part; its `user` is the join. The task finishes the call. */
static void pool_then(struct wb_call *call, void *join)
{
    (void)call;
    pool_part(join);
}

/* Until there is a task; false: the pool ends. */
static bool pool_sleep(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->asleep, 1); /* then looks; who gives does it the other way round */
    while (pool->ready == 0 && !pool->stop) {
        pthread_cond_wait(&pool->more, &pool->lock);
    }
    atomic_fetch_sub(&pool->asleep, 1);
    pthread_mutex_unlock(&pool->lock);
    return pool->ready > 0 || !pool->stop;
}

static void *pool_work(void *me)
{
    pool_me = me;
    wb_executor_adopt(&pool_me->pool->executor);
    while (pool_do_one(me) || pool_sleep(pool_me->pool)) {
    }
    wb_executor_adopt(NULL);
    return NULL;
}

/* Does what is there and ends the workers; nobody gives tasks from outside any more. */
static void pool_close(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->more);
    pthread_mutex_unlock(&pool->lock);
    while (pool->started > 0) {
        pthread_join(pool->workers[--pool->started].thread, NULL);
    }
}

/* The pool is zeroed, and does not move. False: there are no threads to have. */
static bool pool_open(struct pool *pool)
{
    pool->executor = (struct wb_executor){.run = pool_run, .help = pool_help, .self = pool};
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->more, NULL);
    for (unsigned i = 0; i < POOL_WORKERS; i++) {
        pool->workers[i].pool = pool;
        pthread_mutex_init(&pool->workers[i].lock, NULL);
    }
    for (struct pool_worker *next = pool->workers; pool->started < POOL_WORKERS; next++) {
        if (pthread_create(&next->thread, NULL, pool_work, next) != 0) {
            break;
        }
        pool->started++;
    }
    return pool->started > 0;
}

#endif
