#include "perf/common_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_PORT = 20000, PORTS = 10000, PORT_TRIES = 64, HOST_ROOM = INET6_ADDRSTRLEN + 2 };

void url_scheme(const char *url, char *scheme, size_t size)
{
    const char *end = strstr(url, "://");
    snprintf(scheme, size, "%.*s", end != NULL ? (int)(end - url) : 0, url);
}

bool fabric_usable(const char *scheme, struct wb_fabric_info *info)
{
    for (unsigned i = 0; wb_fabric_info(i, info) == WB_OK; i++) {
        if (strcmp(info->scheme, scheme) == 0) {
            return info->usable;
        }
    }
    *info = (struct wb_fabric_info){.scheme = scheme};
    snprintf(info->why_not, sizeof info->why_not, "there is no such fabric; wb_info lists them");
    return false;
}

bool url_has_rails(const char *url)
{
    return url != NULL && strchr(url, ',') != NULL;
}

/* ---- addresses of RDMA devices ---- */

/* Whether `name` is among names with commas between. */
static bool is_listed(const char *names, const char *name, size_t len)
{
    for (const char *at = names; *at != '\0';) {
        size_t one = strcspn(at, ",");
        if (one == len && strncmp(at, name, len) == 0) {
            return true;
        }
        at += one + (at[one] == ',');
    }
    return false;
}

/* Whether a line of details ("  port 1 gid 3 ::ffff:10.0.0.1 (RoCE v2)") has this GID. */
static bool has_gid(const char *line, size_t len, const char *gid)
{
    const char *at = strstr(line, " gid ");
    if (at == NULL || at > line + len) {
        return false;
    }
    at += strlen(" gid ");
    at += strcspn(at, " \n");
    at += *at == ' ';
    size_t gid_len = strlen(gid);
    return strncmp(at, gid, gid_len) == 0 && (at[gid_len] == ' ' || at[gid_len] == '\n');
}

/* Whether a device (one of `devices`, unless NULL) has the GID, by the details of the fabric. */
static bool device_has_gid(const char *details, const char *devices, const char *gid)
{
    static const char head[] = "device ";
    bool counts = false;
    for (const char *line = details; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        if (line[0] != ' ') {
            const char *name = line + sizeof head - 1;
            counts = strncmp(line, head, sizeof head - 1) == 0 &&
                     (devices == NULL || is_listed(devices, name, strcspn(name, " \n")));
        } else if (counts && has_gid(line, len, gid)) {
            return true;
        }
        line += len + (line[len] == '\n');
    }
    return false;
}

/* The address as a URL has it, and as a RoCE device's GID; false if it is none to connect to. */
static bool write_address(const struct ifaddrs *entry, char host[HOST_ROOM], char gid[HOST_ROOM])
{
    if (entry->ifa_addr == NULL || (entry->ifa_flags & IFF_UP) == 0 ||
        (entry->ifa_flags & IFF_LOOPBACK) != 0) {
        return false;
    }
    char words[INET6_ADDRSTRLEN];
    if (entry->ifa_addr->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, entry->ifa_addr, sizeof v4);
        if (inet_ntop(AF_INET, &v4.sin_addr, words, sizeof words) == NULL) {
            return false;
        }
        snprintf(host, HOST_ROOM, "%s", words);
        struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
        memcpy(&mapped.s6_addr[12], &v4.sin_addr, sizeof v4.sin_addr);
        return inet_ntop(AF_INET6, &mapped, gid, HOST_ROOM) != NULL;
    }
    if (entry->ifa_addr->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, entry->ifa_addr, sizeof v6);
        if (IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr) ||
            inet_ntop(AF_INET6, &v6.sin6_addr, words, sizeof words) == NULL) {
            return false;
        }
        snprintf(host, HOST_ROOM, "[%s]", words);
        snprintf(gid, HOST_ROOM, "%s", words);
        return true;
    }
    return false;
}

static int listen_at_host(struct wb_engine *engine, const char *host, char *url)
{
    int status = WB_ERR_IN_USE;
    for (int i = 0; i < PORT_TRIES && status == WB_ERR_IN_USE; i++) {
        int port = FIRST_PORT + ((int)getpid() + i) % PORTS;
        snprintf(url, LISTEN_URL_ROOM, "verbs://%s:%d", host, port);
        status = wb_listen(engine, url);
    }
    return status;
}

/*
 * Addresses that are a device's GID come first, which is all there is to RoCE; on InfiniBand the
 * GIDs are no addresses, and whoever listens finds out whether one belongs to a device.
 */
static int listen_on_device(struct wb_engine *engine, const char *devices, char *url)
{
    struct wb_fabric_info *info = calloc(1, sizeof *info);
    struct ifaddrs *all = NULL;
    int status = info == NULL ? WB_ERR_NO_MEMORY : WB_ERR_NO_FABRIC;
    if (info != NULL && getifaddrs(&all) == 0) {
        fabric_usable("verbs", info);
        for (int round = 0; round < 2 && status != WB_OK; round++) {
            for (const struct ifaddrs *entry = all; entry != NULL && status != WB_OK;
                 entry = entry->ifa_next) {
                char host[HOST_ROOM], gid[HOST_ROOM];
                if (write_address(entry, host, gid) &&
                    (round == 0 ? device_has_gid(info->details, devices, gid)
                                : !device_has_gid(info->details, NULL, gid))) {
                    status = listen_at_host(engine, host, url);
                }
            }
        }
        freeifaddrs(all);
    }
    free(info);
    return status;
}

int listen_anywhere(struct wb_engine *engine, const char *scheme, const char *devices, char *url)
{
    if (strcmp(scheme, "verbs") == 0) {
        return listen_on_device(engine, devices, url);
    }
    snprintf(url, LISTEN_URL_ROOM, "%s://%s.%ld", scheme, program_invocation_short_name,
             (long)getpid());
    return wb_listen(engine, url);
}
