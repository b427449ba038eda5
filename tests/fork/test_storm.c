/*
 * Fork storms: a process whose threads are busy in every way forks again and again. Each child encrypts and decrypts
 * once in every way, frees all that it inherited, and ends. A child that does not end, or that fails, is counted and
 * described.
 *
 * Whoever is held up by a lock that was held at the fork waits for ever. So a child has an alarm, which tells where it
 * stood. Called with nothing this forks a few hundred times; `--forks N` sets how often, `--only WAY` names the only
 * way of threads and children.
 */
#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/ways.h"

#define CHILDREN 4 /* at once */
#define ALARM_S 60
#define DESCRIBED 5 /* so many failures are described */

/* AddressSanitizer's own allocator may be locked at a fork, so under it nobody is busy; children are still watched. */
#if defined(__SANITIZE_ADDRESS__)
#define WATCHED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED true
#endif
#endif
#ifndef WATCHED
#define WATCHED false
#endif
static const size_t busy = WATCHED ? 0 : 4; /* threads */

static unsigned long forks = 300;
static enum ways only = WAYS;

/* ---- Children ---- */

/* What a child says of itself, in memory that the parent sees. */
static struct report {
    pid_t child;
    atomic_int step; /* the way that it is in, or WAYS: it frees, or ends */
    struct kf_error error;
} * reports;

static struct report *mine; /* the child's */

static void describe_hang(int number)
{
    (void)number;
    void *frames[40];
    static const char head[] = "A child hangs:\n";
    if (write(STDERR_FILENO, head, sizeof head - 1) > 0)
        backtrace_symbols_fd(frames, backtrace(frames, 40), STDERR_FILENO);
    _exit(2);
}

static bool wanted(enum ways way)
{
    return only == WAYS || only == way;
}

/* Encrypts and decrypts in every way, the first one being another for each child. */
static bool child_works(unsigned first)
{
    for (unsigned i = 0; i < WAYS; i++) {
        const enum ways way = (enum ways)((first + i) % WAYS);
        atomic_store(&mine->step, (int)way);
        if (wanted(way) && way_round_trip(way, &mine->error) != KF_OK)
            return false;
    }
    atomic_store(&mine->step, WAYS);
    ways_release();
    kf_cleanup();
    return true;
}

/* ---- The parent ---- */

static atomic_bool stopping;
static atomic_ulong trips;

static void *keep_busy(void *context)
{
    const unsigned number = *(const unsigned *)context;
    for (unsigned i = number; !atomic_load(&stopping); i++) {
        struct kf_error error = KF_ERROR_INIT;
        const enum ways way = (enum ways)(i % WAYS);
        if (wanted(way) && way_round_trip(way, &error) != KF_OK) {
            fprintf(stderr, "%s in the parent: %s\n", way_names[way], error.text);
            abort();
        }
        atomic_fetch_add(&trips, 1);
    }
    return NULL;
}

static unsigned long hung, failed, died;

static void judge(const struct report *report, int status)
{
    const int step = atomic_load(&report->step);
    const char *where = step < WAYS ? way_names[step] : "the end";
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
        hung++;
    else if (WIFEXITED(status))
        failed++;
    else
        died++;
    if (hung + failed + died <= DESCRIBED)
        fprintf(stderr, "child %d at \"%s\": status 0x%x: %s\n", (int)report->child, where, (unsigned)status,
                report->error.text);
}

/* How many children have not ended. Theirs is the only process that may end meanwhile: that of KMS goes on. */
static size_t active;

/* Waits for a child to end. Its report is free then. */
static struct report *wait_for_child(void)
{
    int status;
    const pid_t child = waitpid(-1, &status, 0);
    for (size_t i = 0; i < CHILDREN; i++) {
        if (reports[i].child == child) {
            judge(&reports[i], status);
            reports[i].child = 0;
            active--;
            return &reports[i];
        }
    }
    fail_msg("an unknown child has ended");
    return NULL;
}

static struct report *free_report(void)
{
    for (size_t i = 0; i < CHILDREN; i++) {
        if (reports[i].child == 0)
            return &reports[i];
    }
    return wait_for_child();
}

static void fork_once(unsigned number)
{
    struct report *report = free_report();
    kf_error_init(&report->error);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        mine = report;
        (void)signal(SIGALRM, describe_hang);
        alarm(ALARM_S);
        _exit(child_works(number) ? 0 : 1);
    }
    report->child = child;
    active++;
}

static void no_child_is_held_up(void **state)
{
    (void)state;
    static const unsigned numbers[] = {WAY_AES, WAY_SIGNED, WAY_RSA, WAY_ASYNC}; /* where each begins */
    pthread_t threads[sizeof numbers / sizeof numbers[0]];
    char file[64];
    void *frame;
    snprintf(file, sizeof file, "fork-storm-%d.pem", (int)getpid());
    ways_open_apart(file);
    (void)backtrace(&frame, 1); /* what it loads is loaded here, not in the handler */
    reports =
        mmap(NULL, CHILDREN * sizeof *reports, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(reports != MAP_FAILED);
    for (size_t i = 0; i < busy; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, keep_busy, (void *)(uintptr_t)&numbers[i]), 0);
    for (unsigned long i = 0; i < forks; i++)
        fork_once((unsigned)i);
    while (active > 0)
        wait_for_child();
    atomic_store(&stopping, true);
    for (size_t i = 0; i < busy; i++)
        pthread_join(threads[i], NULL);
    print_message("%lu forks beside %lu round trips: %lu hung, %lu failed, %lu died\n", forks,
                  atomic_load(&trips), hung, failed, died);
    munmap(reports, CHILDREN * sizeof *reports);
    ways_close();
    assert_int_equal(hung, 0);
    assert_int_equal(failed, 0);
    assert_int_equal(died, 0);
}

static enum ways way_of(const char *name)
{
    unsigned way = 0;
    while (way < WAYS && strcmp(name, way_names[way]) != 0)
        way++;
    if (way == WAYS) {
        fprintf(stderr, "There is no way \"%s\".\n", name);
        exit(2);
    }
    return (enum ways)way;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_child_is_held_up),
    };
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--forks") == 0)
            forks = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--only") == 0)
            only = way_of(argv[i + 1]);
    }
    (void)signal(SIGPIPE, SIG_IGN); /* the server's, by OpenSSL */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
