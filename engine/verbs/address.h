/* Addresses: HOST:PORT, where HOST is a name, an IPv4 address, an IPv6 address in brackets, or *;
 * or HOST,HOST,…:PORT, of a peer that is reached over several devices: rails.h. */
#ifndef WBI_VERBS_ADDRESS_H
#define WBI_VERBS_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum { WBI_VERBS_HOSTS = 4 }; /* of one address */

struct wbi_verbs_address {
    char host[256];    /* the first, without brackets */
    char further[256]; /* those behind it, as they were written; "": none */
    char service[6];
    uint16_t port;
    bool any; /* the host is * */
};

/* Splits and checks. WB_ERR_BAD_URL with words. */
int wbi_verbs_address_parse(const char *text, struct wbi_verbs_address *address);
int wbi_verbs_check_address(const char *text);

/* Makes of an address that of its next host. False: it has no further one. */
bool wbi_verbs_address_next(struct wbi_verbs_address *address);

/* Whether `host` is a numeric address; *out is it then, with the port. */
bool wbi_verbs_numeric(const char *host, uint16_t port, struct sockaddr_storage *out);

/*
 * Looking a name up, without waiting: the system's resolver works on a thread of its own
 * (getaddrinfo_a). A lookup that is dropped while it runs is freed when the resolver has let go.
 */
struct wbi_verbs_lookup;

/* WB_ERR_NO_MEMORY, WB_ERR_SYSTEM. */
int wbi_verbs_lookup_begin(const struct wbi_verbs_address *address, struct wbi_verbs_lookup **out);

/* The next address of the name: WB_OK: *out is it, with the port; WB_AGAIN: not known yet;
 * WB_ERR_REFUSED: no such host, or no further address; *why says it. */
int wbi_verbs_lookup_next(struct wbi_verbs_lookup *lookup, struct sockaddr_storage *out,
                          const char **why);

/* Takes a lookup and frees it, or puts it into *orphans while the resolver works on it. Accepts
 * NULL. Never waits. */
void wbi_verbs_lookup_drop(struct wbi_verbs_lookup *lookup, struct wbi_verbs_lookup **orphans);

/* Frees those of the orphans that the resolver has let go; waits for them, some seconds at most, if
 * `wait`: what it holds then is left to it. */
void wbi_verbs_orphans_reap(struct wbi_verbs_lookup **orphans, bool wait);

/* The address of a host; names are waited for, some seconds at most. WB_ERR_SYSTEM with words. */
int wbi_verbs_find_host(const struct wbi_verbs_address *address, struct sockaddr_storage *out);

#endif
