/* READs: their depth, their merging, and those that a peer's device refuses. */
#include <string.h>
#include <sys/mman.h>

#include "tests/support/program.h"
#include "tests/verbs/pair.h"

static struct test_pair pair;

static void prepare(void)
{
    test_pair_config(&pair);
    test_pair_open(&pair);
    test_fill(pair.server_area.slab.base, TEST_AREA_BYTES, 7);
}

static void clear(void)
{
    test_pair_close(&pair);
}

enum { PAGE = 4096, READS = 64 };

static struct test_read reads[READS];
static struct wbi_offer offer, other; /* stay until their channel is closed */

static void await_all(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(test_pair_await(&pair, &reads[i]), WB_OK);
    }
}

/* Begins to READ page `from` of the chunk into page `to` of ours. */
static int begin(unsigned i, const struct wbi_offer *chunk, size_t from, size_t to)
{
    test_area_read(&pair.client_area, to * PAGE, &reads[i], chunk, from * PAGE, PAGE);
    return wbi_verbs_fabric.read(pair.client_end->channel, &reads[i].read);
}

static bool page_is(size_t to, size_t from)
{
    const uint8_t *ours = pair.client_area.slab.base, *theirs = pair.server_area.slab.base;
    return memcmp(ours + to * PAGE, theirs + from * PAGE, PAGE) == 0;
}

/* ---- merging ---- */

START_TEST(test_contiguous_reads_are_one_request)
{
    test_area_offer(&pair.server_area, pair.server_end, 0, TEST_AREA_BYTES, &offer);
    for (unsigned i = 0; i < READS; i++) {
        ck_assert_int_eq(begin(i, &offer, i, i), WB_OK);
    }
    await_all(READS);
    ck_assert_mem_eq(pair.client_area.slab.base, pair.server_area.slab.base, READS * PAGE);
    ck_assert_uint_eq(test_side_count(&pair.client).read_requests, 1);
}
END_TEST

/* Landings that are apart share a request, as many as it has entries for. */
START_TEST(test_scattered_landings)
{
    test_area_offer(&pair.server_area, pair.server_end, 0, TEST_AREA_BYTES, &offer);
    for (unsigned i = 0; i < READS; i++) {
        ck_assert_int_eq(begin(i, &offer, i, 2 * (READS - i)), WB_OK);
    }
    await_all(READS);
    for (unsigned i = 0; i < READS; i++) {
        ck_assert_msg(page_is(2 * (READS - i), i), "page %u", i);
    }
    uint64_t requests = test_side_count(&pair.client).read_requests;
    ck_assert_uint_eq(requests, READS / pair.client.domain->devices[0].read_sges);
}
END_TEST

START_TEST(test_what_is_not_contiguous_is_not_merged)
{
    test_area_offer(&pair.server_area, pair.server_end, 0, TEST_AREA_BYTES, &offer);
    other =
        (struct wbi_offer){.data = (uint8_t *)pair.server_area.slab.base + 4 * PAGE, .len = PAGE};
    TEST_OK(wbi_verbs_fabric.offer(pair.server_end->channel, &other)); /* another key */
    ck_assert_int_eq(begin(0, &offer, 0, 0), WB_OK);
    ck_assert_int_eq(begin(1, &offer, 2, 1), WB_OK); /* a gap */
    ck_assert_int_eq(begin(2, &offer, 1, 2), WB_OK); /* backwards */
    ck_assert_int_eq(begin(3, &offer, 3, 3), WB_OK);
    ck_assert_int_eq(begin(4, &other, 0, 4), WB_OK); /* follows, under another key */
    await_all(5);
    ck_assert(page_is(0, 0) && page_is(1, 2) && page_is(2, 1) && page_is(3, 3) && page_is(4, 4));
    ck_assert_uint_eq(test_side_count(&pair.client).read_requests, 5);
}
END_TEST

/* One request holds max_read_bytes at most. */
START_TEST(test_merged_reads_have_a_limit)
{
    uint64_t most = wbi_verbs_fabric.caps(pair.client.domain)->max_read_bytes;
    ck_assert_uint_ge(TEST_AREA_BYTES, 2 * most);
    size_t piece = most / 8;
    unsigned count = (unsigned)(TEST_AREA_BYTES / piece);
    ck_assert_uint_le(count, READS);
    test_area_offer(&pair.server_area, pair.server_end, 0, TEST_AREA_BYTES, &offer);
    for (unsigned i = 0; i < count; i++) {
        test_area_read(&pair.client_area, i * piece, &reads[i], &offer, i * piece, piece);
        ck_assert_int_eq(wbi_verbs_fabric.read(pair.client_end->channel, &reads[i].read), WB_OK);
    }
    await_all(count);
    ck_assert_mem_eq(pair.client_area.slab.base, pair.server_area.slab.base, TEST_AREA_BYTES);
    ck_assert_uint_eq(test_side_count(&pair.client).read_requests, TEST_AREA_BYTES / most);
}
END_TEST

