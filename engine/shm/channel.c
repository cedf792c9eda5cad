#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/shm/lane.h"

enum { PACKETS_A_TURN = 256 };

/* ---- beginning ---- */

static int take_index(struct wbi_fabric_lane *lane, uint32_t *index)
{
    for (uint32_t i = 0; i < lane->max_channels; i++) {
        if (!lane->channels[i]) {
            *index = i;
            return WB_OK;
        }
    }
    return WB_AGAIN;
}

int wbi_shm_channel_new(struct wbi_fabric_lane *lane, void *owner, struct wbi_channel **out)
{
    uint32_t index;
    int status = take_index(lane, &index);
    if (status != WB_OK) {
        return status;
    }
    struct wbi_channel *channel = calloc(1, sizeof *channel);
    if (!channel) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for a channel");
    }
    channel->lane = lane;
    channel->owner = owner;
    channel->index = index;
    channel->hot_place = -1;
    channel->socket = channel->process = -1;
    channel->socket_watch.kind = WBI_SHM_SOCKET;
    channel->process_watch.kind = WBI_SHM_PROCESS;
    channel->socket_watch.self = channel->process_watch.self = channel;
    wbi_shm_list_init(&channel->staging);
    status = wbi_shm_segment_create(wbi_shm_ring_bytes(lane->eager_bytes), &channel->mine,
                                    &channel->segment_fd);
    if (status != WB_OK) {
        free(channel);
        return status;
    }
    wbi_shm_leases_init(&channel->leases, &channel->mine);
    channel->out.base = channel->mine.ring;
    channel->out.bytes = channel->mine.ring_bytes;
    channel->in.consumed = &channel->mine.head->consumed.word;
    lane->channels[index] = channel;
    lane->channel_count++;
    if (index >= lane->index_end) {
        lane->index_end = index + 1;
    }
    *out = channel;
    return WB_OK;
}

static int open_lane_page(struct wbi_channel *channel, int fd, const char **why)
{
    size_t bytes = 0;
    *why = wbi_shm_mapping_check(fd, true, &bytes);
    if (!*why && bytes != WBI_SHM_LANE_PAGE) {
        *why = "has a lane page of the wrong size";
    }
    if (*why) {
        return WB_ERR_PROTOCOL;
    }
    int status = wbi_shm_mapping_open(fd, true, false, &channel->page);
    if (status == WB_ERR_PROTOCOL) {
        *why = "has a lane page that is something else";
    }
    return status;
}

static int map_peer(struct wbi_channel *channel, const struct wbi_shm_hello *hello, int segment_fd,
                    int page_fd, const char **why)
{
    if (hello->doorbell >= WBI_SHM_MAX_CHANNELS || hello->eager_bytes < WBI_SHM_GRANULE ||
        hello->eager_bytes > WBI_SHM_MAX_EAGER) {
        *why = "sent a hello with impossible numbers";
        return WB_ERR_PROTOCOL;
    }
    int status = wbi_shm_segment_open(segment_fd, hello->ring_bytes, &channel->theirs, why);
    if (status == WB_OK) {
        status = open_lane_page(channel, page_fd, why);
    }
    return status;
}

