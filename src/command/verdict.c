/* A diagnosis in words. */
#include "command/verdict.h"

#include "base/text.h"
#include "show/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH_PLAIN    100 /* columns where there is no terminal */
#define WIDTH_MIN      40
#define TEXT_MAX       (1u << 20)
#define LABEL_WIDTH    12
#define OTHERS_SHOWN   5 /* suspects behind the first */
#define SITES_SHOWN    3
#define ROUTES_SHOWN   5
#define PATH_SHOWN     12  /* steps; of longer paths the beginning and the end */
#define TOGETHER_NAMED 3   /* routes that come together, in a headline */
#define SURE           0.5 /* share of the growth from which on a suspect is "the" leak */

static struct words new_words(void)
{
    return (struct words){.b = buf_new(TEXT_MAX)};
}

/* ---- small phrases ---- */

static void add_size(struct words *w, double bytes)
{
    char text[TEXT_SHORT];
    words_add(w, "%s", text_size(text, bytes));
}

static void add_signed_count(struct words *w, int64_t count)
{
    char text[TEXT_SHORT];
    words_add(w, "%s%s", count < 0 ? "" : "+", text_count(text, count));
}

static void add_span(struct words *w, double seconds)
{
    char text[TEXT_SHORT];
    words_add(w, "%s", text_duration(text, (int64_t)(seconds * 1e6)));
}

static void add_place(struct words *w, const struct diagnosis_place *p)
{
    const char *slash = p->url ? strrchr(p->url, '/') : NULL;
    const char *file = slash && slash[1] ? slash + 1 : p->url ? p->url : "";
    if (!*file)
        return;
    words_add(w, "%s", file);
    if (p->line)
        words_add(w, ":%u", p->line);
}

/* "createSession (server.js:40)" */
static void add_function(struct words *w, const struct diagnosis_place *p)
{
    bool named = p->function && *p->function;
    if (named)
        words_add(w, "%s", p->function);
    if (p->url && *p->url) {
        words_add(w, named ? " (" : "");
        add_place(w, p);
        words_add(w, named ? ")" : "");
    }
}

/* Whose growth it is: the class, or what stands for it. */
static void add_subject(
    struct words *w, const struct diagnosis *d, const struct diagnosis_suspect *s)
{
    if (s->class_name)
        words_add(w, "%s", s->class_name);
    else if (d->memory == MEMORY_RSS_ONLY)
        words_add(w, "native memory, outside the JS heap and its buffers");
    else
        words_add(w, "objects of a class that no snapshot has shown");
    if (s->function && ((s->function->function && *s->function->function) ||
                           (s->function->url && *s->function->url))) {
        words_add(w, " ");
        add_function(w, s->function);
    }
}

static void add_holder(struct words *w, const struct diagnosis_suspect *s)
{
    if (s->holder.text) {
        words_add(w, "%s", s->holder.text);
    } else {
        words_add(w, "%s", s->holder.class_name ? s->holder.class_name : "");
        if (s->holder.name)
            words_add(w, " `%s`", s->holder.name);
    }
    if (s->holder.place && s->holder.place->url && *s->holder.place->url) {
        struct words place = new_words();
        add_place(&place, s->holder.place);
        if (place.rc == 0 && place.b.data &&
            !(s->holder.text && strstr(s->holder.text, place.b.data)))
            words_add(w, " (%s)", place.b.data);
        buf_free(&place.b);
    }
}

static void add_coholder(struct words *w, const struct diagnosis_coholder *other)
{
    words_add(w, "%s", other->text);
    if (other->place && other->place->url && *other->place->url && other->place->line) {
        words_add(w, " (");
        add_place(w, other->place);
        words_add(w, ")");
    }
    words_add(w, " @%u", other->id);
}

static bool has_holder(const struct diagnosis_suspect *s)
{
    return s->holder.text || s->holder.class_name;
}

static void add_route(struct words *w, const struct diagnosis_route *r)
{
    words_add(w, "%s%s%s keeps ", r->method ? r->method : "", r->method && *r->method ? " " : "",
        r->route ? r->route : "");
    add_size(w, r->bytes);
    words_add(w, " a request");
}

