/* Suspects: what has grown, who holds it, and what it is called. */
#include "diagnose/suspects.h"

#include "base/array.h"
#include "base/own.h"
#include "base/text.h"
#include "diagnose/births.h"
#include "diagnose/callback.h"
#include "diagnose/coholders.h"
#include "diagnose/culprits.h"
#include "diagnose/frontier.h"
#include "diagnose/holder.h"
#include "diagnose/longer.h"
#include "diagnose/naming.h"
#include "diagnose/place.h"
#include "heap/series.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUPS_SEEN   64    /* the largest of what has grown; the rest is small change */
#define BYTES_LEAST   8192  /* growth under this is noise, and so is */
#define SHARE_LEAST   0.02  /* under this share of all that is new */
#define SELF_LEAST    16384 /* bytes that an object itself must grow by to be told */
#define KEPT_LEAST    0.3   /* of what is new: less means that as much went as came */
#define LATE_LEAST    0.15  /* of the growth must be of the last half of the steps */
#define EARLY_LEAST   0.05  /* and this much of the first half, or it was a single load */
#define PASSING_LEAST 20    /* objects of a snapshot between, of which hardly any is left, */
#define PASSING_LEFT  0.05  /* of the bytes */
#define KIN_LEAST     0.9   /* ids that mean the same: less is another process */
#define WRAPPED_LEAST 0.5   /* of the bytes: what a class in a wrapper must hold to be named */
#define CHAIN_UNITS   3     /* fewer units: a list, whose members are what grows */
#define FAN_LEAST     50    /* entries that make a collection, where there is one snapshot */
#define SIZE_LEAST    (64u << 10) /* bytes that such a collection retains */
#define SIZE_SHARE    0.05        /* of the heap */

struct suspects {
    struct births *births;
    struct longer *longer;
    struct heap_series *series;
    size_t snapshots; /* with the last one */
    double first_total;
};

struct suspects *suspects_new(size_t snapshots)
{
    struct suspects *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->snapshots = snapshots;
    s->births = births_new();
    s->longer = longer_new();
    s->series = heap_series_new(snapshots);
    if (s->births && s->longer && s->series)
        return s;
    suspects_free(s);
    return NULL;
}

void suspects_free(struct suspects *s)
{
    if (!s)
        return;
    births_free(s->births);
    longer_free(s->longer);
    heap_series_free(s->series);
    free(s);
}

int suspects_add(struct suspects *s, const struct heap *h, struct err *e)
{
    if (births_count(s->births) == 0)
        s->first_total = (double)heap_total_size(h);
    int rc = births_add(s->births, h, e);
    if (rc == 0)
        rc = longer_add(s->longer, h, e);
    return rc == 0 ? heap_series_add(s->series, h, e) : rc;
}

/* ---- what the work needs ---- */

struct candidate {
    struct frontier_group group;
    uint32_t number;    /* in the frontier; HEAP_NONE: an object that itself has grown */
    double kept;        /* 0 to 1: of what is new, what did not take the place of something */
    uint32_t named;     /* the class that it gets: of the units, or of what they wrap */
    uint32_t instances; /* new ones of that class */
    uint64_t instance_bytes;
    uint32_t example; /* one of them; HEAP_NONE */
    bool longer;      /* a string that took the place of a shorter one */
    struct callback callback;
};

struct work {
    struct suspects *s;
    struct heap *h;
    struct frontier *frontier;
    uint8_t *born;
    uint32_t *lifted;
    const struct heap_class *classes;
    uint32_t class_count;
    const struct heap_trend *trends;
    size_t trend_count;
    struct candidate *list;
    size_t count;
    uint64_t new_bytes;
    uint64_t passing_bytes; /* of them: of classes that come and go */
    bool one;               /* a single snapshot: what is large, not what has grown */
};

static const struct heap_trend *find_trend(const struct work *w, uint32_t class)
{
    const char *key = class < w->class_count ? w->classes[class].key : NULL;
    for (size_t i = 0; key && i < w->trend_count; i++)
        if (strcmp(w->trends[i].key, key) == 0)
            return &w->trends[i];
    return NULL;
}

/* A class with a constructor in a script of the user's or of a package's, not of the runtime. */
static bool is_users(struct work *w, uint32_t class)
{
    const char *key = class < w->class_count ? w->classes[class].key : ",";
    if (key[0] == ',')
        return false;
    struct err ignored;
    struct buf url = buf_new(4096);
    int rc = heap_add_script_url(w->h, (uint32_t)strtoul(key, NULL, 10), &url, &ignored);
    bool users = rc == 0 && url.length && strncmp(url.data, "node:", 5) != 0;
    buf_free(&url);
    return users;
}

