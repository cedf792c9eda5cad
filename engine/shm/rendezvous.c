/*
 * How two lanes meet: the listener's name lies in the abstract socket namespace, from which the
 * kernel takes it when its process ends, however that happens. Both sides talk to processes of
 * their own user (or root's) only.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/shm/lane.h"

enum { NAME_MAX_LEN = 64, BACKLOG = 128, ACCEPTS_A_TURN = 64, ARRIVALS_A_LOOK = 16 };

struct wbi_request {
    struct wbi_fabric_lane *lane;
    struct wbi_shm_mail *mail;
    int fd; /* -1: answered */
};

/* ---- addresses ---- */

int wbi_shm_check_address(const char *address)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(address);
    if (len < 1 || len > NAME_MAX_LEN || strspn(address, allowed) != len) {
        return wbi_error(WB_ERR_BAD_URL,
                         "shm://%.80s: a name is 1 to %d of the characters A-Z a-z 0-9 . _ -",
                         address, NAME_MAX_LEN);
    }
    return WB_OK;
}

static socklen_t socket_name(const char *address, struct sockaddr_un *name)
{
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    int len = snprintf(name->sun_path + 1, sizeof name->sun_path - 1, "waybill/%u/%s",
                       (unsigned)geteuid(), address);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

static int new_socket(void)
{
    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Whether the other end runs as this user or as root. */
static bool same_user(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

/* ---- listening ---- */

static int bind_listener(int fd, const char *address)
{
    struct sockaddr_un name;
    socklen_t len = socket_name(address, &name);
    if (bind(fd, (const struct sockaddr *)&name, len) != 0) {
        if (errno == EADDRINUSE) {
            return wbi_error(WB_ERR_IN_USE,
                             "shm://%s: another process (or engine) listens there already",
                             address);
        }
        return wbi_error(WB_ERR_SYSTEM, "shm://%s: bind: %s", address, strerror(errno));
    }
    if (listen(fd, BACKLOG) != 0) {
        return wbi_error(WB_ERR_SYSTEM, "shm://%s: listen: %s", address, strerror(errno));
    }
    return WB_OK;
}

int wbi_shm_listen(struct wbi_fabric_lane *lane, const char *address)
{
    int status = wbi_shm_check_address(address);
    if (status != WB_OK) {
        return status;
    }
    struct wbi_shm_listener *listener = calloc(1, sizeof *listener);
    if (!listener) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for a listener");
    }
    listener->lane = lane;
    listener->watch = (struct wbi_shm_watch){.kind = WBI_SHM_LISTENER, .self = listener};
    wbi_shm_list_append(&lane->listeners, &listener->node);
    listener->fd = new_socket();
    if (listener->fd < 0) {
        status = wbi_error(WB_ERR_SYSTEM, "socket: %s", strerror(errno));
    } else {
        status = bind_listener(listener->fd, address);
    }
    if (status == WB_OK) {
        status = wbi_shm_watch(lane, listener->fd, &listener->watch);
    }
    if (status != WB_OK) {
        wbi_shm_listener_close(listener);
    }
    return status;
}

void wbi_shm_listener_close(struct wbi_shm_listener *listener)
{
    wbi_shm_list_remove(&listener->node);
    if (listener->fd >= 0) {
        wbi_shm_unwatch(listener->lane, listener->fd);
        close(listener->fd);
    }
    listener->watch.self = NULL;
    wbi_shm_bury(listener->lane, &listener->watch, listener);
}

static void add_visitor(struct wbi_fabric_lane *lane, int fd, uint64_t now)
{
    struct wbi_shm_visitor *visitor = calloc(1, sizeof *visitor);
    if (!visitor) {
        close(fd);
        return;
    }
    *visitor = (struct wbi_shm_visitor){
        .watch = {.kind = WBI_SHM_VISITOR, .self = visitor}, .lane = lane, .fd = fd, .since = now};
    wbi_shm_list_append(&lane->visitors, &visitor->node);
    lane->visitor_count++;
    if (wbi_shm_watch(lane, fd, &visitor->watch) != WB_OK) {
        wbi_shm_visitor_close(visitor);
    }
    /* A hello follows its connection at once, so it is the oldest that has nothing to say. */
    if (lane->visitor_count > WBI_SHM_MAX_VISITORS) {
        wbi_shm_visitor_close(WBI_SHM_OF(lane->visitors.next, struct wbi_shm_visitor, node));
    }
}

int wbi_shm_listener_event(struct wbi_shm_listener *listener, uint64_t now)
{
    int accepted = 0;
    while (accepted < ACCEPTS_A_TURN) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            break;
        }
        if (same_user(fd)) {
            add_visitor(listener->lane, fd, now);
        } else {
            close(fd);
        }
        accepted++;
    }
    return accepted;
}

