/*
 * Lists of work requests: what is sent to one peer within one hold of a lane is posted together, in
 * order; what is sent alone is posted at once. First two engines, whose small parcels share their
 * messages, then the fabric by itself, whose messages stay apart.
 */
#include <pthread.h>
#include <string.h>

#include "engine/lane.h"
#include "engine/verbs/lane.h"
#include "tests/conformance/actions_later.h"
#include "tests/fabric/side.h"
#include "tests/simverbs/scene_calls.h"
#include "tests/support/program.h"

enum { CALLS = 16 };

static struct sim_posts since(const struct sim_device *device, struct sim_posts before)
{
    struct sim_posts now = sim_device_posts(device);
    return (struct sim_posts){now.lists - before.lists, now.works - before.works};
}

/* ---- two engines ---- */

static struct sim_pair pair;
static struct wb_call *calls[2 * CALLS];
static unsigned begun, ended;
static uint64_t order[2 * CALLS];

static void open_engines(const struct sim_profile *profile)
{
    sim_pair_open(&pair, 1, profile);
    pair.config.max_calls = pair.config.credits = 2 * CALLS;
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    begun = ended = 0;
}

static void close_engines(void)
{
    sim_calls_assert_quiet(&pair, "at the end");
    sim_pair_close(&pair);
}

/* What is under way arrives; nobody looks at it. */
static void let_arrive(void)
{
    for (unsigned i = 0; i < 200; i++) {
        sim_advance(10);
    }
}

static void begin_add(const struct wb_call_options *options)
{
    struct add_in in = {.a = begun, .b = 1};
    unsigned number = begun++;
    ck_assert_int_eq(add_async(pair.peer, &in, options, &calls[number]), WB_OK);
}

static void finish_adds(void)
{
    struct add_out out;
    for (unsigned i = 0; i < begun; i++) {
        ck_assert_int_eq(add_finish(calls[i], &out), WB_OK);
        ck_assert_uint_eq(out.sum, i + 1);
    }
}

START_TEST(test_replies_of_one_turn)
{
    open_engines(&sim_profile_mlx5);
    struct sim_posts before = sim_device_posts(pair.client_device);
    for (unsigned i = 0; i < CALLS; i++) {
        begin_add(NULL);
        struct sim_posts posts = since(pair.client_device, before);
        ck_assert_uint_eq(posts.lists, i + 1); /* at once, though nobody makes progress */
        ck_assert_uint_eq(posts.works, i + 1);
    }
    let_arrive();
    before = sim_device_posts(pair.server_device);
    wb_progress(pair.server.engine);
    struct sim_posts posts = since(pair.server_device, before);
    ck_assert_uint_eq(sim_stats(&pair.server).bundled, CALLS);
    ck_assert_uint_le(posts.works, 2); /* the replies' message, and credits */
    finish_adds();
    close_engines();
}
END_TEST

static void call_again(struct wb_call *call, void *user)
{
    (void)user;
    for (unsigned i = 0; i < begun; i++) {
        if (calls[i] == call) {
            order[ended++] = i;
        }
    }
    if (begun < 2 * CALLS) {
        begin_add(&(struct wb_call_options){.then = call_again});
    }
}

/* Calls that are begun by the ends of others, and end in the order in which they were begun. */
START_TEST(test_calls_of_callbacks)
{
    open_engines(&sim_profile_mlx5);
    for (unsigned i = 0; i < CALLS; i++) {
        begin_add(&(struct wb_call_options){.then = call_again});
    }
    let_arrive();
    wb_progress(pair.server.engine);
    let_arrive();
    struct sim_posts before = sim_device_posts(pair.client_device);
    wb_progress(pair.client.engine);
    struct sim_posts posts = since(pair.client_device, before);
    ck_assert_uint_eq(begun, 2 * CALLS);
    ck_assert_uint_eq(sim_stats(&pair.client).bundled, CALLS);
    ck_assert_uint_le(posts.works, 2);
    ck_assert_uint_le(posts.lists, 2);
    finish_adds();
    ck_assert_uint_eq(ended, begun);
    for (unsigned i = 0; i < begun; i++) {
        ck_assert_uint_eq(order[i], i);
    }
    close_engines();
}
END_TEST

/* One callback alone: what it sends leaves before the next is called. */
static struct sim_posts when_called;

static void call_once(struct wb_call *call, void *user)
{
    (void)call;
    (void)user;
    if (begun == 2 * CALLS) {
        return;
    }
    when_called = sim_device_posts(pair.client_device);
    begin_add(NULL);
    when_called = since(pair.client_device, when_called);
}

