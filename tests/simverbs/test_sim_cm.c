/* The connection manager's rules: events in their orders, private data, who hears of what. */
#include <errno.h>
#include <string.h>

#include "tests/simverbs/fault.h"
#include "tests/simverbs/scene_cm.h"
#include "tests/support/program.h"

/* ---- connecting ---- */

START_TEST(test_a_connection_comes_and_goes)
{
    static const uint8_t zeros[256];
    cm_open();
    struct rdma_cm_id *server = cm_listener(&cm_there, "10.0.0.2"),
                      *active = cm_calling("10.0.0.2");
    ck_assert_str_eq(ibv_get_device_name(active->verbs->device), "mlx5_0");
    struct cm_heard heard = cm_expect(&cm_there, RDMA_CM_EVENT_CONNECT_REQUEST);
    struct rdma_cm_id *passive = heard.id;
    ck_assert_ptr_ne(passive, server);
    ck_assert_ptr_eq(passive->context, &cm_there);
    ck_assert_uint_eq(heard.param.private_data_len, 56); /* whatever was given */
    ck_assert_mem_eq(heard.data, "hello", 5);
    ck_assert_mem_eq(heard.data + 5, zeros, 51);
    ck_assert_uint_eq(heard.param.responder_resources, 7); /* the peer's initiator_depth */
    ck_assert_uint_eq(heard.param.initiator_depth, 3);
    ck_assert_uint_eq(heard.param.qp_num, 17);
    ck_assert_int_eq(cm_accept(passive, "yes", 3), 0);
    heard = cm_expect(&cm_here, RDMA_CM_EVENT_CONNECT_RESPONSE);
    ck_assert_uint_eq(heard.param.private_data_len, 196);
    ck_assert_mem_eq(heard.data, "yes", 4);
    ck_assert_uint_eq(heard.param.responder_resources, 3);
    ck_assert_uint_eq(heard.param.initiator_depth, 7);
    ck_assert_uint_eq(heard.param.qp_num, 23);
    ck_assert_int_eq(rdma_establish(active), 0);
    cm_expect(&cm_there, RDMA_CM_EVENT_ESTABLISHED);
    ck_assert_int_eq(rdma_disconnect(active), 0);
    cm_expect(&cm_there, RDMA_CM_EVENT_DISCONNECTED);
    cm_expect(&cm_here, RDMA_CM_EVENT_DISCONNECTED);
    cm_expect(&cm_here, RDMA_CM_EVENT_TIMEWAIT_EXIT);
    cm_expect(&cm_there, RDMA_CM_EVENT_TIMEWAIT_EXIT);
    rdma_destroy_id(active);
    rdma_destroy_id(passive);
    rdma_destroy_id(server);
    cm_close();
}
END_TEST

START_TEST(test_private_data_have_their_limits)
{
    static const uint8_t data[200] = {1};
    cm_open();
    struct rdma_cm_id *server = cm_listener(&cm_there, "0.0.0.0"), *id = cm_routed("10.0.0.2");
    struct rdma_conn_param param = {.private_data = data, .private_data_len = 57};
    ck_assert_int_eq(rdma_connect(id, &param), -1);
    ck_assert_int_eq(errno, EINVAL);
    param.private_data_len = 56;
    ck_assert_int_eq(rdma_connect(id, &param), 0);
    struct rdma_cm_id *passive = cm_expect(&cm_there, RDMA_CM_EVENT_CONNECT_REQUEST).id;
    ck_assert_int_eq(cm_accept(passive, data, 197), -1);
    ck_assert_int_eq(rdma_reject(passive, data, 149), -1);
    ck_assert_int_eq(rdma_reject(passive, data, 148), 0);
    struct cm_heard heard = cm_expect(&cm_here, RDMA_CM_EVENT_REJECTED);
    ck_assert_int_eq(heard.status, 28);
    ck_assert_uint_eq(heard.param.private_data_len, 148);
    ck_assert_mem_eq(heard.data, data, 148);
    rdma_destroy_id(id);
    rdma_destroy_id(passive);
    rdma_destroy_id(server);
    cm_close();
}
END_TEST