/* ---- which groups are suspects ---- */

static bool is_engines(const struct work *w, const struct frontier_group *g)
{
    const struct heap_columns *c = heap_columns(w->h);
    if (g->example == HEAP_NONE)
        return false;
    switch (c->kind[g->example]) {
    case HEAP_CODE:
    case HEAP_SHAPE:
    case HEAP_HIDDEN:
    case HEAP_SYNTHETIC: return true;
    default: return c->kind[g->holder] == HEAP_CODE || c->kind[g->holder] == HEAP_SHAPE;
    }
}

static double holder_growth(const struct work *w, uint32_t holder)
{
    const struct heap_columns *c = heap_columns(w->h);
    uint64_t retained = 0;
    uint32_t self;
    if (!births_sizes(w->s->births, 0, c->id[holder], &retained, &self))
        retained = BIRTHS_BIG / 2;
    return (double)c->retained[holder] - (double)retained;
}

/* How much of what is new came on top: the class has more instances, or the holder holds more. */
static double kept_share(const struct work *w, const struct frontier_group *g)
{
    const struct heap_trend *t = find_trend(w, g->class);
    double by_class = 0, by_holder = 0;
    if (t && g->members)
        by_class = ((double)t->points[w->s->snapshots - 1].count - (double)t->points[0].count) /
                   (double)g->members;
    if (g->bytes && frontier_rank(w->h, g->holder) == FRONTIER_OBJECT && g->holders == 1)
        by_holder = holder_growth(w, g->holder) / (double)g->bytes;
    return fmin(fmax(by_class, by_holder), 1);
}

/* It grew in the last half of the steps too, and not in a single one. */
static bool goes_on(const struct work *w, const struct frontier_group *g)
{
    size_t steps = w->s->snapshots - 1;
    double late = 0, all = 0;
    if (steps < 2)
        return true;
    for (size_t k = 1; k <= steps; k++) {
        all += (double)g->born_bytes[k];
        late += k > steps / 2 ? (double)g->born_bytes[k] : 0;
    }
    return late >= LATE_LEAST * all && all - late >= EARLY_LEAST * all;
}

/* There were instances at a snapshot between, and nearly none of those is left: the ones of the
 * last snapshot will go as well, and there may be more of them only because more was going on. */
static bool comes_and_goes(const struct work *w, const struct frontier_group *g)
{
    const struct heap_trend *t = find_trend(w, g->class);
    size_t steps = w->s->snapshots - 1;
    uint32_t between = 0;
    if (w->one || steps < 2 || !t)
        return false;
    for (size_t k = 1; k < steps; k++)
        if (t->points[k].count > t->points[0].count + between)
            between = (uint32_t)(t->points[k].count - t->points[0].count);
    return between >= PASSING_LEAST &&
           (double)(g->bytes - g->born_bytes[steps]) <= PASSING_LEFT * (double)g->bytes;
}

static bool is_suspect(
    struct work *w, const struct frontier_group *g, bool longer, double *ret_kept)
{
    const struct heap_columns *c = heap_columns(w->h);
    *ret_kept = 1;
    if (is_engines(w, g))
        return false;
    if (w->one)
        return c->distance[g->holder] > 1 && frontier_rank(w->h, g->holder) == FRONTIER_OBJECT &&
               (double)c->retained[g->holder] >= SIZE_SHARE * (double)heap_total_size(w->h);
    if ((double)g->bytes < fmax(BYTES_LEAST, SHARE_LEAST * (double)w->new_bytes))
        return false;
    if (!goes_on(w, g))
        return false;
    *ret_kept = g->example == HEAP_NONE || longer ? 1 : kept_share(w, g);
    return *ret_kept >= KEPT_LEAST;
}

/* One string in place of a shorter one: what is new of it is what it is longer by. */
static bool see_longer(const struct work *w, struct frontier_group *g)
{
    uint64_t steps[BIRTHS_MAX + 1] = {0};
    if (w->one || g->units != 1 || !longer_grew(w->s->longer, w->h, g->example, steps))
        return false;
    g->bytes = 0;
    for (size_t k = 0; k <= BIRTHS_MAX; k++) {
        g->born_bytes[k] = steps[k];
        g->bytes += steps[k];
    }
    return true;
}

