/* Log lines: levels, one sink, one lock. */
#include "base/log.h"
#include "base/text.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 4096
#define VISIBLE_MAX    (4 * LINE_MAX_BYTES) /* every byte may become \xNN */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum log_level most_level = LOG_INFO;
static log_sink sink_function;
static void *sink_arg;

void log_open(enum log_level most, log_sink sink, void *arg)
{
    pthread_mutex_lock(&lock);
    most_level = most;
    sink_function = sink;
    sink_arg = arg;
    pthread_mutex_unlock(&lock);
}

void log_close(void)
{
    log_open(LOG_ERROR, NULL, NULL);
}

bool log_enabled(enum log_level level)
{
    pthread_mutex_lock(&lock);
    bool enabled = sink_function && level <= most_level;
    pthread_mutex_unlock(&lock);
    return enabled;
}

void log_line(enum log_level level, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    struct buf visible = buf_new(VISIBLE_MAX);
    if (text_add_visible(&visible, line, strlen(line)) == 0) {
        pthread_mutex_lock(&lock);
        if (sink_function && level <= most_level)
            sink_function(sink_arg, level, visible.data ? visible.data : "");
        pthread_mutex_unlock(&lock);
    }
    buf_free(&visible);
}
