/* A planted defect: the end of a call does not wait for the READs into its caller's vector. */
#include "engine/into.h"

void __wrap_wbi_into_quit(struct wb_call *call, struct wbi_inbound *inbound);

void __wrap_wbi_into_quit(struct wb_call *call, struct wbi_inbound *inbound)
{
    (void)call;
    (void)inbound;
}