/* How many of the first routes have one figure, a mean over them, because they came in one
 * proportion. */
static size_t count_together(const struct diagnosis_suspect *s)
{
    size_t count = s->route_count > 0;
    while (count < s->route_count && s->routes[0].bytes == s->routes[count].bytes &&
           s->routes[0].low == s->routes[count].low && s->routes[0].high == s->routes[count].high)
        count++;
    return count;
}

/* "GET /a, GET /b or both"; of many any may be innocent, so none is named. */
static void add_together(struct words *w, const struct diagnosis_suspect *s, size_t count)
{
    add_size(w, s->routes[0].bytes);
    words_add(w, " kept a request by ");
    if (count > TOGETHER_NAMED) {
        words_add(w, "one or more of %zu routes that come together", count);
        return;
    }
    words_add(w, count > 2 ? "one or more of " : "");
    for (size_t i = 0; i < count; i++)
        words_add(w, "%s%s %s",
            i == 0                        ? ""
            : count > 2 && i + 1 == count ? " and "
                                          : ", ",
            s->routes[i].method, s->routes[i].route);
    words_add(w, count == 2 ? " or both" : "");
}

/* ---- the headline ---- */

static void add_suspect_headline(
    struct words *w, const struct diagnosis *d, const struct diagnosis_suspect *s)
{
    add_subject(w, d, s);
    if (s->class_name && s->last != s->first) {
        words_add(w, ", ");
        add_signed_count(w, s->last - s->first);
    } else if (s->retained_growth > 0) {
        words_add(w, ", +");
        add_size(w, (double)s->retained_growth);
    }
    if (d->span_seconds > 0) {
        words_add(w, " in ");
        add_span(w, d->span_seconds);
    }
    if (has_holder(s)) {
        words_add(w, ", held by ");
        add_holder(w, s);
    }
    size_t together = count_together(s);
    if (together > 1) {
        words_add(w, ", ");
        add_together(w, s, together);
    } else if (s->route_count) {
        words_add(w, ", ");
        add_route(w, &s->routes[0]);
    }
    if (s->site_count) {
        words_add(w, ", allocated at ");
        add_function(w, &s->sites[0].place);
    }
}

static const char *memory_words(enum diagnosis_memory memory)
{
    static const char *const words[] = {"memory", "the JS heap",
        "memory outside the JS heap that JavaScript objects own (buffers)",
        "resident memory outside the JS heap and its buffers"};
    return words[memory];
}

static void add_pace(struct words *w, const struct diagnosis *d)
{
    if (isnan(d->bytes_per_hour))
        return;
    if (d->verdict == DIAGNOSIS_NO_LEAK && !(d->low > 0)) {
        words_add(w, "does not grow");
        return;
    }
    words_add(w, "%s by ", d->bytes_per_hour < 0 ? "shrinks" : "grows");
    add_size(w, fabs(d->bytes_per_hour));
    words_add(w, " an hour");
}

static void add_memory_headline(struct words *w, const struct diagnosis *d)
{
    words_add(w, "%s ", memory_words(d->memory));
    if (isnan(d->bytes_per_hour))
        words_add(w, "grows");
    else
        add_pace(w, d);
}

char *verdict_headline(const struct diagnosis *d)
{
    struct words w = new_words();
    const struct diagnosis_suspect *s = d->suspect_count ? &d->suspects[0] : NULL;
    switch (d->verdict) {
    case DIAGNOSIS_LEAK:
    case DIAGNOSIS_GROWTH:
        words_add(&w, d->verdict == DIAGNOSIS_LEAK ? "Leak: " : "Growth: ");
        if (s)
            add_suspect_headline(&w, d, s);
        else
            add_memory_headline(&w, d);
        break;
    case DIAGNOSIS_NO_LEAK:
        words_add(&w, "No leak: ");
        if (d->memory == MEMORY_NONE)
            words_add(&w, "what stays after collections does not grow");
        else
            words_add(&w, "%s has grown and does not grow any more", memory_words(d->memory));
        break;
    case DIAGNOSIS_INCONCLUSIVE:
        words_add(&w, "Inconclusive: ");
        if (d->unserved)
            words_add(&w, "no request of the probe has reached the target");
        else if (d->supports == SUPPORT_NOTHING)
            words_add(&w, "there is nothing to judge by");
        else if (d->supports == SUPPORT_SIZE)
            words_add(&w, d->snapshots ? "one snapshot shows size, not growth"
                                       : "too few readings to tell growth from none");
        else
            words_add(&w, "the evidence does not decide between growth and none");
        break;
    }
    if (w.rc) {
        buf_free(&w.b);
        return NULL;
    }
    return buf_take(&w.b);
}