/* ---- depth ---- */

START_TEST(test_several_in_flight)
{
    struct wbi_fabric_counters counters;
    test_area_offer(&pair.server_area, pair.server_end, 0, TEST_AREA_BYTES, &offer);
    unsigned begun = 0;
    while (begun < READS && begin(begun, &offer, 2 * begun, begun) == WB_OK) {
        begun++;
    }
    ck_assert_uint_eq(begun, WBI_VERBS_READ_DEPTH); /* and the next is for later */
    await_all(begun);
    counters = test_side_count(&pair.client);
    ck_assert_uint_eq(counters.reads_peak, WBI_VERBS_READ_DEPTH);
    ck_assert_uint_eq(counters.read_requests, WBI_VERBS_READ_DEPTH);
    for (unsigned i = 0; i < begun; i++) {
        ck_assert(page_is(i, 2 * (size_t)i));
    }
    ck_assert_int_eq(begin(0, &offer, 5, 0), WB_OK);
    await_all(1);
}
END_TEST

/* A channel whose peer answers one at a time has one in flight. */
START_TEST(test_a_peer_of_depth_one)
{
    struct test_end *server_end, *client_end, *first = pair.client_end;
    pair.server.domain->devices[0].read_depth_in = 1;
    test_pair_join(&pair, &server_end, &client_end);
    pair.client_end = client_end;
    test_area_offer(&pair.server_area, server_end, 0, TEST_AREA_BYTES, &offer);
    for (unsigned i = 0; i < READS; i++) {
        uint64_t start = test_clock_us();
        while (begin(i, &offer, 2 * i, i) == WB_AGAIN) {
            ck_assert_uint_gt(i, 0);
            test_poll_both(&pair.client, &pair.server);
            ck_assert_uint_lt(test_clock_us() - start, test_patience_us);
        }
    }
    await_all(READS);
    ck_assert_uint_eq(test_side_count(&pair.client).reads_peak, 1);
    pair.client_end = first;
}
END_TEST

/* ---- refusals ---- */

/* The READ ends as withdrawn, its channel is lost with a sentence, and the first channel works. */
static void assert_refused(struct test_end *server_end, struct test_end *client_end,
                           struct test_read *read)
{
    ck_assert_int_eq(wbi_verbs_fabric.read(client_end->channel, &read->read), WB_OK);
    ck_assert_int_eq(test_pair_await(&pair, read), WB_ERR_REVOKED);
    test_until_lost(&pair.client, &pair.server, client_end);
    ck_assert_msg(strstr(client_end->reason, "refused access") != NULL, "\"%s\"",
                  client_end->reason);
    ck_assert_msg(strstr(client_end->reason, "READ of") != NULL, "\"%s\"", client_end->reason);
    test_end_close(client_end);
    test_until_lost(&pair.server, &pair.client, server_end);
    test_end_close(server_end);
    test_assert_talks(pair.client_end, pair.server_end);
}

enum wrong { KEY, ANY_KEY, BEFORE, BEHIND, FAR_AWAY, NOWHERE, WRONGS };

static void spoil(struct test_read *read, enum wrong wrong)
{
    switch (wrong) {
    case KEY:
        read->key[0] ^= 0x5a;
        break;
    case ANY_KEY:
        memset(read->key, 0xff, sizeof read->key);
        break;
    case BEFORE:
        read->read.address -= 1;
        break;
    case BEHIND:
        read->read.address += 1;
        break;
    case FAR_AWAY:
        read->read.address += (uint64_t)1 << 40;
        break;
    default:
        read->read.address = UINT64_MAX - 10;
        break;
    }
}

START_TEST(test_reads_that_are_not_allowed)
{
    for (int wrong = 0; wrong < WRONGS; wrong++) {
        struct test_end *server_end, *client_end;
        test_pair_join(&pair, &server_end, &client_end);
        test_area_offer(&pair.server_area, server_end, 0, TEST_AREA_BYTES, &offer);
        test_area_read(&pair.client_area, 0, &reads[0], &offer, 0, TEST_AREA_BYTES);
        spoil(&reads[0], (enum wrong)wrong);
        assert_refused(server_end, client_end, &reads[0]);
    }
}
END_TEST

/* Others in flight behind the one that is refused end too, once each. */
START_TEST(test_reads_behind_one_that_is_refused)
{
    struct test_end *server_end, *client_end, *first = pair.client_end;
    test_pair_join(&pair, &server_end, &client_end);
    test_area_offer(&pair.server_area, server_end, 0, TEST_AREA_BYTES, &offer);
    pair.client_end = client_end;
    for (unsigned i = 0; i < 8; i++) {
        test_area_read(&pair.client_area, i * PAGE, &reads[i], &offer, 2 * i * PAGE, PAGE);
        if (i == 3) {
            spoil(&reads[i], KEY);
        }
        ck_assert_int_eq(wbi_verbs_fabric.read(client_end->channel, &reads[i].read), WB_OK);
    }
    pair.client_end = first;
    test_until_lost(&pair.client, &pair.server, client_end);
    test_end_close(client_end);
    for (unsigned i = 0; i < 8; i++) {
        ck_assert(reads[i].ended);
        ck_assert_int_eq(reads[i].status, i < 3    ? WB_OK
                                          : i == 3 ? WB_ERR_REVOKED
                                                   : WB_ERR_PEER_LOST);
    }
    test_until_lost(&pair.server, &pair.client, server_end);
    test_end_close(server_end);
    test_assert_talks(pair.client_end, pair.server_end);
}
END_TEST

