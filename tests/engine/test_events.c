/* The log of events: what is in it and what is not, with its words, and the report of a lost peer
 * on stderr. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/engine/forge.h"
#include "tests/engine/scene.h"

enum { MOST = 5000 };

static struct test_scene scene;
static struct test_forgery forgery;
static struct wb_event events[MOST];

static unsigned read_events(struct wb_engine *engine, unsigned most)
{
    memset(events, 0xa5, sizeof events);
    int count = wb_engine_events(engine, events, most);
    ck_assert_int_ge(count, 0);
    ck_assert_uint_le((unsigned)count, most);
    return (unsigned)count;
}

/* The last event of that kind, which must be there. */
static const struct wb_event *last(struct wb_engine *engine, enum wb_event_kind kind)
{
    unsigned count = read_events(engine, MOST);
    while (count > 0 && events[count - 1].kind != kind) {
        count--;
    }
    ck_assert_msg(count > 0, "no event \"%s\"", wb_event_name(kind));
    return &events[count - 1];
}

static int sum(uint64_t a)
{
    struct wb_call *call;
    struct sum_in in = {.a = a, .b = 2};
    struct sum_out out;
    ck_assert_int_eq(sum_async(scene.peer, &in, NULL, &call), WB_OK);
    test_scene_until(&scene, wb_call_done(call));
    return sum_finish(call, &out);
}

START_TEST(test_a_connection_and_chunks)
{
    static const enum wb_event_kind of_host[] = {WB_EVENT_CONNECTED, WB_EVENT_REQUEST_CAME,
                                                 WB_EVENT_READ, WB_EVENT_READ, WB_EVENT_REPLY_SENT},
                                    of_friend[] = {WB_EVENT_CONNECTED, WB_EVENT_REQUEST_SENT,
                                                   WB_EVENT_RELEASED, WB_EVENT_REPLY_CAME};
    test_scene_open(&scene, NULL);
    test_scene_assert_serves(&scene);
    unsigned count = read_events(scene.host, MOST);
    ck_assert_uint_ge(count, 5);
    for (unsigned i = 0; i < count; i++) {
        ck_assert_uint_eq(events[i].number, i + 1);
        ck_assert_uint_eq(events[i].peer, 1);
        ck_assert_str_eq(events[i].scheme, "shm");
        ck_assert_uint_ge(events[i].when_us, i > 0 ? events[i - 1].when_us : 1);
        ck_assert(i >= 5 || events[i].kind == of_host[i]);
    }
    ck_assert_str_eq(events[1].action, "echo");
    ck_assert_uint_eq(events[1].chunk, 4); /* each with its index record */
    ck_assert_uint_eq(events[2].bytes + events[3].bytes, 6000 + 40000);
    ck_assert_uint_eq(events[2].call, events[1].call);
    ck_assert_uint_eq(events[2].chunk + events[3].chunk, 1 + 2);
    ck_assert_uint_ge(read_events(scene.friend, MOST), 4);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(events[i].kind, of_friend[i]);
        ck_assert_str_eq(events[i].peer_url, scene.host_url);
    }
    test_scene_close(&scene);
}
END_TEST

#define TEST_SAY(F) F(VALUE, i32, status)
#define TEST_NOTHING(F)
WB_ACTION(say, TEST_SAY, TEST_NOTHING) /* fails as it is told to */

static int on_say(struct wb_context *context, struct say_in *in, struct say_out *out, void *user)
{
    (void)context;
    (void)out;
    (void)user;
    return in->status;
}

