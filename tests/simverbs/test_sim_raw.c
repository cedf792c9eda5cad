/* wb_perf --vs raw, both sides of it in one process, a thread each: what it moves, and what it says
 * when it cannot. Every burst checks the last payload of each thread. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "perf/raw.h"
#include "perf/raw_meet.h"
#include "tests/simverbs/world.h"
#include "tests/support/program.h"

enum { BURSTS = 3, CALLS = 11, DEVICE_READS = 4 };

/* One side's. */
struct side {
    struct sim_host *host;
    struct ibv_context *context;
    struct ibv_pd *pd;
    struct orders orders;
    struct raw raw;
    struct rdma_cm_id ids[THREADS_MAX];
};

static struct side sides[2];
static struct options options;
static struct hands *hands;
static struct figures figures;
static pthread_t server;
static _Atomic bool ended;

/* ---- what raw_meet.c does with the connection manager ---- */

static void make_queues(struct side *side, struct raw_link *link, struct rdma_cm_id *id)
{
    int depth = (int)(RAW_LINK_SENDS + link->window);
    id->pd = side->pd;
    id->send_cq = ibv_create_cq(side->context, depth, NULL, NULL, 0);
    id->recv_cq = ibv_create_cq(side->context, RAW_LINK_RECEIVES, NULL, NULL, 0);
    struct ibv_qp_init_attr attr = {.send_cq = id->send_cq,
                                    .recv_cq = id->recv_cq,
                                    .cap = {.max_send_wr = (uint32_t)depth,
                                            .max_recv_wr = RAW_LINK_RECEIVES,
                                            .max_send_sge = 1,
                                            .max_recv_sge = 1,
                                            .max_inline_data = 64},
                                    .qp_type = IBV_QPT_RC};
    id->qp = ibv_create_qp(side->pd, &attr);
    ck_assert_ptr_nonnull(id->qp);
    link->inline_bytes = attr.cap.max_inline_data;
}

static void make_link(struct side *side, uint32_t t)
{
    const struct raw_link_wish wish = raw_wish_of(&options);
    struct raw_end *end = raw_end_make(&side->raw, t);
    struct area_raw *about = &side->orders.area.head->raw[t];
    ck_assert_ptr_nonnull(end);
    struct raw_link *link = &end->link;
    link->id = &side->ids[t];
    *link->id = (struct rdma_cm_id){.verbs = side->context, .port_num = 1};
    ck_assert_int_eq(raw_link_learn(link, wish.list), 0);
    make_queues(side, link, link->id);
    struct ibv_qp_attr attr = {
        .qp_state = IBV_QPS_INIT, .port_num = 1, .qp_access_flags = IBV_ACCESS_REMOTE_READ};
    ck_assert_int_eq(
        ibv_modify_qp(link->id->qp, &attr,
                      IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
        0);
    ck_assert_int_eq(raw_link_equip(link, &wish), 0);
    about->address[side->raw.side] = (uintptr_t)link->memory;
    about->rkey[side->raw.side] = link->mr->rkey;
}

static void connect_to(struct side *side, const struct side *other, uint32_t t)
{
    struct ibv_gid_entry gid;
    ck_assert_int_eq(ibv_query_gid_ex(other->context, 1, 0, &gid, 0), 0);
    struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RTR,
                               .path_mtu = IBV_MTU_1024,
                               .dest_qp_num = other->ids[t].qp->qp_num,
                               .max_dest_rd_atomic = DEVICE_READS,
                               .min_rnr_timer = 12,
                               .ah_attr = {.is_global = 1, .port_num = 1, .grh.dgid = gid.gid}};
    ck_assert_int_eq(ibv_modify_qp(side->ids[t].qp, &attr,
                                   IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
                                       IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
                                       IBV_QP_MIN_RNR_TIMER),
                     0);
    attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTS,
                                .max_rd_atomic = DEVICE_READS,
                                .timeout = 14,
                                .retry_cnt = 3,
                                .rnr_retry = 7};
    ck_assert_int_eq(ibv_modify_qp(side->ids[t].qp, &attr,
                                   IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
                                       IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC),
                     0);
}

int raw_join(struct raw *raw, const char *url)
{
    (void)url;
    for (uint32_t t = 0; t < raw->options->threads; t++) {
        make_link(&sides[0], t);
        make_link(&sides[1], t);
        connect_to(&sides[0], &sides[1], t);
        connect_to(&sides[1], &sides[0], t);
    }
    return 0;
}

int raw_meet(struct raw *raw, uint32_t t, bool accepts)
{
    (void)raw;
    (void)t;
    (void)accepts;
    return -1;
}

void raw_link_close(struct raw_link *link)
{
    struct rdma_cm_id *id = link->id;
    ck_assert_int_eq(ibv_destroy_qp(id->qp), 0);
    ck_assert_int_eq(ibv_destroy_cq(id->send_cq), 0);
    ck_assert_int_eq(ibv_destroy_cq(id->recv_cq), 0);
    ck_assert_int_eq(ibv_dereg_mr(link->mr), 0);
    raw_link_free(link);
}

