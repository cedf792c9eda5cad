/* Statuses in words, and the last error of a thread. */
#include <stdarg.h>
#include <stdio.h>
#include <waybill/version.h>

#include "engine/fabric.h"

static _Thread_local char last_error[512];

struct words {
    const char *name, *text;
};

static const struct words words[] = {
    [-WB_OK] = {"WB_OK", "done"},
    [-WB_AGAIN] = {"WB_AGAIN", "no room now; make progress and try again"},
    [-WB_ERR_INVALID] = {"WB_ERR_INVALID", "an argument is out of its range"},
    [-WB_ERR_NO_MEMORY] = {"WB_ERR_NO_MEMORY", "the system refused memory or a descriptor"},
    [-WB_ERR_BUDGET] = {"WB_ERR_BUDGET", "more registered memory than the budget can ever give"},
    [-WB_ERR_SHARED] = {"WB_ERR_SHARED",
                        "the vector is shared; only its sole owner may change its size"},
    [-WB_ERR_BAD_URL] = {"WB_ERR_BAD_URL", "not an address that a fabric can read"},
    [-WB_ERR_NO_FABRIC] = {"WB_ERR_NO_FABRIC", "no such fabric can be used on this machine"},
    [-WB_ERR_IN_USE] = {"WB_ERR_IN_USE", "the address is taken by a living listener"},
    [-WB_ERR_REFUSED] = {"WB_ERR_REFUSED", "nobody listens there, or the listener refused"},
    [-WB_ERR_VERSION] = {"WB_ERR_VERSION", "the peer speaks no wire version that we speak"},
    [-WB_ERR_PROTOCOL] = {"WB_ERR_PROTOCOL", "the peer sent what the wire format forbids"},
    [-WB_ERR_UNKNOWN_ACTION] = {"WB_ERR_UNKNOWN_ACTION", "the peer has no action of that name"},
    [-WB_ERR_SIGNATURE] = {"WB_ERR_SIGNATURE",
                           "the peer's action of that name has other arguments or results"},
    [-WB_ERR_REMOTE] = {"WB_ERR_REMOTE", "the handler ended the call with an error of its own"},
    [-WB_ERR_TIMED_OUT] = {"WB_ERR_TIMED_OUT", "the deadline passed first"},
    [-WB_ERR_CANCELLED] = {"WB_ERR_CANCELLED", "the call was cancelled"},
    [-WB_ERR_PEER_LOST] = {"WB_ERR_PEER_LOST", "the peer is gone; the call may have been executed"},
    [-WB_ERR_NOT_SENT] = {"WB_ERR_NOT_SENT",
                          "the peer is gone, or being drained; the call was not executed"},
    [-WB_ERR_REPLY_TOO_LARGE] = {"WB_ERR_REPLY_TOO_LARGE",
                                 "the result is larger than the room reserved for it"},
    [-WB_ERR_MALFORMED] = {"WB_ERR_MALFORMED", "the archive does not decode as its signature says"},
    [-WB_ERR_DEADLOCK] = {"WB_ERR_DEADLOCK",
                          "waiting here would stop the progress that is waited for"},
    [-WB_ERR_CLOSED] = {"WB_ERR_CLOSED", "the engine or the peer was closed by its owner"},
    [-WB_ERR_REVOKED] = {"WB_ERR_REVOKED", "the chunk's owner withdrew it"},
    [-WB_ERR_SYSTEM] = {"WB_ERR_SYSTEM", "a system call failed"},
    [-WB_ERR_BUSY] = {"WB_ERR_BUSY", "the peer's pool is full; the call was not executed"},
    [-WB_END] = {"WB_END", "the other side has finished, and all was taken"},
    [-WB_ERR_EXISTS] = {"WB_ERR_EXISTS", "something of that name is there already"},
};

static const struct words *words_of(int status)
{
    static const struct words unknown = {"WB_ERR_UNKNOWN",
                                         "a status that this version does not know"};
    int count = (int)(sizeof words / sizeof words[0]);
    return status <= 0 && status > -count ? &words[-status] : &unknown;
}

const char *wb_status_text(int status)
{
    return words_of(status)->text;
}
const char *wb_status_name(int status)
{
    return words_of(status)->name;
}
const char *wb_last_error(void)
{
    return last_error;
}

int wbi_error(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    return status;
}

#define WBI_TEXT(x) #x
#define WBI_DOTTED(a, b, c) WBI_TEXT(a) "." WBI_TEXT(b) "." WBI_TEXT(c)

const char *wb_version(void)
{
    return WBI_DOTTED(WB_VERSION_MAJOR, WB_VERSION_MINOR, WB_VERSION_PATCH);
}