static struct candidate *find_candidate(struct work *w, uint32_t holder)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->list[i].group.holder == holder && frontier_rank(w->h, holder) == FRONTIER_OBJECT)
            return &w->list[i];
    return NULL;
}

/* One holder is one suspect: keys go with values, contexts with functions. */
static void fold(struct candidate *to, const struct frontier_group *g)
{
    to->group.bytes += g->bytes;
    for (size_t k = 0; k <= BIRTHS_MAX; k++)
        to->group.born_bytes[k] += g->born_bytes[k];
}

static void choose_groups(struct work *w)
{
    struct frontier_group *groups;
    size_t count = frontier_groups(w->frontier, &groups);
    for (size_t i = 0; i < count; i++)
        w->new_bytes += groups[i].bytes;
    for (size_t i = 0; i < count && w->count < GROUPS_SEEN && groups[i].bytes >= BYTES_LEAST; i++) {
        struct candidate *same = find_candidate(w, groups[i].holder);
        double kept;
        bool longer = see_longer(w, &groups[i]);
        if (same)
            fold(same, &groups[i]);
        else if (is_suspect(w, &groups[i], longer, &kept))
            w->list[w->count++] = (struct candidate){
                .group = groups[i], .number = (uint32_t)i, .kept = kept, .longer = longer};
        else if (comes_and_goes(w, &groups[i]))
            w->passing_bytes += groups[i].bytes;
    }
}

/* ---- objects whose own size grows ---- */

static void see_own_size(void *arg, uint32_t id, uint64_t retained, uint32_t self)
{
    struct work *w = arg;
    const struct heap_columns *c = heap_columns(w->h);
    uint32_t node = heap_find_id(w->h, id);
    (void)retained;
    if (node == HEAP_NONE || c->self[node] < self + SELF_LEAST ||
        frontier_rank(w->h, node) < FRONTIER_OBJECT)
        return;
    struct frontier_group g = {.holder = node,
        .variable = HEAP_NONE,
        .class = c->class_of[node],
        .example = HEAP_NONE,
        .bytes = c->self[node] - self,
        .holders = 1};
    uint32_t before = self;
    for (size_t k = 1; k < w->s->snapshots; k++) {
        uint64_t ignored;
        uint32_t now = c->self[node];
        if (k + 1 < w->s->snapshots && !births_sizes(w->s->births, k, id, &ignored, &now))
            now = before;
        g.born_bytes[k] = now > before ? now - before : 0;
        before = now;
    }
    struct candidate *same = find_candidate(w, node);
    double kept;
    if (same)
        fold(same, &g);
    else if (w->count < GROUPS_SEEN && is_suspect(w, &g, false, &kept))
        w->list[w->count++] = (struct candidate){.group = g, .number = HEAP_NONE, .kept = kept};
}

static int candidate_order(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    double p = (double)x->group.bytes * x->kept, q = (double)y->group.bytes * y->kept;
    return p != q ? (p > q ? -1 : 1) : (x->number > y->number) - (x->number < y->number);
}

/* ---- a class for the unit ---- */

static bool is_wrapper(const struct work *w, uint32_t class)
{
    const char *name = frontier_class_name(w->h, class);
    return name[0] == '{' || name[0] == '(' || strcmp(name, "system / Context") == 0 ||
           strcmp(name, "Generator") == 0 || strcmp(name, "Object") == 0 ||
           strcmp(name, "Array") == 0 || strcmp(name, "Map") == 0 || strcmp(name, "Set") == 0;
}

struct inner {
    uint32_t count;
    uint64_t retained, self;
    uint32_t example;
};

/* What the engine keeps at a promise that waits. */
static bool is_reaction(const struct work *w, const struct candidate *x)
{
    const char *class = frontier_class_name(w->h, x->group.class);
    return strcmp(naming_class(w->h, x->group.holder), "Promise") == 0 &&
           (strcmp(class, "Function") == 0 || strcmp(class, "system / Context") == 0 ||
               strcmp(class, "Generator") == 0);
}

/* Units that only wrap (a plain object, an array) are called by the class of the user's that is in
 * them about once a unit and has most of their bytes. */