/* What carries less says so by its length. */
START_TEST(test_private_data_of_a_device_that_carries_little)
{
    static const uint8_t data[200] = {1};
    cm_open();
    sim_device_add(cm_there.host, &sim_profile_aries, "10.0.0.3");
    struct rdma_cm_id *server = cm_listener(&cm_there, "10.0.0.3");
    for (unsigned i = 0; i < 2; i++) {
        struct rdma_cm_id *id = cm_calling("10.0.0.3");
        struct rdma_cm_id *passive = cm_expect(&cm_there, RDMA_CM_EVENT_CONNECT_REQUEST).id;
        ck_assert_int_eq(cm_accept(passive, data, 129), -1);
        ck_assert_int_eq(rdma_reject(passive, data, 129), -1);
        ck_assert_int_eq(i == 0 ? cm_accept(passive, data, 128) : rdma_reject(passive, data, 128),
                         0);
        struct cm_heard heard =
            cm_expect(&cm_here, i == 0 ? RDMA_CM_EVENT_CONNECT_RESPONSE : RDMA_CM_EVENT_REJECTED);
        ck_assert_uint_eq(heard.param.private_data_len, 128);
        rdma_destroy_id(id);
        rdma_destroy_id(passive);
    }
    rdma_destroy_id(server);
    cm_close();
}
END_TEST

START_TEST(test_nobody_listens)
{
    static const uint8_t zeros[148];
    cm_open();
    struct rdma_cm_id *id = cm_calling("10.0.0.2");
    struct cm_heard heard = cm_expect(&cm_here, RDMA_CM_EVENT_REJECTED);
    ck_assert_int_eq(heard.status, 8);
    ck_assert_uint_eq(heard.param.private_data_len, 148);
    ck_assert_mem_eq(heard.data, zeros, 148);
    rdma_destroy_id(id);
    cm_close();
}
END_TEST

START_TEST(test_hosts_that_are_dead_or_never_were)
{
    struct rdma_cm_id *id;
    cm_open();
    sim_device_stop(cm_there.device);
    id = cm_calling("10.0.0.2"); /* known of old */
    struct cm_heard heard = cm_expect(&cm_here, RDMA_CM_EVENT_UNREACHABLE);
    ck_assert_int_eq(heard.status, -ETIMEDOUT);
    rdma_destroy_id(id);
    id = cm_id(&cm_here);
    ck_assert_int_eq(rdma_resolve_addr(id, NULL, cm_address("10.0.0.9", CM_PORT), 2000), 0);
    ck_assert(!cm_hear(&cm_here, 1900, &heard));
    ck_assert_int_eq(cm_expect(&cm_here, RDMA_CM_EVENT_ADDR_ERROR).status, -ETIMEDOUT);
    rdma_destroy_id(id);
    cm_close();
}
END_TEST

START_TEST(test_ports_and_addresses_that_cannot_be_had)
{
    int on = 1;
    cm_open();
    struct rdma_cm_id *first = cm_listener(&cm_there, "0.0.0.0"), *second = cm_id(&cm_there);
    ck_assert_int_eq(
        rdma_set_option(second, RDMA_OPTION_ID, RDMA_OPTION_ID_REUSEADDR, &on, sizeof on), 0);
    ck_assert_int_eq(rdma_bind_addr(second, cm_address("10.0.0.2", CM_PORT)), -1);
    ck_assert_int_eq(errno, EADDRINUSE);
    ck_assert_int_eq(rdma_bind_addr(second, cm_address("10.0.0.1", CM_PORT)), -1);
    ck_assert_int_eq(errno, EADDRNOTAVAIL);
    struct rdma_cm_id *elsewhere = cm_listener(&cm_here, "10.0.0.1"); /* another host's port */
    rdma_destroy_id(first);
    ck_assert_int_eq(rdma_bind_addr(second, cm_address("10.0.0.2", CM_PORT)), 0);
    ck_assert_int_eq(rdma_listen(second, 8), 0);
    rdma_destroy_id(second);
    rdma_destroy_id(elsewhere);
    cm_close();
}
END_TEST

/* ---- attributes ---- */

