#include "engine/verbs/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/clock.h"
#include "engine/fabric.h"

/* ---- text ---- */

static int bad(const char *text, const char *what)
{
    return wbi_error(WB_ERR_BAD_URL, "verbs://%s: %s; an address looks like verbs://10.0.0.1:7471",
                     text, what);
}

/* Where the host that a text begins with ends: behind its brackets, or at a comma or colon. */
static const char *host_end(const char *text)
{
    const char *bracket = text[0] == '[' ? strchr(text, ']') : NULL;
    return bracket != NULL ? bracket + 1 : text + strcspn(text, ",:");
}

static bool parse_port(const char *text, struct wbi_verbs_address *address)
{
    size_t len = strlen(text);
    if (len == 0 || len > 5 || strspn(text, "0123456789") != len) {
        return false;
    }
    unsigned long port = strtoul(text, NULL, 10);
    memcpy(address->service, text, len + 1);
    address->port = (uint16_t)port;
    return port >= 1 && port <= UINT16_MAX;
}

static bool is_name(const char *host)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    size_t len = strlen(host);
    return len > 0 && strspn(host, letters) == len;
}

/* Takes the host between two places. Returns NULL, or what is wrong with it. */
static const char *parse_host(const char *text, const char *end, struct wbi_verbs_address *address)
{
    struct sockaddr_storage numeric;
    bool brackets = text[0] == '[';
    const char *host = brackets ? text + 1 : text;
    ptrdiff_t len = end - host - (brackets ? 1 : 0);
    if (len <= 0 || len >= (ptrdiff_t)sizeof address->host) {
        return "there is no host, or one that is too long";
    }
    if (brackets && end[-1] != ']') {
        return "a bracket is not closed";
    }
    memcpy(address->host, host, (size_t)len);
    address->host[len] = 0;
    address->any = strcmp(address->host, "*") == 0;
    if (brackets && !wbi_verbs_numeric(address->host, 0, &numeric)) {
        return "what is in brackets is no IPv6 address";
    }
    return brackets || address->any || is_name(address->host)
               ? NULL
               : "the host has characters that no name has";
}

/* Looks at the hosts behind the first, and takes them. Returns where they end; NULL, with *wrong
 * set. */
static const char *parse_further(const char *text, struct wbi_verbs_address *address,
                                 const char **wrong)
{
    struct wbi_verbs_address host;
    const char *at = text;
    for (unsigned count = 1; *at == ','; count++) {
        const char *end = host_end(at + 1);
        *wrong = count == WBI_VERBS_HOSTS ? "it has more than four hosts"
                                          : parse_host(at + 1, end, &host);
        if (*wrong == NULL && (host.any || address->any)) {
            *wrong = "* is every host already";
        }
        if (*wrong != NULL) {
            return NULL;
        }
        at = end;
    }
    size_t len = at > text ? (size_t)(at - text) - 1 : 0;
    if (len >= sizeof address->further) {
        *wrong = "its hosts are too long";
        return NULL;
    }
    if (len > 0) {
        memcpy(address->further, text + 1, len);
    }
    return at;
}

int wbi_verbs_address_parse(const char *text, struct wbi_verbs_address *address)
{
    *address = (struct wbi_verbs_address){0};
    const char *end = host_end(text), *wrong = parse_host(text, end, address);
    if (wrong == NULL) {
        end = parse_further(end, address, &wrong);
    }
    if (wrong == NULL && *end != ':') {
        wrong = "there is no port";
    }
    if (wrong == NULL && !parse_port(end + 1, address)) {
        wrong = "the port is no number from 1 to 65535";
    }
    return wrong == NULL ? WB_OK : bad(text, wrong);
}

bool wbi_verbs_address_next(struct wbi_verbs_address *address)
{
    char hosts[sizeof address->further];
    memcpy(hosts, address->further, sizeof hosts);
    if (hosts[0] == 0) {
        return false;
    }
    const char *end = host_end(hosts);
    (void)parse_host(hosts, end, address); /* it was looked at */
    end += *end == ',' ? 1 : 0;
    memmove(address->further, end, strlen(end) + 1);
    return true;
}

int wbi_verbs_check_address(const char *text)
{
    struct wbi_verbs_address address;
    return wbi_verbs_address_parse(text, &address);
}

bool wbi_verbs_numeric(const char *host, uint16_t port, struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(out, &v4, sizeof v4);
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        memcpy(out, &v6, sizeof v6);
        return true;
    }
    return false;
}

/* ---- names ---- */

enum { PATIENCE_US = 5000000 }; /* for the resolver, where somebody waits for it */

