#include "perf/serializers/contestant.h"

#include <stdlib.h>

#include "perf/common_say.h"

/* In the order of the tables. */
const struct contestant *const contestants[] = {
    waybill_rows,    flatbuffers_rows, capnproto_rows, protobuf_rows,
    protobuf_c_rows, thrift_rows,      cereal_rows,    boost_rows,
    msgpack_rows,    avro_rows,        NULL,
};

void contestant_fail(const char *library, const char *what)
{
    exit(say(EXIT_FAILURE, "%s: %s", library, what));
}
