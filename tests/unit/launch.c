/* The user's command gets its own environment and ours, and one that cannot be started is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "collect/launch.h"

#include <sys/wait.h>
#include <unistd.h>

static void prepare(void)
{
    setsid();
}

static int exit_code_of(char *script, const char *const *set)
{
    char shell[] = "sh", option[] = "-c";
    char *const command[] = {shell, option, script, NULL};
    const struct launch l = {command, set, prepare, "", ERR_UNREACHABLE};
    struct err e = ERR_NONE;
    pid_t pid;
    int status;
    if (launch(&l, &pid, &e) != 0)
        fail_msg("%s", e.text);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void what_is_set_stands_in_place_of_ours(void **state)
{
    const char *const set[] = {"LAUNCH_A=new", "LAUNCH_AB=more", NULL};
    char all[] = "test $LAUNCH_A.$LAUNCH_AB.$LAUNCH_ABC = new.more.stays";
    char once[] = "test $(env | grep -c '^LAUNCH_A=') = 1";
    (void)state;
    setenv("LAUNCH_A", "old", 1);
    setenv("LAUNCH_ABC", "stays", 1);
    assert_int_equal(exit_code_of(all, set), 0);
    assert_int_equal(exit_code_of(once, set), 0);
    assert_string_equal(getenv("LAUNCH_A"), "old");
}

static void it_is_prepared_before_it_runs(void **state)
{
    const char *const set[] = {NULL};
    char leads[] = "test $(cut -d' ' -f6 /proc/$$/stat) = $$"; /* a session of its own */
    (void)state;
    assert_int_equal(exit_code_of(leads, set), 0);
}

static void a_command_that_is_not_there_is_said(void **state)
{
    char nowhere[] = "/nowhere/load";
    char *const command[] = {nowhere, NULL};
    const char *const set[] = {NULL};
    const struct launch l = {command, set, prepare, "the load ", ERR_USAGE};
    struct err e = ERR_NONE;
    pid_t pid = 7;
    (void)state;
    assert_int_equal(launch(&l, &pid, &e), ERR_USAGE);
    assert_string_equal(
        e.text, "cannot start the load \"/nowhere/load\": No such file or directory");
    assert_int_equal(pid, 7);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* it was reaped */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_set_stands_in_place_of_ours),
        cmocka_unit_test(it_is_prepared_before_it_runs),
        cmocka_unit_test(a_command_that_is_not_there_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
