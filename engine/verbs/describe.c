/* What there is of RDMA on this machine, in lines. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/verbs/domain.h"
#include "engine/verbs/memlock.h"

/* Lines that are written one behind the other, as long as there is room. */
struct text {
    char *at;
    size_t left;
};

static void say(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text->at, text->left, format, arguments);
    va_end(arguments);
    if (len > 0 && (size_t)len < text->left) {
        text->at += len;
        text->left -= (size_t)len;
    } else {
        text->at[0] = 0; /* half a line says nothing */
        text->left = 1;
    }
}

/* The first line of a file of the device in /sys, or "unknown". */
static void read_sys(const struct ibv_context *context, const char *name, char *line, size_t size)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", context->device->ibdev_path, name);
    FILE *file = fopen(path, "re");
    snprintf(line, size, "unknown");
    if (file != NULL) {
        if (fgets(line, (int)size, file) != NULL) {
            line[strcspn(line, "\n")] = 0;
        }
        (void)fclose(file);
    }
}

static const char *link_layer(const struct ibv_port_attr *port)
{
    return port->link_layer == IBV_LINK_LAYER_ETHERNET ? "Ethernet (RoCE)" : "InfiniBand";
}

static void say_gids(struct text *text, struct ibv_context *context, uint8_t port, int count)
{
    static const char *const kinds[] = {"IB", "RoCE v1", "RoCE v2"};
    for (int i = 0; i < count && i < 64; i++) {
        struct ibv_gid_entry entry;
        char words[INET6_ADDRSTRLEN];
        if (ibv_query_gid_ex(context, port, (uint32_t)i, &entry, 0) == 0 &&
            inet_ntop(AF_INET6, entry.gid.raw, words, sizeof words) != NULL) {
            say(text, "  port %u gid %d %s (%s)\n", (unsigned)port, i, words,
                entry.gid_type < 3 ? kinds[entry.gid_type] : "?");
        }
    }
}

static bool say_port(struct text *text, struct ibv_context *context, uint8_t number)
{
    struct ibv_port_attr port;
    if (ibv_query_port(context, number, &port) != 0) {
        return false;
    }
    say(text, "  port %u state %s, link %s, mtu %u of %u bytes, max_message %u bytes\n",
        (unsigned)number, ibv_port_state_str(port.state), link_layer(&port),
        128U << port.active_mtu, 128U << port.max_mtu, port.max_msg_sz);
    say_gids(text, context, number, port.gid_tbl_len);
    return port.state == IBV_PORT_ACTIVE;
}

static void say_limits(struct text *text, const struct ibv_device_attr_ex *extended)
{
    const struct ibv_device_attr *attr = &extended->orig_attr;
    say(text, "  read_depth %d out, %d in; max_sge %d; max_sge_rd %d\n", attr->max_qp_init_rd_atom,
        attr->max_qp_rd_atom, attr->max_sge, attr->max_sge_rd);
    say(text,
        "  max_qp %d of %d requests; max_cqe %d; max_srq %d of %d receives; max_mr %d of %" PRIu64
        " bytes\n",
        attr->max_qp, attr->max_qp_wr, attr->max_cqe, attr->max_srq, attr->max_srq_wr, attr->max_mr,
        attr->max_mr_size);
    say(text, "  vendor 0x%06x\n", attr->vendor_id);
    say(text, "  memory_windows %s\n",
        (attr->device_cap_flags & IBV_DEVICE_MEM_WINDOW_TYPE_2B) != 0   ? "type 2B"
        : (attr->device_cap_flags & IBV_DEVICE_MEM_WINDOW_TYPE_2A) != 0 ? "type 2A"
                                                                        : "none");
    say(text, "  on_demand %s\n",
        wbi_verbs_on_demand(extended, true)    ? "ranges and all memory"
        : wbi_verbs_on_demand(extended, false) ? "ranges"
                                               : "none");
}

/* One device; whether a port of it is active. */
static bool say_device(struct text *text, struct ibv_device *which)
{
    struct ibv_context *context = ibv_open_device(which);
    struct ibv_device_attr_ex attr;
    char node[32];
    bool active = false;
    if (context == NULL) {
        say(text, "device %s cannot be opened; see the permissions of /dev/infiniband\n",
            ibv_get_device_name(which));
        return false;
    }
    read_sys(context, "device/numa_node", node, sizeof node);
    if (ibv_query_device_ex(context, NULL, &attr) == 0) {
        say(text, "device %s firmware %s, numa_node %s\n", ibv_get_device_name(which),
            attr.orig_attr.fw_ver[0] != 0 ? attr.orig_attr.fw_ver : "none", node);
        for (uint8_t port = 1; port <= attr.orig_attr.phys_port_cnt; port++) {
            active |= say_port(text, context, port);
        }
        say_limits(text, &attr);
    }
    ibv_close_device(context);
    return active;
}

static void say_memlock(struct text *text)
{
    uint64_t limit = wbi_verbs_memlock_limit();
    if (limit == UINT64_MAX) {
        say(text, "memlock unlimited\n");
    } else {
        say(text, "memlock %" PRIu64 " bytes\n", limit);
    }
    say(text, "fork %s\n",
        wbi_verbs_fork_is_safe() ? "safe (the kernel copies pinned pages)" : "not safe");
}

/* Usable is what a default engine would open. */
void wbi_verbs_describe(struct wb_fabric_info *info)
{
    struct text text = {info->details, sizeof info->details};
    struct wb_engine_config config;
    struct wbi_domain *domain = NULL;
    int count = 0;
    struct ibv_device **all = ibv_get_device_list(&count);
    for (int i = 0; i < count && all != NULL; i++) {
        say_device(&text, all[i]);
    }
    if (all != NULL) {
        ibv_free_device_list(all);
    }
    say_memlock(&text);
    wb_engine_config_default(&config);
    info->scheme = "verbs";
    info->usable = wbi_verbs_domain_open(&config, &domain) == WB_OK;
    if (!info->usable) {
        snprintf(info->why_not, sizeof info->why_not, "%s", wb_last_error());
    }
    wbi_verbs_domain_close(domain);
}
