#include "serial/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

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

static uint64_t add_number(uint64_t hash, uint64_t number)
{
    for (unsigned i = 0; i < sizeof number; i++) {
        hash = add_byte(hash, (char)(number >> (8 * i)));
    }
    return hash;
}

static uint64_t add_fields(uint64_t hash, const struct wb_field *field);

/* What is inside a type: nothing of built-in ones, whose name says it. */
static uint64_t add_type(uint64_t hash, const struct wb_type *type)
{
    hash = add_byte(hash, (char)type->kind);
    hash = type->kind == WB_TYPE_BITWISE ? add_number(hash, type->bytes) : hash;
    if (type->elem != NULL) {
        hash = add_byte(add_text(hash, type->elem->name), '\0');
        hash = add_type(hash, type->elem);
    }
    return type->fields != NULL ? add_fields(hash, type->fields) : hash;
}

static bool is_declared(const struct wb_field *field)
{
    return field->of != NULL && field->of->kind >= WB_TYPE_STRUCT;
}

/* Added fields are no part of a signature: they may be missing at the peer. */
static uint64_t add_fields(uint64_t hash, const struct wb_field *field)
{
    for (; field->kind != NULL && strcmp(field->kind, "ADDED") != 0; field++) {
        hash = add_byte(add_text(hash, field->kind), '\0');
        hash = add_byte(add_text(hash, field->type), '\0');
        hash = add_byte(add_text(hash, field->name), '\0');
        if (strcmp(field->kind, "FIXED") == 0 || strcmp(field->kind, "ENUM") == 0) {
            hash = add_number(hash, (uint64_t)field->count);
        }
        hash = is_declared(field) ? add_type(hash, field->of) : hash;
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
