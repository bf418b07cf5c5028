/* Allocating lines of the record, joined to suspects. */
#include "diagnose/lines.h"

#include "base/array.h"
#include "base/own.h"
#include "diagnose/culprits.h"
#include "heap/allocations.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX     5   /* of a suspect */
#define LINE_SHARE    0.2 /* of the best one's score, for a line to stand beside it */
#define LIBRARY_SHARE 0.5 /* of the suspect's growth, for a line of the runtime itself */
#define CLASS_LEAST   4   /* letters of a class's name that say something within another name */
#define OTHERS_SHARE  0.3 /* of its score: a line that fits another suspect better */
#define OTHERS_GROWTH 2   /* times its growth: another's line that grows more has not made it */

/* Sites of one line, a range of the sorted list. */
struct line {
    struct allocation_frame at;
    const struct evidence_site **sites;
    size_t count;
    double growth, live;
    double weighed; /* growth, that of sites whose growth is not sure by half */
};

struct lines {
    const struct evidence_site **sites; /* sorted by line */
    struct line *list;
    size_t count;
};

/* A sampling profile holds nothing older than itself, so a single reading is all growth. */
double lines_growth(const struct evidence_site *site)
{
    return site->readings > 1 ? site->last - site->first : site->last;
}

/* ---- sites into lines ---- */

static struct allocation_frame frame_of(const struct evidence_site *site)
{
    const struct diagnosis_place *own = site->own;
    if (own)
        return (struct allocation_frame){own->function, own->url, own->line, own->column};
    return (struct allocation_frame){site->function, site->url, site->line, site->column};
}

/* A timeline and a live profile tell the same bytes, so lines are told apart by source, too. */
static int by_line(const void *a, const void *b)
{
    const struct evidence_site *x = *(const struct evidence_site *const *)a;
    const struct evidence_site *y = *(const struct evidence_site *const *)b;
    struct allocation_frame p = frame_of(x), q = frame_of(y);
    int order = strcmp(x->source, y->source);
    return order ? order : allocations_compare_frames(&p, &q);
}

static void sum_line(struct line *line)
{
    for (size_t i = 0; i < line->count; i++) {
        const struct evidence_site *site = line->sites[i];
        double growth = lines_growth(site);
        bool sure = isfinite(site->low) && site->low > 0;
        if (!isfinite(growth))
            continue;
        line->growth += growth;
        line->weighed += growth > 0 && !sure ? growth / 2 : growth;
        line->live += isfinite(site->last) ? site->last : 0;
    }
}

static void lines_free(struct lines *l)
{
    free(l->sites);
    free(l->list);
}

static int make_lines(const struct evidence_target *t, struct lines *ret, struct err *e)
{
    struct lines l = {.sites = calloc(t->site_count + 1, sizeof *l.sites),
        .list = calloc(t->site_count + 1, sizeof *l.list)};
    if (!l.sites || !l.list) {
        lines_free(&l);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < t->site_count; i++)
        l.sites[i] = &t->sites[i];
    qsort(l.sites, t->site_count, sizeof *l.sites, by_line);
    for (size_t i = 0, end; i < t->site_count; i = end) {
        for (end = i + 1; end < t->site_count && by_line(&l.sites[i], &l.sites[end]) == 0;)
            end++;
        struct line line = {.at = frame_of(l.sites[i]), .sites = &l.sites[i], .count = end - i};
        sum_line(&line);
        l.list[l.count++] = line;
    }
    *ret = l;
    return 0;
}

/* ---- how well a line fits a suspect ---- */

/* How near to the user's own code: what a library allocates is asked for elsewhere. */
static double weight_of_url(const char *url)
{
    if (!*url)
        return 0.05;
    return allocations_is_own(url) ? 1 : strstr(url, "/node_modules/") ? 0.4 : 0.1;
}

static bool same_file(const struct diagnosis_place *place, const char *url)
{
    return place && place->url && *place->url && strcmp(place->url, url) == 0;
}

/* "Cart" is in "Cart/<anonymous>" and in "openCart"; of a minified class only its own function. */
static bool names_class(const char *function, const char *class)
{
    size_t length = strlen(class);
    if (length < CLASS_LEAST)
        return strncmp(function, class, length) == 0 && strchr("/.", function[length]) != NULL;
    return strcasestr(function, class) != NULL;
}

/* The line makes objects of the suspect's class: it is of the constructor, or has called it. */
static bool makes_class(const struct diagnosis_suspect *s, const struct line *line)
{
    if (!s->class_name || !*s->class_name)
        return false;
    for (size_t i = 0; i < line->count; i++)
        if (names_class(line->sites[i]->function, s->class_name))
            return true;
    return names_class(line->at.function, s->class_name);
}

/* The function around the suspect's closure, as far as beginnings tell: of those in the closure's
 * file the last one that begins before it. */
static bool makes_closure(
    const struct lines *l, const struct diagnosis_suspect *s, const struct line *line)
{
    const struct diagnosis_place *f = s->function;
    if (!same_file(f, line->at.url) || line->at.line == 0 || line->at.line > f->line)
        return false;
    for (size_t i = 0; i < l->count; i++) {
        const struct line *other = &l->list[i];
        if (other->growth >= LINES_BYTES && other->at.line > line->at.line &&
            other->at.line <= f->line && same_file(f, other->at.url))
            return false;
    }
    return true;
}

