/*
 * Rails: further connections of a channel, each over another pair of devices, that carry its READs
 * besides its own queue pair (as Open MPI and MVAPICH stripe over several adapters). Messages never
 * go over them, so their order is the channel's.
 *
 *   channel ── rails: struct wbi_verbs_rails, while both engines have config.verbs.rails
 *           └─ at[]: rails, each a wbi_channel whose `main` is the channel; it has no owner, no
 *              receives and no place in the lane's by_index
 *
 * A channel and its rails all have different devices here, and so they have there: no CQ, and no
 * device, has more queue pairs than it has peers. All live on the channel's lane, and end before
 * it.
 *
 * The side that connected dials: the hosts of its address behind the first. A rail is asked for
 * with the token of the channel's hello, which nobody else has; the domain's `accepted` says which
 * lane has the channel of a token.
 *
 * A rail that breaks takes nothing along: its READs are made anew over the channel (stranded), once
 * its queue pair is gone and writes no more; and it is dialled again while its channel lives. One
 * that answers no READ for a while counts as broken, long before its device says so: else a peer
 * that waits for these READs to end, so that it has its memory back, would close the channel.
 */
#ifndef WBI_VERBS_RAILS_H
#define WBI_VERBS_RAILS_H

#include "engine/verbs/lane.h"

enum { WBI_VERBS_MAX_RAILS = WBI_VERBS_MAX_DEVICES - 1 };

struct wbi_verbs_rails {
    struct wbi_channel *channel;
    uint64_t token;
    struct wbi_channel *at[WBI_VERBS_MAX_RAILS];
    struct wbi_verbs_rail_dial {
        uint64_t due; /* microseconds: not dialled before */
        uint32_t failures;
    } dials[WBI_VERBS_MAX_RAILS]; /* of whoever dials */
    uint32_t dial_count;
    struct wbi_verbs_rail_watch {
        uint64_t next; /* the oldest work not done when it was looked at last, from 1; 0: not yet */
        uint64_t since;  /* microseconds: that was it, and there were READs */
        uint64_t looked; /* when it was looked at last */
    } watched[WBI_VERBS_MAX_RAILS];

    struct wbi_channel *way; /* over which READs go now: the channel, or a rail; */
    uint64_t left;           /* for so many bytes, where they may merge */
    struct wbi_read *stranded, **stranded_end; /* READs to be made anew, oldest first */
    struct wbi_verbs_rails *prev, *next;       /* in domain->accepted, of those that are */
};

/* What rails change of what the fabric can do; where the domain has several devices. */
void wbi_verbs_rails_state_caps(struct wbi_domain *domain);

/* Where the key for a device stands among those of a chunk that is offered on a channel of device
 * `mains`: its own is the first. */
static inline uint32_t wbi_verbs_key_place(uint32_t mains, uint32_t device)
{
    return device == mains ? 0 : device < mains ? device + 1 : device;
}

/* From now on the channel may have rails. One that has no memory for that goes without. */
void wbi_verbs_rails_begin(struct wbi_channel *channel, uint64_t token);

/* How many are ready. */
uint32_t wbi_verbs_rails_up(const struct wbi_channel *channel);

/* Issues a READ of a channel that may have rails over the way whose turn it is. WB_AGAIN. */
int wbi_verbs_rails_read(struct wbi_channel *channel, struct wbi_read *read);

/* Makes stranded READs anew, as far as there is room. */
void wbi_verbs_rails_rescue(struct wbi_fabric_lane *lane);

/* Dials what is due, and gives up rails that do not answer. */
void wbi_verbs_rails_tend(struct wbi_channel *channel, uint64_t now);

/* The channel ends: closes its rails, ends what they have stranded. Accepts one without. */
void wbi_verbs_rails_close(struct wbi_channel *channel);

/* ---- a rail ---- */

/* Whether a device is another one than the channel's and its other rails'. WB_ERR_INVALID. */
int wbi_verbs_rail_check(const struct wbi_channel *rail, uint32_t number);

/* Writes what a rail says when it asks or answers into its `hello`; its device is known. */
void wbi_verbs_rail_introduce(struct wbi_channel *rail);

/* Takes the answer. WB_ERR_PROTOCOL: it is none. */
int wbi_verbs_rail_take_answer(struct wbi_channel *rail, const uint8_t *hello, size_t hello_len);

/* A READ over it has ended well: whoever dials has found a way. */
void wbi_verbs_rail_works(struct wbi_channel *rail);

/* It is ready on both sides. */
void wbi_verbs_rail_stands(struct wbi_channel *rail);

/* It has broken, or could not be had: closes it. */
void wbi_verbs_rail_lost(struct wbi_channel *rail);

/* READs that it did not end; its queue pair is gone. Takes the list. */
void wbi_verbs_rail_strand(struct wbi_channel *rail, struct wbi_read *reads);

/* It ends, and leaves its place. */
void wbi_verbs_rail_leave(struct wbi_channel *rail);

/* ---- who asks for one ---- */

/* Whether the private data of a request ask for a rail. */
bool wbi_verbs_is_rail_request(const uint8_t *hello, size_t hello_len);

/* The lane that has the channel; NULL: nobody has it. Any lane's thread. */
struct wbi_fabric_lane *wbi_verbs_rail_home(struct wbi_domain *domain, const uint8_t *hello);

/* Makes the rail that is asked for, without a device yet. WB_ERR_REFUSED: no such channel, or it
 * has all its rails; WB_ERR_PROTOCOL, WB_ERR_NO_MEMORY. */
int wbi_verbs_rail_asked(struct wbi_fabric_lane *lane, const uint8_t *hello,
                         struct wbi_channel **rail);

#endif
