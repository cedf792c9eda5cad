/* The registration cache for user memory: random operations by seed against a model, and many
 * threads at once. */
#include <sched.h>
#include <waybill/pin.h>

#include "tests/mr_cache/pinning.h"
#include "tests/support/memcheck.h"

static struct test_pins pins;

/* ---- against a model ---- */

enum { MOST = 60, HELD = 24, STEPS = 20000, BOUND = 300, SPACE = 600 };

struct entry {
    uintptr_t base;
    size_t bytes;
    unsigned count;
};

static struct entry entries[MOST];
static unsigned entry_count;
static struct wbi_pin *held[HELD];

static struct entry *find(uintptr_t base, size_t bytes)
{
    for (unsigned i = 0; i < entry_count; i++) {
        if (entries[i].base == base && entries[i].bytes == bytes) {
            return &entries[i];
        }
    }
    return NULL;
}

/* The one that is searched first: the last to begin, and of those the smallest. */
static const struct entry *innermost(uintptr_t base, size_t bytes)
{
    const struct entry *best = NULL;
    for (unsigned i = 0; i < entry_count; i++) {
        const struct entry *at = &entries[i];
        bool contains = at->base <= base && at->base + at->bytes >= base + bytes;
        if (contains && (best == NULL || at->base > best->base ||
                         (at->base == best->base && at->bytes < best->bytes))) {
            best = at;
        }
    }
    return best;
}

static bool is_held(uintptr_t base, size_t bytes)
{
    for (unsigned i = 0; i < HELD; i++) {
        if (held[i] != NULL && (uintptr_t)held[i]->source.address == base &&
            held[i]->source.bytes == bytes) {
            return true;
        }
    }
    return false;
}

/* Bytes of the registrations that are in use, each once. */
static uint64_t held_bytes(void)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < entry_count; i++) {
        bytes += is_held(entries[i].base, entries[i].bytes) ? entries[i].bytes : 0;
    }
    return bytes;
}

static void do_pin(uintptr_t base, size_t bytes)
{
    struct entry *entry = find(base, bytes);
    if (entry == NULL && entry_count == MOST) {
        return;
    }
    ck_assert_int_eq(test_pin(&pins, base, bytes, 0), bytes > BOUND ? WB_ERR_BUDGET : WB_OK);
    if (entry != NULL) {
        entry->count++;
    } else if (bytes <= BOUND) {
        entries[entry_count++] = (struct entry){.base = base, .bytes = bytes, .count = 1};
    }
}

static void do_unpin(uintptr_t base, size_t bytes)
{
    struct entry *entry = find(base, bytes);
    int wanted = entry == NULL                               ? WB_ERR_INVALID
                 : entry->count == 1 && is_held(base, bytes) ? WB_ERR_DEADLOCK
                                                             : WB_OK;
    ck_assert_int_eq(test_unpin(&pins, base, bytes), wanted);
    if (wanted == WB_OK && --entry->count == 0) {
        *entry = entries[--entry_count];
    }
}

/* Something is found if it is pinned, and what is not in use leaves room for it. */
static void do_acquire(unsigned place, uintptr_t base, size_t bytes)
{
    const struct entry *inner = innermost(base, bytes);
    uint64_t in_use = held_bytes();
    struct wbi_pin *pin = test_acquire(&pins, base, bytes);
    if (inner == NULL) {
        ck_assert_ptr_null(pin);
    } else if (pin == NULL) {
        ck_assert_uint_gt(in_use + inner->bytes, BOUND);
    } else {
        ck_assert_ptr_nonnull(find((uintptr_t)pin->source.address, pin->source.bytes));
    }
    held[place] = pin;
}

static void check_figures(void)
{
    struct wbi_pin_stats stats = test_pin_stats(&pins);
    uint64_t bytes = 0;
    for (unsigned i = 0; i < entry_count; i++) {
        bytes += entries[i].bytes;
    }
    ck_assert_uint_eq(stats.ranges, entry_count);
    ck_assert_uint_eq(stats.pinned_bytes, bytes);
    ck_assert_uint_eq(stats.registered_bytes, pins.pinner.bytes);
    ck_assert_uint_eq(stats.registrations, pins.pinner.regs);
    ck_assert_uint_le(stats.registered_bytes, BOUND);
}

