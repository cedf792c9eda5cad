#include "tests/simverbs/scene_cm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "tests/support/program.h"

struct cm_end cm_here, cm_there;
static bool is_open;

static void open_end(struct cm_end *end, const char *address)
{
    end->host = sim_host_add();
    end->device = sim_device_add(end->host, &sim_profile_mlx5, address);
    sim_host_enter(end->host);
    end->cm = rdma_create_event_channel();
    ck_assert_ptr_nonnull(end->cm);
    ck_assert_int_eq(fcntl(end->cm->fd, F_SETFL, O_NONBLOCK), 0);
}

void cm_open(void)
{
    sim_open(NULL);
    is_open = true;
    open_end(&cm_here, "10.0.0.1");
    open_end(&cm_there, "10.0.0.2");
}

void cm_close(void)
{
    rdma_destroy_event_channel(cm_here.cm);
    rdma_destroy_event_channel(cm_there.cm);
    is_open = false;
    ck_assert_uint_eq(sim_close(), 0);
}

void cm_clear(void)
{
    if (is_open) {
        sim_close();
        is_open = false;
    }
}

struct sockaddr *cm_address(const char *address, uint16_t port)
{
    static struct sockaddr_in where;
    where = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    ck_assert_int_eq(inet_pton(AF_INET, address, &where.sin_addr), 1);
    return (struct sockaddr *)&where;
}

/* The next event of an end, within `ms` of the world's time; false: none. */
bool cm_hear(struct cm_end *end, uint64_t ms, struct cm_heard *heard)
{
    struct rdma_cm_event *event;
    uint64_t limit = sim_now_ns() + ms * 1000000;
    while (rdma_get_cm_event(end->cm, &event) != 0) {
        ck_assert_int_eq(errno, EAGAIN);
        if (sim_now_ns() >= limit) {
            return false;
        }
        sim_advance(1000);
    }
    *heard = (struct cm_heard){
        .type = event->event, .status = event->status, .id = event->id, .param = event->param.conn};
    if (event->param.conn.private_data != NULL) {
        memcpy(heard->data, event->param.conn.private_data, event->param.conn.private_data_len);
    }
    ck_assert_int_eq(rdma_ack_cm_event(event), 0);
    return true;
}

struct cm_heard cm_expect(struct cm_end *end, enum rdma_cm_event_type type)
{
    struct cm_heard heard;
    ck_assert_msg(cm_hear(end, 60000, &heard), "event %d does not come", (int)type);
    ck_assert_int_eq(heard.type, type);
    return heard;
}

struct rdma_cm_id *cm_id(struct cm_end *end)
{
    struct rdma_cm_id *id;
    ck_assert_int_eq(rdma_create_id(end->cm, &id, end, RDMA_PS_TCP), 0);
    return id;
}

struct rdma_cm_id *cm_listener(struct cm_end *end, const char *address)
{
    struct rdma_cm_id *id = cm_id(end);
    ck_assert_int_eq(rdma_bind_addr(id, cm_address(address, CM_PORT)), 0);
    ck_assert_int_eq(rdma_listen(id, 8), 0);
    return id;
}

struct rdma_cm_id *cm_routed(const char *address)
{
    struct rdma_cm_id *id = cm_id(&cm_here);
    ck_assert_int_eq(rdma_resolve_addr(id, NULL, cm_address(address, CM_PORT), 2000), 0);
    cm_expect(&cm_here, RDMA_CM_EVENT_ADDR_RESOLVED);
    ck_assert_int_eq(rdma_resolve_route(id, 2000), 0);
    cm_expect(&cm_here, RDMA_CM_EVENT_ROUTE_RESOLVED);
    return id;
}

struct rdma_cm_id *cm_calling(const char *address)
{
    struct rdma_cm_id *id = cm_routed(address);
    struct rdma_conn_param param = {.private_data = "hello",
                                    .private_data_len = 5,
                                    .responder_resources = 3,
                                    .initiator_depth = 7,
                                    .srq = 1,
                                    .qp_num = 17};
    ck_assert_int_eq(rdma_connect(id, &param), 0);
    return id;
}

int cm_accept(struct rdma_cm_id *id, const void *data, uint8_t len)
{
    struct rdma_conn_param param = {.private_data = data,
                                    .private_data_len = len,
                                    .responder_resources = 7,
                                    .initiator_depth = 3,
                                    .qp_num = 23};
    return rdma_accept(id, &param);
}

/* Connected, from both sides' view. */
void cm_connect(struct rdma_cm_id **active, struct rdma_cm_id **passive)
{
    *active = cm_calling("10.0.0.2");
    *passive = cm_expect(&cm_there, RDMA_CM_EVENT_CONNECT_REQUEST).id;
    ck_assert_int_eq(cm_accept(*passive, NULL, 0), 0);
    cm_expect(&cm_here, RDMA_CM_EVENT_CONNECT_RESPONSE);
    ck_assert_int_eq(rdma_establish(*active), 0);
    cm_expect(&cm_there, RDMA_CM_EVENT_ESTABLISHED);
}
