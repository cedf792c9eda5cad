#include "tests/support/scale.h"

#include <stdlib.h>

/* scripts/vm says so */
enum { EMULATION = 8 };

unsigned test_slower(void)
{
    return TEST_SLOWER * (getenv("WB_VM") != NULL ? EMULATION : 1);
}