START_TEST(test_attributes_that_rdma_cm_proposes)
{
    struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RTR};
    struct rdma_cm_id *active, *passive;
    int mask = 0;
    cm_open();
    struct rdma_cm_id *server = cm_listener(&cm_there, "10.0.0.2"), *id = cm_routed("10.0.0.2");
    ck_assert_int_eq(rdma_init_qp_attr(id, &attr, &mask), -1); /* who is the peer? */
    attr.qp_state = IBV_QPS_INIT;
    ck_assert_int_eq(rdma_init_qp_attr(id, &attr, &mask), 0);
    rdma_destroy_id(id);
    cm_connect(&active, &passive);
    attr.qp_state = IBV_QPS_RTR;
    ck_assert_int_eq(rdma_init_qp_attr(active, &attr, &mask), 0);
    ck_assert_uint_eq(attr.dest_qp_num, 23);
    ck_assert_uint_eq(attr.min_rnr_timer, 0);
    ck_assert((mask & IBV_QP_DEST_QPN) != 0);
    attr.qp_state = IBV_QPS_RTS;
    ck_assert_int_eq(rdma_init_qp_attr(passive, &attr, &mask), 0);
    ck_assert_uint_eq(attr.timeout, 19);
    rdma_destroy_id(active);
    rdma_destroy_id(passive);
    rdma_destroy_id(server);
    cm_close();
}
END_TEST

/* ---- what crosses ---- */

/* A message can be there before the word that the connection stands; then there is but one word. */
START_TEST(test_notify_is_as_good_as_the_word)
{
    struct cm_heard heard;
    cm_open();
    struct rdma_cm_id *server = cm_listener(&cm_there, "10.0.0.2"),
                      *active = cm_calling("10.0.0.2");
    struct rdma_cm_id *passive = cm_expect(&cm_there, RDMA_CM_EVENT_CONNECT_REQUEST).id;
    ck_assert_int_eq(rdma_notify(passive, IBV_EVENT_COMM_EST), -1);
    ck_assert_int_eq(cm_accept(passive, NULL, 0), 0);
    ck_assert_int_eq(rdma_notify(passive, IBV_EVENT_COMM_EST), 0);
    cm_expect(&cm_there, RDMA_CM_EVENT_ESTABLISHED);
    cm_expect(&cm_here, RDMA_CM_EVENT_CONNECT_RESPONSE);
    ck_assert_int_eq(rdma_establish(active), 0);
    ck_assert(!cm_hear(&cm_there, 1000, &heard));
    rdma_destroy_id(passive); /* without a word: the kernel says it */
    cm_expect(&cm_here, RDMA_CM_EVENT_DISCONNECTED);
    rdma_destroy_id(active);
    rdma_destroy_id(server);
    cm_close();
}
END_TEST

START_TEST(test_who_called_has_gone)
{
    cm_open();
    struct rdma_cm_id *server = cm_listener(&cm_there, "10.0.0.2"),
                      *active = cm_calling("10.0.0.2");
    struct rdma_cm_id *passive = cm_expect(&cm_there, RDMA_CM_EVENT_CONNECT_REQUEST).id;
    ck_assert_int_eq(cm_accept(passive, NULL, 0), 0);
    rdma_destroy_id(active);
    cm_expect(&cm_there, RDMA_CM_EVENT_REJECTED);
    rdma_destroy_id(passive);
    rdma_destroy_id(server);
    cm_close();
}
END_TEST

START_TEST(test_both_say_goodbye)
{
    struct rdma_cm_id *active, *passive;
    struct cm_heard heard;
    cm_open();
    struct rdma_cm_id *server = cm_listener(&cm_there, "10.0.0.2");
    cm_connect(&active, &passive);
    ck_assert_int_eq(rdma_disconnect(active), 0);
    ck_assert_int_eq(rdma_disconnect(passive), 0);
    cm_expect(&cm_here, RDMA_CM_EVENT_DISCONNECTED);
    cm_expect(&cm_there, RDMA_CM_EVENT_DISCONNECTED);
    cm_expect(&cm_here, RDMA_CM_EVENT_TIMEWAIT_EXIT);
    cm_expect(&cm_there, RDMA_CM_EVENT_TIMEWAIT_EXIT);
    ck_assert(!cm_hear(&cm_here, 10000, &heard));
    rdma_destroy_id(active);
    rdma_destroy_id(passive);
    rdma_destroy_id(server);
    cm_close();
}
END_TEST

