#include "engine/hold.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { GONE = WBI_HOLD_OWNERS, ALIGN = 2 * WBI_HOLD_OWNERS };

_Thread_local _Alignas(ALIGN) char wbi_hold_token __attribute__((tls_model("initial-exec")));

/* ---- the barrier ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool works;

static void ask_for_barriers(void)
{
    works = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

static bool has_barriers(void)
{
    pthread_once(&once, ask_for_barriers);
    return works;
}

/* All threads of this process have passed a full barrier. Where the kernel is forbidden to (a
 * filter of system calls that came later): long after any store has left its CPU. */
static void pass_barrier(void)
{
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

/* ---- owners ---- */

/* Nobody owns the lane any more, or somebody else does. False: its owner is in, and looks
 * afterwards for what has been left by now. */
static bool take_away(struct wbi_hold *hold, uintptr_t owner)
{
    uintptr_t gone = (owner & (WBI_HOLD_OWNERS - 1)) | GONE;
    if (owner != gone && !atomic_compare_exchange_strong(&hold->owner, &owner, gone) &&
        owner != gone) {
        return true; /* others were faster, and may be farther than we know */
    }
    pass_barrier();
    if (atomic_load(&hold->in[gone & (WBI_HOLD_OWNERS - 1)]) != 0) {
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
    return ++hold->alone >= WBI_HOLD_ALONE && hold->owners < WBI_HOLD_OWNERS && has_barriers();
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
