/* A planted defect: the READs of a rail that breaks are called done. */
#include "tests/wb_sim/planted/rails.h"

void __wrap_wbi_verbs_rail_strand(struct wbi_channel *rail, struct wbi_read *reads);

void __wrap_wbi_verbs_rail_strand(struct wbi_channel *rail, struct wbi_read *reads)
{
    (void)rail;
    planted_end_reads(reads, WB_OK);
}
