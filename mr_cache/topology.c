#include "mr_cache/topology.h"

#include <hwloc.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <waybill/status.h>

/* Loaded when first needed (10 to 100 ms) and kept: it is read only, from any thread. */
static hwloc_topology_t machine;
static pthread_once_t machine_once = PTHREAD_ONCE_INIT;

static void load_machine(void)
{
    hwloc_topology_t topology;

    if (hwloc_topology_init(&topology))
        return;
    if (hwloc_topology_load(topology))
        hwloc_topology_destroy(topology);
    else
        machine = topology;
}

/* The machine's topology, or NULL where hwloc cannot read it. */
static hwloc_topology_t get_machine(void)
{
    (void)pthread_once(&machine_once, load_machine);
    return machine;
}

static unsigned count_of(hwloc_topology_t topology, hwloc_obj_type_t type)
{
    int count = hwloc_get_nbobjs_by_type(topology, type);

    return count > 0 ? (unsigned)count : 0;
}

static size_t read_huge_page_bytes(void)
{
    FILE *meminfo = fopen("/proc/meminfo", "re");
    uint64_t kib = 0;
    char line[128];

    if (!meminfo)
        return 0;
    while (!kib && fgets(line, sizeof(line), meminfo))
        (void)sscanf(line, "Hugepagesize: %" SCNu64 " kB", &kib);
    (void)fclose(meminfo);
    return (size_t)kib * 1024;
}

int wbi_topology_read(struct wbi_topology *out)
{
    hwloc_topology_t topology = get_machine();
    long page_bytes = sysconf(_SC_PAGESIZE);

    if (!topology || page_bytes <= 0)
        return WB_ERR_SYSTEM;
    *out = (struct wbi_topology){
        .numa_nodes = count_of(topology, HWLOC_OBJ_NUMANODE),
        .packages = count_of(topology, HWLOC_OBJ_PACKAGE),
        .cores = count_of(topology, HWLOC_OBJ_CORE),
        .cpus = count_of(topology, HWLOC_OBJ_PU),
        .page_bytes = (size_t)page_bytes,
        .huge_page_bytes = read_huge_page_bytes(),
    };
    return WB_OK;
}

bool wbi_topology_has_node(int node)
{
    hwloc_topology_t topology = get_machine();

    return !topology ||
           (node >= 0 && hwloc_get_numanode_obj_by_os_index(topology, (unsigned)node) != NULL);
}

void wbi_topology_nodes(char *text, size_t size)
{
    hwloc_topology_t topology = get_machine();

    if (size)
        *text = '\0';
    if (topology)
        (void)hwloc_bitmap_list_snprintf(text, size, hwloc_topology_get_topology_nodeset(topology));
}

/* The node, with its topology; or NULL. */
static hwloc_obj_t find_node(int node, hwloc_topology_t *topology)
{
    *topology = node < 0 ? NULL : get_machine();
    return *topology ? hwloc_get_numanode_obj_by_os_index(*topology, (unsigned)node) : NULL;
}

void wbi_topology_bind(void *base, size_t bytes, int node)
{
    hwloc_topology_t topology;
    hwloc_obj_t numa = find_node(node, &topology);

    if (numa) /* not strict: elsewhere is better than not at all */
        (void)hwloc_set_area_membind(topology, base, bytes, numa->nodeset, HWLOC_MEMBIND_BIND,
                                     HWLOC_MEMBIND_BYNODESET);
}

void wbi_topology_bind_thread(int node)
{
    hwloc_topology_t topology;
    hwloc_obj_t numa = find_node(node, &topology);
    hwloc_bitmap_t cpus = numa ? hwloc_bitmap_alloc() : NULL;

    if (!cpus)
        return;
    if (!hwloc_get_cpubind(topology, cpus, HWLOC_CPUBIND_THREAD)) { /* what the program allows */
        (void)hwloc_bitmap_and(cpus, cpus, numa->cpuset);
        if (!hwloc_bitmap_iszero(cpus))
            (void)hwloc_set_cpubind(topology, cpus, HWLOC_CPUBIND_THREAD);
    }
    hwloc_bitmap_free(cpus);
}
