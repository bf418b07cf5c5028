/* Time: monotonic microseconds for measuring, wall-clock milliseconds for the record. */
#ifndef HEAPTAP_BASE_CLOCK_H
#define HEAPTAP_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_monotonic_us(void);
int64_t clock_wall_ms(void); /* since 1970, UTC */

#define CLOCK_ISO_SIZE 32
/* "2026-01-31T23:59:59.123Z"; returns out. */
char *clock_iso(char out[CLOCK_ISO_SIZE], int64_t wall_ms);
/* The same without separators, for file names: "20260131T235959.123Z". */
char *clock_compact(char out[CLOCK_ISO_SIZE], int64_t wall_ms);

/* A time of the record, "2026-01-31T23:59:59.123Z", in milliseconds since 1970; 0 if it is of
 * another form. */
int64_t clock_read_iso(const char *iso);

#endif
