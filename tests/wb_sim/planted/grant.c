/* A planted defect: a grant counts the items that were taken, and not their bytes. */
#include "engine/stream.h"

int __real_wbi_stream_take_grant(struct wb_stream *stream, const struct wbi_stream_head *head);
int __wrap_wbi_stream_take_grant(struct wb_stream *stream, const struct wbi_stream_head *head);

int __wrap_wbi_stream_take_grant(struct wb_stream *stream, const struct wbi_stream_head *head)
{
    struct wbi_stream_head wrong = *head;
    wrong.bytes = 0;
    return __real_wbi_stream_take_grant(stream, &wrong);
}
