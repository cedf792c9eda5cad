#include "serial/hash.h"

#include <stddef.h>

/* http://www.isthe.com/chongo/tech/comp/fnv/, the 64-bit FNV-1a. */
static const uint64_t offset_basis = 0xcbf29ce484222325;
static const uint64_t prime = 0x100000001b3;

static uint64_t add_byte(uint64_t hash, char byte)
{
    return (hash ^ (uint8_t)byte) * prime;
}

static uint64_t add_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++) {
        hash = add_byte(hash, *text);
    }
    return hash;
}

static uint64_t add_fields(uint64_t hash, const struct wb_field *field)
{
    for (; field->kind != NULL; field++) {
        hash = add_byte(add_text(hash, field->kind), '\0');
        hash = add_byte(add_text(hash, field->type), '\0');
        hash = add_byte(add_text(hash, field->name), '\0');
    }
    return hash;
}

/* 0 means "not prepared yet" in struct wb_action. */
static uint64_t not_zero(uint64_t hash)
{
    return hash == 0 ? offset_basis : hash;
}

uint64_t wbi_hash_name(const char *name)
{
    return not_zero(add_text(offset_basis, name));
}

uint64_t wbi_hash_signature(const struct wb_field *in, const struct wb_field *out)
{
    uint64_t hash = add_byte(add_fields(offset_basis, in), '\0');
    return not_zero(add_fields(hash, out));
}
