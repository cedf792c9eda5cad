/* Short archives of fixed length, which cross the library's border as they are: what is in them is
 * checked as ever, on both sides. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <waybill/waybill.h>

#include "tests/support/program.h"

#define JUDGE_IN(F) F(VALUE, u32, how) F(TYPE, wb_bool, sure)
#define JUDGE_OUT(F) F(VALUE, u64, weight) F(TYPE, wb_bool, right)
#define CARRY(F) F(FIXED, wb_u8, bytes, 128)
#define CARRY_MORE(F) F(FIXED, wb_u8, bytes, 129)
#define NAMED(F) F(STRING, wb_str, name)
#define HUES(C) C(HUE_RED, 1) C(HUE_BLUE, -7)
WB_ENUM(hue, HUES)
#define SWITCH(F) F(TYPE, wb_bool, on) F(TYPE, hue, color) F(VALUE, u16, number)
WB_STRUCT(light, SWITCH)
#define PANEL(F) F(FIXED, light, lights, 3) F(FIXED, wb_bool, fuses, 5) F(TYPE, hue, frame)
WB_ACTION(weigh, JUDGE_IN, JUDGE_OUT) /* by its own stub */
WB_ACTION(judge, JUDGE_IN, JUDGE_OUT) /* by one that answers what it likes */
WB_ACTION(carry, CARRY, CARRY)
WB_ACTION(carry_more, CARRY_MORE, CARRY_MORE)
WB_ACTION(named, NAMED, NAMED)
WB_ACTION(rewire, PANEL, PANEL)

_Static_assert(weigh_in_packed &&weigh_out_packed &&carry_in_packed, "short, and fixed");
_Static_assert(rewire_in_packed && (int)rewire_in_wire_min == 3 * 7 + 5 + 4, "checked, but fixed");
_Static_assert(!carry_more_in_packed && !named_in_packed, "long, or not fixed");

enum { ARCHIVE = 9 }; /* of judge's result */

static struct wb_engine *host, *guest;
static struct wb_peer *peer;
static _Atomic unsigned weighed, whole;

static int on_weigh(struct wb_context *context, struct weigh_in *in, struct weigh_out *out,
                    void *user)
{
    (void)context;
    (void)user;
    atomic_fetch_add(&weighed, 1);
    out->weight = 2 * (uint64_t)in->how;
    out->right = in->sure;
    return WB_OK;
}

static int on_carry(struct wb_context *context, struct carry_in *in, struct carry_out *out,
                    void *user)
{
    (void)context;
    (void)user;
    memcpy(out->bytes, in->bytes, sizeof out->bytes);
    return WB_OK;
}

/* Turns all over. */
static int on_rewire(struct wb_context *context, struct rewire_in *in, struct rewire_out *out,
                     void *user)
{
    (void)context;
    (void)user;
    for (unsigned i = 0; i < 3; i++) {
        out->lights[i] = in->lights[2 - i];
        out->lights[i].on = !out->lights[i].on;
    }
    for (unsigned i = 0; i < 5; i++) {
        out->fuses[i] = in->fuses[4 - i];
    }
    out->frame = in->frame == HUE_RED ? HUE_BLUE : HUE_RED;
    return WB_OK;
}

static int on_carry_more(struct wb_context *context, struct carry_more_in *in,
                         struct carry_more_out *out, void *user)
{
    (void)context;
    (void)user;
    memcpy(out->bytes, in->bytes, sizeof out->bytes);
    return WB_OK;
}

/* Answers with as many bytes as the question says, of which the last says neither yes nor no where
 * they are as many as there should be but for that. */
static int serve_judge(struct wb_context *context, struct wb_request *request,
                       void (*handler)(void), void *user)
{
    uint8_t archive[2 * ARCHIVE] = {7};
    struct judge_in in;
    struct wb_writer writer;
    (void)handler;
    (void)user;
    atomic_fetch_add(&whole, request->archive != NULL && request->bytes == judge_in_wire_min);
    int status = judge_in_get(wb_request_open(context, request), &in);
    struct wb_sizer sizer = {.bytes = in.how};
    archive[ARCHIVE - 1] = in.sure ? 1 : 2;
    status = status == WB_OK ? wb_reply_begin(context, &sizer, &writer) : status;
    if (status == WB_OK) {
        wb_put_raw(&writer, archive, in.how);
        status = wb_reply_commit(context, &writer);
    }
    return status;
}

static void no_handler(void) {}

static void open_both(void)
{
    static unsigned times;
    char url[64];
    snprintf(url, sizeof url, "shm://packed.%ld.%u", (long)getpid(), times++);
    atomic_store(&weighed, 0);
    atomic_store(&whole, 0);
    ck_assert_int_eq(wb_engine_create(NULL, &host), WB_OK);
    ck_assert_int_eq(wb_engine_create(NULL, &guest), WB_OK);
    ck_assert_int_eq(weigh_register(host, on_weigh, NULL), WB_OK);
    ck_assert_int_eq(carry_register(host, on_carry, NULL), WB_OK);
    ck_assert_int_eq(carry_more_register(host, on_carry_more, NULL), WB_OK);
    ck_assert_int_eq(rewire_register(host, on_rewire, NULL), WB_OK);
    ck_assert_int_eq(wb_action_register(host, &judge_action, serve_judge, no_handler, NULL, NULL),
                     WB_OK);
    ck_assert_int_eq(wb_listen(host, url), WB_OK);
    ck_assert_int_eq(wb_engine_run(host, 1), WB_OK);
    ck_assert_int_eq(wb_connect(guest, url, &peer), WB_OK);
    ck_assert_int_eq(wb_peer_wait(peer, test_patience_us), WB_OK);
}