static int name_class(struct work *w, struct candidate *x, struct err *e)
{
    const struct heap_columns *c = heap_columns(w->h);
    x->named = x->group.class;
    /* Of parts that are alike (strings of strings, functions in functions) the units are counted; a
     * chain is one unit. */
    x->instances =
        x->group.units >= CHAIN_UNITS && !is_users(w, x->named) ? x->group.units : x->group.members;
    x->instance_bytes = x->group.self;
    x->example = x->group.example;
    x->callback = (struct callback){.closure = HEAP_NONE};
    if (x->example != HEAP_NONE)
        x->callback = callback_find(w->h, x->example);
    bool reaction = is_reaction(w, x);
    if (reaction && !x->callback.class && x->callback.closure == HEAP_NONE)
        x->callback.class = "Promise"; /* of Promise.all, any, race */
    if (x->number == HEAP_NONE || !is_wrapper(w, x->group.class) || x->group.units == 0 || reaction)
        return 0;
    struct inner *inner = calloc((size_t)w->class_count + 1, sizeof *inner);
    if (!inner)
        return err_set(e, ERR_NOMEM, "out of memory");
    uint64_t all = 0;
    for (uint32_t i = 0; i < c->node_count; i++) {
        if (frontier_group_of(w->frontier, i) != x->number || c->class_of[i] >= w->class_count)
            continue;
        struct inner *n = &inner[c->class_of[i]];
        all += c->self[i];
        n->self += c->self[i];
        if (c->class_of[c->dominator[i]] == c->class_of[i])
            continue;
        if (n->count++ == 0 || c->retained[i] > c->retained[n->example])
            n->example = i;
        n->retained += c->retained[i];
    }
    uint64_t best = 0;
    for (uint32_t k = 0; k < w->class_count; k++) {
        struct inner *n = &inner[k];
        if (n->retained <= best || (double)n->retained < WRAPPED_LEAST * (double)all ||
            n->count < x->group.units / 2 || n->count > 3 * (uint64_t)x->group.units ||
            !is_users(w, k) || strcmp(frontier_class_name(w->h, k), "Generator") == 0)
            continue;
        best = n->retained;
        x->named = k;
        x->instances = n->count;
        x->instance_bytes = n->self;
        x->example = n->example;
        x->callback = (struct callback){.closure = HEAP_NONE};
    }
    free(inner);
    return 0;
}

/* ---- how many ---- */

/* Old instances of the class with the same holder. */
static uint32_t count_old(const struct work *w, const struct candidate *x)
{
    const struct heap_columns *c = heap_columns(w->h);
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->node_count; i++)
        if (c->class_of[i] == x->named && w->born[i] == 0 && c->self[i] &&
            w->lifted[c->dominator[i]] == x->group.holder)
            count++;
    return count;
}

static void count_instances(struct work *w, const struct candidate *x, struct diagnosis_suspect *s)
{
    const struct heap_trend *t = is_users(w, x->named) ? find_trend(w, x->named) : NULL;
    if (w->one) {
        s->first = s->last = x->instances;
    } else if (t) {
        s->first = t->points[0].count;
        s->last = t->points[w->s->snapshots - 1].count;
    } else if (x->number == HEAP_NONE || x->longer) {
        s->first = s->last = 1;
    } else {
        s->first = count_old(w, x);
        s->last = s->first + (int64_t)round((double)x->instances * x->kept);
    }
}

/* ---- into the diagnosis ---- */

static double confidence_of(const struct work *w, const struct candidate *x, double share)
{
    size_t steps = w->s->snapshots - 1, grew = 0;
    for (size_t k = 1; k <= steps; k++)
        grew += x->group.born_bytes[k] > 0;
    double base = w->one ? 0.2 : steps == 1 ? 0.5 : 0.75 + 0.2 * (double)grew / (double)steps;
    if (frontier_rank(w->h, x->group.holder) < FRONTIER_CONTEXT)
        base *= 0.8;
    return base * (0.6 + 0.4 * fmin(share, 1));
}