/* Whatever a handler says is logged as it is. */
START_TEST(test_any_status)
{
    static const int statuses[] = {WB_ERR_BUSY, -32769, -65536, INT32_MIN};
    struct say_out none;
    test_scene_open(&scene, NULL);
    ck_assert_int_eq(say_register(scene.host, on_say, NULL), WB_OK);
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        struct say_in in = {.status = statuses[i]};
        struct wb_call *call;
        ck_assert_int_eq(say_async(scene.peer, &in, NULL, &call), WB_OK);
        test_scene_until(&scene, wb_call_done(call));
        ck_assert_int_ne(say_finish(call, &none), WB_OK);
        const struct wb_event *event = last(scene.host, WB_EVENT_ERROR_SENT);
        ck_assert_int_eq(event->status, statuses[i]);
        ck_assert_str_eq(event->action, "say");
    }
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_ordinary_calls_leave_none)
{
    test_scene_open(&scene, NULL);
    unsigned host = read_events(scene.host, MOST), friend = read_events(scene.friend, MOST);
    for (unsigned i = 1; i <= 100; i++) {
        ck_assert_int_eq(sum(i), WB_OK);
    }
    ck_assert_uint_eq(read_events(scene.host, MOST), host);
    ck_assert_uint_eq(read_events(scene.friend, MOST), friend);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_a_call_that_fails)
{
    test_scene_open(&scene, NULL);
    ck_assert_int_eq(sum(0), WB_ERR_REMOTE);
    const struct wb_event *event = last(scene.host, WB_EVENT_ERROR_SENT);
    uint64_t call = event->call;
    ck_assert_int_eq(event->status, WB_ERR_REMOTE);
    ck_assert_uint_eq(event->chunk, 7);
    ck_assert_str_eq(event->action, "sum");
    event = last(scene.friend, WB_EVENT_CALL_ENDED);
    ck_assert_int_eq(event->status, WB_ERR_REMOTE);
    ck_assert_str_eq(event->action, "sum");
    ck_assert_uint_eq(event->call, call);
    test_scene_close(&scene);
}
END_TEST

/* An action that this engine only calls, with a long name. */
#define NO_FIELDS(F)
WB_ACTION(an_action_whose_name_is_longer_than_an_event_has_room_for, NO_FIELDS, NO_FIELDS)

START_TEST(test_an_action_that_nobody_serves)
{
    struct wb_call *call;
    struct an_action_whose_name_is_longer_than_an_event_has_room_for_in in = {0};
    struct an_action_whose_name_is_longer_than_an_event_has_room_for_out out;
    test_scene_open(&scene, NULL);
    ck_assert_int_eq(an_action_whose_name_is_longer_than_an_event_has_room_for_async(
                         scene.peer, &in, NULL, &call),
                     WB_OK);
    test_scene_until(&scene, wb_call_done(call));
    ck_assert_int_eq(an_action_whose_name_is_longer_than_an_event_has_room_for_finish(call, &out),
                     WB_ERR_UNKNOWN_ACTION);
    const struct wb_event *event = last(scene.friend, WB_EVENT_CALL_ENDED);
    ck_assert_str_eq(event->action, "an_action_whose_name_is_longer_than_an_event_ha");
    ck_assert_str_eq(last(scene.host, WB_EVENT_ERROR_SENT)->action, ""); /* an id, to the host */
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_one_that_waits_and_is_cancelled)
{
    struct wb_call *call;
    struct never_in in = {.number = 1};
    struct never_out out;
    test_scene_open(&scene, NULL);
    ck_assert_int_eq(never_async(scene.peer, &in, NULL, &call), WB_OK);
    test_scene_pause(&scene); /* in which it is tried again and again */
    wb_call_cancel(call);
    test_scene_until(&scene, wb_call_done(call));
    ck_assert_int_eq(never_finish(call, &out), WB_ERR_CANCELLED);
    test_scene_pause(&scene);
    unsigned parked = 0, count = read_events(scene.host, MOST);
    for (unsigned i = 0; i < count; i++) {
        parked += events[i].kind == WB_EVENT_PARKED;
    }
    ck_assert_uint_eq(parked, 1);
    ck_assert_str_eq(last(scene.host, WB_EVENT_PARKED)->action, "never");
    uint64_t id = last(scene.friend, WB_EVENT_CANCEL_SENT)->call;
    ck_assert_uint_eq(last(scene.host, WB_EVENT_CANCEL_CAME)->call, id);
    ck_assert_int_eq(last(scene.friend, WB_EVENT_CALL_ENDED)->status, WB_ERR_CANCELLED);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_the_last_of_many)
{
    test_scene_open(&scene, NULL);
    for (unsigned i = 0; i < 2100; i++) {
        ck_assert_int_eq(sum(0), WB_ERR_REMOTE);
    }
    unsigned count = read_events(scene.host, MOST);
    ck_assert_uint_eq(count, 2047); /* one place may be being written */
    uint64_t newest = events[count - 1].number;
    ck_assert_uint_gt(newest, 2100);
    ck_assert_uint_eq(events[0].number, newest - count + 1);
    ck_assert_uint_eq(read_events(scene.host, 3), 3);
    ck_assert_uint_eq(events[2].number, newest);
    ck_assert_uint_eq(read_events(scene.host, 0), 0);
    test_scene_close(&scene);
}
END_TEST

