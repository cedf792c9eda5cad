/* Rails that go, and come back, and what becomes of READs over them. */
#include "engine/verbs/rails.h"
#include "tests/simverbs/model.h"
#include "tests/simverbs/scene_rails.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

/* A rail's device stops, at either end, or its queue pair breaks, while chunks are READ over it:
 * they arrive all the same, and the rail comes back when its device does. */
static void stop(unsigned how)
{
    struct sim_device *const devices[] = {sim_rails_pair.client_rail, sim_rails_pair.server_rail};
    if (how < 2) {
        sim_link_set(devices[how], false);
    } else {
        sim_device_upset(devices[how - 2], 0);
    }
}

/* How many events of a kind a side has logged, of the last 1000. */
static unsigned events_of(const struct test_service *side, enum wb_event_kind kind)
{
    static struct wb_event events[1000];
    int count = wb_engine_events(side->engine, events, 1000);
    unsigned found = 0;
    for (int i = 0; i < count; i++) {
        found += events[i].kind == kind;
    }
    return found;
}

/* Lets both go on until both have seen that the rail has gone, and the client another. */
static void await_next(void)
{
    const struct test_service *sides[] = {&sim_rails_pair.client, &sim_rails_pair.server};
    for (unsigned side = 0; side < 2; side++) {
        for (unsigned i = 0; i < 400 && events_of(sides[side], WB_EVENT_RAIL_LOST) == 0; i++) {
            sim_pair_settle(&sim_rails_pair, 50000);
        }
        ck_assert_uint_gt(events_of(sides[side], WB_EVENT_RAIL_LOST), 0);
    }
    sim_rails_await(1);
}

START_TEST(test_a_rail_goes_and_comes_back)
{
    struct digest_in in;
    sim_rails_begin(sim_profiles[_i / 4]);
    unsigned how = (unsigned)_i % 4;
    struct wb_call *call = sim_rails_send(wb_engine_allocator(sim_rails_pair.client.engine), &in);
    for (unsigned i = 0; i < 1000 && sim_stats(&sim_rails_pair.server).rail_reads == 0; i++) {
        sim_pair_settle(&sim_rails_pair, 10);
    }
    ck_assert_uint_gt(sim_stats(&sim_rails_pair.server).rail_reads, 0);
    stop(how);
    sim_rails_assert_arrives(call, &in);
    if (how < 2) {
        sim_rails_await(0);
    } else {
        await_next();
    }
    sim_rails_call(wb_engine_allocator(sim_rails_pair.client.engine));
    if (how < 2) {
        sim_link_set(how == 0 ? sim_rails_pair.client_rail : sim_rails_pair.server_rail, true);
        sim_rails_await(1);
    }
    uint64_t before = sim_stats(&sim_rails_pair.server).rail_reads;
    sim_rails_call(wb_engine_allocator(sim_rails_pair.client.engine));
    ck_assert_uint_gt(sim_stats(&sim_rails_pair.server).rail_reads, before);
    ck_assert_int_eq(wb_peer_state(sim_rails_pair.peer), WB_PEER_CONNECTED);
    ck_assert_uint_eq(sim_stats(&sim_rails_pair.client).peers_lost, 0);
    sim_calls_assert_quiet(&sim_rails_pair, "a rail went");
    sim_pair_close(&sim_rails_pair);
}
END_TEST

/* A rail falls silent, at either end, under the READs of a call whose deadline passes: they end
 * while its caller still waits for that, and the connection lives. */
