/* The answer's memory. */
#include "diagnose/diagnosis.h"

#include "base/array.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const verdict_names[] = {"inconclusive", "no-leak", "growth", "leak"};
static const char *const memory_names[] = {"none", "js-heap", "external", "rss-only"};
static const char *const support_names[] = {"nothing", "size", "growth", "retention"};

bool diagnosis_grows(enum diagnosis_verdict verdict)
{
    return verdict == DIAGNOSIS_GROWTH || verdict == DIAGNOSIS_LEAK;
}

const char *diagnosis_verdict_name(enum diagnosis_verdict verdict)
{
    return verdict_names[verdict];
}

const char *diagnosis_memory_name(enum diagnosis_memory memory)
{
    return memory_names[memory];
}

const char *diagnosis_support_name(enum diagnosis_support supports)
{
    return support_names[supports];
}

struct diagnosis *diagnosis_new(void)
{
    struct diagnosis *d = calloc(1, sizeof *d);
    if (d)
        d->bytes_per_hour = d->low = d->high = d->seconds_to_limit = NAN;
    return d;
}

/* A copy as valid UTF-8 without NUL. */
char *diagnosis_text(const char *text, size_t length)
{
    struct buf b = buf_new(4 * length + 1);
    char *copy = text_add_storable(&b, text, length) == 0 ? buf_take(&b) : NULL;
    buf_free(&b);
    return copy;
}

int diagnosis_note(struct diagnosis *d, struct err *e, const char *format, ...)
{
    char text[DIAGNOSIS_NOTE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (d->note_count == DIAGNOSIS_NOTES_MAX)
        return 0;
    for (size_t i = 0; i < d->note_count; i++)
        if (strcmp(d->notes[i], text) == 0)
            return 0;
    char *note = array_more(&d->notes, d->note_count) ? diagnosis_text(text, strlen(text)) : NULL;
    if (!note)
        return err_set(e, ERR_NOMEM, "out of memory");
    d->notes[d->note_count++] = note;
    return 0;
}

/* ---- freeing ---- */

static void clear_place(struct diagnosis_place *p)
{
    free(p->function);
    free(p->url);
}

void diagnosis_place_free(struct diagnosis_place *p)
{
    if (p)
        clear_place(p);
    free(p);
}

void diagnosis_suspect_clear(struct diagnosis_suspect *s)
{
    free(s->class_name);
    diagnosis_place_free(s->function);
    free(s->holder.class_name);
    free(s->holder.name);
    free(s->holder.text);
    diagnosis_place_free(s->holder.place);
    for (size_t i = 0; i < s->holder.path_count; i++) {
        free(s->holder.path[i].edge);
        free(s->holder.path[i].class_name);
    }
    free(s->holder.path);
    for (size_t i = 0; i < s->holder.also_count; i++) {
        free(s->holder.also[i].class_name);
        free(s->holder.also[i].name);
        free(s->holder.also[i].text);
        diagnosis_place_free(s->holder.also[i].place);
    }
    free(s->holder.also);
    for (size_t i = 0; i < s->route_count; i++) {
        free(s->routes[i].method);
        free(s->routes[i].route);
    }
    free(s->routes);
    for (size_t i = 0; i < s->site_count; i++)
        clear_place(&s->sites[i].place);
    free(s->sites);
    free(s->advice);
    *s = (struct diagnosis_suspect){0};
}

void diagnosis_free(struct diagnosis *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->suspect_count; i++)
        diagnosis_suspect_clear(&d->suspects[i]);
    for (size_t i = 0; i < d->note_count; i++)
        free(d->notes[i]);
    for (size_t i = 0; i < d->file_count; i++)
        free(d->files[i].path);
    free(d->suspects);
    free(d->ruled_out);
    free(d->notes);
    free(d->files);
    free(d->series);
    free(d);
}
