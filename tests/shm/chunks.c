#include "tests/shm/chunks.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct wbi_region slab;
struct wbi_mr *mr;
uint8_t *landing;

void meet(void)
{
    meet_pair();
    slab = test_slab(SLAB);
    test_fill(slab.base, SLAB, 7);
    TEST_OK(server.registrar.reg(server.registrar.context, &slab, &mr));
    landing = malloc(SLAB);
    ck_assert_ptr_nonnull(landing);
}

void on_confirmed(void *argument)
{
    *(bool *)argument = true;
}

void leave(struct test_side *side, struct wbi_mr **registration)
{
    bool confirmed = false;
    side->registrar.dereg(side->registrar.context, *registration, on_confirmed, &confirmed);
    *registration = NULL;
    test_until_flag(&server, &client, &confirmed);
}

void part(void)
{
    if (mr) {
        leave(&server, &mr);
    }
    part_pair();
    test_slab_free(&slab);
    free(landing);
}

struct wbi_offer offer_slab(size_t at, uint64_t len)
{
    struct wbi_offer offer = {
        .data = (uint8_t *)slab.base + at, .len = len, .mr = mr, .region_base = slab.base};
    return offer;
}

void make_readable(struct wbi_offer *offer)
{
    int status;
    while ((status = wbi_shm_fabric.offer(at_server->channel, offer)) == WB_AGAIN) {
        wbi_shm_fabric.poll(server.lane);
        wbi_shm_fabric.poll(client.lane);
    }
    TEST_OK(status);
}

void read_all(struct wbi_offer *offer)
{
    struct test_read read;
    memset(landing, 0xee, offer->len);
    test_read_of(&read, offer, 0, offer->len, landing);
    TEST_OK(wbi_shm_fabric.read(at_client->channel, &read.read));
    test_until_flag(&client, &server, &read.ended);
    TEST_OK(read.status);
    ck_assert(memcmp(landing, offer->data, offer->len) == 0);
}
