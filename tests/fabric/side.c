#include "tests/fabric/side.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/bundle.h"

enum { PATIENCE_US = 10000000 };

static bool is_child;

void test_become_child(void)
{
    is_child = true;
}

void test_failed(const char *file, int line, const char *what)
{
    if (is_child) {
        fprintf(stderr, "%s:%d: child: not so: %s\n", file, line, what);
        _exit(99);
    }
    ck_abort_msg("%s:%d: not so: %s", file, line, what);
}

static struct test_end *new_end(struct test_side *side)
{
    struct test_end *end = calloc(1, sizeof *end);
    TEST_THAT(end != NULL);
    TEST_THAT(side->end_count < TEST_MAX_CHANNELS);
    end->side = side;
    side->ends[side->end_count++] = end;
    return end;
}

static void forget_end(struct test_end *end)
{
    struct test_side *side = end->side;
    for (unsigned i = 0; i < side->end_count; i++) {
        if (side->ends[i] == end) {
            memmove(&side->ends[i], &side->ends[i + 1],
                    (side->end_count - i - 1) * sizeof(struct test_end *));
            side->end_count--;
            break;
        }
    }
    free(end);
}

static void keep_hello(struct test_end *end, const void *hello, size_t len)
{
    TEST_THAT(len <= WBI_HELLO_MAX);
    memcpy(end->hello, hello, len);
    end->hello_len = len;
}

static void on_request(void *lane_owner, struct wbi_request *request, const void *hello, size_t len)
{
    struct test_side *side = lane_owner;
    side->requests++;
    if (side->verdict != WB_OK) {
        side->fabric->reject(request, "no room", 7);
        return;
    }
    struct test_end *end = new_end(side);
    keep_hello(end, hello, len);
    side->accept_said = side->fabric->accept(request, "welcome", 7, end, &end->channel);
    if (side->accept_said != WB_OK) {
        forget_end(end);
        return;
    }
    end->connected = true;
}

static void on_connected(void *channel_owner, const void *hello, size_t len)
{
    struct test_end *end = channel_owner;
    TEST_THAT(!end->connected);
    end->connected = true;
    keep_hello(end, hello, len);
}

static void on_lost(void *channel_owner, int status, const char *reason, const void *hello,
                    size_t len)
{
    struct test_end *end = channel_owner;
    TEST_THAT(end->lost == WB_OK);
    TEST_THAT(status != WB_OK);
    end->lost = status;
    snprintf(end->reason, sizeof end->reason, "%s", reason);
    keep_hello(end, hello, len);
}

static uint8_t *take_slot(void *lane_owner)
{
    struct test_side *side = lane_owner;
    return side->free_count > 0 ? side->free[--side->free_count] : NULL;
}

static void return_slot(void *lane_owner, uint8_t *slot)
{
    struct test_side *side = lane_owner;
    side->free[side->free_count++] = slot;
}

static void take_message(struct test_end *end, const uint8_t *slot, size_t len)
{
    struct test_side *side = end->side;
    TEST_THAT(end->lost == WB_OK);
    TEST_THAT(end->connected);
    end->messages++;
    end->bytes += len;
    if (side->on_message) {
        side->on_message(end, slot, len);
    } else {
        memcpy(end->last, slot, len);
        end->last_len = len;
    }
}

/* Keeps every second slot for as long as this takes: both ways back are the fabric's to bear. */
static bool on_message(void *channel_owner, uint8_t *slot, size_t len)
{
    struct test_end *end = channel_owner;
    take_message(end, slot, len);
    bool kept = end->messages % 2 == 0;
    if (kept) {
        return_slot(end->side, slot);
    }
    return kept;
}

static uint32_t on_bundle(void *channel_owner, uint8_t *slot, size_t len)
{
    struct test_end *end = channel_owner;
    uint32_t count;
    const char *what;
    TEST_OK(wbi_bundle_check(slot, len, &count, &what));
    end->bundles++;
    end->longest = len > end->longest ? len : end->longest;
    for (size_t at = 0; at < len;) {
        size_t bytes = wbi_bundle_length(slot + at);
        take_message(end, slot + at + WBI_BUNDLE_FRAME, bytes);
        at = wbi_bundle_next(at + WBI_BUNDLE_FRAME + bytes);
    }
    return_slot(end->side, slot);
    return count;
}

/* No receives(): of the fabrics under test none has channels with receives of their own. */
static struct wbi_fabric_lane *home(void *lane_owner)
{
    return ((struct test_side *)lane_owner)->lane;
}

static const struct wbi_fabric_events events = {.home = home,
                                                .on_request = on_request,
                                                .on_connected = on_connected,
                                                .on_lost = on_lost,
                                                .take_slot = take_slot,
                                                .return_slot = return_slot,
                                                .on_message = on_message,
                                                .on_bundle = on_bundle};