/* ---- printing ---- */

static size_t width_of(const struct show_out *o)
{
    return o->width < WIDTH_MIN ? (o->width ? WIDTH_MIN : WIDTH_PLAIN) : o->width;
}

/* Prints text (escaped) broken at spaces; the first line begins at column `at`, others are
 * indented.
 */
static int print_wrapped(
    const struct show_out *o, const char *text, size_t at, size_t indent, struct err *e)
{
    struct buf visible = buf_new(4 * TEXT_MAX);
    int rc = text_add_visible(&visible, text, strlen(text));
    size_t width = width_of(o), column = at;
    const char *c = visible.data ? visible.data : "";
    while (rc == 0 && *c) {
        size_t length = strcspn(c, " ");
        size_t columns = text_columns(c, length);
        bool first = column == at && c == visible.data;
        if (!first && column + 1 + columns > width && column > indent) {
            fprintf(o->file, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            fputc(' ', o->file);
            column++;
        }
        fwrite(c, 1, length, o->file);
        column += columns;
        c += length;
        c += strspn(c, " ");
    }
    fputc('\n', o->file);
    buf_free(&visible);
    return rc ? err_set(e, rc, "out of memory") : 0;
}

/* "  held by     Map `sessions` …" */
static int print_field(const struct show_out *o, const char *label, const char *text, struct err *e)
{
    fprintf(o->file, "  %s%-*s%s", show_on(o, SHOW_DIM), LABEL_WIDTH, label, show_off(o));
    return print_wrapped(o, text, LABEL_WIDTH + 2, LABEL_WIDTH + 2, e);
}

/* Prints and frees what was gathered; nothing gathered prints nothing. */
static int print_words(const struct show_out *o, const char *label, struct words *w, struct err *e)
{
    int rc = w->rc ? err_set(e, w->rc, "out of memory") : 0;
    if (rc == 0 && w->b.length)
        rc = print_field(o, label, w->b.data, e);
    buf_free(&w->b);
    return rc;
}

static int print_headline(const struct show_out *o, const struct diagnosis *d, struct err *e)
{
    static const enum show_style styles[] = {SHOW_YELLOW, SHOW_GREEN, SHOW_YELLOW, SHOW_RED};
    char *text = verdict_headline(d);
    if (!text)
        return err_set(e, ERR_NOMEM, "out of memory");
    fprintf(o->file, "%s%s", show_on(o, SHOW_BOLD), show_on(o, styles[d->verdict]));
    int rc = print_wrapped(o, text, 0, 0, e);
    fprintf(o->file, "%s", show_off(o));
    free(text);
    return rc;
}

static const char *support_words(enum diagnosis_support supports)
{
    static const char *const words[] = {"nothing yet", "what is large, not what grows",
        "growth, not whether it stays", "retention: what grows also stays"};
    return words[supports];
}

static int print_evidence(const struct show_out *o, const struct diagnosis *d, struct err *e)
{
    struct words w = new_words();
    words_add(&w, "%zu snapshot%s", d->snapshots, d->snapshots == 1 ? "" : "s");
    if (d->floors)
        words_add(&w, ", %zu readings after full collections", d->floors);
    if (d->span_seconds > 0) {
        words_add(&w, " over ");
        add_span(&w, d->span_seconds);
    }
    words_add(&w, "; that shows %s",
        d->supports == SUPPORT_SIZE && !d->snapshots ? "how large it is, not whether it grows"
                                                     : support_words(d->supports));
    int rc = print_words(o, "evidence", &w, e);
    if (rc || isnan(d->bytes_per_hour))
        return rc;
    w = new_words();
    words_add(&w, "%s ", memory_words(d->memory == MEMORY_NONE ? MEMORY_JS_HEAP : d->memory));
    add_pace(&w, d);
    if (isfinite(d->low) && isfinite(d->high)) {
        words_add(&w, " (between ");
        add_size(&w, d->low);
        words_add(&w, " and ");
        add_size(&w, d->high);
        words_add(&w, " with 95 %%)");
    }
    if (isfinite(d->seconds_to_limit)) {
        words_add(&w, "; at that pace it meets its limit in ");
        add_span(&w, d->seconds_to_limit);
    }
    return print_words(o, "growth", &w, e);
}

static void add_path(struct words *w, const struct diagnosis_suspect *s)
{
    size_t count = s->holder.path_count, half = PATH_SHOWN / 2;
    for (size_t i = 0; i < count; i++) {
        const struct diagnosis_step *step = &s->holder.path[i];
        if (count > PATH_SHOWN && i == half) {
            words_add(w, " → … %zu more", count - 2 * half);
            i = count - half - 1;
            continue;
        }
        words_add(w, "%s%s", i ? " → " : "", step->edge ? step->edge : "?");
        if (step->class_name && *step->class_name)
            words_add(w, ": %s", step->class_name);
    }
}

static int print_routes(const struct show_out *o, const struct diagnosis_suspect *s, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < s->route_count && i < ROUTES_SHOWN && rc == 0; i++) {
        const struct diagnosis_route *r = &s->routes[i];
        struct words w = new_words();
        add_route(&w, r);
        if (isfinite(r->low) && isfinite(r->high)) {
            words_add(&w, " (");
            add_size(&w, r->low);
            words_add(&w, " to ");
            add_size(&w, r->high);
            words_add(&w, ")");
        }
        char instances[TEXT_SHORT];
        snprintf(instances, sizeof instances, "%.3g", r->instances);
        if (isfinite(r->instances) && r->instances > 0)
            words_add(
                &w, ", %s object%s a request", instances, strcmp(instances, "1") == 0 ? "" : "s");
        rc = print_words(o, i == 0 ? "routes" : "", &w, e);
    }
    return rc;
}

