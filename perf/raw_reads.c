#include "perf/raw_reads.h"

#include <errno.h>
#include <stdlib.h>

/* READs that a piece takes. */
static size_t reads_of(size_t bytes, uint64_t max_message)
{
    return bytes / max_message + (bytes % max_message > 0);
}

/* Adds those of a piece, which lands at `to`. */
static size_t plan_piece(struct raw_plan *plan, size_t next, const struct piece *piece, size_t to,
                         uint64_t max_message)
{
    for (size_t done = 0; done < piece->bytes;) {
        size_t left = piece->bytes - done, bytes = left < max_message ? left : max_message;
        plan->read[next++] =
            (struct raw_read){.from = piece->at + done, .to = to + done, .bytes = (uint32_t)bytes};
        done += bytes;
    }
    return next;
}

static void plan_calls(struct raw_plan *plan, const struct pieces *pieces, uint64_t max_message)
{
    size_t next = 0;
    for (size_t i = 0; i < plan->calls; i++) {
        const struct piece *piece = pieces_of(pieces, i);
        size_t landing = i % plan->landings * plan->slot;
        plan->first[i] = next;
        for (uint32_t j = 0; j < pieces->chunks; j++) {
            size_t to = landing + (piece[j].at - piece[0].at);
            next = plan_piece(plan, next, &piece[j], to, max_message);
        }
    }
    plan->first[plan->calls] = next;
}

int raw_plan_make(struct raw_plan *plan, const struct pieces *pieces, uint64_t max_message,
                  size_t room)
{
    size_t count = 0, longest = pieces_longest(pieces);
    for (size_t j = 0; j < pieces->calls * pieces->chunks; j++) {
        count += reads_of(pieces->piece[j].bytes, max_message);
    }
    size_t slots = longest > 0 ? room / longest : RAW_READS;
    *plan = (struct raw_plan){.calls = pieces->calls,
                              .slot = longest,
                              .landings = slots < RAW_READS ? slots : RAW_READS,
                              .read = calloc(count + 1, sizeof *plan->read),
                              .first = calloc(pieces->calls + 1, sizeof *plan->first)};
    if (plan->read == NULL || plan->first == NULL || plan->landings == 0) {
        raw_plan_drop(plan);
        return -1;
    }
    plan_calls(plan, pieces, max_message);
    return 0;
}

void raw_plan_drop(struct raw_plan *plan)
{
    free(plan->read);
    free(plan->first);
    *plan = (struct raw_plan){0};
}

uint8_t *raw_plan_landing(const struct raw_plan *plan, const struct raw_link *link, size_t i)
{
    return link->memory + link->landing + i % plan->landings * plan->slot;
}

struct raw_reads raw_reads_of(struct raw_link *link, const struct raw_plan *plan, uint64_t address,
                              uint32_t rkey, size_t from, size_t to)
{
    return (struct raw_reads){.link = link,
                              .plan = plan,
                              .address = address,
                              .rkey = rkey,
                              .call = from,
                              .next = plan->first[from],
                              .end = plan->first[to]};
}

static void describe(const struct raw_reads *reads, size_t number, bool signalled,
                     struct ibv_send_wr *wr, struct ibv_sge *sge)
{
    struct raw_link *link = reads->link;
    const struct raw_read *read = &reads->plan->read[number];
    *sge = (struct ibv_sge){.addr = (uintptr_t)link->memory + link->landing + read->to,
                            .length = read->bytes,
                            .lkey = link->mr->lkey};
    *wr = (struct ibv_send_wr){.wr_id = ++link->posted,
                               .sg_list = sge,
                               .num_sge = 1,
                               .opcode = IBV_WR_RDMA_READ,
                               .send_flags = signalled ? IBV_SEND_SIGNALED : 0U};
    wr->wr.rdma.remote_addr = reads->address + read->from;
    wr->wr.rdma.rkey = reads->rkey;
}

/* How many READs of the call that is next may be posted: all that are left of it or, where these
 * are too many for any list, so many as fit the whole window; or 0. */
static size_t next_part(struct raw_reads *reads)
{
    const struct raw_link *link = reads->link;
    while (reads->next < reads->end && reads->next == reads->plan->first[reads->call + 1]) {
        reads->call++;
    }
    if (reads->next == reads->end) {
        return 0;
    }
    size_t left = reads->plan->first[reads->call + 1] - reads->next;
    size_t part = left < link->window ? left : link->window;
    size_t room = link->window - (size_t)(link->posted - link->done);
    return part <= room ? part : 0;
}

static int post(struct raw_reads *reads)
{
    struct raw_link *link = reads->link;
    struct ibv_send_wr *bad;
    size_t count = 0;
    for (size_t part; (part = next_part(reads)) > 0;) {
        for (size_t i = 0; i < part; i++) {
            describe(reads, reads->next++, i + 1 == part, &link->works[count],
                     &link->ranges[count]);
            if (count > 0) {
                link->works[count - 1].next = &link->works[count];
            }
            count++;
        }
    }
    errno = count > 0 ? ibv_post_send(link->id->qp, link->works, &bad) : 0;
    return errno == 0 ? (int)(count > 0) : raw_link_fail(link, "cannot post READs");
}

int raw_reads_step(struct raw_reads *reads)
{
    int posted = post(reads);
    int got = posted < 0 ? -1 : raw_link_poll_sends(reads->link);
    return got < 0 ? -1 : posted + got > 0;
}