START_TEST(test_a_call_of_one_callback)
{
    open_engines(&sim_profile_mlx5);
    begin_add(&(struct wb_call_options){.then = call_once});
    sim_pair_settle(&pair, 1000);
    ck_assert_uint_eq(begun, 2);
    ck_assert_uint_eq(when_called.lists, 1);
    finish_adds();
    close_engines();
}
END_TEST

/* Calls that one handler answers together: as many as every device can hold. */
START_TEST(test_answers_of_one_handler)
{
    enum { HELD = 5 };
    struct later_in in = {.how = TEST_WHEN_LET_GO};
    struct later_out out;
    struct let_later_go_in go = {.answer = 1};
    struct let_later_go_out gone;
    open_engines(sim_profiles[_i]);
    for (unsigned i = 0; i < HELD; i++) {
        ck_assert_int_eq(later_async(pair.peer, &in, NULL, &calls[i]), WB_OK);
    }
    sim_pair_settle(&pair, 1000);
    struct sim_posts before = sim_device_posts(pair.server_device);
    ck_assert_int_eq(let_later_go_call(pair.peer, &go, &gone, NULL), WB_OK);
    ck_assert_uint_eq(gone.held, HELD);
    sim_pair_settle(&pair, 1000);
    struct sim_posts posts = since(pair.server_device, before);
    ck_assert_uint_ge(sim_stats(&pair.server).bundled, HELD - 1); /* the first leaves at once */
    ck_assert_uint_le(posts.works, 3);
    ck_assert_uint_le(posts.lists, 2); /* they, and what the handler itself says */
    for (unsigned i = 0; i < HELD; i++) {
        ck_assert_int_eq(later_finish(calls[i], &out), WB_OK);
        later_out_drop(&out);
    }
    close_engines();
}
END_TEST

/* In a world with threads, where the server is driven by its own. */
static void open_with_threads(void)
{
    sim_open(&(struct sim_options){.seed = 1, .threads = true});
    pair.server_host = sim_host_add();
    pair.client_host = sim_host_add();
    pair.client_device = sim_device_add(pair.client_host, &sim_profile_mlx5, "10.0.0.1");
    sim_device_add(pair.server_host, &sim_profile_mlx5, "10.0.0.2");
    wb_engine_config_default(&pair.config);
    pair.config.max_calls = pair.config.credits = 2 * CALLS;
    sim_host_enter(pair.server_host);
    ck_assert_int_eq(test_service_open(&pair.server, &pair.config, sim_pair_url), WB_OK);
    ck_assert_int_eq(test_service_drive(&pair.server), WB_OK);
    sim_host_enter(pair.client_host);
    ck_assert_int_eq(test_service_open(&pair.client, &pair.config, NULL), WB_OK);
    ck_assert_int_eq(wb_connect(pair.client.engine, sim_pair_url, &pair.peer), WB_OK);
    ck_assert_int_eq(wb_peer_wait(pair.peer, 20000000), WB_OK);
    begun = 0;
}

static void *begin_some(void *context)
{
    (void)context;
    for (unsigned i = 0; i < WBI_VERBS_LIST - 1; i++) {
        begin_add(NULL);
    }
    return NULL;
}

