/* What a call of this library can answer: one enum for all rooms, and the sentence for each. */
#ifndef WAYBILL_STATUS_H
#define WAYBILL_STATUS_H

#if defined(__GNUC__)
#define WB_API __attribute__((visibility("default")))
#else
#define WB_API
#endif

/*
 * Functions that return `int` return WB_OK or one of the negative values below.
 * The values travel on the wire in replies, so they never change and are never reused.
 */
enum wb_status {
    WB_OK = 0,
    WB_AGAIN = -1,         /* no room now; the same request will be taken after more progress */
    WB_ERR_INVALID = -2,   /* an argument is out of its documented range */
    WB_ERR_NO_MEMORY = -3, /* the system refused memory or a descriptor */
    WB_ERR_BUDGET = -4,    /* more registered bytes than the allocator's budget can ever give */
    WB_ERR_SHARED = -5,    /* the vector is shared; only its sole owner may change its size */
    WB_ERR_BAD_URL = -6,   /* not scheme://address, or an address the fabric cannot read */
    WB_ERR_NO_FABRIC = -7, /* no fabric of that scheme here, or it cannot be used on this machine */
    WB_ERR_IN_USE = -8,    /* the address is taken by a living listener */
    WB_ERR_REFUSED = -9,   /* nobody listens there, or the listener said no */
    WB_ERR_VERSION = -10,  /* the peer speaks no wire version that we speak */
    WB_ERR_PROTOCOL = -11, /* the peer sent something that the wire format forbids */
    WB_ERR_UNKNOWN_ACTION = -12, /* the peer has registered no action of that name */
    WB_ERR_SIGNATURE = -13,      /* both have the action, with different argument or result lists */
    WB_ERR_REMOTE = -14,         /* the handler ended the call with an error of its own */
    WB_ERR_TIMED_OUT = -15,      /* the deadline passed first */
    WB_ERR_CANCELLED = -16,      /* the caller gave the call up */
    WB_ERR_PEER_LOST = -17,      /* the channel is gone and the call may have been executed */
    WB_ERR_NOT_SENT = -18,       /* the channel is gone, or the server is being drained, and the
                                    call was certainly not executed */
    WB_ERR_REPLY_TOO_LARGE =
        -19,                /* the result is larger than the room the caller reserved for it */
    WB_ERR_MALFORMED = -20, /* the archive's bytes do not decode as the signature says */
    WB_ERR_DEADLOCK = -21,  /* waiting here would stop the progress that is waited for */
    WB_ERR_CLOSED = -22,    /* the engine or the peer was closed, or is drained, by its owner */
    WB_ERR_REVOKED = -23,   /* the chunk's owner withdrew it while it was being read */
    WB_ERR_SYSTEM = -24,    /* a system call failed; wb_last_error() has its words */
    WB_ERR_EXISTS = -25,    /* something of that name is registered already */
    WB_ERR_BUSY = -26,      /* the receiver's pool is full, and it refuses rather than let the call
                               wait: it was not executed, and can be made again later */
    WB_END = -27            /* no error: the other side of the stream has finished, and all that it
                               sent was taken */
};

/* Returns the sentence for a status; never NULL; static storage; any thread. */
WB_API const char *wb_status_text(int status);

/* Returns the short name of a status ("WB_ERR_REFUSED"); never NULL; static storage; any thread. */
WB_API const char *wb_status_name(int status);

#endif