/* By a fault, who has answered says goodbye at once: it may be heard before the other end is ready.
 */
START_TEST(test_a_goodbye_crosses_a_connect)
{
    cm_open();
    struct rdma_cm_id *server = cm_listener(&cm_there, "10.0.0.2"),
                      *active = cm_calling("10.0.0.2");
    struct rdma_cm_id *passive = cm_expect(&cm_there, RDMA_CM_EVENT_CONNECT_REQUEST).id;
    sim_fault_rates(&(struct sim_rates){.connect_crossed = 1000000});
    ck_assert_int_eq(cm_accept(passive, NULL, 0), 0);
    cm_expect(&cm_here, RDMA_CM_EVENT_CONNECT_RESPONSE);
    cm_expect(&cm_here, RDMA_CM_EVENT_DISCONNECTED);
    ck_assert_int_eq(rdma_establish(active), -1);
    cm_expect(&cm_there, RDMA_CM_EVENT_DISCONNECTED);
    rdma_destroy_id(active);
    rdma_destroy_id(passive);
    rdma_destroy_id(server);
    cm_close();
}
END_TEST

/* Of a listener that goes: requests that nobody has seen are refused. */
START_TEST(test_a_listener_goes_with_its_requests)
{
    cm_open();
    struct rdma_cm_id *server = cm_listener(&cm_there, "10.0.0.2"),
                      *active = cm_calling("10.0.0.2");
    sim_advance(1000);
    rdma_destroy_id(server);
    cm_expect(&cm_here, RDMA_CM_EVENT_REJECTED);
    rdma_destroy_id(active);
    cm_close();
}
END_TEST

/* Messages get lost and are sent again. */
START_TEST(test_lost_messages_are_sent_again)
{
    struct rdma_cm_id *active, *passive;
    cm_open();
    struct rdma_cm_id *server = cm_listener(&cm_there, "10.0.0.2");
    for (unsigned i = 0; i < 10; i++) {
        sim_link_set(cm_there.device, false);
        active = cm_calling("10.0.0.2");
        sim_advance(1000);
        sim_link_set(cm_there.device, true);
        passive = cm_expect(&cm_there, RDMA_CM_EVENT_CONNECT_REQUEST).id;
        sim_fault_rates(&(struct sim_rates){.message_late = 1000000});
        ck_assert_int_eq(cm_accept(passive, NULL, 0), 0);
        cm_expect(&cm_here, RDMA_CM_EVENT_CONNECT_RESPONSE);
        ck_assert_int_eq(rdma_establish(active), 0);
        cm_expect(&cm_there, RDMA_CM_EVENT_ESTABLISHED);
        sim_fault_rates(&(struct sim_rates){.message_late = 0});
        rdma_destroy_id(active);
        cm_expect(&cm_there, RDMA_CM_EVENT_DISCONNECTED);
        rdma_destroy_id(passive);
    }
    ck_assert_uint_gt(sim_faults_happened(), 0);
    rdma_destroy_id(server);
    cm_close();
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_a_connection_comes_and_goes,
                                  test_private_data_have_their_limits,
                                  test_private_data_of_a_device_that_carries_little,
                                  test_nobody_listens,
                                  test_hosts_that_are_dead_or_never_were,
                                  test_ports_and_addresses_that_cannot_be_had,
                                  test_attributes_that_rdma_cm_proposes,
                                  test_notify_is_as_good_as_the_word,
                                  test_who_called_has_gone,
                                  test_both_say_goodbye,
                                  test_a_goodbye_crosses_a_connect,
                                  test_a_listener_goes_with_its_requests,
                                  test_lost_messages_are_sent_again};
    Suite *suite = suite_create("simverbs: connections");
    TCase *tcase = test_program_case("cm", tests, sizeof tests / sizeof tests[0]);
    tcase_add_checked_fixture(tcase, NULL, cm_clear);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