START_TEST(test_a_silent_rail_holds_nothing_up)
{
    struct wb_call_options options = {.timeout_us = 50000};
    struct sim_pair *pair = &sim_rails_pair;
    struct digest_in in = {.seed = 8};
    struct digest_out out;
    struct wb_call *call = NULL;
    sim_rails_begin(&sim_profile_mlx5);
    struct sim_device *device = _i == 0 ? pair->client_rail : pair->server_rail;
    ck_assert_int_eq(wb_rma_vector_create(wb_engine_allocator(pair->client.engine), 1,
                                          SIM_RAILS_LARGE, &in.data),
                     WB_OK);
    ck_assert_int_eq(digest_async(pair->peer, &in, &options, &call), WB_OK);
    for (unsigned i = 0; i < 1000 && sim_stats(&pair->server).rail_reads == 0; i++) {
        sim_pair_settle(pair, 10);
    }
    ck_assert_uint_gt(sim_stats(&pair->server).rail_reads, 0);
    sim_device_stop(device);
    ck_assert_int_eq(wb_call_wait(call, SIM_RAILS_PATIENCE_US), WB_OK);
    ck_assert_int_eq(digest_finish(call, &out), WB_ERR_TIMED_OUT);
    digest_in_drop(&in);
    sim_rails_await(0);
    for (unsigned i = 0; i < 40; i++) {
        sim_pair_settle(pair, 50000);
    }
    ck_assert_int_eq(wb_peer_state(pair->peer), WB_PEER_CONNECTED);
    sim_device_revive(device);
    sim_rails_await(1);
    sim_calls_assert_quiet(pair, "a silent rail");
    sim_pair_close(pair);
}
END_TEST

/* ---- who stands still himself ---- */

#define STAND(F)
WB_ACTION(stand, STAND, STAND)

static void pass(uint64_t us)
{
    for (uint64_t end = sim_now_ns() + us * 1000; sim_now_ns() < end;) {
        sim_advance((end - sim_now_ns()) / 1000 + 1);
    }
}

static int on_stand(struct wb_context *context, struct stand_in *in, struct stand_out *out,
                    void *user)
{
    (void)context;
    (void)in;
    (void)out;
    (void)user;
    pass(500000); /* longer than a rail may be silent */
    return WB_OK;
}

static void sleep_at(struct wb_engine *engine)
{
    uint64_t most;
    int armed = WB_AGAIN;
    for (unsigned i = 0; i < 100 && armed != WB_OK; i++) {
        sim_pair_settle(&sim_rails_pair, 1000);
        armed = wb_engine_arm(engine, &most);
    }
    ck_assert_int_eq(armed, WB_OK);
}

/* A long handler, and behind it a request whose chunks are READ over the rail: that has not been
 * silent, its lane has not looked. */
START_TEST(test_a_long_handler_breaks_no_rail)
{
    struct sim_pair *pair = &sim_rails_pair;
    struct stand_in nothing = {0};
    struct stand_out out;
    struct digest_in in;
    struct wb_call *stands, *call;
    sim_rails_begin(&sim_profile_mlx5);
    ck_assert_int_eq(stand_register(pair->server.engine, on_stand, NULL), WB_OK);
    sim_rails_call(wb_engine_allocator(pair->client.engine));
    sim_pair_settle(pair, 1000000);
    sleep_at(pair->server.engine);
    ck_assert_int_eq(stand_async(pair->peer, &nothing, NULL, &stands), WB_OK);
    call = sim_rails_send(wb_engine_allocator(pair->client.engine), &in);
    for (unsigned i = 0; i < 20; i++) {
        wb_progress(pair->client.engine);
        pass(10);
    }
    sim_rails_assert_arrives(call, &in);
    ck_assert_int_eq(wb_call_wait(stands, SIM_RAILS_PATIENCE_US), WB_OK);
    ck_assert_int_eq(stand_finish(stands, &out), WB_OK);
    ck_assert_uint_eq(events_of(&pair->server, WB_EVENT_RAIL_LOST), 0);
    sim_pair_close(pair);
}
END_TEST

/* ---- many calls ---- */

enum { MANY = 20, SMALL = 4096 }; /* more than READs that a peer has in flight */

struct stream_of_calls {
    struct wb_call *calls[MANY];
    struct digest_in in[MANY];
    unsigned ended;
    size_t bytes;
};

static void begin_one(struct stream_of_calls *many, unsigned i)
{
    many->in[i] = (struct digest_in){.seed = i};
    ck_assert_int_eq(wb_rma_vector_create(wb_engine_allocator(sim_rails_pair.client.engine), 1,
                                          many->bytes, &many->in[i].data),
                     WB_OK);
    test_pattern_fill(many->in[i].data.data, many->bytes, i + 1);
    ck_assert_int_eq(digest_async(sim_rails_pair.peer, &many->in[i], NULL, &many->calls[i]), WB_OK);
}

