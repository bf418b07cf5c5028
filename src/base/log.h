/* Log lines. Lower floors call log_*; they never print: the top decides where lines go. Until
 * log_open is called nothing is written. Thread-safe. */
#ifndef HEAPTAP_BASE_LOG_H
#define HEAPTAP_BASE_LOG_H

#include "base/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* line is one line without newline, already safe for a terminal. Called under the log's lock. */
typedef void (*log_sink)(void *arg, enum log_level level, const char *line);

void log_open(enum log_level most, log_sink sink, void *arg);
void log_close(void);
bool log_enabled(enum log_level level);

void log_line(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#endif
