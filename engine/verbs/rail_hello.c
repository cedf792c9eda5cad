/* What is said to get a rail, and who is asked: rails.h; the bytes are in docs/wire-format.md. */
#include <endian.h>
#include <string.h>

#include "engine/verbs/rails.h"

static const char magic[4] = {'W', 'B', 'R', 'L'}; /* no hello of an engine's begins so */

enum { TOKEN_AT = 8, PLACE_AT = 16, BYTES = 24 };

static uint64_t token_in(const uint8_t *hello)
{
    uint64_t token;
    memcpy(&token, hello + TOKEN_AT, sizeof token);
    return le64toh(token);
}

static bool is_place(uint8_t place)
{
    return place >= 1 && place < WBI_REMOTE_KEY_MAX / sizeof(uint32_t);
}

int wbi_verbs_rail_check(const struct wbi_channel *rail, uint32_t number)
{
    const struct wbi_channel *channel = rail->main;
    bool taken = channel->queues->number == number;
    for (unsigned i = 0; i < WBI_VERBS_MAX_RAILS; i++) {
        const struct wbi_channel *other = channel->rails->at[i];
        taken |= other != NULL && other != rail && other->queues != NULL &&
                 other->queues->number == number;
    }
    return taken ? wbi_error(WB_ERR_INVALID,
                             "the rail would lead over %s, as the connection or another rail does",
                             channel->lane->domain->devices[number].name)
                 : WB_OK;
}

void wbi_verbs_rail_introduce(struct wbi_channel *rail)
{
    uint64_t token = htole64(rail->main->rails->token);
    memset(rail->hello, 0, sizeof rail->hello);
    memcpy(rail->hello, magic, sizeof magic);
    memcpy(rail->hello + TOKEN_AT, &token, sizeof token);
    rail->hello[PLACE_AT] =
        (uint8_t)wbi_verbs_key_place(rail->main->queues->number, rail->queues->number);
    rail->hello_len = sizeof rail->hello;
}

int wbi_verbs_rail_take_answer(struct wbi_channel *rail, const uint8_t *hello, size_t hello_len)
{
    if (!wbi_verbs_is_rail_request(hello, hello_len) || !is_place(hello[PLACE_AT]) ||
        token_in(hello) != rail->main->rails->token) {
        return wbi_error(WB_ERR_PROTOCOL, "the peer has answered with something that is no rail's");
    }
    rail->key_place = hello[PLACE_AT];
    return WB_OK;
}

bool wbi_verbs_is_rail_request(const uint8_t *hello, size_t hello_len)
{
    return hello_len >= BYTES && memcmp(hello, magic, sizeof magic) == 0;
}

struct wbi_fabric_lane *wbi_verbs_rail_home(struct wbi_domain *domain, const uint8_t *hello)
{
    uint64_t token = token_in(hello);
    pthread_mutex_lock(&domain->lock);
    const struct wbi_verbs_rails *rails = domain->accepted;
    while (rails != NULL && rails->token != token) {
        rails = rails->next;
    }
    struct wbi_fabric_lane *lane = rails != NULL ? rails->channel->lane : NULL;
    pthread_mutex_unlock(&domain->lock);
    return lane;
}

static struct wbi_channel *channel_of(const struct wbi_fabric_lane *lane, uint64_t token)
{
    struct wbi_channel *channel = lane->channels;
    while (channel != NULL && (channel->rails == NULL || !channel->accepted ||
                               channel->rails->token != token || channel->doom != WB_OK)) {
        channel = channel->next;
    }
    return channel;
}

int wbi_verbs_rail_asked(struct wbi_fabric_lane *lane, const uint8_t *hello,
                         struct wbi_channel **rail)
{
    struct wbi_channel *channel = channel_of(lane, token_in(hello));
    unsigned place = 0;
    while (channel != NULL && place < WBI_VERBS_MAX_RAILS && channel->rails->at[place] != NULL) {
        place++;
    }
    if (channel == NULL || place == WBI_VERBS_MAX_RAILS) {
        return wbi_error(WB_ERR_REFUSED, "a rail of no connection here, or one too many");
    }
    if (!is_place(hello[PLACE_AT])) {
        return wbi_error(WB_ERR_PROTOCOL, "a rail with a key that no chunk has");
    }
    int status = wbi_verbs_channel_new(lane, NULL, channel, rail);
    if (status == WB_OK) {
        (*rail)->key_place = hello[PLACE_AT];
        channel->rails->at[place] = *rail;
    }
    return status;
}
