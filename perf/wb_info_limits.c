#include "perf/wb_info_limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <waybill/engine.h>

/* "8388608 bytes", or "unlimited". */
static void print_limit(struct printer *printer, const char *name, rlim_t limit, const char *unit)
{
    if (limit == RLIM_INFINITY) {
        print_value(printer, name, "unlimited");
    } else {
        print_valuef(printer, name, "%" PRIu64 " %s", (uint64_t)limit, unit);
    }
}

static void print_memlock(struct printer *printer)
{
    struct rlimit limit;
    struct wb_engine_config config;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) {
        print_value(printer, "memlock", strerror(errno));
        return;
    }
    wb_engine_config_default(&config);
    print_limit(printer, "memlock", limit.rlim_cur, "bytes");
    print_limit(printer, "memlock_hard", limit.rlim_max, "bytes");
    if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < config.budget_bytes) {
        print_valuef(printer, "memlock_hint",
                     "shm pins nothing; verbs pins what is used, up to the budget of %" PRIu64
                     " bytes: raise it with `ulimit -l` or LimitMEMLOCK=",
                     config.budget_bytes);
    }
}

static void print_files(struct printer *printer)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        print_value(printer, "open_files", strerror(errno));
        return;
    }
    print_limit(printer, "open_files", limit.rlim_cur, "descriptors");
    print_limit(printer, "open_files_hard", limit.rlim_max, "descriptors");
}

void print_limits(struct printer *printer)
{
    print_memlock(printer);
    print_files(printer);
}