/* Calls of another thread, while this one holds the lane, leave together when it lets go. */
START_TEST(test_calls_of_another_thread)
{
    pthread_t thread;
    open_with_threads();
    struct sim_posts before = sim_device_posts(pair.client_device);
    ck_assert_int_eq(wbi_lane_enter(pair.peer->lane), WBI_LANE_ENTERED);
    ck_assert_int_eq(pthread_create(&thread, NULL, begin_some, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(since(pair.client_device, before).works, 0);
    wbi_lane_leave(pair.peer->lane);
    ck_assert_uint_eq(sim_stats(&pair.client).bundled, WBI_VERBS_LIST - 1);
    ck_assert_uint_eq(since(pair.client_device, before).works, 1);
    ck_assert_uint_eq(since(pair.client_device, before).lists, 1);
    finish_adds();
    sim_pair_close(&pair);
}
END_TEST

/* ---- the fabric ---- */

static const struct wbi_fabric *const fabric = &wbi_verbs_fabric;
static const char *const address = "10.0.0.2:1";
static struct test_side server, client;
static struct test_end *here, *there; /* the client's, the server's */
static struct sim_device *device;     /* the client's */
static uint8_t next;                  /* number of the next message */

static void on_message(struct test_end *end, const uint8_t *bytes, size_t len)
{
    (void)len;
    uint8_t expected = (uint8_t)(end->messages - 1);
    ck_assert_uint_eq(bytes[0], expected);
}

static void open_sides(void)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    sim_open(&(struct sim_options){.seed = 1});
    struct sim_host *hosts[] = {sim_host_add(), sim_host_add()};
    device = sim_device_add(hosts[0], &sim_profile_mlx5, "10.0.0.1");
    sim_device_add(hosts[1], &sim_profile_mlx5, "10.0.0.2");
    sim_host_enter(hosts[1]);
    test_side_open_on(&server, fabric, &config);
    TEST_OK(fabric->listen(server.lane, address));
    sim_host_enter(hosts[0]);
    test_side_open_on(&client, fabric, &config);
    test_join(&server, address, &client, &there, &here);
    server.on_message = on_message;
    next = 0;
}

static void close_sides(void)
{
    test_side_close(&client);
    test_side_close(&server);
    ck_assert_uint_eq(sim_close(), 0);
}

static bool serve(void *context)
{
    (void)context;
    return fabric->poll(server.lane) > 0;
}

static void poll_for_a_while(void)
{
    for (unsigned i = 0; i < 20; i++) {
        sim_advance(10);
        test_poll_both(&client, &server);
    }
}

/* A message; there must be room for it. */
static void send_next(struct test_end *end, size_t len, uint8_t number)
{
    uint8_t *slot;
    ck_assert_int_eq(fabric->reserve(end->channel, len, false, &slot), WB_OK);
    memset(slot, number, len);
    fabric->send(end->channel, len);
}

/* Every third is too long for the work request itself. */
static void send_some(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        send_next(here, next % 3 == 2 ? 1000 : 16, next);
        next++;
    }
}

START_TEST(test_a_list_has_an_end)
{
    open_sides();
    struct sim_posts before = sim_device_posts(device);
    fabric->gather(client.lane);
    send_some(WBI_VERBS_LIST - 1);
    ck_assert_uint_eq(since(device, before).works, 0);
    send_some(2);
    ck_assert_uint_eq(since(device, before).lists, 1);
    ck_assert_uint_eq(since(device, before).works, WBI_VERBS_LIST);
    fabric->flush(client.lane);
    ck_assert_uint_eq(since(device, before).lists, 2);
    send_some(1);
    ck_assert_uint_eq(since(device, before).lists, 3);
    test_until_count(&client, &server, &there->messages, next);
    close_sides();
}
END_TEST

/* Few of a list are signalled, and still every slot comes back. */
START_TEST(test_slots_of_a_list)
{
    open_sides();
    for (unsigned i = 0; i < 20; i++) {
        fabric->gather(client.lane);
        send_some(1 + i % 12);
        fabric->flush(client.lane);
        test_until_count(&client, &server, &there->messages, next);
        poll_for_a_while();
        ck_assert_uint_le(here->channel->sends.slots_used, WBI_VERBS_KEPT_SENDS);
    }
    ck_assert_uint_eq(client.lane->send_slots.shared, WBI_VERBS_SHARED_SENDS);
    close_sides();
}
END_TEST

/* More channels keep messages back than there are slots for: what is kept back goes first. */
START_TEST(test_slots_that_are_kept_back)
{
    enum { ENDS = 24, EACH = WBI_VERBS_LIST - 1 };
    struct test_end *ends[ENDS], *theirs[ENDS];
    open_sides();
    ends[0] = here;
    theirs[0] = there;
    for (unsigned i = 1; i < ENDS; i++) {
        test_join(&server, address, &client, &theirs[i], &ends[i]);
    }
    fabric->gather(client.lane);
    for (unsigned i = 0; i < ENDS; i++) {
        for (unsigned number = 0; number < EACH; number++) {
            send_next(ends[i], 16, (uint8_t)number);
        }
    }
    fabric->flush(client.lane);
    for (unsigned i = 0; i < ENDS; i++) {
        test_until_count(&client, &server, &theirs[i]->messages, EACH);
    }
    close_sides();
}
END_TEST

/* What is kept back when its channel is closed goes out before. */
START_TEST(test_closed_with_a_list)
{
    open_sides();
    fabric->gather(client.lane);
    send_some(5);
    sim_on_wait(serve, NULL);
    test_end_close(here);
    sim_on_wait(NULL, NULL);
    fabric->flush(client.lane);
    test_until_lost(&server, &client, there);
    ck_assert_uint_eq(there->messages, 5);
    ck_assert_uint_eq(client.lane->send_slots.shared, WBI_VERBS_SHARED_SENDS);
    close_sides();
}
END_TEST

/* ---- refusals ---- */

