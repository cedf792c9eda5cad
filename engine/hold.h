/*
 * Who is in a lane: one thread at a time, for which nobody waits. Who does not get in leaves word
 * before he tries, and whoever is in looks for that after he has left.
 *
 * Mostly one thread alone uses a lane, and to take and leave it by locked instructions would be a
 * quarter of a small call. So one that has come many times in a row comes to own it: from then on
 * it says in a word of its own that it is in, and looks whether it still owns the lane. Another one
 * that wants to get in takes that away first, and has all CPUs that run this process pass a barrier
 * (membarrier): after that the owner has seen it, or is seen to be in. An owner's word is never
 * another's, since one that was late might still write to it: so there are OWNERS of them, and
 * after that all take turns for good. (Lock reservation: Kawachiya, Koseki, Onodera 2002;
 * asymmetric synchronization: Dice, Huang, Yang 2001.)
 *
 * Invariant: in[] of an owner that has found `owner` unchanged since it set that, or `taken` while
 * there is no owner: one of these at most, and that thread's token is `inside`.
 */
#ifndef WBI_ENGINE_HOLD_H
#define WBI_ENGINE_HOLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WBI_HOLD_OWNERS = 8,  /* in the life of a lane; a power of two */
    WBI_HOLD_ALONE = 1024 /* times in a row that a thread comes alone before it owns the lane */
};

enum wbi_entry_kind {
    WBI_LANE_BUSY,    /* another thread is in */
    WBI_LANE_ENTERED, /* leave it afterwards */
    WBI_LANE_NESTED   /* this thread is in already: inside a handler or callback */
};

struct wbi_hold {
    _Atomic(const void *) inside; /* token of the thread that is in; only good to find one's own */
    _Atomic uintptr_t owner;      /* token | number in `in`; number | GONE where it is taken away */
    _Atomic uint8_t in[WBI_HOLD_OWNERS];
    _Atomic bool taken;
    _Atomic uint32_t
        told; /* number + 1 of the last owner that has passed a barrier since it was one */

    /* of whoever is in */
    _Atomic uint8_t *word; /* that it is in by, if it owns the lane; else NULL */
    const void *last;      /* who came last */
    uint32_t alone;        /* how often in a row */
    uint32_t owners;       /* that there have been */
};

/* Found without a call in the shared library too: the hot path asks several times. */
extern _Thread_local char wbi_hold_token __attribute__((tls_model("initial-exec")));

/* What a thread is known by; its low bits are 0. */
static inline const void *wbi_thread_token(void)
{
    return &wbi_hold_token;
}

static inline bool wbi_hold_is_mine(const struct wbi_hold *hold)
{
    return atomic_load_explicit(&hold->inside, memory_order_relaxed) == wbi_thread_token();
}

/* Cold, before a lane is used: asks the kernel for barriers, which takes milliseconds. Whether
 * there are any; without them no lane has an owner. */
bool wbi_hold_prepare(void);

/* Any thread; never waits. */
enum wbi_entry_kind wbi_hold_contend(struct wbi_hold *hold);
static inline enum wbi_entry_kind wbi_hold_enter(struct wbi_hold *hold)
{
    const void *me = wbi_thread_token();
    if (wbi_hold_is_mine(hold)) {
        return WBI_LANE_NESTED;
    }
    uintptr_t owner = atomic_load_explicit(&hold->owner, memory_order_relaxed);
    uintptr_t number = owner ^ (uintptr_t)me; /* small where it is ours */
    if (number >= WBI_HOLD_OWNERS) {
        return wbi_hold_contend(hold);
    }
    _Atomic uint8_t *word = &hold->in[number];
    atomic_load_explicit(word, memory_order_acquire); /* of a former thread by our token */
    atomic_store_explicit(word, 1, memory_order_relaxed);
    atomic_signal_fence(
        memory_order_seq_cst); /* the barrier of who takes it away is its other half */
    if (atomic_load_explicit(&hold->owner, memory_order_relaxed) != owner) {
        atomic_store_explicit(word, 0, memory_order_release);
        return wbi_hold_contend(hold);
    }
    hold->word = word;
    atomic_store_explicit(&hold->inside, me, memory_order_relaxed);
    return WBI_LANE_ENTERED;
}

/* Whoever has entered: lets go. What others have left before they were told BUSY is seen by loads
 * from here on; they are sequentially consistent. */
void wbi_hold_let_go(struct wbi_hold *hold);
static inline void wbi_hold_leave(struct wbi_hold *hold)
{
    _Atomic uint8_t *word = hold->word;
    if (word == NULL) {
        wbi_hold_let_go(hold);
        return;
    }
    hold->word = NULL;
    atomic_store_explicit(&hold->inside, NULL, memory_order_relaxed);
    atomic_store_explicit(word, 0, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst); /* as above */
    if (atomic_load_explicit(&hold->owner, memory_order_relaxed) < 2 * WBI_HOLD_OWNERS) {
        atomic_thread_fence(memory_order_seq_cst); /* it was taken away: no barrier comes again */
    }
}

#endif
