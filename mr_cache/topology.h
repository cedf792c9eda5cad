/* What hwloc knows of this machine, in the few words that the engine and wb_info need. */
#ifndef WBI_MR_CACHE_TOPOLOGY_H
#define WBI_MR_CACHE_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>

struct wbi_topology {
    unsigned numa_nodes;
    unsigned packages;
    unsigned cores;
    unsigned cpus;
    size_t page_bytes;
    size_t huge_page_bytes; /* of the default huge page, 0 if the kernel has none */
};

/* Reads the machine. Errors: WB_ERR_NO_MEMORY, WB_ERR_SYSTEM (hwloc could not load). *out untouched
 * on failure. */
int wbi_topology_read(struct wbi_topology *out);

/* Whether there is such a NUMA node for this process; true where hwloc could not load. And their
 * numbers, as "0-1,4", cut to `size` bytes. */
bool wbi_topology_has_node(int node);
void wbi_topology_nodes(char *text, size_t size);

/* Asks the kernel to place [base, base + bytes) on a NUMA node; a hint, best effort. node < 0 does
 * nothing. */
void wbi_topology_bind(void *base, size_t bytes, int node);

/* Keeps the calling thread to the CPUs of a NUMA node, as far as it may run there; a hint, best
 * effort. node < 0 does nothing. */
void wbi_topology_bind_thread(int node);

#endif
