/*
 * What travels over a channel's unix socket: the handshake, the descriptors of slabs, and wake-ups.
 * One packet a message (SOCK_SEQPACKET), all nonblocking. Both ends run on one machine, so a packet
 * is a struct of fixed-width members; magic, version and kind stay where they are in every version.
 */
#ifndef WBI_SHM_PACKET_H
#define WBI_SHM_PACKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/fabric.h"

enum {
    WBI_SHM_MAGIC = 0x53484257, /* "WBHS" */
    WBI_SHM_MAX_FDS = 4
};

enum wbi_shm_packet_kind {
    WBI_SHM_HELLO = 1, /* connector: hello; segment and lane page follow as descriptors */
    WBI_SHM_ACK,       /* acceptor's answer, likewise */
    WBI_SHM_REJECT,    /* acceptor's answer: hello_len and hello only */
    WBI_SHM_WAKE,      /* a doorbell has rung */
    WBI_SHM_ANNOUNCE,  /* slab; its descriptor follows */
    WBI_SHM_GONE,      /* slab.id is to be unmapped */
    WBI_SHM_CONFIRM,   /* slab.id is unmapped */
    WBI_SHM_BYE        /* the channel is closed on purpose */
};

struct wbi_shm_hello {
    uint64_t probe_address; /* of `probe` in the sender's process */
    uint64_t probe;
    uint32_t ring_bytes;
    uint32_t eager_bytes; /* the largest message that the sender receives */
    uint32_t doorbell;    /* which one of the sender's lane page is for this channel */
    uint32_t hello_len;
    uint8_t hello[WBI_HELLO_MAX];
};

struct wbi_shm_slab {
    uint32_t id;
    uint32_t unused;
    uint64_t bytes;
};

struct wbi_shm_packet {
    uint32_t magic;
    uint16_t version;
    uint16_t kind;
    union {
        struct wbi_shm_hello hello;
        struct wbi_shm_slab slab;
    };
};

_Static_assert(sizeof(struct wbi_shm_packet) == 8 + 32 + WBI_HELLO_MAX, "the packet has no holes");

/* A packet as received, with descriptors that the receiver owns. */
struct wbi_shm_mail {
    struct wbi_shm_packet packet;
    unsigned fd_count;
    int fds[WBI_SHM_MAX_FDS];
};

/* Sends one packet; what its kind does not use is left out. Any thread. WB_AGAIN: the socket is
 * full. WB_ERR_NO_MEMORY: the system has no room for it now. WB_ERR_PEER_LOST: nobody will receive
 * it. */
int wbi_shm_packet_send(int socket, const struct wbi_shm_packet *packet, const int *fds,
                        unsigned fd_count);

/* The packet with magic, version and kind filled in. */
struct wbi_shm_packet wbi_shm_packet_of(enum wbi_shm_packet_kind kind);

/* Receives one packet and its descriptors (mail_discard ends them). WB_AGAIN: none there.
 * WB_ERR_PEER_LOST: the other end is closed. WB_ERR_VERSION, WB_ERR_PROTOCOL with *why (static):
 * rubbish. Outputs but *why are set with WB_OK, and mail->packet.version with WB_ERR_VERSION. */
int wbi_shm_packet_receive(int socket, struct wbi_shm_mail *mail, const char **why);

/* Closes the descriptors that are still in the mail. */
void wbi_shm_mail_discard(struct wbi_shm_mail *mail);

/* Takes descriptor `index` out of the mail; -1 if it has come without. */
int wbi_shm_mail_take(struct wbi_shm_mail *mail, unsigned index);

#endif
