#include "tests/wb_sim/summary.h"

#include <inttypes.h>
#include <string.h>
#include <waybill/status.h>

/* All members are counts of 64 bits. */
void summary_add(struct summary *sum, const struct summary *more)
{
    enum { COUNTS = sizeof *sum / sizeof(uint64_t) };
    uint64_t to[COUNTS], from[COUNTS];
    memcpy(to, sum, sizeof *sum);
    memcpy(from, more, sizeof *more);
    for (unsigned i = 0; i < COUNTS; i++) {
        to[i] += from[i];
    }
    memcpy(sum, to, sizeof *sum);
}

static void print_ends(const struct summary *s, FILE *out)
{
    fprintf(out, "ends       ");
    for (int i = 0; i < SUMMARY_STATUSES; i++) {
        if (s->ends[i] > 0) {
            fprintf(out, " %s %" PRIu64, wb_status_name(-i), s->ends[i]);
        }
    }
    fprintf(out, "\n");
}

void summary_print(const struct summary *s, FILE *out)
{
    fprintf(out,
            "runs        %" PRIu64 " seeds (%" PRIu64 " without disturbance), %" PRIu64
            " steps, %" PRIu64 " s of simulated time, rules checked %" PRIu64 " times\n",
            s->seeds, s->calm_seeds, s->steps, s->virtual_us / 1000000, s->rules_checked);
    fprintf(out,
            "calls       %" PRIu64 " begun, %" PRIu64 " refused at once, %" PRIu64
            " abandoned by a death, %" PRIu64 " executed, %" PRIu64
            " handlers said WB_AGAIN, %" PRIu64 " calls back\n",
            s->calls, s->refused, s->abandoned, s->executed, s->said_again, s->called_back);
    print_ends(s, out);
    fprintf(out,
            "chunks      %" PRIu64 " pointer, %" PRIu64 " rma, %" PRIu64
            " archives copied, %" PRIu64 " calls with 24 ranges\n",
            s->pointer_chunks, s->rma_chunks, s->copied_archives, s->long_lists);
    fprintf(out,
            "READs       %" PRIu64 " (%" PRIu64 " as posted), %" PRIu64 " bytes; %" PRIu64
            " parcels; %" PRIu64 " late replies\n",
            s->reads, s->read_requests, s->read_bytes, s->messages, s->late_replies);
    fprintf(out,
            "hosts       %" PRIu64 " connects, %" PRIu64 " closes, %" PRIu64
            " channels lost, %" PRIu64 " restarts, %" PRIu64 " kills, %" PRIu64
            " links down, %" PRIu64 " silent for a while, %" PRIu64 " queue pairs broken, %" PRIu64
            " stalls, %" PRIu64 " sleeps\n",
            s->connects, s->closes, s->losses, s->restarts, s->kills, s->links_down, s->silences,
            s->upsets, s->stalls, s->sleeps);
    fprintf(out, "faults      %" PRIu64 "\n", s->faults);
}
