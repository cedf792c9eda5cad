#include "tests/verbs/pair.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/program.h"
#include "tests/support/rdma.h"

void test_pair_config(struct test_pair *pair)
{
    memset(pair, 0, sizeof *pair);
    wb_engine_config_default(&pair->config);
    pair->config.verbs.ack_timeout = 12;
    pair->config.liveness_us = 500000;
}

void test_new_address(unsigned device, char address[64])
{
    static unsigned port = 21000;
    snprintf(address, 64, "%s:%u", test_rdma_address(device), port++);
}

void test_pair_open(struct test_pair *pair)
{
    test_side_open_on(&pair->server, &wbi_verbs_fabric, &pair->config);
    test_side_open_on(&pair->client, &wbi_verbs_fabric, &pair->config);
    test_new_address(0, pair->address);
    TEST_OK(wbi_verbs_fabric.listen(pair->server.lane, pair->address));
    test_pair_join(pair, &pair->server_end, &pair->client_end);
    test_area_open(&pair->server_area, &pair->server);
    test_area_open(&pair->client_area, &pair->client);
}

void test_pair_close(struct test_pair *pair)
{
    while (pair->client.end_count > 0) {
        test_end_close(pair->client.ends[0]);
    }
    while (pair->server.end_count > 0) {
        test_end_close(pair->server.ends[0]);
    }
    test_area_close(&pair->client_area);
    test_area_close(&pair->server_area);
    test_side_close(&pair->client);
    test_side_close(&pair->server);
}

void test_pair_join(struct test_pair *pair, struct test_end **server_end,
                    struct test_end **client_end)
{
    test_join(&pair->server, pair->address, &pair->client, server_end, client_end);
}

void test_assert_talks(struct test_end *a, struct test_end *b)
{
    struct test_end *ends[] = {a, b};
    for (unsigned i = 0; i < 2; i++) {
        struct test_end *from = ends[i], *to = ends[1 - i];
        char words[100];
        uint64_t before = to->messages;
        int len = snprintf(words, sizeof words, "message %llu", (unsigned long long)before);
        test_send(from, to->side, words, (size_t)len);
        test_until_count(from->side, to->side, &to->messages, before + 1);
        TEST_THAT(to->last_len == (size_t)len && memcmp(to->last, words, (size_t)len) == 0);
    }
}

void test_area_open(struct test_area *area, struct test_side *side)
{
    area->side = side;
    area->slab = test_slab(TEST_AREA_BYTES);
    TEST_OK(side->registrar.reg(side->registrar.context, &area->slab, &area->mr));
}

static void confirmed(void *argument)
{
    *(bool *)argument = true;
}

void test_area_close(struct test_area *area)
{
    bool gone = false;
    if (area->mr != NULL) {
        area->side->registrar.dereg(area->side->registrar.context, area->mr, confirmed, &gone);
        TEST_THAT(gone);
        test_slab_free(&area->slab);
        area->mr = NULL;
    }
}

void test_area_offer(const struct test_area *area, struct test_end *end, size_t at, size_t len,
                     struct wbi_offer *offer)
{
    *offer = (struct wbi_offer){.data = (uint8_t *)area->slab.base + at,
                                .len = len,
                                .mr = area->mr,
                                .region_base = area->slab.base};
    TEST_OK(wbi_verbs_fabric.offer(end->channel, offer));
}

void test_area_read(const struct test_area *area, size_t at, struct test_read *read,
                    const struct wbi_offer *offer, uint64_t offset, uint64_t len)
{
    test_read_of(read, offer, offset, len, (uint8_t *)area->slab.base + at);
    read->read.into_mr = area->mr;
}

int test_pair_await(struct test_pair *pair, const struct test_read *read)
{
    test_until_flag(&pair->client, &pair->server, &read->ended);
    return read->status;
}

struct wbi_fabric_counters test_side_count(const struct test_side *side)
{
    struct wbi_fabric_counters counters = {0};
    wbi_verbs_fabric.count(side->lane, &counters);
    return counters;
}