static void end_one(struct stream_of_calls *many, unsigned i)
{
    struct digest_out out;
    int status = digest_finish(many->calls[i], &out);
    test_check(status == WB_OK, "%s", wb_last_error());
    ck_assert_uint_eq(out.data_right, many->bytes);
    digest_out_drop(&out);
    digest_in_drop(&many->in[i]);
    many->ended++;
}

/* Ends those that have ended, and begins others in their place, for so long. Returns how long no
 * call has ended at most, in microseconds. */
static uint64_t go_on(struct stream_of_calls *many, uint64_t us)
{
    uint64_t start = sim_now_ns(), last = start, longest = 0;
    while (sim_now_ns() - start < us * 1000) {
        sim_pair_settle(&sim_rails_pair, 5);
        for (unsigned i = 0; i < MANY; i++) {
            if (wb_call_done(many->calls[i])) {
                end_one(many, i);
                begin_one(many, i);
                uint64_t pause = sim_now_ns() - last;
                longest = pause > longest ? pause : longest;
                last = sim_now_ns();
            }
        }
    }
    uint64_t pause = sim_now_ns() - last;
    return (pause > longest ? pause : longest) / 1000;
}

static void begin_many(struct stream_of_calls *many, size_t bytes)
{
    *many = (struct stream_of_calls){.bytes = bytes};
    for (unsigned i = 0; i < MANY; i++) {
        begin_one(many, i);
    }
}

static void end_many(struct stream_of_calls *many)
{
    for (unsigned i = 0; i < MANY; i++) {
        ck_assert_int_eq(wb_call_wait(many->calls[i], SIM_RAILS_PATIENCE_US), WB_OK);
        end_one(many, i);
    }
}

/* A rail that stops keeps what is on it, and nobody else: whatever the moment, calls go on. */
START_TEST(test_a_dead_rail_holds_up_few)
{
    struct stream_of_calls many;
    sim_rails_begin(&sim_profile_mlx5);
    begin_many(&many, SMALL << (_i % 3 * 2));
    go_on(&many, 100 + (uint64_t)_i * 7);
    sim_link_set(sim_rails_pair.client_rail, false);
    uint64_t longest = go_on(&many, 100000);
    test_check(longest < 50000, "no call has ended for %llu us", (unsigned long long)longest);
    end_many(&many);
    sim_link_set(sim_rails_pair.client_rail, true);
    sim_calls_assert_quiet(&sim_rails_pair, "many");
    sim_pair_close(&sim_rails_pair);
}
END_TEST

/* The owner's device serves two READs at a time: those of a rail that broke do not wait for ever
 * behind new ones. */
START_TEST(test_what_is_stranded_comes_first)
{
    struct sim_profile shallow = sim_profile_mlx5;
    struct stream_of_calls many;
    shallow.attr.max_qp_rd_atom = 2;
    sim_pair_open(&sim_rails_pair, 1, &sim_profile_mlx5);
    sim_rails_pair.client_device->profile = &shallow;
    sim_pair_add_rails(&sim_rails_pair, &sim_profile_mlx5);
    sim_rails_pair.client_rail->profile = &shallow;
    sim_rails_pair.config.max_calls = sim_rails_pair.config.credits = 32;
    ck_assert_int_eq(sim_pair_begin(&sim_rails_pair), WB_OK);
    sim_rails_await(1);
    begin_many(&many, 1 << 20);
    go_on(&many, 2000);
    sim_link_set(sim_rails_pair.client_rail, false);
    for (unsigned i = 0; i < 100 && sim_rails_channels(&sim_rails_pair.server)->lane->stranded == 0;
         i++) {
        go_on(&many, 50000);
    }
    go_on(&many, 50000);
    ck_assert_uint_eq(sim_rails_channels(&sim_rails_pair.server)->lane->stranded, 0);
    end_many(&many);
    sim_link_set(sim_rails_pair.client_rail, true);
    sim_calls_assert_quiet(&sim_rails_pair, "stranded");
    sim_pair_close(&sim_rails_pair);
}
END_TEST

/* One that is connected each time and breaks before anything was READ over it is dialled ever more
 * seldom: in 20 s not some hundred times. */
