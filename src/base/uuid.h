/* Random identities for runs. */
#ifndef HEAPTAP_BASE_UUID_H
#define HEAPTAP_BASE_UUID_H

#include "base/err.h"

#define UUID_TEXT_SIZE 37

/* A random (version 4) UUID from the kernel's random source, in lower case. */
int uuid_new(char out[UUID_TEXT_SIZE], struct err *e) MUST_USE;

#endif