void wbi_shm_visitor_close(struct wbi_shm_visitor *visitor)
{
    wbi_shm_list_remove(&visitor->node);
    visitor->lane->visitor_count--;
    if (visitor->fd >= 0) {
        wbi_shm_unwatch(visitor->lane, visitor->fd);
        close(visitor->fd);
    }
    visitor->watch.self = NULL;
    wbi_shm_bury(visitor->lane, &visitor->watch, visitor);
}

static void send_refusal(int fd, const void *hello, size_t hello_len)
{
    struct wbi_shm_packet packet = wbi_shm_packet_of(WBI_SHM_REJECT);
    packet.hello.hello_len = (uint32_t)hello_len;
    if (hello_len > 0) {
        memcpy(packet.hello.hello, hello, hello_len);
    }
    wbi_shm_packet_send(fd, &packet, NULL, 0);
}

/* Asks the engine about a visitor that has sent its hello. Takes the socket. */
static void ask(struct wbi_fabric_lane *lane, int fd, struct wbi_shm_mail *mail)
{
    const struct wbi_shm_hello *hello = &mail->packet.hello;
    struct wbi_request request = {.lane = lane, .mail = mail, .fd = fd};
    lane->events.on_request(lane->owner, &request, hello->hello, hello->hello_len);
    if (request.fd >= 0) {
        wbi_shm_reject(&request, NULL, 0);
    }
}

/* ---- on the way to the lane that it is to live on ---- */

static void drop(struct wbi_fabric_lane *home, int fd, struct wbi_shm_mail *mail)
{
    send_refusal(fd, NULL, 0);
    close(fd);
    wbi_shm_mail_discard(mail);
    home->events.unasked(home->owner);
}

/* Takes socket and mail. Whoever sleeps gets up: that lane may have been armed before. */
static void hand_over(struct wbi_fabric_lane *home, int fd, struct wbi_shm_mail *mail)
{
    struct wbi_shm_arrival *arrival = malloc(sizeof *arrival);
    if (!arrival) {
        drop(home, fd, mail);
        return;
    }
    *arrival = (struct wbi_shm_arrival){.next = atomic_load(&home->arrivals), .fd = fd};
    arrival->mail = *mail;
    while (!atomic_compare_exchange_weak(&home->arrivals, &arrival->next, arrival)) {
    }
    wbi_shm_lane_wake(home);
}

