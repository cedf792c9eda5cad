#include "tests/wb_sim/summary.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <waybill/status.h>

#include "engine/filter.h"

void summary_add_kinds(struct summary *sum, const struct sim_fault_kind *kinds)
{
    for (unsigned i = 0; i < SIM_FAULT_KINDS && kinds[i].what != NULL; i++) {
        unsigned at = 0;
        while (at < SIM_FAULT_KINDS - 1 && sum->kinds[at].what != NULL &&
               strcmp(sum->kinds[at].what, kinds[i].what) != 0) {
            at++;
        }
        sum->kinds[at].what = kinds[i].what;
        sum->kinds[at].count += kinds[i].count;
    }
}

/* All members but the last are counts of 64 bits. */
void summary_add(struct summary *sum, const struct summary *more)
{
    enum { COUNTS = offsetof(struct summary, kinds) / sizeof(uint64_t) };
    uint64_t to[COUNTS], from[COUNTS];
    memcpy(to, sum, sizeof to);
    memcpy(from, more, sizeof from);
    for (unsigned i = 0; i < COUNTS; i++) {
        to[i] += from[i];
    }
    memcpy(sum, to, sizeof to);
    summary_add_kinds(sum, more->kinds);
}

const char *summary_is_idle(const struct summary *s)
{
    enum { MANY = 100 };
    if (s->seeds < MANY) {
        return NULL;
    }
    if (s->ends[0] < s->calls / 2) {
        return "less than half of the calls have ended well";
    }
    if (s->refused > s->calls) {
        return "more calls were refused than begun";
    }
    if (s->pointer_chunks == 0 || s->rma_chunks == 0 || s->copied_archives == 0 ||
        s->long_lists == 0 || s->reads == 0) {
        return "chunks of some kind, or READs, were never seen";
    }
    if (s->filtered == 0 && wbi_filter_is_here(WB_FILTER_LZ4)) {
        return "no filtered archive was ever seen";
    }
    if (s->bundles == 0) {
        return "no bundle was ever seen";
    }
    if (s->deferring_seeds >= MANY / 4 &&
        (s->deferred == 0 || s->unwanted == 0 || s->never_answered == 0 || s->executor_runs == 0 ||
         s->never_run == 0)) {
        return "calls that are answered later, late or never, or run elsewhere, were never seen";
    }
    if (s->streaming_seeds >= MANY / 4 &&
        (s->stream_ends[-WB_END] < s->streams / 8 || s->items_taken < s->items_sent / 2)) {
        return "hardly any stream ended in order, or most items were never taken";
    }
    if (s->rail_seeds >= MANY / 4 && (s->rail_reads == 0 || s->rails_lost == 0)) {
        return "no READ went over a rail, or no rail was ever lost";
    }
    if (s->drains > MANY && s->drained == 0) {
        return "no drain came to its end";
    }
    return NULL;
}

/* By -status. */
static void print_ends(const char *what, const uint64_t *ends, int count, FILE *out)
{
    fprintf(out, "%-11s", what);
    for (int i = 0; i < count; i++) {
        if (ends[i] > 0) {
            fprintf(out, " %s %" PRIu64, wb_status_name(-i), ends[i]);
        }
    }
    fprintf(out, "\n");
}

static void print_streams(const struct summary *s, FILE *out)
{
    fprintf(out,
            "streams     in %" PRIu64 " seeds: %" PRIu64 " opened, %" PRIu64 " refused, %" PRIu64
            " served, %" PRIu64 " sides whose engine ended; %" PRIu64 " items sent, %" PRIu64
            " taken; %" PRIu64 " times told, %" PRIu64 " dropped early, %" PRIu64
            " aborted; %" PRIu64 " times all of a pool kept\n",
            s->streaming_seeds, s->streams, s->streams_refused, s->streams_served,
            s->streams_orphaned, s->items_sent, s->items_taken, s->stream_readies, s->stream_drops,
            s->stream_aborts, s->hoards);
    print_ends("their ends", s->stream_ends, SUMMARY_STREAM_STATUSES, out);
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
    print_ends("ends", s->ends, SUMMARY_STATUSES, out);
    fprintf(out,
            "later       in %" PRIu64 " seeds: %" PRIu64 " deferred, %" PRIu64
            " answered when nobody waited, %" PRIu64 " never; %" PRIu64
            " given to an executor, %" PRIu64 " never run\n",
            s->deferring_seeds, s->deferred, s->unwanted, s->never_answered, s->executor_runs,
            s->never_run);
    fprintf(out,
            "chunks      %" PRIu64 " pointer, %" PRIu64 " rma, %" PRIu64
            " archives copied, %" PRIu64 " calls with 24 ranges, %" PRIu64
            " results in vectors of the caller's\n",
            s->pointer_chunks, s->rma_chunks, s->copied_archives, s->long_lists, s->own_vectors);
    fprintf(out,
            "READs       %" PRIu64 " (%" PRIu64 " as posted), %" PRIu64 " bytes; %" PRIu64
            " parcels, %" PRIu64 " of them filtered; %" PRIu64 " sent in %" PRIu64
            " bundles; %" PRIu64 " late replies\n",
            s->reads, s->read_requests, s->read_bytes, s->messages, s->filtered, s->bundled,
            s->bundles, s->late_replies);
    fprintf(out,
            "rails       in %" PRIu64 " seeds: %" PRIu64
            " of the READs as posted went over them, %" PRIu64 " of them were lost\n",
            s->rail_seeds, s->rail_reads, s->rails_lost);
    fprintf(out,
            "hosts       %" PRIu64 " connects, %" PRIu64 " closes, %" PRIu64
            " channels lost, %" PRIu64 " restarts, %" PRIu64 " kills, %" PRIu64
            " links down, %" PRIu64 " silent for a while, %" PRIu64 " queue pairs broken, %" PRIu64
            " stalls, %" PRIu64 " sleeps, %" PRIu64 " begun again after a device was lost\n",
            s->connects, s->closes, s->losses, s->restarts, s->kills, s->links_down, s->silences,
            s->upsets, s->stalls, s->sleeps, s->burials);
    fprintf(out,
            "lines       %" PRIu64 " connects that come and go, %" PRIu64 " drains, %" PRIu64
            " of them whole\n",
            s->lines, s->drains, s->drained);
    print_streams(s, out);
    fprintf(out, "faults      %" PRIu64 ":", s->faults);
    for (unsigned i = 0; i < SIM_FAULT_KINDS && s->kinds[i].what != NULL; i++) {
        fprintf(out, "%s %s %" PRIu64, i > 0 ? "," : "", s->kinds[i].what, s->kinds[i].count);
    }
    fprintf(out, "\n");
}
