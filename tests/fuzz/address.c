/* Any text as TARGET: refused with a reason, or understood and the same again when written. */
#include "cdp/address.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    struct address a, again;
    struct err e = ERR_NONE;
    int rc = address_parse(text, &a, &e);
    if (rc) {
        assert(rc == ERR_USAGE && e.text[0]);
    } else {
        char written[ADDRESS_TEXT_SIZE];
        address_format(&a, written);
        assert(address_parse(written, &again, &e) == 0);
        assert(memcmp(&a, &again, sizeof a) == 0);
        assert(!strpbrk(a.host, " \r\n/") && !strpbrk(a.path, " \r\n"));
    }
    free(text);
    return 0;
}