/* Memory of the user, even constant, is readable from its offer to its retirement. */
START_TEST(test_pointer_chunks_come_and_go)
{
    const size_t bytes = 100 * PAGE;
    struct test_end *server_end, *client_end;
    uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    test_fill(memory, bytes, 9);
    ck_assert_int_eq(mprotect(memory, bytes, PROT_READ), 0);
    test_pair_join(&pair, &server_end, &client_end);
    offer = (struct wbi_offer){.data = memory + 3, .len = bytes - 3};
    TEST_OK(wbi_verbs_fabric.offer(server_end->channel, &offer));
    test_area_read(&pair.client_area, 0, &reads[0], &offer, 0, offer.len);
    TEST_OK(wbi_verbs_fabric.read(client_end->channel, &reads[0].read));
    ck_assert_int_eq(test_pair_await(&pair, &reads[0]), WB_OK);
    ck_assert_mem_eq(pair.client_area.slab.base, memory + 3, offer.len);
    wbi_verbs_fabric.retire(server_end->channel, &offer);
    test_area_read(&pair.client_area, 0, &reads[1], &offer, 0, offer.len);
    assert_refused(server_end, client_end, &reads[1]);
    munmap(memory, bytes);
}
END_TEST

/* When a close has returned, nobody reads what was offered on the channel. */
START_TEST(test_closing_ends_offers)
{
    struct test_end *server_end, *client_end;
    static const char memory[PAGE] = "for a while";
    offer = (struct wbi_offer){.data = memory, .len = sizeof memory};
    test_pair_join(&pair, &server_end, &client_end);
    TEST_OK(wbi_verbs_fabric.offer(server_end->channel, &offer));
    test_end_close(server_end);
    test_area_read(&pair.client_area, 0, &reads[0], &offer, 0, offer.len);
    int status = wbi_verbs_fabric.read(client_end->channel, &reads[0].read);
    ck_assert(status == WB_OK || status == WB_AGAIN);
    test_until_lost(&pair.client, &pair.server, client_end);
    test_end_close(client_end);
    ck_assert(status == WB_AGAIN || (reads[0].ended && reads[0].status == WB_ERR_PEER_LOST));
    test_assert_talks(pair.client_end, pair.server_end);
}
END_TEST

START_TEST(test_offers_that_cannot_be)
{
    struct wbi_offer nowhere = {.data = (void *)PAGE, .len = 10 * PAGE}; /* NOLINT */
    ck_assert_int_eq(wbi_verbs_fabric.offer(pair.server_end->channel, &nowhere), WB_ERR_INVALID);
    struct wbi_offer outside = {.data = (uint8_t *)pair.server_area.slab.base + PAGE,
                                .len = TEST_AREA_BYTES,
                                .mr = pair.server_area.mr,
                                .region_base = pair.server_area.slab.base};
    ck_assert_int_eq(wbi_verbs_fabric.offer(pair.server_end->channel, &outside), WB_ERR_INVALID);
    test_area_offer(&pair.server_area, pair.server_end, 0, TEST_AREA_BYTES, &offer);
    for (uint32_t len = 0; len <= WBI_REMOTE_KEY_MAX; len++) {
        test_area_read(&pair.client_area, 0, &reads[0], &offer, 0, 1);
        reads[0].read.key_len = len;
        if (len == 0 || len % sizeof(uint32_t) != 0) { /* others may have keys of rails behind */
            ck_assert_int_eq(wbi_verbs_fabric.read(pair.client_end->channel, &reads[0].read),
                             WB_ERR_PROTOCOL);
        }
    }
    test_assert_talks(pair.client_end, pair.server_end);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_contiguous_reads_are_one_request,
                                  test_scattered_landings,
                                  test_what_is_not_contiguous_is_not_merged,
                                  test_merged_reads_have_a_limit,
                                  test_several_in_flight,
                                  test_a_peer_of_depth_one,
                                  test_reads_that_are_not_allowed,
                                  test_reads_behind_one_that_is_refused,
                                  test_pointer_chunks_come_and_go,
                                  test_closing_ends_offers,
                                  test_offers_that_cannot_be};
    Suite *suite = suite_create("verbs READs");
    TCase *tcase = test_program_case("reads", tests, sizeof tests / sizeof tests[0]);
    tcase_add_checked_fixture(tcase, prepare, clear);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
