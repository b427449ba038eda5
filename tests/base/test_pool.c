/*
 * The pool of workers: lanes with their limits, work that is taken back, and the end of workers.
 */
#include "support/support.h"

#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/pool.h"

/* Work that waits inside until it is let go. */
struct piece {
    struct kfi_work work; /* first */
    atomic_bool begun, done;
    int failure;
};

static struct {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool open;
    unsigned inside, begun, done;
} yard = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void piece_run(struct kfi_work *work)
{
    atomic_store(&((struct piece *)work)->begun, true);
    pthread_mutex_lock(&yard.lock);
    yard.inside++;
    yard.begun++;
    pthread_cond_broadcast(&yard.changed);
    while (!yard.open)
        pthread_cond_wait(&yard.changed, &yard.lock);
    yard.inside--;
    pthread_mutex_unlock(&yard.lock);
}

static void piece_done(struct kfi_work *work, int failure)
{
    struct piece *piece = (struct piece *)work;
    piece->failure = failure;
    pthread_mutex_lock(&yard.lock);
    atomic_store(&piece->done, true);
    yard.done++;
    pthread_cond_broadcast(&yard.changed);
    pthread_mutex_unlock(&yard.lock);
}

static void submit(struct kfi_lane *lane, struct piece *pieces, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        pieces[i] = (struct piece){.work = {.run = piece_run, .done = piece_done}};
        kfi_pool_submit(lane, &pieces[i].work);
    }
}

static void yard_open(bool open)
{
    pthread_mutex_lock(&yard.lock);
    yard.open = open;
    pthread_cond_broadcast(&yard.changed);
    pthread_mutex_unlock(&yard.lock);
}

static void wait_for(const unsigned *counter, unsigned count)
{
    pthread_mutex_lock(&yard.lock);
    while (*counter < count)
        pthread_cond_wait(&yard.changed, &yard.lock);
    pthread_mutex_unlock(&yard.lock);
}

static int yard_close(void **state)
{
    (void)state;
    yard.open = false;
    yard.inside = yard.begun = yard.done = 0;
    return 0;
}

static void wait_for_threads(unsigned count)
{
    while (support_threads() > count)
        sched_yield();
}

static void a_lane_has_so_much_work_under_way(void **state)
{
    (void)state;
    struct kfi_lane lane = KFI_LANE_INIT(3);
    struct piece pieces[20];
    const unsigned before = support_threads();
    submit(&lane, pieces, 20);
    wait_for(&yard.inside, 3);
    assert_int_equal(support_threads(), before + 3);
    for (int i = 0; i < 100; i++)
        sched_yield();
    assert_int_equal(yard.begun, 3);
    yard_open(true);
    wait_for(&yard.done, 20);
    assert_int_equal(yard.begun, 20);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(pieces[i].failure, 0);
    kf_cleanup();
    wait_for_threads(before);
    kfi_lane_end(&lane, true);
}

static void what_blocks_in_one_lane_holds_up_no_other(void **state)
{
    (void)state;
    struct kfi_lane lanes[3] = {KFI_LANE_INIT(2), KFI_LANE_INIT(1), KFI_LANE_INIT(4)};
    struct piece pieces[3][10];
    for (size_t i = 0; i < 3; i++)
        submit(&lanes[i], pieces[i], 10);
    wait_for(&yard.inside, 7); /* as many as all of them allow */
    for (int i = 0; i < 100; i++)
        sched_yield();
    assert_int_equal(yard.begun, 7);
    for (size_t i = 0; i < 3; i++) {
        size_t begun = 0;
        for (size_t k = 0; k < 10; k++)
            begun += atomic_load(&pieces[i][k].begun);
        assert_int_equal(begun, lanes[i].limit);
    }
    yard_open(true);
    wait_for(&yard.done, 30);
    kf_cleanup();
    for (size_t i = 0; i < 3; i++)
        kfi_lane_end(&lanes[i], true);
}

static void work_that_has_not_begun_can_be_taken_back(void **state)
{
    (void)state;
    struct kfi_lane lane = KFI_LANE_INIT(1);
    struct piece pieces[4];
    submit(&lane, pieces, 4);
    wait_for(&yard.inside, 1);
    assert_false(kfi_pool_withdraw(&pieces[0].work));
    assert_true(kfi_pool_withdraw(&pieces[2].work));
    assert_false(kfi_pool_withdraw(&pieces[2].work));
    yard_open(true);
    wait_for(&yard.done, 3);
    assert_int_equal(yard.begun, 3);
    assert_false(pieces[2].done);
    kf_cleanup();
    kfi_lane_end(&lane, true);
}

