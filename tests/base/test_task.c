/*
 * The states of a task, looked at while the internal thread is held up inside another one. So a wake that is lost is seen
 * here; nobody waits for it.
 */
#include "base/thread_stage.h"

#include <limits.h>
#include <sched.h>

/* A task that holds the internal thread up, at each run until there is one more pass. */
static struct {
    struct job job;
    atomic_uint passes;
} gate;

static void stand(void)
{
    while (atomic_load(&gate.passes) < atomic_load(&gate.job.runs))
        sched_yield();
}

/* Waits until the internal thread stands in the gate for the `runs`th time. */
static void gate_wait(unsigned runs)
{
    while (atomic_load(&gate.job.runs) < runs)
        sched_yield();
}

/* Begins a test: from here on the internal thread stands in the gate. */
static void begin(struct job *job)
{
    job_init(&gate.job);
    atomic_store(&gate.passes, 0);
    gate.job.inside = stand;
    job_hand_over(&gate.job);
    kfi_task_wake(&gate.job.task);
    gate_wait(1);
    job_init(job);
}

static void end(struct job *job)
{
    atomic_store(&gate.passes, UINT_MAX);
    kf_cleanup();
    assert_int_equal(job->stops, 1);
    bell_destroy(&job->ran);
    bell_destroy(&gate.job.ran);
}

static void a_wake_before_the_hand_over_queues_it(void **state)
{
    (void)state;
    struct job job;
    begin(&job);
    kfi_task_wake(&job.task);
    job_hand_over(&job);
    assert_int_equal(job.task.state, KFI_TASK_QUEUED);
    end(&job);
}

static void a_wake_behind_the_hand_over_queues_it_once(void **state)
{
    (void)state;
    struct job job;
    begin(&job);
    job_hand_over(&job);
    assert_int_equal(job.task.state, KFI_TASK_IDLE);
    kfi_task_wake(&job.task);
    kfi_task_wake(&job.task);
    assert_int_equal(job.task.state, KFI_TASK_QUEUED);
    end(&job);
}

static void a_wake_while_it_runs_queues_it_again(void **state)
{
    (void)state;
    struct job job;
    begin(&job);
    job.wake_itself = 1;
    job_hand_over(&job);
    kfi_task_wake(&job.task);
    kfi_task_wake(&gate.job.task); /* behind it */
    atomic_store(&gate.passes, 1);
    gate_wait(2);
    assert_int_equal(job.runs, 1);
    assert_int_equal(job.task.state, KFI_TASK_QUEUED);
    end(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wake_before_the_hand_over_queues_it),
        cmocka_unit_test(a_wake_behind_the_hand_over_queues_it_once),
        cmocka_unit_test(a_wake_while_it_runs_queues_it_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