/* The resolver holds pointers into this until it is done. */
struct wbi_verbs_lookup {
    struct gaicb request;
    struct addrinfo hints;
    struct wbi_verbs_address address;
    const struct addrinfo *next; /* address to be tried */
    bool begun;                  /* next is meant */
    struct wbi_verbs_lookup *next_orphan;
};

int wbi_verbs_lookup_begin(const struct wbi_verbs_address *address, struct wbi_verbs_lookup **out)
{
    struct wbi_verbs_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory to look %s up", address->host);
    }
    lookup->address = *address;
    lookup->hints = (struct addrinfo){.ai_socktype = SOCK_STREAM};
    lookup->request = (struct gaicb){.ar_name = lookup->address.host,
                                     .ar_service = lookup->address.service,
                                     .ar_request = &lookup->hints};
    struct gaicb *list[1] = {&lookup->request};
    struct sigevent silence = {.sigev_notify = SIGEV_NONE};
    int error = getaddrinfo_a(GAI_NOWAIT, list, 1, &silence);
    if (error != 0) {
        free(lookup);
        return wbi_error(WB_ERR_SYSTEM, "%s cannot be looked up: %s", address->host,
                         gai_strerror(error));
    }
    *out = lookup;
    return WB_OK;
}

int wbi_verbs_lookup_next(struct wbi_verbs_lookup *lookup, struct sockaddr_storage *out,
                          const char **why)
{
    int error = gai_error(&lookup->request);
    if (error == EAI_INPROGRESS) {
        return WB_AGAIN;
    }
    if (error != 0) {
        *why = gai_strerror(error);
        return WB_ERR_REFUSED;
    }
    lookup->next = lookup->begun ? lookup->next : lookup->request.ar_result;
    lookup->begun = true;
    const struct addrinfo *found = lookup->next;
    if (found == NULL || found->ai_addrlen > sizeof *out) {
        *why = "no RDMA device leads to any of its addresses";
        return WB_ERR_REFUSED;
    }
    memset(out, 0, sizeof *out);
    memcpy(out, found->ai_addr, found->ai_addrlen);
    lookup->next = found->ai_next;
    return WB_OK;
}

/* One that still waits its turn is not cancelled: glibc would lose what it keeps of it. */
static bool is_done(struct wbi_verbs_lookup *lookup)
{
    return gai_error(&lookup->request) != EAI_INPROGRESS;
}

void wbi_verbs_lookup_drop(struct wbi_verbs_lookup *lookup, struct wbi_verbs_lookup **orphans)
{
    if (lookup == NULL) {
        return;
    }
    if (!is_done(lookup)) {
        lookup->next_orphan = *orphans;
        *orphans = lookup;
        return;
    }
    if (lookup->request.ar_result != NULL) {
        freeaddrinfo(lookup->request.ar_result);
    }
    free(lookup);
}

/* Until it is done, or `end`; a signal does not end it. */
static void wait_until(struct wbi_verbs_lookup *lookup, uint64_t end)
{
    const struct gaicb *list[1] = {&lookup->request};
    uint64_t now = wbi_now();
    while (now < end && gai_error(&lookup->request) == EAI_INPROGRESS) {
        uint64_t left = end - now;
        const struct timespec limit = {.tv_sec = (time_t)(left / 1000000),
                                       .tv_nsec = (long)(left % 1000000 * 1000)};
        (void)gai_suspend(list, 1, &limit);
        now = wbi_now();
    }
}

void wbi_verbs_orphans_reap(struct wbi_verbs_lookup **orphans, bool wait)
{
    uint64_t end = wbi_now() + (wait ? PATIENCE_US : 0);
    struct wbi_verbs_lookup *lookup = *orphans;
    *orphans = NULL;
    while (lookup != NULL) {
        struct wbi_verbs_lookup *next = lookup->next_orphan;
        wait_until(lookup, end);
        wbi_verbs_lookup_drop(lookup, orphans);
        lookup = next;
    }
}

int wbi_verbs_find_host(const struct wbi_verbs_address *address, struct sockaddr_storage *out)
{
    struct wbi_verbs_lookup *lookup = NULL, *orphan = NULL;
    const char *why = "the resolver does not answer";
    if (wbi_verbs_numeric(address->host, address->port, out)) {
        return WB_OK;
    }
    int status = wbi_verbs_lookup_begin(address, &lookup);
    if (lookup == NULL) {
        return status;
    }
    wait_until(lookup, wbi_now() + PATIENCE_US);
    status = wbi_verbs_lookup_next(lookup, out, &why);
    wbi_verbs_lookup_drop(lookup, &orphan); /* one that does not end stays the resolver's */
    return status == WB_OK ? WB_OK : wbi_error(WB_ERR_SYSTEM, "%s: %s", address->host, why);
}
