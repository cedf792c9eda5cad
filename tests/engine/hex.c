#include "tests/engine/hex.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads the next pair of *hex into *byte, and says whether it is dots; *hex is NULL at the end. */
static bool read_pair(const char **hex, uint8_t *byte)
{
    const char *at = *hex + strspn(*hex, " ");
    char pair[3] = {at[0], at[0] != '\0' ? at[1] : '\0', '\0'};
    *byte = (uint8_t)strtoul(pair, NULL, 16);
    *hex = pair[0] != '\0' ? at + 2 : NULL;
    return pair[0] == '.';
}

size_t test_hex_read(const char *hex, uint8_t *bytes)
{
    for (size_t len = 0;; len++) {
        uint8_t byte;
        read_pair(&hex, &byte);
        if (hex == NULL) {
            return len;
        }
        ck_assert_uint_lt(len, TEST_HEX_MOST);
        bytes[len] = byte;
    }
}

void test_assert_hex(const uint8_t *bytes, size_t len, const char *wanted)
{
    char shown[3 * TEST_HEX_MOST + 1] = "";
    const char *hex = wanted;
    bool same = true;
    for (size_t i = 0; i < len && i < TEST_HEX_MOST; i++) {
        uint8_t byte = 0;
        bool any = hex != NULL && read_pair(&hex, &byte);
        same = same && hex != NULL && (any || byte == bytes[i]);
        snprintf(shown + 3 * i, 4, "%02x ", bytes[i]);
    }
    bool all = hex != NULL && hex[strspn(hex, " ")] == '\0';
    ck_assert_msg(same && all, "is     %s\nwanted %s", shown, wanted);
}