/* Work is taken back just as it begins: either it is run and done, or neither. */
static void taking_back_and_beginning_agree(void **state)
{
    (void)state;
    struct kfi_lane lane = KFI_LANE_INIT(2);
    yard_open(true);
    unsigned left = 0;
    for (unsigned i = 0; i < 500; i++) {
        struct piece piece;
        submit(&lane, &piece, 1);
        for (unsigned k = 0; k < i % 7; k++)
            sched_yield();
        left += !kfi_pool_withdraw(&piece.work);
        wait_for(&yard.done, left);
        assert_int_equal(yard.begun, left);
    }
    kf_cleanup();
    kfi_lane_end(&lane, true);
}

static void idle_workers_end_with_their_lane(void **state)
{
    (void)state;
    struct kfi_lane lane = KFI_LANE_INIT(5);
    struct piece pieces[5];
    const unsigned before = support_threads();
    submit(&lane, pieces, 5);
    wait_for(&yard.inside, 5);
    yard_open(true);
    wait_for(&yard.done, 5);
    assert_int_equal(support_threads(), before + 5); /* they stay */
    kfi_lane_end(&lane, true);
    wait_for_threads(before);
}

static void what_stands_in_line_is_done_before_a_cleanup_ends(void **state)
{
    (void)state;
    struct kfi_lane lane = KFI_LANE_INIT(1);
    struct piece pieces[10];
    yard_open(true);
    submit(&lane, pieces, 10);
    kf_cleanup();
    assert_int_equal(yard.done, 10);
    kfi_lane_end(&lane, true);
}

static void *let_go_at_last(void *unused)
{
    (void)unused;
    yard_open(true);
    return NULL;
}

/* A cleanup waits for it no longer than a second. It goes on as if nothing had been, and ends when it comes back. */
static void a_worker_that_is_stuck_does_not_hang_a_cleanup(void **state)
{
    (void)state;
    struct kfi_lane lane = KFI_LANE_INIT(1);
    struct piece stuck, next;
    const unsigned before = support_threads();
    submit(&lane, &stuck, 1);
    wait_for(&yard.inside, 1);
    alarm(30);
    kf_cleanup();
    alarm(0);
    assert_false(stuck.done);
    submit(&lane, &next, 1); /* it waits in the lane as ever */
    assert_int_equal(support_threads(), before + 1);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, let_go_at_last, NULL), 0);
    pthread_join(thread, NULL);
    wait_for(&yard.done, 2);
    wait_for_threads(before);
    kf_cleanup();
    kfi_lane_end(&lane, true);
}

static struct kfi_lane inherited = KFI_LANE_INIT(1);

static bool child_works(void *unused)
{
    struct piece pieces[3];
    (void)unused;
    pthread_mutex_init(&yard.lock, NULL);
    pthread_cond_init(&yard.changed, NULL);
    yard.done = 0;
    yard.open = true;
    for (size_t i = 0; i < 3; i++) {
        pieces[i] = (struct piece){.work = {.run = piece_run, .done = piece_done}};
        kfi_pool_submit(&inherited, &pieces[i].work);
    }
    wait_for(&yard.done, 3);
    kf_cleanup();
    return pieces[2].failure == 0;
}

static void a_child_has_workers_of_its_own(void **state)
{
    (void)state;
    if (!SUPPORT_THREADS_IN_CHILDREN)
        skip();
    struct piece pieces[2];
    submit(&inherited, pieces, 2);
    wait_for(&yard.inside, 1);
    assert_true(support_in_child(child_works, NULL));
    yard_open(true);
    wait_for(&yard.done, 2);
    kf_cleanup();
    kfi_lane_end(&inherited, true);
}

int main(void)
{
    pthread_t first; /* with it come threads of sanitizers, which are not to be counted */
    if (pthread_create(&first, NULL, let_go_at_last, NULL) != 0 || pthread_join(first, NULL) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_lane_has_so_much_work_under_way, yard_close),
        cmocka_unit_test_setup(what_blocks_in_one_lane_holds_up_no_other, yard_close),
        cmocka_unit_test_setup(work_that_has_not_begun_can_be_taken_back, yard_close),
        cmocka_unit_test_setup(taking_back_and_beginning_agree, yard_close),
        cmocka_unit_test_setup(idle_workers_end_with_their_lane, yard_close),
        cmocka_unit_test_setup(what_stands_in_line_is_done_before_a_cleanup_ends, yard_close),
        cmocka_unit_test_setup(a_worker_that_is_stuck_does_not_hang_a_cleanup, yard_close),
        cmocka_unit_test_setup(a_child_has_workers_of_its_own, yard_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
