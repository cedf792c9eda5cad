#include "tests/mr_cache/pinning.h"

#include <stdlib.h>
#include <waybill/pin.h>

struct wbi_mr {
    uintptr_t base;
    size_t bytes;
    uint64_t weight;
    atomic_bool valid; /* turned off before it is freed: a reader that comes too late sees it */
};

static int reg(void *context, const struct wbi_pin_source *source, struct wbi_mr **out)
{
    struct test_pinner *pinner = context;
    int status = WB_OK;
    pthread_mutex_lock(&pinner->mutex);
    if (pinner->failures > 0) {
        pinner->failures--;
        status = pinner->failure;
    } else if (pinner->most > 0 && pinner->regs - pinner->deregs >= pinner->most) {
        status = WB_ERR_NO_MEMORY;
    } else {
        struct wbi_mr *mr = calloc(1, sizeof *mr);
        mr->base = (uintptr_t)source->address;
        mr->bytes = source->bytes;
        mr->weight = (source->flags & WB_MR_ON_DEMAND) == 0 ? source->bytes : 0;
        atomic_init(&mr->valid, true);
        pinner->regs++;
        pinner->bytes += mr->weight;
        if (pinner->bytes > pinner->peak_bytes) {
            pinner->peak_bytes = pinner->bytes;
        }
        *out = mr;
    }
    pthread_mutex_unlock(&pinner->mutex);
    return status;
}

static void dereg(void *context, struct wbi_mr *mr)
{
    struct test_pinner *pinner = context;
    pthread_mutex_lock(&pinner->mutex);
    pinner->deregs++;
    pinner->bytes -= mr->weight;
    pthread_mutex_unlock(&pinner->mutex);
    atomic_store(&mr->valid, false);
    free(mr);
}

void test_pins_open(struct test_pins *pins, uint64_t bytes, uint32_t registrations)
{
    *pins = (struct test_pins){.pinner = {.regs = 0}};
    pthread_mutex_init(&pins->pinner.mutex, NULL);
    struct wbi_pin_cache_config config = {
        .bytes = bytes,
        .registrations = registrations,
        .pinner_count = 2, /* the other fabric needs none */
        .pinners = {{0}, {.context = &pins->pinner, .reg = reg, .dereg = dereg}}};
    wbi_pin_cache_open(&pins->cache, &config);
}

void test_pins_close(struct test_pins *pins)
{
    wbi_pin_cache_close(&pins->cache);
    ck_assert_uint_eq(pins->pinner.regs, pins->pinner.deregs);
    ck_assert_uint_eq(pins->pinner.bytes, 0);
    pthread_mutex_destroy(&pins->pinner.mutex);
}

static const void *at(uintptr_t base)
{
    return (const void *)base; // NOLINT(performance-no-int-to-ptr)
}

static int pin(struct test_pins *pins, const struct wbi_pin_source *source)
{
    bool refused;
    return wbi_pin_cache_pin(&pins->cache, source, &refused);
}

int test_pin(struct test_pins *pins, uintptr_t base, size_t bytes, uint32_t flags)
{
    struct wbi_pin_source source = {.address = at(base), .bytes = bytes, .flags = flags, .fd = -1};
    return pin(pins, &source);
}

int test_pin_dmabuf(struct test_pins *pins, uintptr_t base, size_t bytes)
{
    struct wbi_pin_source source = {.address = at(base), .bytes = bytes, .fd = 3};
    return pin(pins, &source);
}

int test_unpin(struct test_pins *pins, uintptr_t base, size_t bytes)
{
    struct wbi_pin *rest;
    int status = wbi_pin_cache_unpin(&pins->cache, at(base), bytes, false, &rest);
    ck_assert_ptr_null(rest);
    return status;
}

void test_assert_registered(const struct wbi_pin *pin)
{
    ck_assert_ptr_nonnull(pin->mrs[1]);
    ck_assert(atomic_load(&pin->mrs[1]->valid));
}

struct wbi_pin *test_acquire(struct test_pins *pins, uintptr_t base, size_t bytes)
{
    struct wbi_pin *pin = wbi_pin_cache_acquire(&pins->cache, at(base), bytes);
    if (pin != NULL) {
        test_assert_registered(pin);
        ck_assert_ptr_null(pin->mrs[0]);
        ck_assert_uint_le(pin->mrs[1]->base, base);
        ck_assert_uint_ge(pin->mrs[1]->base + pin->mrs[1]->bytes, base + bytes);
    }
    return pin;
}

struct wbi_pin_stats test_pin_stats(struct test_pins *pins)
{
    struct wbi_pin_stats stats;
    wbi_pin_cache_stats(&pins->cache, &stats);
    return stats;
}
