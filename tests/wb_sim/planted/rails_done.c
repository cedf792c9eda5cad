/* A planted defect: the READs of a rail that breaks are called done. */
#include "engine/verbs/rails.h"

void __wrap_wbi_verbs_rail_strand(struct wbi_channel *rail, struct wbi_read *reads);

void __wrap_wbi_verbs_rail_strand(struct wbi_channel *rail, struct wbi_read *reads)
{
    (void)rail;
    wbi_verbs_reads_end(reads, WB_OK);
}