static int print_sites(const struct show_out *o, const struct diagnosis_suspect *s, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < s->site_count && i < SITES_SHOWN && rc == 0; i++) {
        struct words w = new_words();
        const struct diagnosis_place *p = &s->sites[i].place;
        if (p->function && *p->function)
            words_add(&w, "%s ", p->function);
        words_add(&w, "%s:%u:%u, ", p->url ? p->url : "", p->line, p->column);
        add_size(&w, (double)s->sites[i].live_bytes);
        words_add(&w, " live");
        rc = print_words(o, i == 0 ? "allocated" : "", &w, e);
    }
    return rc;
}

/* How much of it there is, or by how much there is more. */
static int print_amount(const struct show_out *o, const struct diagnosis *d,
    const struct diagnosis_suspect *s, struct err *e)
{
    struct words w = new_words();
    char first[TEXT_SHORT], last[TEXT_SHORT];
    add_subject(&w, d, s);
    if (s->class_name && s->stands)
        words_add(&w, ": %s object%s", text_count(last, s->last), s->last == 1 ? "" : "s");
    else if (s->class_name)
        words_add(&w, ": %s, then %s", text_count(first, s->first), text_count(last, s->last));
    if (s->retained_growth) {
        words_add(&w, s->stands ? ", " : "; retains ");
        add_size(&w, (double)s->retained_growth);
        words_add(&w, s->stands ? " retained" : " more");
    }
    if (s->share > 0)
        words_add(&w, ", %.0f %% of the %s", 100 * s->share, s->stands ? "heap" : "growth");
    if (s->confidence > 0)
        words_add(&w, " (confidence %.0f %%)", 100 * s->confidence);
    return print_words(o, s->stands ? "large" : "what", &w, e);
}

