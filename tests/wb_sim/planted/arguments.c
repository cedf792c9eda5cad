/* A planted defect: the arguments of a deferred call are used for something else as soon as its
 * caller waits no more, though its handler still has them. */
#include <string.h>

#include "engine/defer.h"

void __real_wbi_deferred_give_up(struct wbi_inbound *in, bool lost);
void __wrap_wbi_deferred_give_up(struct wbi_inbound *in, bool lost);

void __wrap_wbi_deferred_give_up(struct wbi_inbound *in, bool lost)
{
    __real_wbi_deferred_give_up(in, lost);
    if (in->slot != NULL) {
        memset(in->slot, 0xa5, in->len);
    }
}