static void step(uint64_t *random)
{
    uintptr_t base = 1 + test_random(random) % SPACE;
    size_t bytes = test_random_bytes(random, BOUND + 20);
    unsigned place = (unsigned)(test_random(random) % HELD);
    switch (test_random(random) % 8) {
    case 0:
    case 1:
        do_pin(base, bytes);
        break;
    case 2:
        do_unpin(base, bytes);
        break;
    case 3:
        if (entry_count > 0) {
            const struct entry *entry = &entries[test_random(random) % entry_count];
            do_unpin(entry->base, entry->bytes);
        }
        break;
    case 4:
        wbi_pin_cache_shed(&pins.cache);
        break;
    default:
        if (held[place] != NULL) {
            test_assert_registered(held[place]);
            wbi_pin_release(held[place]);
            held[place] = NULL;
        } else {
            do_acquire(place, base, 1 + bytes / 8);
        }
    }
}

START_TEST(test_random_operations)
{
    uint64_t random = (uint64_t)_i * 104729 + 1;
    test_pins_open(&pins, BOUND, 0);
    entry_count = 0;
    for (unsigned i = 0; i < STEPS; i++) {
        step(&random);
        check_figures();
    }
    for (unsigned i = 0; i < HELD; i++) {
        if (held[i] != NULL) {
            wbi_pin_release(held[i]);
            held[i] = NULL;
        }
    }
    test_pins_close(&pins);
}
END_TEST

/* ---- threads ---- */

enum { THREADS = 6, ROUNDS = TEST_SANITIZED ? 1000 : 5000 };

/* Ranges that all threads share, and one of its own: it nests, overlaps, and more than the bound.
 */
static const struct {
    uintptr_t base;
    size_t bytes;
} shared[] = {{1000, 200}, {1050, 50}, {1100, 200}, {1200, 100}, {5000, 150}};

static void acquire_somewhere(uint64_t *random)
{
    uintptr_t base = 1000 + test_random(random) % 400;
    struct wbi_pin *pin = test_acquire(&pins, base, 1 + test_random(random) % 30);
    if (pin != NULL) {
        if (test_random(random) % 8 == 0) {
            sched_yield();
        }
        test_assert_registered(pin);
        wbi_pin_release(pin);
    }
}

static void unpin_waiting(uintptr_t base, size_t bytes)
{
    struct wbi_pin *rest;
    const void *address = (const void *)base; // NOLINT(performance-no-int-to-ptr)
    ck_assert_int_eq(wbi_pin_cache_unpin(&pins.cache, address, bytes, true, &rest), WB_OK);
    if (rest != NULL) {
        while (!wbi_pin_is_idle(rest)) {
            sched_yield();
        }
        wbi_pin_cache_forget(&pins.cache, rest);
    }
}

static void *work(void *argument)
{
    uint64_t random = (uintptr_t)argument + 1;
    uintptr_t own = 1000 + 40 * (uintptr_t)argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned which = (unsigned)(test_random(&random) % 5);
        ck_assert_int_eq(test_pin(&pins, own, 33, 0), WB_OK);
        ck_assert_int_eq(test_pin(&pins, shared[which].base, shared[which].bytes, 0), WB_OK);
        for (unsigned k = 0; k < 4; k++) {
            acquire_somewhere(&random);
        }
        if (i % 16 == 0) {
            wbi_pin_cache_shed(&pins.cache);
        }
        unpin_waiting(shared[which].base, shared[which].bytes);
        struct wbi_pin *pin = test_acquire(&pins, own, 33);
        if (pin != NULL) {
            test_assert_registered(pin);
            wbi_pin_release(pin);
        }
        unpin_waiting(own, 33);
    }
    return NULL;
}

START_TEST(test_many_threads)
{
    pthread_t threads[THREADS];
    test_pins_open(&pins, BOUND, 0);
    for (uintptr_t i = 0; i < THREADS; i++) {
        void *number = (void *)i; // NOLINT(performance-no-int-to-ptr)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, number), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    struct wbi_pin_stats stats = test_pin_stats(&pins);
    ck_assert_uint_eq(stats.ranges, 0);
    ck_assert_uint_eq(stats.pinned_bytes, 0);
    ck_assert_uint_eq(stats.registered_bytes, 0);
    ck_assert_uint_le(pins.pinner.peak_bytes, BOUND);
    test_pins_close(&pins);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mr_cache: pins at random");
    TCase *tcase = tcase_create("random");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, test_random_operations, 0, RUNNING_ON_VALGRIND > 0 ? 2 : 6);
    tcase_add_test(tcase, test_many_threads);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