/* ---- the world ---- */

static void *serve(void *argument)
{
    struct side *side = argument;
    while (!atomic_load(&ended)) {
        uint32_t order = orders_take(&side->orders);
        if (order != 0) {
            raw_obey(&side->raw, order);
        }
        sched_yield();
    }
    return NULL;
}

static void open_side(int number)
{
    static const char *const addresses[2] = {"10.0.0.1", "10.0.0.2"};
    struct side *side = &sides[number];
    int count = 0;
    side->host = sim_host_add();
    sim_device_add(side->host, &sim_profile_mlx5, addresses[number]);
    sim_host_enter(side->host);
    struct ibv_device **all = ibv_get_device_list(&count);
    ck_assert_int_eq(count, 1);
    side->context = ibv_open_device(all[0]);
    ck_assert_ptr_nonnull(side->context);
    ibv_free_device_list(all);
    side->pd = ibv_alloc_pd(side->context);
    ck_assert_ptr_nonnull(side->pd);
    side->raw = (struct raw){.orders = &side->orders, .options = &options, .side = number};
}

static void open_both(const struct options *wanted)
{
    options = *wanted;
    options.peers = 1;
    options.chunks += options.chunks == 0;
    options.threads += options.threads == 0;
    options.size_min = options.size_max = options.size_max > 0 ? options.size_max : 1;
    options.window_min = options.window_max = CALLS;
    options.verify = true;
    options.vs = VS_RAW;
    ticks_start();
    sim_open(&(struct sim_options){.seed = 1, .threads = true});
    sides[0] = sides[1] = (struct side){.orders = ORDERS_NONE};
    ck_assert_int_eq(area_create(&sides[0].orders.area, 1), 0);
    sides[1].orders.area = sides[0].orders.area;
    figures = (struct figures){0};
    ended = false;
    open_side(0);
    open_side(1);
    ck_assert_int_eq(raw_join(&sides[0].raw, NULL), 0);
    ck_assert_int_eq(hands_open(&hands, options.threads), WB_OK);
    ck_assert_int_eq(pthread_create(&server, NULL, serve, &sides[1]), 0);
}

static void close_both(void)
{
    ended = true;
    pthread_join(server, NULL);
    hands_close(hands);
    for (int i = 0; i < 2; i++) {
        raw_leave(&sides[i].raw);
        ck_assert_int_eq(ibv_dealloc_pd(sides[i].pd), 0);
        ck_assert_int_eq(ibv_close_device(sides[i].context), 0);
    }
    area_close(&sides[0].orders.area);
    ck_assert_uint_eq(sim_close(), 0);
}

/* Some bursts, and what they have counted. */
static void move(const struct options *wanted, uint64_t calls, uint64_t bytes)
{
    open_both(wanted);
    bool trips = options.test == TEST_LAT;
    for (int i = 0; i < BURSTS; i++) {
        struct raw *raw = &sides[0].raw;
        int wrong = trips ? raw_trips(raw, hands, options.size_max, CALLS, &figures)
                          : raw_stream(raw, hands, options.size_max, CALLS, &figures);
        ck_assert_int_eq(wrong, 0);
    }
    ck_assert_uint_eq(figures.calls, BURSTS * calls);
    ck_assert_uint_eq(figures.bytes, BURSTS * bytes);
    ck_assert_uint_eq(figures.rtt.total, BURSTS * CALLS * options.threads);
    close_both();
}

/* ---- tests ---- */

START_TEST(test_sends_there_and_back)
{
    move(&(struct options){.test = TEST_LAT, .size_max = 8}, CALLS, CALLS * 8);
    move(&(struct options){.test = TEST_LAT, .size_max = 3000}, CALLS, CALLS * 3000);
    move(&(struct options){.test = TEST_LAT, .size_max = 8, .reply = 5000}, CALLS, CALLS * 5008);
}
END_TEST

START_TEST(test_a_list_for_each_ping)
{
    move(&(struct options){.test = TEST_LAT, .size_max = 10007, .chunks = 100}, CALLS,
         CALLS * 10007);
}
END_TEST

START_TEST(test_reads)
{
    move(&(struct options){.test = TEST_BW, .size_max = 5000}, CALLS, CALLS * 5000);
    move(&(struct options){.test = TEST_BW, .size_max = 5000, .chunks = 37}, CALLS, CALLS * 5000);
}
END_TEST

START_TEST(test_reads_by_both_sides)
{
    move(&(struct options){.test = TEST_BW, .size_max = 5000, .reply = 70000}, CALLS,
         CALLS * 75000);
    move(&(struct options){.test = TEST_BIBW, .size_max = 5000}, 2 * CALLS, CALLS * 10000);
}
END_TEST

START_TEST(test_several_threads)
{
    const struct options lat = {.test = TEST_LAT, .size_max = 100, .threads = 3},
                         lists = {.test = TEST_LAT, .size_max = 100, .threads = 3, .chunks = 9},
                         bw = {.test = TEST_BW, .size_max = 100, .threads = 3, .reply = 9};
    move(&lat, 3 * CALLS, 300 * CALLS);
    move(&lists, 3 * CALLS, 300 * CALLS);
    move(&bw, 3 * CALLS, 327 * CALLS);
}
END_TEST