static bool makes(const struct lines *l, const struct diagnosis_suspect *s, const struct line *line)
{
    return makes_class(s, line) || makes_closure(l, s, line);
}

static bool is_of(const struct diagnosis_suspect *s, const struct line *line)
{
    return same_file(s->holder.place, line->at.url) || same_file(s->function, line->at.url);
}

/* Lines in the files of others' holders are theirs, and what makes others' objects is rather
 * theirs: 0 to 1. */
static double share_of_others(
    const struct diagnosis *d, size_t self, const struct lines *l, const struct line *line)
{
    const struct diagnosis_suspect *s = &d->suspects[self];
    double share = 1;
    for (size_t i = 0; i < d->suspect_count; i++) {
        if (i == self)
            continue;
        if (!is_of(s, line) && is_of(&d->suspects[i], line))
            return 0;
        if (makes(l, s, line) || !makes(l, &d->suspects[i], line))
            continue;
        if (self > i && line->growth > OTHERS_GROWTH * (double)s->retained_growth)
            return 0;
        share = OTHERS_SHARE;
    }
    return share;
}

static double score(
    const struct diagnosis *d, size_t index, const struct lines *l, const struct line *line)
{
    const struct diagnosis_suspect *s = &d->suspects[index];
    double weight = weight_of_url(line->at.url), value = line->weighed * weight;
    bool runtime = weight <= 0.1;
    if (!(line->growth >= LINES_BYTES) || (!*line->at.url && *line->at.function == '(') ||
        own_is_url(line->at.url))
        return 0;
    if (runtime && line->growth < LIBRARY_SHARE * (double)s->retained_growth)
        return 0; /* what the runtime needs for itself */
    if (is_of(s, line))
        value *= 2;
    if (makes(l, s, line))
        value *= 2;
    return value * share_of_others(d, index, l, line);
}

/* ---- into the diagnosis ---- */

struct scored {
    const struct line *line;
    double score;
};

static int by_score(const void *a, const void *b)
{
    double x = ((const struct scored *)a)->score, y = ((const struct scored *)b)->score;
    return x > y ? -1 : x < y;
}

static bool has_line(const struct diagnosis_suspect *s, const struct line *line)
{
    for (size_t i = 0; i < s->site_count; i++) {
        const struct diagnosis_place *p = &s->sites[i].place;
        if (p->line == line->at.line && strcmp(p->url ? p->url : "", line->at.url) == 0)
            return true;
    }
    return false;
}

static int add_line(struct diagnosis_suspect *s, const struct line *line, struct err *e)
{
    if (has_line(s, line))
        return 0;
    if (!array_more(&s->sites, s->site_count))
        return err_set(e, ERR_NOMEM, "out of memory");
    struct diagnosis_site *added = &s->sites[s->site_count++];
    *added = (struct diagnosis_site){
        .place = {.function = diagnosis_text(line->at.function, strlen(line->at.function)),
            .url = diagnosis_text(line->at.url, strlen(line->at.url)),
            .line = line->at.line,
            .column = line->at.column},
        .live_bytes = (int64_t)line->live};
    return added->place.function && added->place.url ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

/* Most of its bytes were asked for by a component that provides a context. */
static bool is_in_provider(const struct line *line)
{
    double bytes = 0;
    for (size_t i = 0; i < line->count; i++)
        bytes += line->sites[i]->in_provider ? fmax(lines_growth(line->sites[i]), 0) : 0;
    return bytes > line->growth / 2;
}

static int add_lines(
    struct diagnosis *d, size_t index, const struct lines *l, struct scored *scored, struct err *e)
{
    struct diagnosis_suspect *s = &d->suspects[index];
    size_t count = 0;
    int rc = 0;
    for (size_t i = 0; i < l->count; i++) {
        double value = score(d, index, l, &l->list[i]);
        if (value > 0)
            scored[count++] = (struct scored){&l->list[i], value};
    }
    qsort(scored, count, sizeof *scored, by_score);
    for (size_t i = 0; i < count && rc == 0 && s->site_count < LINES_MAX; i++)
        if (scored[i].score >= LINE_SHARE * scored[0].score)
            rc = add_line(s, scored[i].line, e);
    if (rc == 0 && count && is_in_provider(scored[0].line)) {
        rc = culprits_made_by_provider(s, e);
        if (rc == 0 && d->ruled_out)
            rc = culprits_rule_out(d, e);
    }
    return rc;
}

int lines_merge(struct diagnosis *d, const struct evidence_target *t, struct err *e)
{
    bool grows = diagnosis_grows(d->verdict);
    struct lines l = {0};
    struct scored *scored = calloc(t->site_count + 1, sizeof *scored);
    int rc = scored ? make_lines(t, &l, e) : err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < d->suspect_count && grows && rc == 0; i++)
        if (i == 0 || d->suspects[i].holder.place || d->suspects[i].function)
            rc = add_lines(d, i, &l, scored, e);
    lines_free(&l);
    free(scored);
    return rc;
}