START_TEST(test_a_rail_that_flaps)
{
    sim_rails_begin(&sim_profile_mlx5);
    for (unsigned i = 0; i < 400; i++) {
        sim_pair_settle(&sim_rails_pair, 50000);
        if (sim_rails_of(sim_rails_pair.peer) == 1) {
            sim_device_upset(sim_rails_pair.client_rail, 0);
        }
    }
    unsigned lost = events_of(&sim_rails_pair.client, WB_EVENT_RAIL_LOST);
    ck_assert_uint_ge(lost, 4);
    ck_assert_uint_le(lost, 12);
    sim_pair_close(&sim_rails_pair);
}
END_TEST

/* Who says goodbye has lost no rail. */
START_TEST(test_a_goodbye_is_no_loss)
{
    sim_rails_begin(sim_profiles[_i]);
    ck_assert_uint_eq(events_of(&sim_rails_pair.client, WB_EVENT_RAIL), 1);
    ck_assert_uint_eq(events_of(&sim_rails_pair.server, WB_EVENT_RAIL), 1);
    wb_peer_close(sim_rails_pair.peer);
    sim_rails_pair.peer = NULL;
    sim_pair_settle(&sim_rails_pair, 1000000);
    ck_assert_uint_eq(events_of(&sim_rails_pair.client, WB_EVENT_RAIL_LOST), 0);
    ck_assert_uint_eq(events_of(&sim_rails_pair.server, WB_EVENT_RAIL_LOST), 0);
    ck_assert_uint_eq(events_of(&sim_rails_pair.server, WB_EVENT_LOST), 1);
    sim_pair_close(&sim_rails_pair);
}
END_TEST

/* The connection's own device goes: its rails go with it, and nothing is left. */
START_TEST(test_the_connection_goes)
{
    struct digest_in in;
    struct digest_out out;
    sim_rails_begin(&sim_profile_mlx5);
    struct wb_call *call = sim_rails_send(wb_engine_allocator(sim_rails_pair.client.engine), &in);
    sim_pair_settle(&sim_rails_pair, 30);
    sim_link_set(sim_rails_pair.client_device, false);
    ck_assert_int_eq(wb_call_wait(call, SIM_RAILS_PATIENCE_US), WB_OK);
    ck_assert_int_eq(digest_finish(call, &out), WB_ERR_PEER_LOST);
    digest_in_drop(&in);
    ck_assert_uint_eq(sim_rails_of(sim_rails_pair.peer), 0);
    sim_link_set(sim_rails_pair.client_device, true);
    sim_calls_assert_quiet(&sim_rails_pair, "the connection went");
    sim_pair_close(&sim_rails_pair);
}
END_TEST

/* The peer is closed while it READs over both: nothing offered is readable then, by either. */
START_TEST(test_closed_while_it_reads)
{
    struct digest_in in;
    sim_rails_begin(sim_profiles[_i]);
    struct wb_call *call = sim_rails_send(wb_engine_allocator(sim_rails_pair.client.engine), &in);
    sim_pair_settle(&sim_rails_pair, 30);
    wb_peer_close(sim_rails_pair.peer);
    sim_rails_pair.peer = NULL;
    struct digest_out out;
    ck_assert_int_eq(digest_finish(call, &out), WB_ERR_CLOSED);
    digest_in_drop(&in);
    ck_assert_ptr_null(sim_rails_channels(&sim_rails_pair.client));
    sim_calls_assert_quiet(&sim_rails_pair, "closed");
    sim_pair_close(&sim_rails_pair);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: rails that go");
    TCase *tcase = tcase_create("rails_lost");
    tcase_add_checked_fixture(tcase, NULL, sim_rails_clear);
    tcase_add_loop_test(tcase, test_a_rail_goes_and_comes_back, 0, 8);
    tcase_add_loop_test(tcase, test_a_dead_rail_holds_up_few, 0, 9);
    tcase_add_test(tcase, test_a_long_handler_breaks_no_rail);
    tcase_add_test(tcase, test_what_is_stranded_comes_first);
    tcase_add_loop_test(tcase, test_a_silent_rail_holds_nothing_up, 0, 2);
    tcase_add_test(tcase, test_a_rail_that_flaps);
    tcase_add_loop_test(tcase, test_a_goodbye_is_no_loss, 0, 3);
    tcase_add_test(tcase, test_the_connection_goes);
    tcase_add_loop_test(tcase, test_closed_while_it_reads, 0, 3);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
