/* Waiting for a target that says nothing: how rarely that is told, and whether the target builds
 * the snapshot or has not begun it. No deadline: only who interrupts makes it end. */
#ifndef HEAPTAP_COLLECT_VIGIL_H
#define HEAPTAP_COLLECT_VIGIL_H

#include "base/err.h"

/* Lines about a wait come rarer and rarer: after 10 s, 30 s, a minute and a half and so on. */
struct vigil_lines {
    int64_t next_us; /* of the wait; 0: the first is due at once */
};
#define VIGIL_FIRST_LINE_US (10 * 1000000LL)
/* Whether a line is due after so long a wait; says so once for each. */
bool vigil_line_due(struct vigil_lines *l, int64_t waited_us);

/* How long an interrupted capture waits for a sign of the target. */
#define VIGIL_PATIENCE_US (10 * 1000000LL)

/* What is known of the target since it was asked. A question goes out right before the capture is
 * asked for, others behind it. V8 answers them in turn, but from 12 on (Node 22) it begins a
 * snapshot only in the event loop, while a function that runs is interrupted for questions. */
struct vigil {
    int64_t asked_us;       /* for the capture; 0: not yet */
    int64_t interrupted_us; /* 0: nobody wants to leave */
    bool answered;          /* the question before it */
    bool began;             /* something of the capture has come */
    bool asking;            /* a question behind it is on its way */
    bool idle;              /* the latest one behind it was answered, so it had not begun */
    bool resting;           /* its process has used no processor time since it was interrupted */
    int64_t asked_line_us;  /* the line that the latest question was for; 0: none */
    struct vigil_lines lines;
};

enum vigil_step { VIGIL_WAIT, VIGIL_ASK, VIGIL_TELL, VIGIL_GIVE_UP };

void vigil_begin(struct vigil *v, int64_t now_us);
/* Somebody wants to leave. */
void vigil_interrupt(struct vigil *v, int64_t now_us);
/* The question behind it was answered. */
void vigil_answered_behind(struct vigil *v);
/* Whether who interrupted has waited long enough for a sign. */
bool vigil_is_over(const struct vigil *v, int64_t now_us);
/* What is to be done now: VIGIL_ASK, a question (it counts as sent); VIGIL_TELL, vigil_text. */
enum vigil_step vigil_look(struct vigil *v, int64_t now_us);

/* What the target does, as far as anybody can tell: "the target …". */
void vigil_text(const struct vigil *v, int64_t now_us, char out[ERR_TEXT_MAX]);

#endif
