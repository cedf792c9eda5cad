#include "tests/conformance/workers.h"

#include <stdlib.h>

/* The oldest piece, or NULL. The lock is held. */
static struct test_piece *take(struct test_workers *workers)
{
    struct test_piece *piece = workers->first;
    if (piece != NULL) {
        workers->first = piece->next;
        if (workers->first == NULL) {
            workers->last = &workers->first;
        }
    }
    return piece;
}

static bool do_one(struct test_piece *piece)
{
    if (piece == NULL) {
        return false;
    }
    piece->run(piece->context);
    free(piece);
    return true;
}

static bool help(void *self)
{
    struct test_workers *workers = self;
    pthread_mutex_lock(&workers->lock);
    struct test_piece *piece = take(workers);
    pthread_mutex_unlock(&workers->lock);
    return do_one(piece);
}

static void *work(void *context)
{
    struct test_workers *workers = context;
    wb_executor_adopt(&workers->executor);
    pthread_mutex_lock(&workers->lock);
    while (!workers->stop || workers->first != NULL) {
        struct test_piece *piece = take(workers);
        if (piece == NULL) {
            pthread_cond_wait(&workers->more, &workers->lock);
            continue;
        }
        pthread_mutex_unlock(&workers->lock);
        do_one(piece);
        pthread_mutex_lock(&workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
    wb_executor_adopt(NULL);
    return NULL;
}

void test_workers_give(struct test_workers *workers, void (*run)(void *context), void *context)
{
    struct test_piece *piece = malloc(sizeof *piece);
    if (piece == NULL) {
        run(context);
        return;
    }
    *piece = (struct test_piece){.run = run, .context = context};
    pthread_mutex_lock(&workers->lock);
    *workers->last = piece;
    workers->last = &piece->next;
    pthread_cond_signal(&workers->more);
    pthread_mutex_unlock(&workers->lock);
    wb_executor_wake(&workers->executor);
}

static void run_handler(void *work)
{
    wb_deferred_run(work);
}

static void run_on_workers(void *self, struct wb_deferred *work)
{
    test_workers_give(self, run_handler, work);
}

int test_workers_start(struct test_workers *workers)
{
    workers->last = &workers->first;
    workers->executor = (struct wb_executor){.run = run_on_workers, .help = help, .self = workers};
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->more, NULL);
    while (workers->count < TEST_WORKERS &&
           pthread_create(&workers->threads[workers->count], NULL, work, workers) == 0) {
        workers->count++;
    }
    return workers->count > 0 ? WB_OK : WB_ERR_NO_MEMORY;
}

void test_workers_stop(struct test_workers *workers)
{
    if (workers->count == 0) {
        return;
    }
    pthread_mutex_lock(&workers->lock);
    workers->stop = true;
    pthread_cond_broadcast(&workers->more);
    pthread_mutex_unlock(&workers->lock);
    while (workers->count > 0) {
        pthread_join(workers->threads[--workers->count], NULL);
    }
    pthread_mutex_destroy(&workers->lock);
    pthread_cond_destroy(&workers->more);
}
