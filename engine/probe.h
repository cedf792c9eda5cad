/*
 * Probes for bpftrace, perf and SystemTap, provider "waybill": a nop each, until a tracer turns it
 * into a trap. docs/watching.md says what they mean. Built in where sys/sdt.h is.
 */
#ifndef WBI_ENGINE_PROBE_H
#define WBI_ENGINE_PROBE_H

#include <stdint.h>

struct wb_peer;

#ifdef WBI_WITH_PROBES
#include <sys/sdt.h>
#else
#define STAP_PROBE3(provider, name, a, b, c) ((void)(a), (void)(b), (void)(c))
#endif

#ifdef __clang__
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments" /* in sys/sdt.h */
#endif

static inline void wbi_probe_call_begin(const struct wb_peer *peer, uint64_t call, uint64_t bytes)
{
    STAP_PROBE3(waybill, call_begin, peer, call, bytes);
}

static inline void wbi_probe_call_end(const struct wb_peer *peer, uint64_t call, int status)
{
    STAP_PROBE3(waybill, call_end, peer, call, status);
}

static inline void wbi_probe_request(const struct wb_peer *peer, uint64_t call, uint64_t bytes)
{
    STAP_PROBE3(waybill, request, peer, call, bytes);
}

static inline void wbi_probe_reply(const struct wb_peer *peer, uint64_t call, uint64_t bytes)
{
    STAP_PROBE3(waybill, reply, peer, call, bytes);
}

static inline void wbi_probe_read_issue(const struct wb_peer *peer, uint64_t call, uint64_t bytes)
{
    STAP_PROBE3(waybill, read_issue, peer, call, bytes);
}

static inline void wbi_probe_read_done(const struct wb_peer *peer, uint64_t call, int status)
{
    STAP_PROBE3(waybill, read_done, peer, call, status);
}

static inline void wbi_probe_peer_connected(const struct wb_peer *peer, const char *url,
                                            uint64_t engine)
{
    STAP_PROBE3(waybill, peer_connected, peer, url, engine);
}

static inline void wbi_probe_peer_lost(const struct wb_peer *peer, const char *reason, int status)
{
    STAP_PROBE3(waybill, peer_lost, peer, reason, status);
}

static inline void wbi_probe_park(const struct wb_peer *peer, uint64_t call, uint64_t bytes)
{
    STAP_PROBE3(waybill, park, peer, call, bytes);
}

#ifdef __clang__
#pragma clang diagnostic pop
#endif

#endif