static void close_both(void)
{
    wb_peer_close(peer);
    wb_engine_destroy(guest);
    wb_engine_destroy(host);
}

static void assert_weighs(uint32_t how)
{
    struct weigh_in in = {.how = how, .sure = true};
    struct weigh_out out;
    ck_assert_int_eq(weigh_call(peer, &in, &out, NULL), WB_OK);
    ck_assert_uint_eq(out.weight, 2 * (uint64_t)how);
    ck_assert(out.right);
}

/* A result of so many bytes. */
static int judge(uint32_t bytes, bool sure, struct judge_out *out)
{
    struct judge_in in = {.how = bytes, .sure = sure};
    return judge_call(peer, &in, out, NULL);
}

START_TEST(test_results_are_checked)
{
    static const uint32_t wrong[] = {0, 1, ARCHIVE - 1, ARCHIVE + 1, 2 * ARCHIVE};
    struct judge_out out;
    open_both();
    ck_assert_int_eq(judge(ARCHIVE, true, &out), WB_OK);
    ck_assert_uint_eq(out.weight, 7);
    ck_assert(out.right);
    ck_assert_int_eq(judge(ARCHIVE, false, &out), WB_ERR_MALFORMED);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "judge: its result: "));
    ck_assert_uint_eq(out.weight, 0);
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_int_eq(judge(wrong[i], true, &out), WB_ERR_MALFORMED);
        ck_assert_ptr_nonnull(strstr(wb_last_error(), "judge: its result: "));
        ck_assert_uint_eq(out.weight, 0);
        ck_assert(!out.right);
    }
    ck_assert_uint_eq(atomic_load(&whole), 2 + sizeof wrong / sizeof wrong[0]);
    assert_weighs(3);
    close_both();
}
END_TEST

/* Sends the first `bytes` bytes as weigh's arguments. */
static int send_strange(const uint8_t *archive, size_t bytes)
{
    struct wb_sizer sizer = {.bytes = bytes};
    struct wb_writer writer;
    struct wb_call *call;
    struct weigh_out out;
    ck_assert_int_eq(wb_call_begin(peer, &weigh_action, &sizer, NULL, &writer), WB_OK);
    wb_put_raw(&writer, archive, bytes);
    ck_assert_int_eq(wb_call_commit(&writer, &call), WB_OK);
    return weigh_finish(call, &out);
}

START_TEST(test_arguments_are_checked)
{
    const uint8_t sure[] = {3, 0, 0, 0, 1, 0, 0}, strange[] = {3, 0, 0, 0, 2};
    open_both();
    ck_assert_int_eq(send_strange(sure, weigh_in_wire_min), WB_OK);
    ck_assert_uint_eq(atomic_load(&weighed), 1);
    ck_assert_int_eq(send_strange(strange, weigh_in_wire_min), WB_ERR_MALFORMED);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "sure"));
    for (size_t bytes = 0; bytes <= sizeof sure; bytes++) {
        if (bytes != weigh_in_wire_min) {
            ck_assert_int_eq(send_strange(sure, bytes), WB_ERR_MALFORMED);
        }
    }
    ck_assert_uint_eq(atomic_load(&weighed), 1);
    assert_weighs(4);
    close_both();
}
END_TEST

START_TEST(test_the_longest)
{
    struct carry_in in;
    struct carry_out out;
    struct carry_more_in more;
    struct carry_more_out more_out;
    open_both();
    for (unsigned i = 0; i < sizeof more.bytes; i++) {
        more.bytes[i] = (uint8_t)(i * 7 + 1);
    }
    memcpy(in.bytes, more.bytes, sizeof in.bytes);
    ck_assert_int_eq(carry_call(peer, &in, &out, NULL), WB_OK);
    ck_assert_mem_eq(out.bytes, in.bytes, sizeof in.bytes);
    ck_assert_int_eq(carry_more_call(peer, &more, &more_out, NULL), WB_OK);
    ck_assert_mem_eq(more_out.bytes, more.bytes, sizeof more.bytes);
    carry_out_drop(&out);
    carry_more_out_drop(&more_out);
    close_both();
}
END_TEST

START_TEST(test_what_is_checked_and_fixed)
{
    struct rewire_in in = {.lights = {{true, HUE_BLUE, 1}, {false, HUE_RED, 2}, {true, HUE_RED, 3}},
                           .fuses = {true, true, false, true, false},
                           .frame = HUE_RED};
    struct rewire_out out;
    open_both();
    ck_assert_int_eq(rewire_call(peer, &in, &out, NULL), WB_OK);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(out.lights[i].number, 3 - i);
        ck_assert_int_eq(out.lights[i].color, in.lights[2 - i].color);
        ck_assert(out.lights[i].on != in.lights[2 - i].on);
    }
    for (unsigned i = 0; i < 5; i++) {
        ck_assert(out.fuses[i] == in.fuses[4 - i]);
    }
    ck_assert_int_eq(out.frame, HUE_BLUE);
    in.lights[1].color = (enum hue)5; /* none of them */
    ck_assert_int_eq(rewire_call(peer, &in, &out, NULL), WB_ERR_INVALID);
    ck_assert_int_eq(out.frame, 0);
    assert_weighs(5);
    close_both();
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("engine: packed archives");
    TCase *tcase = tcase_create("packed");
    tcase_add_test(tcase, test_results_are_checked);
    tcase_add_test(tcase, test_arguments_are_checked);
    tcase_add_test(tcase, test_the_longest);
    tcase_add_test(tcase, test_what_is_checked_and_fixed);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
