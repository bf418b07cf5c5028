/* The live profile of a run's targets: what is read goes into the record folded, so that it grows
 * by the sites that change and not by readings times stacks. */
#include "collect/run_private.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void record_event(struct watched *w, const char *kind, const char *text, int64_t reading)
{
    struct store_event row;
    char detail[64];
    if (!w->run->options.journal)
        return;
    store_row_clear(STORE_EVENTS, &row);
    row.target_id = w->facts.id;
    row.kind = kind;
    row.text = text;
    snprintf(detail, sizeof detail, "{\"reading\":%lld}", (long long)reading);
    row.detail = detail;
    journal_event(w->run->options.journal, &row);
}

struct noting { /* of one reading */
    struct watched *watched;
    const struct live_reading *reading;
};

/* A stack is the long part of a row: it stands in a site's first one, and again where another line
 * of the program has come to ask for most of it. */
static bool is_told(const struct allocation_site *then, const struct allocation_site *now)
{
    return !now || (then && allocations_compare_frames(&then->own, &now->own) == 0);
}

static void record_site(
    void *arg, const struct allocation_site *then, const struct allocation_site *now)
{
    const struct noting *r = arg;
    const struct allocation_site *site = now ? now : then;
    struct store_site row;
    if (then && now && then->live_bytes == now->live_bytes)
        return;
    store_row_clear(STORE_ALLOCATION_SITES, &row);
    row.target_id = r->watched->facts.id;
    row.created_at_ms = r->reading->wall_ms;
    row.source = "live-profile";
    row.reading = r->reading->number;
    row.function = site->frame.function;
    row.url = *site->frame.url ? site->frame.url : NULL;
    row.line = site->frame.line ? site->frame.line : STORE_NO_INTEGER;
    row.column = site->frame.column ? site->frame.column : STORE_NO_INTEGER;
    row.live_bytes = now ? now->live_bytes : 0;
    cJSON *stack = is_told(then, now) ? NULL : allocations_stack(r->reading->stacks, now->heaviest);
    char *text = stack ? cJSON_PrintUnformatted(stack) : NULL;
    row.stack = text;
    journal_site(r->watched->run->options.journal, &row);
    cJSON_free(text);
    cJSON_Delete(stack);
}

static bool may_read(void *arg)
{
    struct watched *w = arg;
    return w->target && w->run->captured != w && w->run->stage <= ENDING;
}

static void note_floor(struct run_target *t, const struct sample *s)
{
    if (isnan(t->first_floor)) {
        t->first_floor = s->heap_used;
        t->first_floor_ms = s->wall_ms;
    }
    t->last_floor = s->heap_used;
    t->last_floor_ms = s->wall_ms;
}

static void on_read(void *arg, const struct live_reading *reading)
{
    struct watched *w = arg;
    struct run *r = w->run;
    struct noting recording = {w, reading};
    int64_t rested_at_us =
        clock_monotonic_us() + guard_rest_us(reading->cost_us, r->options.max_pause_share);
    w->facts.pause_ms += (double)reading->cost_us / 1000;
    w->facts.live_readings++;
    if (rested_at_us > w->rested_at_us)
        w->rested_at_us = rested_at_us;
    if (reading->sample) {
        note_floor(&w->facts, reading->sample);
        run_target_record_sample(w, "after-gc", reading->sample);
    }
    if (r->options.journal)
        allocation_sites_walk(reading->then, reading->now, record_site, &recording);
}

static void on_broken(void *arg, const char *why)
{
    struct watched *w = arg;
    run_say(w->run, w, true, "live profile: %s", why);
    record_event(w, "live-profile-broken", why, live_profile_number(w->live));
}

static void on_waits(void *arg, const char *why)
{
    struct watched *w = arg;
    run_say(w->run, w, true, "no live profile: %s", why);
    record_event(w, "live-profile-waits", why, w->live_number);
}

static void on_ended(void *arg, const char *why)
{
    struct watched *w = arg;
    run_say(w->run, w, true, "no live profile: %s", why);
    record_event(w, "live-profile-ended", why, w->live ? live_profile_number(w->live) : 0);
}

static const struct live_profile_handlers handlers = {
    .may_read = may_read,
    .read = on_read,
    .waits = on_waits,
    .broken = on_broken,
    .ended = on_ended,
};

void run_live_begin(struct watched *w)
{
    const struct run_options *o = &w->run->options;
    struct err e = ERR_NONE;
    if (o->live_sample_every == 0)
        return;
    struct live_profile_options options = {.session = target_session(w->target),
        .sampler = target_sampler(w->target),
        .sample_every = o->live_sample_every,
        .interval_us = o->live_interval_us,
        .steal = o->live_steal};
    if (w->live_number > 0)
        record_event(w, "live-profile-broken", "heaptap was not attached", w->live_number);
    if (live_profile_new(w->run->loop, &options, &handlers, w, w->live_number, &w->live, &e) != 0)
        on_ended(w, e.text);
}

void run_live_gone(struct watched *w)
{
    if (!w->live)
        return;
    w->live_number = live_profile_number(w->live);
    live_profile_free(w->live);
    w->live = NULL;
}

void run_live_captured(struct watched *w, const struct capture_outcome *o)
{
    if (w->live && o->counted)
        live_profile_was_disabled(w->live);
}

static void finished(void *arg)
{
    struct run *r = arg;
    r->live_finishing--;
    run_leave_if_done(r);
}

void run_live_last(struct run *r)
{
    r->live_finishing = 1; /* nobody leaves while this goes on */
    for (size_t i = 0; i < r->target_count; i++) {
        if (!r->targets[i]->live)
            continue;
        r->live_finishing++;
        live_profile_finish(r->targets[i]->live, finished, r);
    }
    r->live_finishing--;
}
