#include "engine/shm/packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/shm/segment.h"

enum { HEAD_BYTES = offsetof(struct wbi_shm_packet, hello) };

/* How long a packet of a kind is, and how many descriptors it brings. */
static const struct {
    uint16_t bytes;
    uint16_t fds;
} shapes[] = {
    [WBI_SHM_HELLO] = {HEAD_BYTES + sizeof(struct wbi_shm_hello), 2},
    [WBI_SHM_ACK] = {HEAD_BYTES + sizeof(struct wbi_shm_hello), 2},
    [WBI_SHM_REJECT] = {HEAD_BYTES + sizeof(struct wbi_shm_hello), 0},
    [WBI_SHM_WAKE] = {HEAD_BYTES, 0},
    [WBI_SHM_ANNOUNCE] = {HEAD_BYTES + sizeof(struct wbi_shm_slab), 1},
    [WBI_SHM_GONE] = {HEAD_BYTES + sizeof(struct wbi_shm_slab), 0},
    [WBI_SHM_CONFIRM] = {HEAD_BYTES + sizeof(struct wbi_shm_slab), 0},
    [WBI_SHM_BYE] = {HEAD_BYTES, 0},
};

_Static_assert(sizeof shapes / sizeof *shapes == WBI_SHM_BYE + 1, "every kind has a shape");

/* Room for descriptors, aligned as the kernel wants it. */
union control {
    char bytes[CMSG_SPACE(sizeof(int) * WBI_SHM_MAX_FDS)];
    struct cmsghdr align;
};

struct wbi_shm_packet wbi_shm_packet_of(enum wbi_shm_packet_kind kind)
{
    return (struct wbi_shm_packet){
        .magic = WBI_SHM_MAGIC, .version = WBI_SHM_VERSION, .kind = (uint16_t)kind};
}

static int send_status(int error)
{
    switch (error) {
    case EAGAIN:
        return WB_AGAIN;
    case ENOBUFS:
    case ENOMEM:
    case ETOOMANYREFS: /* too many descriptors of this user are on their way */
        return WB_ERR_NO_MEMORY;
    default:
        return WB_ERR_PEER_LOST;
    }
}

int wbi_shm_packet_send(int socket, const struct wbi_shm_packet *packet, const int *fds,
                        unsigned fd_count)
{
    struct wbi_shm_packet copy = *packet;
    struct iovec bytes = {.iov_base = &copy, .iov_len = shapes[packet->kind].bytes};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    union control control;
    if (fd_count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(rights), fds, sizeof(int) * fd_count);
    }
    ssize_t sent;
    do {
        sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? send_status(errno) : WB_OK;
}

/* recvmsg, once more where the other end was closed with packets of ours unread: that error comes
 * before its packets. */
static ssize_t receive(int socket, struct msghdr *message)
{
    size_t control_bytes = message->msg_controllen;
    ssize_t got = -1;
    for (int attempts = 0; got < 0 && attempts < 4; attempts++) {
        message->msg_controllen = control_bytes;
        got = recvmsg(socket, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (got < 0 && errno != EINTR && errno != ECONNRESET) {
            break;
        }
    }
    return got;
}

static void collect_fds(struct msghdr *message, struct wbi_shm_mail *mail)
{
    mail->fd_count = 0;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(at) + i * sizeof fd, sizeof fd);
            if (mail->fd_count < WBI_SHM_MAX_FDS) {
                mail->fds[mail->fd_count++] = fd;
            } else {
                close(fd);
            }
        }
    }
}

static int check(const struct wbi_shm_mail *mail, size_t bytes, int flags, const char **why)
{
    const struct wbi_shm_packet *packet = &mail->packet;
    if (bytes < HEAD_BYTES || packet->magic != WBI_SHM_MAGIC) {
        *why = "sent a packet that is none of this fabric's";
        return WB_ERR_PROTOCOL;
    }
    if (packet->version != WBI_SHM_VERSION) {
        *why = "speaks another version of this fabric";
        return WB_ERR_VERSION;
    }
    if (packet->kind < WBI_SHM_HELLO || packet->kind > WBI_SHM_BYE ||
        bytes != shapes[packet->kind].bytes || (flags & MSG_TRUNC)) {
        *why = "sent a packet of the wrong length";
        return WB_ERR_PROTOCOL;
    }
    if (mail->fd_count != shapes[packet->kind].fds || (flags & MSG_CTRUNC)) {
        *why = "sent too many or too few descriptors, or this process can have no more of them";
        return WB_ERR_PROTOCOL;
    }
    return WB_OK;
}

int wbi_shm_packet_receive(int socket, struct wbi_shm_mail *mail, const char **why)
{
    union control control;
    memset(mail, 0, sizeof *mail);
    struct iovec bytes = {.iov_base = &mail->packet, .iov_len = sizeof mail->packet};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t got = receive(socket, &message);
    if (got < 0) {
        return errno == EAGAIN || errno == EINTR ? WB_AGAIN : WB_ERR_PEER_LOST;
    }
    collect_fds(&message, mail);
    int status = got == 0 ? WB_ERR_PEER_LOST : check(mail, (size_t)got, message.msg_flags, why);
    if (status != WB_OK) {
        wbi_shm_mail_discard(mail);
    }
    return status;
}

void wbi_shm_mail_discard(struct wbi_shm_mail *mail)
{
    for (unsigned i = 0; i < mail->fd_count; i++) {
        if (mail->fds[i] >= 0) {
            close(mail->fds[i]);
        }
    }
    mail->fd_count = 0;
}

int wbi_shm_mail_take(struct wbi_shm_mail *mail, unsigned index)
{
    if (index >= mail->fd_count) {
        return -1;
    }
    int fd = mail->fds[index];
    mail->fds[index] = -1;
    return fd;
}