START_TEST(test_sizes_in_turn)
{
    struct trace_call calls[] = {{8, 0}, {0, 0}, {3000, 100}, {0, 9}, {1, 5000}};
    struct trace trace = {.call = calls,
                          .calls = sizeof calls / sizeof calls[0],
                          .arguments = 3009,
                          .replies = 5109,
                          .largest = {3000, 5000}};
    const uint64_t there = 2 * 3009 + 8, back = 2 * 5109; /* CALLS are twice all, and the first */
    move(&(struct options){.test = TEST_LAT, .trace_path = "", .trace = trace}, CALLS,
         there + back);
    move(&(struct options){.test = TEST_BW, .trace_path = "", .trace = trace}, CALLS, there + back);
}
END_TEST

START_TEST(test_the_same_again)
{
    move(&(struct options){.test = TEST_LAT, .size_max = 3000, .same = true}, CALLS, CALLS * 3000);
    move(&(struct options){.test = TEST_LAT, .size_max = 10007, .chunks = 100, .same = true}, CALLS,
         CALLS * 10007);
    move(&(struct options){.test = TEST_BW, .size_max = 5000, .reply = 3000, .same = true}, CALLS,
         CALLS * 8000);
    move(&(struct options){.test = TEST_BIBW, .size_max = 5000, .same = true}, 2 * CALLS,
         CALLS * 10000);
}
END_TEST

/* The server READs with a key that is none: one burst, either way. */
static void move_and_fail(const struct options *wanted)
{
    open_both(wanted);
    struct raw *raw = &sides[0].raw;
    sides[0].orders.area.head->raw[0].rkey[0] += 12345;
    int wrong = options.test == TEST_LAT
                    ? raw_trips(raw, hands, options.size_max, CALLS, &figures)
                    : raw_stream(raw, hands, options.size_max, CALLS, &figures);
    ck_assert_int_eq(wrong, EXIT_FAILURE);
    ck_assert_ptr_nonnull(strstr(sides[0].orders.area.head->why, "raw verbs: the work failed"));
    close_both();
}

/* From the second burst on something is missing. */
static void move_and_miss(const struct options *wanted, void (*spoil)(struct side *sides))
{
    open_both(wanted);
    bool trips = options.test == TEST_LAT;
    struct raw *raw = &sides[0].raw;
    for (int i = 0; i < 2; i++) {
        int wrong = trips ? raw_trips(raw, hands, options.size_max, CALLS, &figures)
                          : raw_stream(raw, hands, options.size_max, CALLS, &figures);
        ck_assert_int_eq(wrong, i == 0 ? 0 : EXIT_FAILURE);
        int error = raw->ends[0]->error != 0 ? raw->ends[0]->error : sides[1].raw.ends[0]->error;
        ck_assert_int_eq(error, i == 0 ? 0 : RAW_WRONG_BYTES);
        spoil(sides);
    }
    close_both();
}

/* The client, or the server, does not READ what is last. */
static void forget(struct side *side)
{
    struct raw_plan *plan = &side->raw.plan;
    plan->first[plan->calls] = plan->first[plan->calls - 1];
}

static void forget_the_last(struct side *both)
{
    forget(&both[0]);
}

static void forget_the_last_there(struct side *both)
{
    forget(&both[1]);
}

/* The last answer is the one before. */
static void answer_the_same(struct side *both)
{
    uint8_t *memory = both[1].raw.ends[0]->link.memory;
    memmove(memory + PIECES_SHIFT, memory, RAW_ANSWER_BYTES + options.reply);
}

START_TEST(test_what_is_missing_is_seen)
{
    /* Its landing has what the burst before has moved, and what the call before has. */
    move_and_miss(&(struct options){.test = TEST_BW, .size_max = 5000, .reply = 3000},
                  forget_the_last);
    move_and_miss(&(struct options){.test = TEST_BW, .size_max = 5000, .reply = 70000},
                  forget_the_last);
    move_and_miss(&(struct options){.test = TEST_BW, .size_max = 5000, .same = true},
                  forget_the_last_there);
    move_and_miss(&(struct options){.test = TEST_LAT, .size_max = 8}, answer_the_same);
    move_and_miss(&(struct options){.test = TEST_LAT, .size_max = 8, .reply = 5000},
                  answer_the_same);
}
END_TEST

START_TEST(test_what_fails_is_said)
{
    move_and_fail(&(struct options){.test = TEST_BW, .size_max = 5000});
    move_and_fail(&(struct options){.test = TEST_LAT, .size_max = 5000, .chunks = 7});
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {
        test_sends_there_and_back, test_a_list_for_each_ping,    test_reads,
        test_reads_by_both_sides,  test_several_threads,         test_sizes_in_turn,
        test_the_same_again,       test_what_is_missing_is_seen, test_what_fails_is_said};
    Suite *suite = suite_create("simverbs: wb_perf --vs raw");
    suite_add_tcase(suite, test_program_case("raw", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
