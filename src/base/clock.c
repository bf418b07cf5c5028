/* Time: monotonic microseconds for measuring, wall-clock milliseconds for the record. */
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int64_t clock_monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static char *format_utc(char out[CLOCK_ISO_SIZE], int64_t wall_ms, const char *format)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    char date[CLOCK_ISO_SIZE - 8];
    if (strftime(date, sizeof date, format, &utc) == 0)
        date[0] = '\0';
    snprintf(out, CLOCK_ISO_SIZE, "%s.%03dZ", date, (int)(wall_ms % 1000));
    return out;
}

char *clock_iso(char out[CLOCK_ISO_SIZE], int64_t wall_ms)
{
    return format_utc(out, wall_ms, "%Y-%m-%dT%H:%M:%S");
}

char *clock_compact(char out[CLOCK_ISO_SIZE], int64_t wall_ms)
{
    return format_utc(out, wall_ms, "%Y%m%dT%H%M%S");
}

int64_t clock_read_iso(const char *iso)
{
    struct tm tm = {0};
    const char *end = strptime(iso, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!end)
        return 0;
    return (int64_t)timegm(&tm) * 1000 + (*end == '.' ? strtoll(end + 1, NULL, 10) : 0);
}