/* Others that hold most of the units, by their names; those that have none say nothing. */
static int add_coholders(
    struct work *w, const struct candidate *x, struct diagnosis_suspect *s, struct err *e)
{
    struct frontier_group groups[COHOLDERS_MAX];
    size_t count = 0;
    int rc = w->one || x->number == HEAP_NONE
                 ? 0
                 : coholders_find(w->h, w->frontier, x->number, w->lifted, groups, &count, e);
    if (rc == 0 && count && !(s->holder.also = calloc(count, sizeof *s->holder.also)))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct diagnosis_suspect other = {.class_name = NULL};
        struct holder holder = {.kind = HOLDER_OTHER};
        rc = holder_describe(w->h, w->born, w->lifted, &groups[i], &other, &holder, e);
        bool told = other.holder.name || holder.kind == HOLDER_TIMERS;
        bool own = other.holder.place && own_is_url(other.holder.place->url);
        bool same =
            other.holder.text && s->holder.text && strcmp(other.holder.text, s->holder.text) == 0;
        if (rc == 0 && told && !own && !same) {
            s->holder.also[s->holder.also_count++] =
                (struct diagnosis_coholder){other.holder.class_name, other.holder.name,
                    other.holder.text, other.holder.id, other.holder.place};
            other.holder.class_name = other.holder.name = other.holder.text = NULL;
            other.holder.place = NULL;
        }
        diagnosis_suspect_clear(&other);
    }
    return rc;
}

/* ", +602 entries in 3 snapshots, 96 % of the growth" */
static int finish_text(struct work *w, const struct candidate *x, struct diagnosis_suspect *s)
{
    char count[TEXT_SHORT], size[TEXT_SHORT];
    struct buf text = buf_new(64 << 10);
    int rc = buf_add_text(&text, s->holder.text);
    if (rc == 0 && s->holder.place && s->holder.place->url[0] && s->holder.place->line)
        rc = buf_addf(&text, " (%s:%u)", s->holder.place->url, s->holder.place->line);
    if (rc == 0 && w->one)
        rc = buf_addf(&text, ", %s entries, %s", text_count(count, s->last),
            text_size(size, (double)s->retained_growth));
    else if (rc == 0 && x->longer)
        rc = buf_addf(&text, ", longer by %s in %zu snapshots, %.0f %% of the growth",
            text_size(size, (double)s->retained_growth), w->s->snapshots, 100 * s->share);
    else if (rc == 0 && x->number != HEAP_NONE)
        rc = buf_addf(&text, ", +%s in %zu snapshots, %.0f %% of the growth",
            text_count(count, s->last - s->first), w->s->snapshots, 100 * s->share);
    else if (rc == 0)
        rc = buf_addf(&text, ", itself larger by %s, %.0f %% of the growth",
            text_size(size, (double)s->retained_growth), 100 * s->share);
    if (rc == 0) {
        free(s->holder.text);
        s->holder.text = buf_take(&text);
        rc = s->holder.text ? 0 : ERR_NOMEM;
    }
    buf_free(&text);
    return rc;
}

static int fill(struct work *w, const struct candidate *x, struct diagnosis_suspect *s,
    const char *name, struct err *e)
{
    struct holder holder;
    const char *advice = NULL;
    double growth = (double)heap_total_size(w->h) - (w->one ? 0 : w->s->first_total);
    s->stands = w->one;
    s->class_name = diagnosis_text(name, strlen(name));
    int rc = s->class_name ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = holder_describe(w->h, w->born, w->lifted, &x->group, s, &holder, e);
    if (rc == 0)
        rc = add_coholders(w, x, s, e);
    if (rc != 0)
        return rc;
    count_instances(w, x, s);
    s->self_growth = w->one      ? 0
                     : x->longer ? (int64_t)x->group.bytes
                                 : (int64_t)((double)x->instance_bytes * x->kept);
    s->retained_growth = (int64_t)((double)x->group.bytes * x->kept);
    s->share =
        fmin((double)s->retained_growth / fmax(growth, fmax((double)s->retained_growth, 1)), 1);
    s->confidence = confidence_of(w, x, s->share);
    rc = culprits_recognise(
        w->h, w->frontier, x->number, &x->group, &holder, s, &s->culprit, &advice, e);
    if (rc == 0 && advice && !(s->advice = diagnosis_text(advice, strlen(advice))))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0 && x->callback.closure != HEAP_NONE)
        rc = place_of_node(w->h, x->callback.closure, &s->function, e);
    if (rc == 0 && finish_text(w, x, s) != 0)
        rc = err_set(e, ERR_NOMEM, "out of memory");
    return rc;
}

/* A person's word for the class. */
static const char *word_of(const struct work *w, const struct candidate *x)
{
    const char *class = frontier_class_name(w->h, x->named);
    bool part =
        strcmp(class, "(concatenated string)") == 0 || strcmp(class, "(sliced string)") == 0;
    return x->callback.class ? x->callback.class : part ? "(string)" : class;
}

