#include "engine/hold.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/clock.h"

enum { GONE = WBI_HOLD_OWNERS, ALIGN = 2 * WBI_HOLD_OWNERS };

_Thread_local _Alignas(ALIGN) char wbi_hold_token __attribute__((tls_model("initial-exec")));

/* ---- the barrier ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_bool works; /* until the kernel is forbidden to, by a filter of system calls */

static void ask_for_barriers(void)
{
    atomic_store(&works,
                 syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0);
}

bool wbi_hold_prepare(void)
{
    pthread_once(&once, ask_for_barriers);
    return atomic_load(&works);
}

/* Long enough for any store to have left its CPU. */
static void wait_instead(void)
{
    static _Atomic uint32_t never;
    uint64_t now = wbi_now(), end = now + 10000;
    while (now < end) {
        wbi_park(&never, 0, end - now);
        now = wbi_now();
    }
}

/* All threads of this process have passed a full barrier. */
static void pass_barrier(void)
{
    int former = errno;
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0) {
        atomic_store(&works, false); /* no more owners */
        wait_instead();
    }
    errno = former;
}

/* ---- owners ---- */

/* The lane has no owner any more, or another one. False: its owner is in, and looks afterwards for
 * what has been left by now. */
static bool take_away(struct wbi_hold *hold, uintptr_t owner)
{
    uintptr_t number = owner & (WBI_HOLD_OWNERS - 1), gone = number | GONE;
    if (owner != gone && !atomic_compare_exchange_strong(&hold->owner, &owner, gone) &&
        owner != gone) {
        return true; /* others were faster, and may be farther than we know */
    }
    if (atomic_load(&hold->told) != number + 1) { /* the owner may not know, and stores freely */
        pass_barrier();
        atomic_store(&hold->told, (uint32_t)number + 1);
    }
    atomic_thread_fence(memory_order_seq_cst); /* he who knows has one, too */
    if (atomic_load(&hold->in[number]) != 0) {
        return false;
    }
    atomic_compare_exchange_strong(&hold->owner, &gone, 0);
    return true;
}

/* Whoever is in, and leaves: whether the lane is to be its own from now on. */
static bool comes_alone(struct wbi_hold *hold, const void *me)
{
    if (hold->last != me) {
        hold->last = me;
        hold->alone = 0;
    }
    return ++hold->alone >= WBI_HOLD_ALONE && hold->owners < WBI_HOLD_OWNERS &&
           atomic_load_explicit(&works, memory_order_relaxed);
}

enum wbi_entry_kind wbi_hold_contend(struct wbi_hold *hold)
{
    for (;;) {
        bool free = false;
        uintptr_t owner = atomic_load(&hold->owner);
        if (owner != 0 && !take_away(hold, owner)) {
            return WBI_LANE_BUSY;
        }
        if (!atomic_compare_exchange_strong(&hold->taken, &free, true)) {
            return WBI_LANE_BUSY;
        }
        if (atomic_load(&hold->owner) == 0) { /* nobody has come to own it since we looked */
            atomic_store_explicit(&hold->inside, wbi_thread_token(), memory_order_relaxed);
            return WBI_LANE_ENTERED;
        }
        atomic_store(&hold->taken, false);
    }
}

void wbi_hold_let_go(struct wbi_hold *hold)
{
    const void *me = wbi_thread_token();
    if (comes_alone(hold, me)) {
        atomic_store(&hold->owner, (uintptr_t)me | hold->owners++);
        hold->alone = 0;
    }
    atomic_store_explicit(&hold->inside, NULL, memory_order_relaxed);
    atomic_exchange(&hold->taken, false);
}
