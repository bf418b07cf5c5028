/* What a target's silence means. */
#include "collect/vigil.h"

#include "base/text.h"

#include <stdio.h>

#define LINES_FACTOR 3
#define ASK_AHEAD_US (2 * 1000000LL) /* of a line: the answer decides what it says */

bool vigil_line_due(struct vigil_lines *l, int64_t waited_us)
{
    if (waited_us < l->next_us)
        return false;
    while (l->next_us <= waited_us)
        l->next_us = l->next_us ? l->next_us * LINES_FACTOR : VIGIL_FIRST_LINE_US;
    return true;
}

void vigil_begin(struct vigil *v, int64_t now_us)
{
    v->asked_us = now_us;
    v->lines = (struct vigil_lines){.next_us = VIGIL_FIRST_LINE_US};
}

void vigil_interrupt(struct vigil *v, int64_t now_us)
{
    if (!v->interrupted_us)
        v->interrupted_us = now_us;
    v->asked_line_us = 0; /* it is asked again */
}

void vigil_answered_behind(struct vigil *v)
{
    v->asking = false;
    v->idle = true;
}

/* It builds the snapshot, or is kept by what answers no questions. */
static bool may_build(const struct vigil *v)
{
    return v->answered && !v->idle && !v->resting;
}

bool vigil_is_over(const struct vigil *v, int64_t now_us)
{
    int64_t since_us = v->interrupted_us > v->asked_us ? v->interrupted_us : v->asked_us;
    return v->interrupted_us && now_us - since_us >= VIGIL_PATIENCE_US;
}

enum vigil_step vigil_look(struct vigil *v, int64_t now_us)
{
    if (v->began || !v->asked_us)
        return VIGIL_WAIT;
    int64_t waited_us = now_us - v->asked_us;
    if (vigil_is_over(v, now_us) && !may_build(v))
        return VIGIL_GIVE_UP;
    bool due = v->interrupted_us || waited_us >= v->lines.next_us - ASK_AHEAD_US;
    if (due && !v->asking && v->asked_line_us != v->lines.next_us) {
        v->asked_line_us = v->lines.next_us;
        v->idle = false;
        v->asking = true;
        return VIGIL_ASK;
    }
    return vigil_line_due(&v->lines, waited_us) ? VIGIL_TELL : VIGIL_WAIT;
}

void vigil_text(const struct vigil *v, int64_t now_us, char out[ERR_TEXT_MAX])
{
    char waited[TEXT_SHORT];
    text_duration(waited, now_us - v->asked_us);
    if (v->resting)
        snprintf(out, ERR_TEXT_MAX,
            "the target has said nothing for %s and uses no processor time: it is stopped, or "
            "waits for something",
            waited);
    else if (v->idle)
        snprintf(out, ERR_TEXT_MAX,
            "the target has not begun the snapshot for %s: it is busy within one function and does "
            "not come to its event loop, or a debugger has paused it",
            waited);
    else if (v->answered)
        snprintf(out, ERR_TEXT_MAX,
            "the target has said nothing for %s: it builds the snapshot, or is kept by something "
            "that answers no questions",
            waited);
    else
        snprintf(out, ERR_TEXT_MAX,
            "the target has answered nothing for %s: it is stopped, or kept by something that "
            "answers no questions",
            waited);
}
