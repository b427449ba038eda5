/*
 * The states of a task, looked at while the internal thread is held up inside another one. So a wake that is lost is seen
 * here; nobody waits for it.
 */
#include "base/thread_stage.h"

#include <limits.h>
#include <sched.h>

/* Two tasks that hold the internal thread up, one behind the other. */
static struct job gates[2];
static atomic_uint reached, open; /* the number of gates in which it has stood, and that it may leave */

static void stand(void)
{
    const unsigned gate = atomic_fetch_add(&reached, 1);
    while (atomic_load(&open) <= gate)
        sched_yield();
}

/* Waits until the internal thread stands in gate `number`, counted from 1. */
static void gate_wait(unsigned number)
{
    while (atomic_load(&reached) < number)
        sched_yield();
}

/* Begins a test: from here on the internal thread stands in the first gate. */
static void begin(struct job *job)
{
    atomic_store(&reached, 0);
    atomic_store(&open, 0);
    for (size_t i = 0; i < 2; i++) {
        job_init(&gates[i]);
        gates[i].inside = stand;
        job_hand_over(&gates[i]);
    }
    kfi_task_wake(&gates[0].task);
    gate_wait(1);
    job_init(job);
}

static void end(struct job *job)
{
    atomic_store(&open, UINT_MAX);
    kf_cleanup();
    assert_int_equal(job->stops, 1);
    bell_destroy(&job->ran);
    for (size_t i = 0; i < 2; i++)
        bell_destroy(&gates[i].ran);
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
    kfi_task_wake(&gates[1].task); /* behind it */
    atomic_store(&open, 1);
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