void test_side_open_on(struct test_side *side, const struct wbi_fabric *fabric,
                       const struct wb_engine_config *config)
{
    memset(side, 0, sizeof *side);
    side->fabric = fabric;
    side->eager = config->eager_bytes;
    size_t stride = side->eager + 64;
    side->arena = malloc(stride * TEST_SLOTS);
    TEST_THAT(side->arena != NULL);
    for (unsigned i = 0; i < TEST_SLOTS; i++) {
        side->free[side->free_count++] = side->arena + i * stride;
    }
    TEST_OK(fabric->domain_open(config, &side->domain));
    side->registrar = fabric->registrar(side->domain);
    struct wbi_lane_config lane_config = {.slots = {side->arena, stride, TEST_SLOTS},
                                          .receives =
                                              TEST_SLOTS / fabric->caps(side->domain)->slot_sets,
                                          .eager_bytes = side->eager,
                                          .max_channels = TEST_MAX_CHANNELS,
                                          .liveness_us = config->liveness_us};
    TEST_OK(fabric->lane_open(side->domain, &lane_config, &events, side, &side->lane));
}

void test_side_close(struct test_side *side)
{
    while (side->end_count > 0) {
        test_end_close(side->ends[side->end_count - 1]);
    }
    side->fabric->lane_close(side->lane);
    side->fabric->domain_close(side->domain);
    free(side->arena);
    memset(side, 0, sizeof *side);
}

void test_poll_both(struct test_side *a, struct test_side *b)
{
    int done = a->fabric->poll(a->lane);
    TEST_THAT(done >= 0);
    if (b) {
        done = b->fabric->poll(b->lane);
        TEST_THAT(done >= 0);
    }
}

void test_until_flag(struct test_side *a, struct test_side *b, const bool *flag)
{
    for (uint64_t end = wbi_now() + PATIENCE_US; !*flag;) {
        TEST_THAT(wbi_now() < end);
        test_poll_both(a, b);
    }
}

void test_until_count(struct test_side *a, struct test_side *b, const uint64_t *count,
                      uint64_t least)
{
    for (uint64_t end = wbi_now() + PATIENCE_US; *count < least;) {
        TEST_THAT(wbi_now() < end);
        test_poll_both(a, b);
    }
}

void test_until_lost(struct test_side *a, struct test_side *b, const struct test_end *end)
{
    for (uint64_t limit = wbi_now() + PATIENCE_US; end->lost == WB_OK;) {
        TEST_THAT(wbi_now() < limit);
        test_poll_both(a, b);
    }
}

int test_connect(struct test_side *side, const char *name, const void *hello, size_t hello_len,
                 struct test_end **out)
{
    struct test_end *end = new_end(side);
    int status = side->fabric->connect(side->lane, name, hello, hello_len, end, &end->channel);
    if (status != WB_OK) {
        forget_end(end);
        return status;
    }
    *out = end;
    return WB_OK;
}

void test_join(struct test_side *server, const char *address, struct test_side *client,
               struct test_end **server_end, struct test_end **client_end)
{
    unsigned before = server->end_count;
    TEST_OK(test_connect(client, address, "hello", 5, client_end));
    test_until_flag(client, server, &(*client_end)->connected);
    TEST_THAT(server->end_count == before + 1);
    *server_end = server->ends[before];
}

void test_end_close(struct test_end *end)
{
    end->side->fabric->close(end->channel);
    forget_end(end);
}

void test_send(struct test_end *end, struct test_side *other, const void *bytes, size_t len)
{
    uint8_t *slot;
    int status;
    uint64_t limit = wbi_now() + PATIENCE_US;
    while ((status = end->side->fabric->reserve(end->channel, len, false, &slot)) == WB_AGAIN) {
        TEST_THAT(wbi_now() < limit);
        test_poll_both(end->side, other);
    }
    TEST_OK(status);
    memcpy(slot, bytes, len);
    end->side->fabric->send(end->channel, len);
}

void test_fill(void *bytes, size_t len, uint64_t seed)
{
    uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++) {
        at[i] = (uint8_t)((i + seed) * 131 + (i >> 8));
    }
}

bool test_filled(const void *bytes, size_t len, uint64_t seed)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++) {
        if (at[i] != (uint8_t)((i + seed) * 131 + (i >> 8))) {
            return false;
        }
    }
    return true;
}

struct wbi_region test_slab(size_t bytes)
{
    struct wbi_region slab = {.bytes = bytes};
    slab.fd = memfd_create("test-slab", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    TEST_THAT(slab.fd >= 0);
    TEST_THAT(ftruncate(slab.fd, (off_t)bytes) == 0);
    slab.base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, slab.fd, 0);
    TEST_THAT(slab.base != MAP_FAILED);
    TEST_THAT(fcntl(slab.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0);
    return slab;
}

void test_slab_free(struct wbi_region *slab)
{
    munmap(slab->base, slab->bytes);
    close(slab->fd);
}

static void on_done(struct wbi_read *read, int status)
{
    struct test_read *of = (struct test_read *)(void *)read;
    TEST_THAT(!of->ended);
    of->ended = true;
    of->status = status;
}

void test_read_of(struct test_read *read, const struct wbi_offer *offer, uint64_t offset,
                  uint64_t len, void *into)
{
    memset(read, 0, sizeof *read);
    memcpy(read->key, offer->key, sizeof read->key);
    read->read = (struct wbi_read){.key = read->key,
                                   .key_len = offer->key_len,
                                   .address = offer->address + offset,
                                   .offset = offset,
                                   .len = len,
                                   .into = into,
                                   .done = on_done};
}
