/* A peer whose host is named. The resolver takes the machine's time, so this world does as well. */
#include <string.h>

#include "tests/conformance/actions.h"
#include "tests/conformance/service.h"
#include "tests/simverbs/world.h"
#include "tests/support/program.h"

static struct test_service server, client;
static struct wb_peer *peer;

/* One host with one device, at the address that every machine knows by a name. */
static void open_world(void)
{
    sim_open(&(struct sim_options){.seed = 1, .threads = true});
    sim_device_add(sim_host_add(), &sim_profile_mlx5, "127.0.0.1");
    ck_assert_int_eq(test_service_open(&client, NULL, NULL), WB_OK);
}

static void close_world(void)
{
    wb_peer_close(peer);
    peer = NULL;
    test_service_close(&client);
    test_service_close(&server);
    ck_assert_uint_eq(sim_close(), 0);
}

START_TEST(test_a_name_leads_to_its_address)
{
    struct add_in in = {.a = 40, .b = 2};
    struct add_out out;
    open_world();
    ck_assert_int_eq(test_service_open(&server, NULL, "verbs://127.0.0.1:7471"), WB_OK);
    ck_assert_int_eq(test_service_drive(&server), WB_OK);
    ck_assert_int_eq(wb_connect(client.engine, "verbs://localhost:7471", &peer), WB_OK);
    int status = wb_peer_wait(peer, test_patience_us);
    ck_assert_msg(status == WB_OK, "%s: %s", wb_status_name(status), wb_last_error());
    ck_assert_int_eq(add_call(peer, &in, &out, NULL), WB_OK);
    ck_assert_uint_eq(out.sum, 42);
    close_world();
}
END_TEST

START_TEST(test_a_name_where_nobody_listens)
{
    open_world();
    ck_assert_int_eq(wb_connect(client.engine, "verbs://localhost:7471", &peer), WB_OK);
    ck_assert_int_eq(wb_peer_wait(peer, test_patience_us), WB_ERR_REFUSED);
    ck_assert_msg(strstr(wb_peer_reason(peer), "localhost") != NULL, "%s", wb_peer_reason(peer));
    close_world();
}
END_TEST

/* The resolver is at work when the peer goes, and the engine. */
START_TEST(test_nobody_waits_for_the_name)
{
    for (unsigned i = 0; i < 50; i++) {
        open_world();
        ck_assert_int_eq(wb_connect(client.engine, "verbs://localhost:7471", &peer), WB_OK);
        close_world();
    }
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_a_name_leads_to_its_address,
                                  test_a_name_where_nobody_listens, test_nobody_waits_for_the_name};
    Suite *suite = suite_create("simverbs: names");
    suite_add_tcase(suite, test_program_case("names", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
