#include "perf/hands.h"

#include <pthread.h>
#include <stdlib.h>
#include <waybill/status.h>

#include "perf/meeting.h"

struct hand {
    struct hands *hands;
    pthread_t thread;
    uint32_t number;
};

/* Invariant: hand[1, started) have threads. */
struct hands {
    struct meeting meeting;
    uint32_t started;
    void (*work)(void *user, uint32_t number); /* NULL ends the threads */
    void *user;
    struct hand hand[];
};

static void *run(void *argument)
{
    const struct hand *hand = argument;
    struct hands *hands = hand->hands;
    for (;;) {
        meet(&hands->meeting);
        if (hands->work == NULL) {
            return NULL;
        }
        hands->work(hands->user, hand->number);
        meet(&hands->meeting);
    }
}

int hands_open(struct hands **hands, uint32_t threads)
{
    struct hands *h = calloc(1, sizeof *h + threads * sizeof h->hand[0]);
    if (h == NULL) {
        return WB_ERR_NO_MEMORY;
    }
    h->meeting.size = threads;
    h->started = 1;
    while (h->started < threads) {
        struct hand *hand = &h->hand[h->started];
        *hand = (struct hand){.hands = h, .number = h->started};
        if (pthread_create(&hand->thread, NULL, run, hand) != 0) {
            hands_close(h);
            return WB_ERR_SYSTEM;
        }
        h->started++;
    }
    *hands = h;
    return WB_OK;
}

void hands_close(struct hands *hands)
{
    if (hands == NULL) {
        return;
    }
    hands->work = NULL;
    hands->meeting.size = hands->started;
    if (hands->started > 1) {
        meet(&hands->meeting);
    }
    for (uint32_t i = 1; i < hands->started; i++) {
        pthread_join(hands->hand[i].thread, NULL);
    }
    free(hands);
}

uint32_t hands_count(const struct hands *hands)
{
    return hands->started;
}

void hands_do(struct hands *hands, void (*work)(void *user, uint32_t number), void *user)
{
    hands->work = work;
    hands->user = user;
    if (hands->started > 1) {
        meet(&hands->meeting);
    }
    work(user, 0);
    if (hands->started > 1) {
        meet(&hands->meeting);
    }
}
