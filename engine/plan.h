/*
 * The planner: decides, from sizes alone, what of a parcel travels on board of its eager message
 * and what is itself offered for READ, and where everything stands in the message. A pure function.
 */
#ifndef WBI_ENGINE_PLAN_H
#define WBI_ENGINE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <waybill/serial.h>

#include "engine/wire.h"

struct wbi_plan_input {
    uint8_t kind;          /* WBI_REQUEST or WBI_REPLY */
    uint32_t index_chunks; /* records without a key */
    uint32_t offered;      /* records with a key of key_bytes */
    uint32_t key_bytes;
    uint32_t releases; /* ids that would like to ride along */
    size_t archive_bytes;
    size_t eager_bytes; /* the largest message */
};

/* Where things stand, as offsets in the message; bytes is its length. What is not on board has no
 * place (0). */
struct wbi_plan {
    bool leased, long_archive, long_list;
    uint32_t chunk_count, releases;
    uint32_t key_bytes;  /* of an offered chunk's key */
    size_t record_bytes; /* and record */
    size_t list_bytes, archive_bytes;
    size_t lease_at, releases_at, archive_record_at, list_record_at, list_at, archive_at;
    size_t bytes;
};

/* WB_OK, or WB_ERR_INVALID: the archive is longer than memory can be, or the message cannot be made
 * that small (cannot happen from WBI_EAGER_MIN on). */
int wbi_plan(const struct wbi_plan_input *input, struct wbi_plan *plan);

/* The plan of a parcel without chunks whose archive is on board, as most are: the same as wbi_plan
 * makes, but for record_bytes, which then nobody needs. False, and *plan untouched, where the
 * message would be longer than eager_bytes. */
static inline bool wbi_plan_small(uint8_t kind, size_t archive_bytes, uint32_t releases,
                                  size_t eager_bytes, struct wbi_plan *plan)
{
    size_t ids_at = wbi_header_bytes(kind);
    size_t archive_at = ids_at + (size_t)releases * WBI_ID_BYTES;
    if (archive_at > eager_bytes || archive_bytes > eager_bytes - archive_at) {
        return false;
    }
    *plan = (struct wbi_plan){.releases = releases,
                              .archive_bytes = archive_bytes,
                              .lease_at = ids_at,
                              .releases_at = ids_at,
                              .archive_record_at = archive_at,
                              .list_record_at = archive_at,
                              .list_at = archive_at,
                              .archive_at = archive_at,
                              .bytes = archive_at + archive_bytes};
    return true;
}

/* What both sides and their fabric allow. */
struct wbi_plan_limits {
    const char *whom;    /* they hold for, in words: a URL */
    uint8_t kind;        /* WBI_REQUEST or WBI_REPLY */
    uint32_t key_bytes;  /* of the fabric's keys */
    uint32_t max_offers; /* at once */
    size_t eager_bytes;
};

/* Plans a parcel as it was sized. WB_ERR_INVALID, with words: also where it has more chunks than a
 * parcel may have. *plan is set on success only. */
int wbi_plan_parcel(const struct wb_sizer *sizer, const struct wbi_plan_limits *limits,
                    uint32_t releases, struct wbi_plan *plan);

#endif