static struct test_read reads[2]; /* the first and the last of a list */
static struct wbi_offer offer;
static unsigned read_ends;
static struct wbi_region slabs[2]; /* the client's, the server's */
static struct wbi_mr *mrs[2];

static void open_areas(void)
{
    struct test_side *sides[] = {&client, &server};
    for (unsigned i = 0; i < 2; i++) {
        struct wbi_registrar registrar = sides[i]->registrar;
        slabs[i] = test_slab(1 << 20);
        TEST_OK(registrar.reg(registrar.context, &slabs[i], &mrs[i]));
    }
    offer = (struct wbi_offer){
        .data = slabs[1].base, .len = 1 << 16, .mr = mrs[1], .region_base = slabs[1].base};
    TEST_OK(fabric->offer(there->channel, &offer));
    read_ends = 0;
}

static void gone(void *context)
{
    (void)context;
}

static void close_areas(void)
{
    struct test_side *sides[] = {&client, &server};
    for (unsigned i = 0; i < 2; i++) {
        struct wbi_registrar registrar = sides[i]->registrar;
        registrar.dereg(registrar.context, mrs[i], gone, NULL);
        test_slab_free(&slabs[i]);
    }
}

static void count_end(struct wbi_read *read, int status)
{
    struct test_read *test = (struct test_read *)read;
    ck_assert(!test->ended);
    test->ended = true;
    test->status = status;
    read_ends++;
}

static void begin_read(unsigned i)
{
    size_t apart = (size_t)i * 8192; /* not one request */
    test_read_of(&reads[i], &offer, apart, 4096, (uint8_t *)slabs[0].base + apart);
    reads[i].read.into_mr = mrs[0];
    reads[i].read.done = count_end;
    TEST_OK(fabric->read(here->channel, &reads[i].read));
}

/* A READ, messages, a READ: those before the refused one are accepted, and messages among them
 * arrive; nothing else does; each READ ends once. */
START_TEST(test_one_of_a_list_is_refused)
{
    enum { SENDS = 10 };
    uint64_t accepted = (uint64_t)_i;
    open_sides();
    open_areas();
    struct sim_posts before = sim_device_posts(device);
    sim_device_refuse(device, accepted + 1);
    fabric->gather(client.lane);
    begin_read(0);
    send_some(SENDS);
    begin_read(1);
    uint64_t posted = here->channel->sends.posted;
    fabric->flush(client.lane);
    ck_assert_uint_eq(since(device, before).works, accepted);
    ck_assert_uint_eq(here->channel->sends.posted - posted, accepted);
    uint8_t *slot;
    ck_assert_int_eq(fabric->reserve(here->channel, 8, false, &slot), WB_AGAIN);
    test_until_lost(&client, &server, here);
    ck_assert_int_eq(here->lost, WB_ERR_PEER_LOST);
    ck_assert_ptr_nonnull(strstr(here->reason, "refused"));
    poll_for_a_while();
    ck_assert_uint_eq(there->messages, accepted > 0 ? accepted - 1 : 0);
    ck_assert_uint_eq(since(device, before).works, accepted);
    ck_assert(!reads[1].ended); /* the landing is its owner's when the channel is closed */
    test_end_close(here);
    ck_assert_uint_eq(read_ends, 2);
    ck_assert_int_eq(reads[1].status, WB_ERR_PEER_LOST);
    ck_assert_uint_eq(client.lane->send_slots.shared, WBI_VERBS_SHARED_SENDS);
    close_areas();
    close_sides();
}
END_TEST

static void clear(void)
{
    begun = 2 * CALLS; /* callbacks begin no more */
    sim_pair_clear(&pair);
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: lists");
    TCase *engines = tcase_create("engines");
    tcase_add_checked_fixture(engines, NULL, clear);
    tcase_add_test(engines, test_replies_of_one_turn);
    tcase_add_test(engines, test_calls_of_callbacks);
    tcase_add_test(engines, test_a_call_of_one_callback);
    tcase_add_loop_test(engines, test_answers_of_one_handler, 0, SIM_PROFILES);
    tcase_add_test(engines, test_calls_of_another_thread);
    suite_add_tcase(suite, engines);
    TCase *alone = tcase_create("fabric");
    tcase_add_test(alone, test_a_list_has_an_end);
    tcase_add_test(alone, test_slots_of_a_list);
    tcase_add_test(alone, test_slots_that_are_kept_back);
    tcase_add_test(alone, test_closed_with_a_list);
    tcase_add_loop_test(alone, test_one_of_a_list_is_refused, 0, 12);
    suite_add_tcase(suite, alone);
    return test_program_run(suite, argc, argv);
}
