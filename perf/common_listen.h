/* Where two processes of one program meet on this machine. */
#ifndef WAYBILL_PERF_COMMON_LISTEN_H
#define WAYBILL_PERF_COMMON_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <waybill/engine.h>

enum { LISTEN_URL_ROOM = 96 };

/* The fabric that a URL names, cut to `size`: what is before "://", or "" if nothing is. */
void url_scheme(const char *url, char *scheme, size_t size);

/* Whether a URL (or NULL) names several hosts of one peer, over which it has rails. */
bool url_has_rails(const char *url);

/* Whether the fabric is there and can be used; *info (large: not for small stacks) describes it,
 * and if it cannot be used info->why_not says why. */
bool fabric_usable(const char *scheme, struct wb_fabric_info *info);

/*
 * Listens at an address that is free: of shm by this process' name and number; of verbs at the
 * first address of this machine that an RDMA device has (one of `devices`, names with commas
 * between, unless NULL), on a free port. Fills url (LISTEN_URL_ROOM). Returns WB_OK, or as
 * wb_listen; WB_ERR_NO_FABRIC where no RDMA device has an address. wb_last_error need not have
 * words for the latter.
 */
int listen_anywhere(struct wb_engine *engine, const char *scheme, const char *devices, char *url);

#endif
