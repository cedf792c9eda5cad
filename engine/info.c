/* What is here, in figures and words: statistics, fabrics, machine. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/engine.h"
#include "mr_cache/topology.h"

static void add_fabric(const struct wbi_lane *lane, struct wb_engine_stats *stats)
{
    if (lane->fabric->count == NULL) {
        return;
    }
    struct wbi_fabric_counters counters = {0};
    lane->fabric->count(lane->port, &counters);
    stats->read_requests += counters.read_requests;
    stats->rail_reads += counters.rail_reads;
    stats->probes += counters.probes;
    stats->bundles += counters.bundles;
    stats->bundled += counters.bundled;
    if (stats->reads_peak < counters.reads_peak) {
        stats->reads_peak = counters.reads_peak;
    }
}

static void add_pins(struct wb_engine *engine, struct wb_engine_stats *stats)
{
    struct wbi_pin_stats pins;
    wbi_pin_cache_stats(&engine->pins, &pins);
    stats->pins = pins.ranges;
    stats->pinned_bytes = pins.pinned_bytes;
    stats->pin_registered_bytes = pins.registered_bytes;
    stats->pin_registrations = pins.registrations;
    stats->pin_evictions = pins.evictions;
}

void wb_engine_stats(struct wb_engine *engine, struct wb_engine_stats *stats)
{
    *stats = (struct wb_engine_stats){0};
    for (unsigned i = 0; i < engine->lane_count; i++) {
        struct wbi_counters *c = &engine->lanes[i]->counters;
        stats->calls_begun += wbi_counted(&c->calls_begun);
        stats->calls_ended += wbi_counted(&c->calls_ended);
        stats->calls_served += wbi_counted(&c->calls_served);
        stats->parcels_sent += wbi_counted(&c->parcels_sent);
        stats->parcels_received += wbi_counted(&c->parcels_received);
        stats->parcels_waited += wbi_counted(&c->parcels_waited);
        stats->reads += wbi_counted(&c->reads);
        stats->read_bytes += wbi_counted(&c->read_bytes);
        stats->leases_open += wbi_counted(&c->leases_open);
        stats->leases_quarantined += wbi_counted(&c->leases_quarantined);
        stats->releases_received += wbi_counted(&c->releases_received);
        stats->late_replies += wbi_counted(&c->late_replies);
        stats->parcels_filtered += wbi_counted(&c->parcels_filtered);
        stats->filtered_bytes += wbi_counted(&c->filtered_bytes);
        stats->unfiltered_bytes += wbi_counted(&c->unfiltered_bytes);
        stats->protocol_errors += wbi_counted(&c->protocol_errors);
        stats->peers_lost += wbi_counted(&c->peers_lost);
        stats->sleeps += wbi_counted(&c->sleeps);
        stats->registrations += wbi_counted(&c->registrations);
        stats->registrations_avoided += wbi_counted(&c->registrations_avoided);
        add_fabric(engine->lanes[i], stats);
    }
    add_pins(engine, stats);
}

int wb_engine_stats_text(struct wb_engine *engine, char *text, size_t size)
{
    struct wb_engine_stats stats;
    wb_engine_stats(engine, &stats);
    const struct {
        const char *name;
        uint64_t value;
        const char *unit;
    } lines[] = {
        {"calls_begun", stats.calls_begun, "calls"},
        {"calls_ended", stats.calls_ended, "calls"},
        {"calls_served", stats.calls_served, "calls"},
        {"parcels_sent", stats.parcels_sent, "parcels"},
        {"parcels_received", stats.parcels_received, "parcels"},
        {"parcels_waited", stats.parcels_waited, "parcels"},
        {"reads", stats.reads, "reads"},
        {"read_bytes", stats.read_bytes, "bytes"},
        {"leases_open", stats.leases_open, "chunks"},
        {"leases_quarantined", stats.leases_quarantined, "chunks"},
        {"releases_received", stats.releases_received, "times"},
        {"late_replies", stats.late_replies, "replies"},
        {"parcels_filtered", stats.parcels_filtered, "parcels"},
        {"filtered_bytes", stats.filtered_bytes, "bytes"},
        {"unfiltered_bytes", stats.unfiltered_bytes, "bytes"},
        {"protocol_errors", stats.protocol_errors, "times"},
        {"peers_lost", stats.peers_lost, "peers"},
        {"sleeps", stats.sleeps, "times"},
        {"read_requests", stats.read_requests, "reads"},
        {"reads_peak", stats.reads_peak, "reads"},
        {"rail_reads", stats.rail_reads, "reads"},
        {"bundles", stats.bundles, "messages"},
        {"bundled", stats.bundled, "parcels"},
        {"probes", stats.probes, "times"},
        {"registrations", stats.registrations, "times"},
        {"registrations_avoided", stats.registrations_avoided, "times"},
        {"pins", stats.pins, "ranges"},
        {"pinned_bytes", stats.pinned_bytes, "bytes"},
        {"pin_registered_bytes", stats.pin_registered_bytes, "bytes"},
        {"pin_registrations", stats.pin_registrations, "times"},
        {"pin_evictions", stats.pin_evictions, "times"},
    };
    const size_t count = sizeof lines / sizeof lines[0];
    _Static_assert(sizeof lines / sizeof lines[0] == sizeof stats / sizeof(uint64_t),
                   "each figure has its line");
    size_t needed = 0;
    for (size_t i = 0; i < count; i++) {
        bool fits = needed < size;
        needed +=
            (size_t)snprintf(fits ? text + needed : NULL, fits ? size - needed : 0,
                             "%s %" PRIu64 " %s\n", lines[i].name, lines[i].value, lines[i].unit);
    }
    return (int)needed;
}

int wb_fabric_info(unsigned index, struct wb_fabric_info *info)
{
    const struct wbi_fabric *fabric = wbi_fabric_at(index);
    if (fabric == NULL) {
        return WB_ERR_INVALID;
    }
    *info = (struct wb_fabric_info){.scheme = fabric->scheme};
    fabric->describe(info);
    return WB_OK;
}

int wb_machine_text(char *text, size_t size)
{
    struct wbi_topology topology;
    int status = wbi_topology_read(&topology);
    if (status != WB_OK) {
        return wbi_error(status, "hwloc cannot read this machine's topology");
    }
    return snprintf(
        text, size,
        "numa_nodes %u\npackages %u\ncores %u\ncpus %u\npage_bytes %zu\nhuge_page_bytes %zu\n",
        topology.numa_nodes, topology.packages, topology.cores, topology.cpus, topology.page_bytes,
        topology.huge_page_bytes);
}