static void say_nonsense(void)
{
    struct wbi_header header = {.kind = WBI_REPLY, .call_id = 1};
    test_scene_meet(&scene);
    test_forge_header(&forgery, &header);
    ck_assert(!test_scene_say(&scene, forgery.bytes, forgery.len));
}

START_TEST(test_a_text)
{
    char text[4096], cut[100];
    test_scene_open(&scene, NULL);
    say_nonsense();
    ck_assert_int_eq(sum(0), WB_ERR_REMOTE);
    int needed = wb_engine_events_text(scene.host, 4, text, sizeof text);
    ck_assert_uint_eq(strlen(text), (size_t)needed);
    ck_assert_ptr_nonnull(strstr(text, "shm #"));
    ck_assert_ptr_nonnull(strstr(text, "peer 2 shm://(accepted "));
    ck_assert_ptr_nonnull(strstr(text, "): lost, WB_ERR_PROTOCOL\n"));
    ck_assert_ptr_nonnull(strstr(text, ", action sum, code 7, WB_ERR_REMOTE\n"));
    ck_assert_int_eq(wb_engine_events_text(scene.host, 4, NULL, 0), needed);
    for (size_t size = 1; size <= sizeof cut; size++) {
        memset(cut, 'x', sizeof cut);
        ck_assert_int_eq(wb_engine_events_text(scene.host, 4, cut, size), needed);
        ck_assert_uint_eq(strlen(cut), size - 1);
        ck_assert_mem_eq(cut, text, size - 1);
    }
    ck_assert_int_eq(wb_engine_events_text(scene.host, 0, cut, sizeof cut), 0);
    ck_assert_str_eq(cut, "");
    ck_assert_str_eq(wb_event_name(WB_EVENT_KINDS), "(no kind of event)");
    for (int kind = WB_EVENT_CONNECTED; kind < WB_EVENT_KINDS; kind++) {
        ck_assert_str_ne(wb_event_name((enum wb_event_kind)kind), "(no kind of event)");
    }
    test_scene_close(&scene);
}
END_TEST

/* ---- the report ---- */

/* What is written to stderr from `begin_stderr` on. */
static char said[8192];
static int kept = -1;
static FILE *file;

static void begin_stderr(void)
{
    file = tmpfile();
    kept = dup(STDERR_FILENO);
    ck_assert(file != NULL && kept >= 0);
    ck_assert_int_ge(dup2(fileno(file), STDERR_FILENO), 0);
}

static void end_stderr(void)
{
    ck_assert_int_ge(dup2(kept, STDERR_FILENO), 0);
    close(kept);
    rewind(file);
    said[fread(said, 1, sizeof said - 1, file)] = '\0';
    fclose(file);
}

START_TEST(test_a_lost_peer_is_reported)
{
    ck_assert_int_eq(setenv("WB_EVENTS", "errors", 1), 0);
    test_scene_open(&scene, NULL);
    ck_assert_int_eq(sum(0), WB_ERR_REMOTE);
    begin_stderr();
    say_nonsense();
    end_stderr();
    ck_assert_ptr_nonnull(strstr(said, "waybill: peer 2 is lost (WB_ERR_PROTOCOL): shm://"));
    ck_assert_ptr_nonnull(strstr(said, "sent a reply that no request asked for\n"));
    ck_assert_ptr_nonnull(strstr(said, "waybill: advice: "));
    ck_assert_ptr_nonnull(strstr(said, ", action sum, code 7, WB_ERR_REMOTE\n"));
    ck_assert_ptr_nonnull(strstr(said, "): lost, WB_ERR_PROTOCOL\n"));
    begin_stderr();
    test_scene_close(&scene); /* its owner's closing a peer is no error */
    end_stderr();
    ck_assert_ptr_null(strstr(said, "WB_ERR_CLOSED"));
    unsetenv("WB_EVENTS");
}
END_TEST

START_TEST(test_nothing_is_reported_unasked)
{
    unsetenv("WB_EVENTS");
    test_scene_open(&scene, NULL);
    begin_stderr();
    say_nonsense();
    end_stderr();
    ck_assert_str_eq(said, "");
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_a_connection_and_chunks,
                                  test_any_status,
                                  test_ordinary_calls_leave_none,
                                  test_a_call_that_fails,
                                  test_an_action_that_nobody_serves,
                                  test_one_that_waits_and_is_cancelled,
                                  test_the_last_of_many,
                                  test_a_text,
                                  test_a_lost_peer_is_reported,
                                  test_nothing_is_reported_unasked};
    Suite *suite = suite_create("engine: the log of events");
    suite_add_tcase(suite, test_program_case("events", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
