/* Names of databases as users and ORMs write them: a wrong reading would send a team's figures to
 * the wrong place, or print its password. */
#include "base/log.h"
#include "store/database.h"
#include "store/pg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static char logged[4096];

static void keep_log(void *arg, enum log_level level, const char *line)
{
    (void)arg;
    (void)level;
    strncat(logged, line, sizeof logged - strlen(logged) - 1);
}

static int clean_environment(void **state)
{
    static const char *const names[] = {"DATABASE_URL", "ENABLE_MEMORY_DB_LOGGING", "PGHOST",
        "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGSERVICE", NULL};
    (void)state;
    for (int i = 0; names[i]; i++)
        unsetenv(names[i]);
    setenv("XDG_STATE_HOME", "/tmp/heaptap-nowhere", 1);
    logged[0] = '\0';
    log_open(LOG_INFO, keep_log, NULL);
    return 0;
}

static struct database *choose(const char *text)
{
    struct err e = ERR_NONE;
    struct database *d = NULL;
    if (database_choose(text, NULL, &d, &e) != 0)
        fail_msg("%s: %s", text, e.text);
    return d;
}

static void assert_option(const struct database *d, const char *keyword, const char *value)
{
    const char *is = pg_options_get(database_options(d), keyword);
    if (!value)
        assert_null(is);
    else
        assert_string_equal(is ? is : "(none)", value);
}

static void without_a_word_it_is_the_default_file(void **state)
{
    (void)state;
    setenv("DATABASE_URL", "postgres://h/d", 1); /* the app's own: not ours unless asked */
    struct database *d = choose(NULL);
    assert_false(database_is_postgres(d));
    assert_string_equal(database_path(d), "/tmp/heaptap-nowhere/heaptap/heaptap.db");
    database_free(d);
}

static void a_file_is_named_as_orms_do(void **state)
{
    (void)state;
    struct database *d = choose("sqlite:rel/x.db");
    assert_string_equal(database_path(d), "rel/x.db");
    database_free(d);
    d = choose("sqlite:///abs/x.db");
    assert_string_equal(database_path(d), "/abs/x.db");
    database_free(d);
}

static void the_environment_turns_postgres_on(void **state)
{
    (void)state;
    setenv("ENABLE_MEMORY_DB_LOGGING", "true", 1);
    setenv("DATABASE_URL",
        "postgresql://app:s%40cret@db.example:6432/"
        "shop?schema=my%20app&connection_limit=5&pgbouncer=true&connect_timeout=3",
        1);
    struct database *d = choose(NULL);
    assert_true(database_is_postgres(d));
    assert_option(d, "host", "db.example");
    assert_option(d, "password", "s@cret");
    assert_option(d, "connect_timeout", "3");
    assert_option(d, "connection_limit", NULL);
    assert_string_equal(database_schema(d), "my app");
    assert_null(strstr(database_destination(d), "cret"));
    assert_non_null(strstr(database_destination(d), "schema='my app'"));
    assert_non_null(strstr(logged, "connection_limit, pgbouncer"));
    assert_null(strstr(logged, "cret"));
    database_free(d);
    d = choose("sqlite:x.db"); /* --db comes before it */
    assert_false(database_is_postgres(d));
    database_free(d);
    unsetenv("DATABASE_URL");
    setenv("PGHOST", "other.example", 1);
    d = choose(NULL);
    assert_true(database_is_postgres(d));
    assert_non_null(strstr(database_destination(d), "other.example"));
    database_free(d);
}

static void every_way_to_write_a_url_is_understood(void **state)
{
    (void)state;
    struct database *d = choose("postgres+asyncpg://u@h1:1,h2:2/d?ssl=true&application_name=x%26y");
    assert_option(d, "host", "h1,h2");
    assert_option(d, "sslmode", "require");
    assert_option(d, "application_name", "x&y");
    database_free(d);
    d = choose("postgres://u@[::1]:5432/d?sslmode=no-verify");
    assert_option(d, "host", "::1");
    assert_option(d, "sslmode", "require");
    database_free(d);
    d = choose("host=/run/pg dbname='a b' password='it\\'s' user=u");
    assert_option(d, "host", "/run/pg");
    assert_option(d, "dbname", "a b");
    assert_null(strstr(database_destination(d), "it"));
    database_free(d);
}

static void what_is_no_database_is_refused_in_one_line(void **state)
{
    (void)state;
    static const char *const bad[] = {"sqlite:", "mysql://h/d", "file:./dev.db", "shop.db", "host",
        "colour=red", "postgres://h/d?connect_timeout", NULL};
    for (int i = 0; bad[i]; i++) {
        struct err e = ERR_NONE;
        struct database *d = NULL;
        if (database_choose(bad[i], NULL, &d, &e) != ERR_USAGE)
            fail_msg("%s was not refused", bad[i]);
        assert_null(strchr(e.text, '\n'));
        assert_non_null(strstr(e.text, "--db"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_a_word_it_is_the_default_file, clean_environment),
        cmocka_unit_test_setup(a_file_is_named_as_orms_do, clean_environment),
        cmocka_unit_test_setup(the_environment_turns_postgres_on, clean_environment),
        cmocka_unit_test_setup(every_way_to_write_a_url_is_understood, clean_environment),
        cmocka_unit_test_setup(what_is_no_database_is_refused_in_one_line, clean_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
