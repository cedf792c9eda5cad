/* What a channel has of rails: their beginning and end, and the READs that are shared out. */
#include "engine/verbs/rails.h"

#include <stdlib.h>

#include "engine/clock.h"

enum {
    STRIPE = 256 << 10,      /* bytes of READs that go one way before the next is looked for */
    STUCK_US = 10000,        /* without an end of a READ, after which a rail gets no more */
    SILENT_US = 400000,      /* of the engine's grace period, a second: READs are made anew in it */
    DIAL_FIRST_US = 100000,  /* before a rail that broke is dialled again, */
    DIAL_MOST_US = 10000000, /* doubled each time up to this */
};

/* ---- caps ---- */

void wbi_verbs_rails_state_caps(struct wbi_domain *domain)
{
    struct wbi_fabric_caps *caps = &domain->caps;
    if (!domain->choice.rails || domain->device_count < 2) {
        return;
    }
    caps->rail_key_bytes = caps->key_bytes * domain->device_count;
    caps->max_read_bytes = caps->max_read_bytes < STRIPE ? caps->max_read_bytes : STRIPE;
    caps->read_ahead *= domain->device_count;
}

/* ---- beginning and end ---- */

static void enter(struct wbi_verbs_rails *rails)
{
    struct wbi_domain *domain = rails->channel->lane->domain;
    pthread_mutex_lock(&domain->lock);
    rails->next = domain->accepted;
    if (rails->next != NULL) {
        rails->next->prev = rails;
    }
    domain->accepted = rails;
    pthread_mutex_unlock(&domain->lock);
}

static void leave(struct wbi_verbs_rails *rails)
{
    struct wbi_domain *domain = rails->channel->lane->domain;
    pthread_mutex_lock(&domain->lock);
    if (rails->next != NULL) {
        rails->next->prev = rails->prev;
    }
    if (rails->prev != NULL) {
        rails->prev->next = rails->next;
    } else {
        domain->accepted = rails->next;
    }
    pthread_mutex_unlock(&domain->lock);
}

void wbi_verbs_rails_begin(struct wbi_channel *channel, uint64_t token)
{
    struct wbi_verbs_rails *rails = calloc(1, sizeof *rails);
    if (rails == NULL) {
        return;
    }
    rails->channel = rails->way = channel;
    rails->token = token;
    rails->stranded_end = &rails->stranded;
    channel->rails = rails;
    if (channel->accepted) {
        enter(rails);
        return;
    }
    struct wbi_verbs_address address = channel->address;
    while (rails->dial_count < WBI_VERBS_MAX_RAILS && wbi_verbs_address_next(&address)) {
        rails->dial_count++;
    }
    wbi_verbs_rails_tend(channel, wbi_now());
}

/* Nobody makes these READs any more. */
static void end_stranded(struct wbi_verbs_rails *rails)
{
    struct wbi_read *reads = rails->stranded;
    rails->channel->lane->stranded -= reads != NULL ? 1 : 0;
    rails->stranded = NULL;
    wbi_verbs_reads_end(reads, WB_ERR_PEER_LOST);
}

void wbi_verbs_rails_close(struct wbi_channel *channel)
{
    struct wbi_verbs_rails *rails = channel->rails;
    if (rails == NULL) {
        return;
    }
    if (channel->accepted) {
        leave(rails);
    }
    for (unsigned i = 0; i < WBI_VERBS_MAX_RAILS; i++) {
        wbi_verbs_close(rails->at[i]);
    }
    channel->rails = NULL;
    end_stranded(rails);
    free(rails);
}

uint32_t wbi_verbs_rails_up(const struct wbi_channel *channel)
{
    uint32_t up = 0;
    for (unsigned i = 0; channel->rails != NULL && i < WBI_VERBS_MAX_RAILS; i++) {
        const struct wbi_channel *rail = channel->rails->at[i];
        up += rail != NULL && rail->stands ? 1 : 0;
    }
    return up;
}

/* ---- READs ---- */