static int print_suspect(const struct show_out *o, const struct diagnosis *d,
    const struct diagnosis_suspect *s, struct err *e)
{
    int rc = print_amount(o, d, s, e);
    struct words w = new_words();
    if (rc == 0 && has_holder(s)) {
        add_holder(&w, s);
        if (s->holder.id)
            words_add(&w, " @%u", s->holder.id);
    }
    if (rc == 0)
        rc = print_words(o, "held by", &w, e);
    for (size_t i = 0; i < s->holder.also_count && rc == 0; i++) {
        w = new_words();
        add_coholder(&w, &s->holder.also[i]);
        rc = print_words(o, "and by", &w, e);
    }
    w = new_words();
    add_path(&w, s);
    if (rc == 0)
        rc = print_words(o, "path", &w, e);
    else
        buf_free(&w.b);
    if (rc == 0)
        rc = print_routes(o, s, e);
    if (rc == 0)
        rc = print_sites(o, s, e);
    if (rc == 0 && s->culprit)
        rc = print_field(o, "kind", s->culprit, e);
    if (rc == 0 && s->advice && !s->stands) /* what is large may be as it should be */
        rc = print_field(o, "advice", s->advice, e);
    return rc;
}

static int print_others(const struct show_out *o, const struct diagnosis *d, struct err *e)
{
    int rc = 0;
    for (size_t i = 1; i < d->suspect_count && i <= OTHERS_SHOWN && rc == 0; i++) {
        const struct diagnosis_suspect *s = &d->suspects[i];
        struct words w = new_words();
        add_suspect_headline(&w, &(struct diagnosis){.span_seconds = 0, .memory = d->memory}, s);
        if (s->share > 0)
            words_add(&w, " (%.0f %% of the %s)", 100 * s->share, s->stands ? "heap" : "growth");
        rc = print_words(o, i == 1 ? "also" : "", &w, e);
    }
    if (rc == 0 && d->suspect_count > OTHERS_SHOWN + 1)
        fprintf(o->file, "  %-*s… and %zu more in --json\n", LABEL_WIDTH, "",
            d->suspect_count - OTHERS_SHOWN - 1);
    return rc;
}

static int print_rest(const struct show_out *o, const struct diagnosis *d, struct err *e)
{
    struct words w = new_words();
    for (size_t i = 0; i < d->ruled_out_count; i++)
        words_add(&w, "%s%s", i ? ", " : "", d->ruled_out[i]);
    int rc = print_words(o, "ruled out", &w, e);
    for (size_t i = 0; i < d->note_count && rc == 0; i++)
        rc = print_field(o, i == 0 ? "notes" : "", d->notes[i], e);
    return rc;
}

static int plot(const struct show_out *o, const struct diagnosis *d, struct err *e)
{
    static const char *const titles[] = {
        "JS heap", "JS heap", "memory outside the JS heap (external)", "resident memory"};
    if (!o->tty || d->series_count < 3)
        return 0;
    struct show_point *points = calloc(d->series_count, sizeof *points);
    if (!points)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < d->series_count; i++)
        points[i] = (struct show_point){d->series[i].wall_ms, d->series[i].bytes};
    fprintf(o->file, "\n");
    int rc = show_plot(o, titles[d->memory], points, d->series_count, SHOW_SCALE_BYTES, 0, e);
    free(points);
    return rc;
}

int verdict_print(const struct show_out *o, const struct diagnosis *d, struct err *e)
{
    int rc = print_headline(o, d, e);
    if (rc == 0)
        rc = plot(o, d, e);
    if (rc == 0) {
        fprintf(o->file, "\n");
        rc = print_evidence(o, d, e);
    }
    if (rc == 0 && d->suspect_count)
        rc = print_suspect(o, d, &d->suspects[0], e);
    if (rc == 0)
        rc = print_others(o, d, e);
    if (rc == 0)
        rc = print_rest(o, d, e);
    return rc;
}