static int add_suspects(struct work *w, size_t most, struct diagnosis *d, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < w->count && d->suspect_count < most && rc == 0; i++) {
        struct candidate *x = &w->list[i];
        if (!array_more(&d->suspects, d->suspect_count))
            return err_set(e, ERR_NOMEM, "out of memory");
        struct diagnosis_suspect *s = &d->suspects[d->suspect_count++];
        *s = (struct diagnosis_suspect){0};
        rc = name_class(w, x, e);
        if (rc == 0)
            rc = fill(w, x, s, word_of(w, x), e);
        if (rc == 0 && s->holder.place && own_is_url(s->holder.place->url)) {
            diagnosis_suspect_clear(s); /* what heaptap's hook remembers */
            d->suspect_count--;
        }
    }
    return rc;
}

/* ---- one snapshot ---- */

/* Everything beneath a large collection counts as new, so that the collections are the frontier. */
static int mark_collections(struct work *w, struct err *e)
{
    const struct heap_columns *c = heap_columns(w->h);
    uint32_t *entries = calloc((size_t)c->node_count + 1, sizeof *entries);
    if (!entries)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < c->node_count; i++)
        if (i != c->root && !frontier_is_inside(w->h, i))
            entries[w->lifted[c->dominator[i]]]++;
    for (uint32_t i = 0; i < c->node_count; i++) {
        bool large = entries[i] >= FAN_LEAST && c->retained[i] >= SIZE_LEAST &&
                     frontier_rank(w->h, i) == FRONTIER_OBJECT;
        entries[i] = large;
    }
    /* 1: a collection; 2: beneath one; 3: beneath none. Dominators are walked up, and remembered.
     */
    for (uint32_t i = 0; i < c->node_count; i++) {
        uint32_t at = i, mark = 3;
        for (; at != c->root; at = c->dominator[at]) {
            uint32_t above = entries[c->dominator[at]];
            if (above) {
                mark = above == 3 ? 3 : 2;
                break;
            }
        }
        for (at = i; at != c->root && !entries[at]; at = c->dominator[at])
            entries[at] = mark;
    }
    for (uint32_t i = 0; i < c->node_count; i++) {
        bool beneath =
            i != c->root && (entries[i] == 2 || (entries[i] == 1 && entries[c->dominator[i]] <= 2 &&
                                                    entries[c->dominator[i]] > 0));
        w->born[i] = beneath;
    }
    free(entries);
    return 0;
}

/* ---- the whole ---- */

static int prepare(struct work *w, double *ret_kin, struct err *e)
{
    int rc = heap_series_add(w->s->series, w->h, e);
    if (rc == 0 && !(w->lifted = frontier_lift(w->h)))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = births_mark(w->s->births, w->h, &w->born, ret_kin, e);
    if (rc == 0 && !w->one && *ret_kin < KIN_LEAST)
        w->one = true;
    if (rc == 0 && w->one)
        rc = mark_collections(w, e);
    if (rc == 0 && !(w->list = calloc(GROUPS_SEEN + 1, sizeof *w->list)))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    w->class_count = heap_classes(w->h, &w->classes);
    w->trend_count = heap_series_rank(w->s->series, &w->trends);
    return rc;
}

int suspects_name(
    struct suspects *s, struct heap *last, size_t most, struct diagnosis *d, struct err *e)
{
    struct work w = {.s = s, .h = last, .one = births_count(s->births) == 0};
    bool single = w.one;
    double kin = 1;
    int rc = prepare(&w, &kin, e);
    if (rc == 0)
        rc = frontier_find(last, w.born, w.lifted, &w.frontier, e);
    if (rc == 0) {
        choose_groups(&w);
        if (!w.one)
            births_walk(s->births, 0, see_own_size, &w);
        qsort(w.list, w.count, sizeof *w.list, candidate_order);
        if (w.new_bytes)
            d->passing = (double)w.passing_bytes / (double)w.new_bytes;
        rc = add_suspects(&w, most, d, e);
    }
    if (rc == 0 && !single && w.one)
        rc = diagnosis_note(d, e,
            "the snapshots are of different processes, or object ids were reset between them "
            "(%.0f %% mean the same): what is named is large in the last one, not what grew",
            100 * kin);
    if (rc == 0 && single)
        rc = diagnosis_note(
            d, e, "one snapshot shows what is large, not what grows: two or more tell");
    if (rc == 0 && !w.one)
        rc = culprits_rule_out(d, e);
    frontier_free(w.frontier);
    free(w.born);
    free(w.lifted);
    free(w.list);
    return rc;
}
