/* A planted defect: items are taken in the order in which they have arrived. */
#include "engine/stream.h"

int __real_wbi_stream_take_item(struct wb_stream *stream, struct wb_context *context,
                                const struct wbi_stream_head *head);
int __wrap_wbi_stream_take_item(struct wb_stream *stream, struct wb_context *context,
                                const struct wbi_stream_head *head);

int __wrap_wbi_stream_take_item(struct wb_stream *stream, struct wb_context *context,
                                const struct wbi_stream_head *head)
{
    struct wbi_stream_head wrong = *head;
    wrong.number = stream->arrived;
    return __real_wbi_stream_take_item(stream, context, &wrong);
}