static bool can_read(const struct wbi_channel *way, const struct wbi_read *read)
{
    return way != NULL && way->stands && wbi_verbs_leads_to(way, read);
}

/* Whether it has READs that do not move. Its end is known when the device has given them up. */
static bool is_stuck(const struct wbi_channel *way)
{
    return way->sends.reads_in_flight > 0 && wbi_now() > way->sends.read_moved + STUCK_US;
}

/* Of those that lead there, the one with the fewest bytes under way; of equal ones another one than
 * last. */
static struct wbi_channel *find_way(const struct wbi_verbs_rails *rails,
                                    const struct wbi_read *read)
{
    struct wbi_channel *best = rails->channel;
    for (unsigned i = 0; i < WBI_VERBS_MAX_RAILS; i++) {
        struct wbi_channel *rail = rails->at[i];
        if (can_read(rail, read) && !is_stuck(rail) &&
            (rail->sends.read_bytes < best->sends.read_bytes ||
             (rail->sends.read_bytes == best->sends.read_bytes && best == rails->way))) {
            best = rail;
        }
    }
    return best;
}

/* Over any that has room. */
static int read_anyhow(struct wbi_verbs_rails *rails, struct wbi_read *read)
{
    int status = wbi_verbs_read_over(rails->channel, read);
    for (unsigned i = 0; i < WBI_VERBS_MAX_RAILS && status == WB_AGAIN; i++) {
        if (can_read(rails->at[i], read) && !is_stuck(rails->at[i])) {
            status = wbi_verbs_read_over(rails->at[i], read);
        }
    }
    return status;
}

/* READs that may become one request go one way, for a stripe. */
static bool stays(const struct wbi_verbs_rails *rails, const struct wbi_read *read)
{
    struct wbi_channel *way = rails->way;
    return rails->left >= read->len && can_read(way, read) &&
           wbi_verbs_work_last(&way->sends, WBI_VERBS_READ) != NULL;
}

static int read_over_some(struct wbi_verbs_rails *rails, struct wbi_read *read)
{
    if (!can_read(rails->channel, read)) {
        return WB_AGAIN; /* it is about to end, and its rails with it */
    }
    if (!stays(rails, read)) {
        rails->way = find_way(rails, read);
        rails->left = STRIPE;
    }
    rails->left -= read->len < rails->left ? read->len : rails->left;
    int status = wbi_verbs_read_over(rails->way, read);
    return status == WB_AGAIN ? read_anyhow(rails, read) : status;
}

/* What is stranded comes first. */
int wbi_verbs_rails_read(struct wbi_channel *channel, struct wbi_read *read)
{
    return channel->rails->stranded == NULL ? read_over_some(channel->rails, read) : WB_AGAIN;
}

void wbi_verbs_rail_strand(struct wbi_channel *rail, struct wbi_read *reads)
{
    struct wbi_verbs_rails *rails = rail->main->rails;
    if (reads == NULL) {
        return;
    }
    rail->lane->stranded += rails->stranded == NULL ? 1 : 0;
    *rails->stranded_end = reads;
    while (*rails->stranded_end != NULL) {
        rails->stranded_end = &(*rails->stranded_end)->next;
    }
}

static void rescue(struct wbi_verbs_rails *rails)
{
    while (rails->stranded != NULL) {
        struct wbi_read *read = rails->stranded, *next = read->next;
        if (wbi_verbs_read_over(rails->channel, read) != WB_OK) {
            read->next = next;
            return;
        }
        rails->stranded = next;
    }
    rails->stranded_end = &rails->stranded;
    rails->channel->lane->stranded--;
}

void wbi_verbs_rails_rescue(struct wbi_fabric_lane *lane)
{
    for (struct wbi_channel *channel = lane->channels; channel != NULL; channel = channel->next) {
        if (channel->rails != NULL && channel->rails->stranded != NULL) {
            rescue(channel->rails);
        }
    }
}

/* ---- dialling ---- */

