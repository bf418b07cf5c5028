/* A run by hand: what the prompt asks of it, capture by capture. */
#include "collect/run_private.h"

#include "base/clock.h"
#include "collect/folder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int run_add(struct run *r, const struct address *address, size_t *ret_link, struct err *e)
{
    size_t index = r->link_count;
    if (!r->options.by_hand || index == RUN_LINKS_MAX)
        return err_set(e, ERR_FULL, "a session follows at most %d addresses", RUN_LINKS_MAX);
    int rc = run_link_start(r, &r->links[index], address, e);
    if (rc)
        return rc;
    r->link_count++;
    *ret_link = index;
    return 0;
}

bool run_link_same(const struct run *r, size_t link, size_t *ret_index)
{
    for (size_t i = 0; i < r->target_count; i++) {
        if (r->targets[i] == r->links[link].same) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

bool run_link_ended(const struct run *r, size_t link)
{
    return r->links[link].ended;
}

struct target *run_target_live(const struct run *r, size_t index)
{
    return r->targets[index]->target;
}

size_t run_target_link(const struct run *r, size_t index)
{
    return (size_t)(r->targets[index]->link - r->links);
}

static int copy_text(char **to, const char *from, struct err *e)
{
    char *copy = from ? strdup(from) : NULL;
    if (from && !copy)
        return err_set(e, ERR_NOMEM, "out of memory");
    free(*to);
    *to = copy;
    return 0;
}

int run_capture(struct run *r, size_t index, const struct run_capture_wish *wish, struct err *e)
{
    struct watched *w = r->targets[index];
    if (!w->target)
        return err_set(e, ERR_LOST, "the target is gone");
    if (r->captured)
        return err_set(e, ERR_REFUSED, "another capture is on: one at a time");
    int rc = capture_output_check(wish->output, e);
    if (rc == 0)
        rc = copy_text(&r->label, wish->label, e);
    if (rc == 0)
        rc = copy_text(&r->output, wish->output, e);
    if (rc)
        return rc;
    r->options.recording_us = wish->recording_us;
    r->options.sample_every = wish->sample_every;
    r->options.stacks = wish->stacks;
    r->options.limits = wish->limits;
    if (wish->kind == CAPTURE_PROFILE) {
        run_survivors_begin(w);
        return 0;
    }
    r->options.timeline = wish->kind == CAPTURE_TIMELINE;
    w->due = true;
    w->due_trigger = "manual";
    run_capture_next(r);
    return 0;
}

size_t run_capturing(const struct run *r)
{
    for (size_t i = 0; i < r->target_count; i++)
        if (r->targets[i] == r->captured)
            return i;
    return SIZE_MAX;
}

void run_end_recording(struct run *r)
{
    if (r->survivors)
        survivors_finish(r->survivors);
    if (r->capture)
        capture_end_recording(r->capture);
}

void run_drop_capture(struct run *r)
{
    struct capture_outcome outcome = capture_outcome_new(r->capture_kind);
    if (!r->capture)
        return;
    bool begun = capture_disturbs(r->capture);
    err_set(&outcome.why, ERR_CANCELLED, "%s",
        begun ? "given up: the target goes on with it all the same, and its bytes are dropped"
              : "given up before it began");
    capture_cancel(r->capture);
    run_capture_ended(r, &outcome);
}

int run_follow(struct run *r, size_t index, bool on, struct err *e)
{
    struct watched *w = r->targets[index];
    if (!w->target)
        return err_set(e, ERR_LOST, "the target is gone");
    if (!on) {
        r->options.requests = false;
        run_requests_leave(w);
        return 0;
    }
    r->options.requests = true;
    int rc = run_requests_set_aside(w, e);
    if (rc)
        return rc;
    run_requests_attach(w);
    return w->follow ? 0 : err_set(e, ERR_TARGET, "its requests cannot be followed");
}
