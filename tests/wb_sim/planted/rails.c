/* A planted defect: a rail that breaks takes its READs along. */
#include "engine/verbs/rails.h"

void __wrap_wbi_verbs_rail_strand(struct wbi_channel *rail, struct wbi_read *reads);

void __wrap_wbi_verbs_rail_strand(struct wbi_channel *rail, struct wbi_read *reads)
{
    (void)rail;
    wbi_verbs_reads_end(reads, WB_ERR_PEER_LOST);
}