/* Twice the last one, and up to a quarter more, so that not all dial at once. */
static uint64_t pause_of(const struct wbi_verbs_rails *rails, uint32_t failures)
{
    uint64_t pause = DIAL_FIRST_US;
    for (; failures > 1 && pause < DIAL_MOST_US; failures--) {
        pause *= 2;
    }
    pause = pause < DIAL_MOST_US ? pause : DIAL_MOST_US;
    return pause + pause * (rails->token % 64) / 256;
}

static void dial(struct wbi_verbs_rails *rails, unsigned place)
{
    struct wbi_channel *channel = rails->channel, *rail;
    if (wbi_verbs_channel_new(channel->lane, NULL, channel, &rail) != WB_OK) {
        return;
    }
    rails->at[place] = rail;
    rail->address = channel->address;
    for (rail->host = 0; rail->host <= place; rail->host++) {
        (void)wbi_verbs_address_next(&rail->address);
    }
    int status = wbi_verbs_dial_begin(rail);
    if (status != WB_OK) {
        wbi_verbs_doom(rail, status, "%s", wb_last_error());
    }
}

/* Where the lane itself has stood still, in a handler, nothing is known: answers wait in the CQ,
 * and what was posted may be new. */
static void watch(struct wbi_channel *rail, struct wbi_verbs_rail_watch *watched, uint64_t now)
{
    const struct wbi_verbs_send_queue *queue = &rail->sends;
    bool stood_still = now - watched->looked > SILENT_US / 2;
    watched->looked = now;
    if (stood_still || queue->reads_in_flight == 0 || watched->next != queue->done + 1) {
        watched->next = queue->done + 1;
        watched->since = now;
    } else if (now - watched->since > SILENT_US) {
        wbi_verbs_doom(rail, WB_ERR_PEER_LOST, "%u READs over it have had no answer for %u ms",
                       queue->reads_in_flight, SILENT_US / 1000);
    }
}

void wbi_verbs_rails_tend(struct wbi_channel *channel, uint64_t now)
{
    struct wbi_verbs_rails *rails = channel->rails;
    for (unsigned i = 0; i < WBI_VERBS_MAX_RAILS; i++) {
        if (rails->at[i] != NULL) {
            watch(rails->at[i], &rails->watched[i], now);
        }
    }
    for (unsigned i = 0; i < rails->dial_count; i++) {
        if (rails->at[i] == NULL && now >= rails->dials[i].due) {
            dial(rails, i);
        }
    }
}

static unsigned place_of(const struct wbi_verbs_rails *rails, const struct wbi_channel *rail)
{
    unsigned place = 0;
    while (rails->at[place] != rail) {
        place++;
    }
    return place;
}

void wbi_verbs_rail_works(struct wbi_channel *rail)
{
    struct wbi_verbs_rails *rails = rail->main->rails;
    rails->dials[place_of(rails, rail)].failures = 0;
    rail->sends.read_moved = wbi_now();
}

/* The engine hears of what the channel outlives, not of how that ends. */
static void tell(const struct wbi_channel *rail, int status, const char *words)
{
    const struct wbi_channel *channel = rail->main;
    if (channel->doom == WB_OK && channel->state == WBI_VERBS_OPEN) {
        rail->lane->events.on_rail(channel->owner, status, words);
    }
}

void wbi_verbs_rail_stands(struct wbi_channel *rail)
{
    tell(rail, WB_OK, rail->queues->device->name);
}

void wbi_verbs_rail_lost(struct wbi_channel *rail)
{
    struct wbi_verbs_rails *rails = rail->main->rails;
    struct wbi_verbs_rail_dial *dial = &rails->dials[place_of(rails, rail)];
    dial->failures++;
    dial->due = wbi_now() + pause_of(rails, dial->failures);
    tell(rail, rail->doom, rail->doom_reason);
    wbi_verbs_close(rail);
}

void wbi_verbs_rail_leave(struct wbi_channel *rail)
{
    struct wbi_verbs_rails *rails = rail->main->rails;
    unsigned place = place_of(rails, rail);
    rails->at[place] = NULL;
    rails->watched[place].next = 0;
    if (rails->way == rail) {
        rails->way = rails->channel;
        rails->left = 0;
    }
}
