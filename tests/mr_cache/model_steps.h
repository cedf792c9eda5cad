/* What a program does with its handles, one step at a time, at random: on the memory and on the
 * model alike. */
#ifndef WAYBILL_TESTS_MR_CACHE_MODEL_STEPS_H
#define WAYBILL_TESTS_MR_CACHE_MODEL_STEPS_H

#include <semaphore.h>

#include "tests/mr_cache/model.h"

/* A second thread with caches of its own. It acts while the first waits: a seed means the same
 * again. */
struct model_hand {
    pthread_t thread;
    sem_t go, done;
    void (*act)(void *argument); /* NULL: the end */
    void *argument;
};

void model_hand_start(struct model_hand *hand);
void model_hand_stop(struct model_hand *hand);

/* Puts something into an empty place: memory of `pool`, counted memory, or a part of what another
 * place has. Where the pool has no room it stays empty. */
void model_create(struct model *model, struct model_hand *hand, struct model_pool *pool,
                  struct model_place *place);

/* Does something with what is in a place: it is changed, moved, or becomes something else. */
void model_change(struct model *model, struct model_place *place);

/* Drops what is in a place, if there is anything, on either thread. */
void model_drop(struct model *model, struct model_hand *hand, struct model_place *place);

#endif