/* The oldest first. */
static struct wbi_shm_arrival *take_all(struct wbi_fabric_lane *lane)
{
    struct wbi_shm_arrival *newest = atomic_exchange(&lane->arrivals, NULL), *oldest = NULL;
    while (newest) {
        struct wbi_shm_arrival *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static struct wbi_shm_arrival *take_one(struct wbi_fabric_lane *lane)
{
    lane->arrived = lane->arrived ? lane->arrived : take_all(lane);
    struct wbi_shm_arrival *oldest = lane->arrived;
    lane->arrived = oldest ? oldest->next : NULL;
    return oldest;
}

bool wbi_shm_has_arrivals(const struct wbi_fabric_lane *lane)
{
    return lane->arrived || atomic_load(&lane->arrivals);
}

int wbi_shm_take_arrivals(struct wbi_fabric_lane *lane)
{
    int done = 0;
    struct wbi_shm_arrival *arrival;
    while (done < ARRIVALS_A_LOOK && (arrival = take_one(lane)) != NULL) {
        ask(lane, arrival->fd, &arrival->mail);
        wbi_shm_mail_discard(&arrival->mail);
        free(arrival);
        done++;
    }
    return done;
}

void wbi_shm_drop_arrivals(struct wbi_fabric_lane *lane)
{
    struct wbi_shm_arrival *arrival;
    while ((arrival = take_one(lane)) != NULL) {
        drop(lane, arrival->fd, &arrival->mail);
        free(arrival);
    }
}

/* A hello has come: finds out where its connection is to live. Takes the socket; the mail is the
 * caller's to discard. */
static void settle(struct wbi_fabric_lane *lane, int fd, struct wbi_shm_mail *mail)
{
    if (mail->packet.kind != WBI_SHM_HELLO || mail->packet.hello.hello_len > WBI_HELLO_MAX) {
        close(fd);
        return;
    }
    struct wbi_fabric_lane *home = lane->events.home(lane->owner);
    if (home == lane) {
        ask(lane, fd, mail);
        return;
    }
    struct wbi_shm_mail moved = *mail;
    *mail = (struct wbi_shm_mail){0}; /* its descriptors have gone */
    hand_over(home, fd, &moved);
}

int wbi_shm_visitor_event(struct wbi_shm_visitor *visitor)
{
    struct wbi_shm_mail mail;
    const char *why;
    int status = wbi_shm_packet_receive(visitor->fd, &mail, &why);
    if (status == WB_AGAIN) {
        return 0;
    }
    if (status == WB_ERR_VERSION) {
        send_refusal(visitor->fd, NULL, 0); /* which names our version */
    }
    struct wbi_fabric_lane *lane = visitor->lane;
    int fd = visitor->fd;
    if (status == WB_OK) {
        wbi_shm_unwatch(lane, fd);
        visitor->fd = -1;
    }
    wbi_shm_visitor_close(visitor);
    if (status == WB_OK) {
        settle(lane, fd, &mail);
        wbi_shm_mail_discard(&mail);
    }
    return 1;
}

/* ---- answering ---- */

int wbi_shm_accept(struct wbi_request *request, const void *hello, size_t hello_len,
                   void *channel_owner, struct wbi_channel **out)
{
    struct wbi_channel *channel;
    if (hello_len > WBI_HELLO_MAX || request->fd < 0) {
        return wbi_error(WB_ERR_INVALID, "a connection is accepted once, with %d bytes at most",
                         WBI_HELLO_MAX);
    }
    int status = wbi_shm_channel_new(request->lane, channel_owner, &channel);
    if (status != WB_OK) {
        return status;
    }
    const char *why = NULL;
    channel->socket = request->fd;
    status = wbi_shm_channel_join(channel, request->mail, &why);
    if (why) {
        status = wbi_error(status, "a peer that connects %s", why);
    }
    if (status == WB_OK) {
        status = wbi_shm_watch(request->lane, channel->socket, &channel->socket_watch);
    }
    if (status == WB_OK) {
        status = wbi_shm_send_hello(channel, WBI_SHM_ACK, hello, hello_len);
    }
    if (status == WB_OK) {
        status = wbi_shm_channel_open(channel);
    }
    if (status != WB_OK) {
        wbi_shm_unwatch(request->lane, channel->socket);
        channel->socket = -1; /* stays with the request */
        wbi_shm_channel_close(channel);
        return status;
    }
    request->fd = -1;
    *out = channel;
    return WB_OK;
}

void wbi_shm_reject(struct wbi_request *request, const void *hello, size_t hello_len)
{
    if (request->fd >= 0) {
        send_refusal(request->fd, hello, hello_len <= WBI_HELLO_MAX ? hello_len : 0);
        close(request->fd);
        request->fd = -1;
    }
}

/* ---- connecting ---- */

/* One attempt to reach the listener and to send the hello. WB_AGAIN: its queue is full. */
static int dial(struct wbi_channel *channel)
{
    struct sockaddr_un name;
    socklen_t len = socket_name(channel->address, &name);
    if (channel->socket < 0) {
        channel->socket = new_socket();
    }
    if (channel->socket < 0) {
        return wbi_error(WB_ERR_SYSTEM, "socket: %s", strerror(errno));
    }
    if (connect(channel->socket, (const struct sockaddr *)&name, len) != 0) {
        switch (errno) {
        case EAGAIN:
        case EINTR:
            return WB_AGAIN;
        case ECONNREFUSED:
            return wbi_error(WB_ERR_REFUSED,
                             "shm://%s: nobody listens there; start the listening side first",
                             channel->address);
        default:
            return wbi_error(WB_ERR_SYSTEM, "shm://%s: connect: %s", channel->address,
                             strerror(errno));
        }
    }
    channel->dialled = true;
    if (!same_user(channel->socket)) {
        return wbi_error(WB_ERR_REFUSED, "shm://%s: the listener is another user's process",
                         channel->address);
    }
    if (wbi_shm_send_hello(channel, WBI_SHM_HELLO, channel->hello, channel->hello_len) != WB_OK) {
        return wbi_error(WB_ERR_REFUSED, "shm://%s: the listener went away", channel->address);
    }
    return wbi_shm_watch(channel->lane, channel->socket, &channel->socket_watch);
}

void wbi_shm_dial(struct wbi_channel *channel)
{
    if (channel->dialled || channel->doom != WB_OK) {
        return;
    }
    int status = dial(channel);
    if (status == WB_ERR_REFUSED) {
        wbi_shm_doom(channel, status, false, "shm://%s: nobody listens there any more",
                     channel->address);
    } else if (status != WB_OK && status != WB_AGAIN) {
        wbi_shm_doom(channel, status, false, "shm://%s cannot be reached", channel->address);
    }
}

int wbi_shm_connect(struct wbi_fabric_lane *lane, const char *address, const void *hello,
                    size_t hello_len, void *channel_owner, struct wbi_channel **out)
{
    int status = wbi_shm_check_address(address);
    if (status != WB_OK) {
        return status;
    }
    if (hello_len > WBI_HELLO_MAX) {
        return wbi_error(WB_ERR_INVALID, "a hello is %d bytes at most", WBI_HELLO_MAX);
    }
    struct wbi_channel *channel;
    status = wbi_shm_channel_new(lane, channel_owner, &channel);
    if (status != WB_OK) {
        return status;
    }
    snprintf(channel->address, sizeof channel->address, "%s", address);
    channel->hello_len = (uint32_t)hello_len;
    if (hello_len > 0) {
        memcpy(channel->hello, hello, hello_len);
    }
    status = dial(channel);
    if (status != WB_OK && status != WB_AGAIN) {
        wbi_shm_channel_close(channel);
        return status;
    }
    lane->hurry = true;
    *out = channel;
    return WB_OK;
}

void wbi_shm_answered(struct wbi_channel *channel, struct wbi_shm_mail *mail)
{
    uint8_t hello[WBI_HELLO_MAX];
    uint32_t hello_len = mail->packet.hello.hello_len;
    const char *why = NULL;
    if (hello_len > WBI_HELLO_MAX) {
        wbi_shm_doom(channel, WB_ERR_PROTOCOL, false, "the listener's hello is too long");
        return;
    }
    memcpy(hello, mail->packet.hello.hello, hello_len);
    int status = wbi_shm_channel_join(channel, mail, &why);
    if (status == WB_OK) {
        status = wbi_shm_channel_open(channel);
    }
    if (status != WB_OK) {
        wbi_shm_doom(channel, status, false, "shm://%s: the listener %s", channel->address,
                     why ? why : "cannot be mapped: out of memory or descriptors");
        return;
    }
    channel->lane->events.on_connected(channel->owner, hello, hello_len);
}