/* Watches the peer's process; where it cannot be seen, the socket's end must do. */
static void find_process(struct wbi_channel *channel)
{
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    if (getsockopt(channel->socket, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || peer.pid <= 0) {
        return;
    }
    channel->pid = peer.pid;
    channel->process = wbi_shm_pidfd(peer.pid);
    if (channel->process >= 0 &&
        wbi_shm_watch(channel->lane, channel->process, &channel->process_watch) != WB_OK) {
        close(channel->process);
        channel->process = -1;
    }
}

int wbi_shm_channel_join(struct wbi_channel *channel, struct wbi_shm_mail *mail, const char **why)
{
    const struct wbi_shm_hello *hello = &mail->packet.hello;
    *why = NULL;
    int status = map_peer(channel, hello, mail->fds[0], mail->fds[1], why);
    wbi_shm_mail_discard(mail);
    if (status != WB_OK) {
        return status;
    }
    uint32_t eager = channel->lane->eager_bytes;
    channel->max_send = hello->eager_bytes < eager ? hello->eager_bytes : eager;
    channel->doorbell = hello->doorbell;
    channel->out.consumed = &channel->theirs.head->consumed.word;
    channel->in.base = channel->theirs.ring;
    channel->in.bytes = channel->theirs.ring_bytes;
    find_process(channel);
    wbi_shm_take_probe(channel, hello->probe_address, hello->probe);
    return WB_OK;
}

int wbi_shm_channel_open(struct wbi_channel *channel)
{
    wbi_shm_imports_open(&channel->imports, &channel->lane->domain->worker, channel->lane->event);
    int status = wbi_shm_link_open(&channel->link, channel->lane->domain, channel->socket);
    if (status == WB_OK) {
        channel->state = WBI_SHM_OPEN;
        wbi_shm_warm(channel);
    }
    return status;
}

int wbi_shm_send_hello(struct wbi_channel *channel, enum wbi_shm_packet_kind kind,
                       const void *hello, size_t hello_len)
{
    struct wbi_shm_packet packet = wbi_shm_packet_of(kind);
    packet.hello = (struct wbi_shm_hello){
        .probe_address = (uintptr_t)&channel->mine.head->probe,
        .probe = channel->mine.head->probe,
        .ring_bytes = channel->mine.ring_bytes,
        .eager_bytes = channel->lane->eager_bytes,
        .doorbell = channel->index,
        .hello_len = (uint32_t)hello_len,
    };
    if (hello_len > 0) {
        memcpy(packet.hello.hello, hello, hello_len);
    }
    int fds[2] = {channel->segment_fd, channel->lane->page_fd};
    int status = wbi_shm_packet_send(channel->socket, &packet, fds, 2);
    if (status == WB_OK) {
        close(channel->segment_fd);
        channel->segment_fd = -1;
    }
    return status;
}

/* ---- ending ---- */

void wbi_shm_doom(struct wbi_channel *channel, int status, bool drains, const char *format, ...)
{
    if (channel->doom != WB_OK || channel->state > WBI_SHM_OPEN) {
        return;
    }
    channel->doom = status;
    channel->doom_drains = drains && channel->state == WBI_SHM_OPEN;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(channel->doom_reason, sizeof channel->doom_reason, format, arguments);
    va_end(arguments);
    channel->lane->doomed++;
    /* Their end would be reported again and again. */
    wbi_shm_unwatch(channel->lane, channel->socket);
    wbi_shm_unwatch(channel->lane, channel->process);
}

void wbi_shm_lose(struct wbi_channel *channel)
{
    struct wbi_fabric_lane *lane = channel->lane;
    channel->state = WBI_SHM_LOST;
    lane->doomed--;
    wbi_shm_cool(channel);
    wbi_shm_list_remove(&channel->staging);
    lane->events.on_lost(channel->owner, channel->doom, channel->doom_reason, channel->refusal,
                         channel->refusal_len);
}

static void leave_lane(struct wbi_channel *channel)
{
    struct wbi_fabric_lane *lane = channel->lane;
    wbi_shm_cool(channel);
    wbi_shm_list_remove(&channel->staging);
    if (channel->doom != WB_OK && channel->state <= WBI_SHM_OPEN) {
        lane->doomed--;
    }
    channel->state = WBI_SHM_CLOSED;
    lane->channels[channel->index] = NULL;
    lane->channel_count--;
    while (lane->index_end > 0 && !lane->channels[lane->index_end - 1]) {
        lane->index_end--;
    }
}

static void close_socket(struct wbi_channel *channel)
{
    if (channel->socket >= 0) {
        struct wbi_shm_packet bye = wbi_shm_packet_of(WBI_SHM_BYE);
        wbi_shm_packet_send(channel->socket, &bye, NULL, 0);
        wbi_shm_unwatch(channel->lane, channel->socket);
        /* A child that was forked may hold the socket too; the peer hears of the end all the same.
         */
        shutdown(channel->socket, SHUT_RDWR);
        close(channel->socket);
    }
    if (channel->process >= 0) {
        wbi_shm_unwatch(channel->lane, channel->process);
        close(channel->process);
    }
    if (channel->segment_fd >= 0) {
        close(channel->segment_fd);
    }
}

void wbi_shm_channel_close(struct wbi_channel *channel)
{
    if (!channel || channel->state == WBI_SHM_CLOSED) {
        return;
    }
    wbi_shm_leases_end(&channel->leases);
    leave_lane(channel);
    wbi_shm_reads_end(channel, WB_ERR_PEER_LOST);
    wbi_shm_stage_end(channel, WB_ERR_PEER_LOST);
    wbi_shm_link_close(&channel->link);
    wbi_shm_imports_close(&channel->imports);
    close_socket(channel);
    wbi_shm_mapping_drop(channel->page);
    wbi_shm_segment_close(&channel->theirs);
    wbi_shm_segment_close(&channel->mine);
    channel->process_watch.self = NULL;
    channel->socket_watch.self = NULL;
    wbi_shm_bury(channel->lane, &channel->socket_watch, channel);
}

/* ---- the socket ---- */

void wbi_shm_channel_gone(struct wbi_channel *channel)
{
    if (channel->state == WBI_SHM_CONNECTING) {
        wbi_shm_doom(channel, WB_ERR_REFUSED, false,
                     "shm://%s: the listener went away without an answer", channel->address);
    } else if (channel->process >= 0 && wbi_wait(channel->process, 0) == 1) {
        wbi_shm_doom(channel, WB_ERR_PEER_LOST, true, "process %d has died", (int)channel->pid);
    } else {
        wbi_shm_doom(channel, WB_ERR_PEER_LOST, true,
                     "process %d closed the channel without a word, or has died",
                     (int)channel->pid);
    }
}

static void take_refusal(struct wbi_channel *channel, const struct wbi_shm_hello *hello)
{
    channel->refusal_len = hello->hello_len <= WBI_HELLO_MAX ? hello->hello_len : 0;
    memcpy(channel->refusal, hello->hello, channel->refusal_len);
    wbi_shm_doom(channel, WB_ERR_REFUSED, false, "shm://%s: the listener refused the connection",
                 channel->address);
}

/* A packet on a channel that is not open yet. */
static void take_answer(struct wbi_channel *channel, struct wbi_shm_mail *mail)
{
    switch (mail->packet.kind) {
    case WBI_SHM_ACK:
        wbi_shm_answered(channel, mail);
        break;
    case WBI_SHM_REJECT:
        take_refusal(channel, &mail->packet.hello);
        break;
    default:
        wbi_shm_doom(channel, WB_ERR_PROTOCOL, false, "shm://%s: the listener answered rubbish",
                     channel->address);
    }
}

static void take_slab(struct wbi_channel *channel, struct wbi_shm_mail *mail)
{
    const char *why = NULL;
    int status = wbi_shm_imports_add(&channel->imports, &mail->packet.slab,
                                     wbi_shm_mail_take(mail, 0), &why);
    if (status != WB_OK) {
        wbi_shm_doom(channel, status, false, "the peer %s", why);
    }
}

static void take_packet(struct wbi_channel *channel, struct wbi_shm_mail *mail)
{
    uint32_t id = mail->packet.slab.id;
    switch (mail->packet.kind) {
    case WBI_SHM_WAKE:
        break;
    case WBI_SHM_ANNOUNCE:
        take_slab(channel, mail);
        break;
    case WBI_SHM_GONE:
        if (!wbi_shm_imports_withdraw(&channel->imports, id)) {
            wbi_shm_doom(channel, WB_ERR_PROTOCOL, false, "the peer withdrew a slab it has not");
        }
        break;
    case WBI_SHM_CONFIRM:
        if (!wbi_shm_link_confirmed(&channel->link, id)) {
            wbi_shm_doom(channel, WB_ERR_PROTOCOL, false,
                         "the peer confirmed a slab that was not withdrawn");
        }
        break;
    case WBI_SHM_BYE:
        wbi_shm_doom(channel, WB_ERR_PEER_LOST, true, "the peer closed the channel");
        break;
    default:
        wbi_shm_doom(channel, WB_ERR_PROTOCOL, false, "the peer said hello twice");
    }
}

static void take_failure(struct wbi_channel *channel, int status, const struct wbi_shm_mail *mail,
                         const char *why)
{
    if (status == WB_ERR_PEER_LOST) {
        wbi_shm_channel_gone(channel);
    } else if (status == WB_ERR_VERSION) {
        wbi_shm_doom(channel, status, false,
                     "the peer speaks version %u of the shm fabric, this library version %u",
                     mail->packet.version, (unsigned)WBI_SHM_VERSION);
    } else {
        wbi_shm_doom(channel, status, false, "the peer %s", why);
    }
}

int wbi_shm_channel_drain(struct wbi_channel *channel)
{
    int done = 0;
    while (done < PACKETS_A_TURN && channel->state <= WBI_SHM_OPEN && channel->doom == WB_OK &&
           channel->socket >= 0) {
        struct wbi_shm_mail mail;
        const char *why = "";
        int status = wbi_shm_packet_receive(channel->socket, &mail, &why);
        if (status == WB_AGAIN) {
            break;
        }
        done++;
        if (status != WB_OK) {
            take_failure(channel, status, &mail, why);
        } else if (channel->state == WBI_SHM_CONNECTING) {
            take_answer(channel, &mail);
        } else {
            take_packet(channel, &mail);
        }
        wbi_shm_mail_discard(&mail);
    }
    return done;
}
