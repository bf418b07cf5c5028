/* What is read from /proc and the control groups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collect/host.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void our_own_memory_can_be_read(void **state)
{
    int64_t rss, peak;
    (void)state;
    assert_int_equal(host_rss(getpid(), &rss), 0);
    assert_int_equal(host_rss_peak(getpid(), &peak), 0);
    assert_true(rss > 100 * 1024 && rss < (1LL << 40));
    assert_true(peak >= rss / 2);
}

static void a_process_that_is_not_there_is_an_error(void **state)
{
    int64_t value;
    char command[HOST_COMMAND_SIZE];
    (void)state;
    assert_int_not_equal(host_rss(0x7ffffff0, &value), 0);
    assert_int_not_equal(host_start_time(0x7ffffff0, &value), 0);
    assert_int_not_equal(host_command_line(0x7ffffff0, command), 0);
}

static void our_start_lies_in_the_past(void **state)
{
    int64_t at;
    (void)state;
    assert_int_equal(host_started_at(getpid(), &at), 0);
    int64_t age = clock_wall_ms() - at;
    assert_true(age >= -1000 && age < 600000);
}

static void a_listening_socket_leads_to_its_process(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof a;
    struct host_port ports[8];
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &length), 0);
    assert_int_equal(host_listening(getpid(), ports, 8), 1);
    assert_int_equal(ports[0].port, ntohs(a.sin_port));
    assert_string_equal(ports[0].ip, "127.0.0.1");
    assert_int_equal(host_listener("127.0.0.1", ntohs(a.sin_port), 0), getpid());
    assert_int_equal(
        host_listener("127.0.0.1", ntohs(a.sin_port), 1), getpid()); /* a wrong guess */
    close(fd);
    assert_int_equal(host_listener("127.0.0.1", ntohs(a.sin_port), 0), 0);
}

static void only_this_hosts_addresses_are_local(void **state)
{
    (void)state;
    assert_true(host_is_local("127.0.0.1"));
    assert_true(host_is_local("127.9.9.9"));
    assert_true(host_is_local("::1"));
    assert_false(host_is_local("192.0.2.1")); /* a documentation address (RFC 5737) */
    assert_false(host_is_local("no address"));
}

static void a_signal_is_only_sent_where_it_is_handled(void **state)
{
    (void)state;
    assert_false(host_catches_sigusr1(getpid()));
}

static void write_file(const char *root, const char *path, const char *text)
{
    char name[512];
    snprintf(name, sizeof name, "%s%s", root, path);
    for (char *slash = name + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(name, 0700);
        *slash = '/';
    }
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void remove_tree(const char *root)
{
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    assert_int_equal(system(command), 0);
}

static void a_limit_of_a_parent_group_binds_in_version_2(void **state)
{
    char root[] = "/tmp/heaptap-test-XXXXXX";
    struct host_limit limit;
    (void)state;
    assert_non_null(mkdtemp(root));
    write_file(root, "/proc/42/cgroup", "0::/kube/pod7/app\n");
    write_file(root, "/sys/fs/cgroup/kube/pod7/app/memory.max", "max\n");
    write_file(root, "/sys/fs/cgroup/kube/pod7/app/memory.current", "1000\n");
    write_file(root, "/sys/fs/cgroup/kube/pod7/memory.max", "536870912\n");
    write_file(root, "/sys/fs/cgroup/kube/pod7/memory.current", "104857600\n");
    write_file(root, "/sys/fs/cgroup/kube/pod7/memory.stat", "anon 1\ninactive_file 4857600\n");
    assert_int_equal(host_cgroup(root, 42, &limit), 0);
    assert_int_equal(limit.limit, 536870912);
    assert_int_equal(limit.current, 100000000);
    remove_tree(root);
}

static void version_1_is_read_and_its_huge_default_is_no_limit(void **state)
{
    char root[] = "/tmp/heaptap-test-XXXXXX";
    struct host_limit limit;
    (void)state;
    assert_non_null(mkdtemp(root));
    write_file(root, "/proc/42/cgroup", "5:cpu:/x\n4:memory:/docker/abc\n1:name=systemd:/\n");
    write_file(root, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    write_file(root, "/sys/fs/cgroup/memory/memory.usage_in_bytes", "5\n");
    write_file(root, "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "268435456\n");
    write_file(root, "/sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "100000\n");
    assert_int_equal(host_cgroup(root, 42, &limit), 0);
    assert_int_equal(limit.limit, 268435456);
    assert_int_equal(limit.current, 100000);
    write_file(root, "/proc/43/cgroup", "4:memory:/\n");
    assert_int_equal(host_cgroup(root, 43, &limit), 0);
    assert_int_equal(limit.limit, -1);
    remove_tree(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_memory_can_be_read),
        cmocka_unit_test(a_process_that_is_not_there_is_an_error),
        cmocka_unit_test(our_start_lies_in_the_past),
        cmocka_unit_test(a_listening_socket_leads_to_its_process),
        cmocka_unit_test(only_this_hosts_addresses_are_local),
        cmocka_unit_test(a_signal_is_only_sent_where_it_is_handled),
        cmocka_unit_test(a_limit_of_a_parent_group_binds_in_version_2),
        cmocka_unit_test(version_1_is_read_and_its_huge_default_is_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
