/*
 * Asking, with an owner of one thing: it is there, or a flight that brings it is under way, or neither. What
 * others do in between is done by the test, right after the look that it names.
 */
#include "support/support.h"

#include <stdlib.h>

#include "base/asking.h"
#include "base/circle.h"
#include "base/error.h"
#include "support/failing_allocator.h"

/* ---- The owner ---- */

/* A fetch that answers at once, or does what the test wants while it is polled. */
struct fetch {
    struct kfi_flight flight; /* first */
    char brings;              /* the name of what it brings */
    enum kf_code (*within)(struct kf_error *error);
};

static struct {
    bool there;         /* what is asked for */
    bool ages;          /* and the next one is wanted ahead of need */
    struct fetch *open; /* the flight that others find, or NULL; not counted */
    struct fetch other; /* what others open: its memory is here, and it has one reference for good */

    void (*after_look)(unsigned looks);             /* what others do after this look, or NULL */
    enum kf_code (*within)(struct kf_error *error); /* what a fetch that is made does, or NULL: KF_OK */
    enum kf_code flight_code;                       /* what making a flight comes to */

    unsigned looks, made, polled, landed, destroyed, left, ended;
    struct kfi_list seated; /* who landed and was not told yet */
    bool tells;             /* at the landing, as real owners do */
} owner;

static struct fetch *fetch_of(const struct kfi_flight *flight)
{
    return KFI_CONTAINER(flight, struct fetch, flight);
}

static enum kf_code fetch_poll(struct kfi_flight *flight, struct kf_error *error)
{
    owner.polled++;
    return fetch_of(flight)->within != NULL ? fetch_of(flight)->within(error) : KF_OK;
}

static void fetch_land(struct kfi_flight *flight)
{
    owner.landed++;
    if (owner.open == fetch_of(flight))
        owner.open = NULL;
    owner.there = owner.there || flight->code == KF_OK;
    kfi_seats_land_locked(flight, &owner.seated);
    if (owner.tells)
        kfi_seats_deliver(&owner.seated);
}

static void fetch_destroy(struct kfi_flight *flight)
{
    owner.destroyed++;
    kfi_free(fetch_of(flight));
}

static const struct kfi_flight_class fetch_class = {
    .poll = fetch_poll,
    .land = fetch_land,
    .destroy = fetch_destroy,
};

/* ---- Callers ---- */

struct guest {
    struct kfi_seat seat; /* first */
};

struct question {
    struct kfi_asking asking; /* first */
    char wants;               /* the name of what is asked for */
    struct kf_call call;
    struct kf_error error;
};

/* A look names everything that it needs, even if it has some of it. */
static unsigned look_now(struct kfi_asking *asking)
{
    const bool opens = owner.open == NULL && (!owner.there || owner.ages), seats = !owner.there;
    if ((opens && asking->flight == NULL) || (seats && asking->seat == NULL))
        return (opens ? KFI_LOOK_WANTS_FLIGHT : 0) | (seats ? KFI_LOOK_WANTS_SEAT : 0);
    if (opens)
        owner.open = fetch_of(asking->flight);
    if (seats)
        kfi_seat_take_locked(asking->seat, &owner.open->flight);
    return (seats ? KFI_LOOK_SEATED : KFI_LOOK_ANSWERED) | (opens ? KFI_LOOK_OPENED : 0);
}

static unsigned look(struct kfi_asking *asking)
{
    const unsigned came_to = look_now(asking);
    owner.looks++;
    if (owner.after_look != NULL)
        owner.after_look(owner.looks);
    return came_to;
}

static enum kf_code flight_new(struct kfi_asking *asking, struct kf_error *error)
{
    if (owner.flight_code != KF_OK)
        return kf_error_set(error, owner.flight_code, "The flight was refused.");
    struct fetch *fetch = kfi_alloc_zeroed(sizeof *fetch);
    if (fetch == NULL)
        return kfi_no_memory(error);
    owner.made++;
    kfi_flight_init(&fetch->flight, &fetch_class, 1000);
    fetch->brings = KFI_CONTAINER(asking, struct question, asking)->wants;
    fetch->within = owner.within;
    asking->flight = &fetch->flight;
    return KF_OK;
}

static bool brings(const struct kfi_flight *flight, const struct kfi_asking *asking)
{
    return fetch_of(flight)->brings == KFI_CONTAINER(asking, struct question, asking)->wants;
}

static void guest_leave(struct kfi_seat *seat)
{
    owner.left++;
    (void)kfi_seat_leave_locked(seat);
}

static void guest_awaited(struct kfi_seat *seat, struct kfi_circle_search *search)
{
    if (!seat->flight->landed)
        kfi_circle_meet(search, seat->flight);
}

static void guest_end(struct kfi_seat *seat)
{
    (void)seat;
    owner.ended++;
}

static const struct kfi_asking_class asking_class = {
    .seat = {.size = sizeof(struct guest), .leave = guest_leave, .awaited = guest_awaited, .end = guest_end},
    .look = look,
    .flight_new = flight_new,
    .brings = brings,
    .waits_for_itself = "Whoever brings it must not ask for it.",
};

/* ---- Shorthands ---- */

static int begin(void **state)
{
    (void)state;
    memset(&owner, 0, sizeof owner);
    kfi_list_init(&owner.seated);
    kfi_flight_init(&owner.other.flight, &fetch_class, 1000);
    owner.other.brings = 'a';
    fail_allocation(0);
    return 0;
}

/* Nothing is left. */
static int end(void **state)
{
    (void)state;
    return (int)memory.held;
}

static void question_begin(struct question *question, char wants)
{
    *question = (struct question){.wants = wants, .error = KF_ERROR_INIT};
    kfi_call_init(&question->call, NULL);
    question->asking = (struct kfi_asking){.class = &asking_class, .call = &question->call};
}

static enum kf_code ask(struct question *question)
{
    question_begin(question, 'a');
    return kfi_ask(&question->asking, &question->error);
}

/* The seat that a call waits in, or NULL. */
static struct kfi_seat *seat_of(const struct question *question)
{
    return kf_call_state(&question->call);
}

/* Tells all who were seated, and ends the call. */
static void question_end(struct question *question)
{
    kfi_seats_deliver(&owner.seated);
    kfi_call_end(&question->call);
}

/* What was prepared and not used was released, once. */
static void assert_unused(const struct question *question)
{
    assert_null(seat_of(question));
    assert_int_equal(owner.polled, 0);
    assert_int_equal(owner.left, 0);
    assert_int_equal(owner.destroyed, owner.made);
}

static void other_lands(enum kf_code code)
{
    owner.other.flight.code = code;
    fetch_land(&owner.other.flight);
}

/* ---- Nobody is woken inside its own asking ---- */

static struct question asker;
static struct bell asker_bell;

/* Asks with a bell as the waker. Polls of the fetch do what `within` says. */
static enum kf_code asker_ask(enum kf_code (*within)(struct kf_error *error))
{
    bell_init(&asker_bell);
    const struct kf_waker waker = bell_waker(&asker_bell);
    owner.within = within;
    owner.tells = true;
    question_begin(&asker, 'a');
    kfi_call_drive(&asker.call, &waker);
    return kfi_ask(&asker.asking, &asker.error);
}

static void asker_end(void)
{
    question_end(&asker);
    bell_destroy(&asker_bell);
}

static void whoever_lands_its_own_flight_is_not_woken(void **state)
{
    (void)state;
    assert_int_equal(asker_ask(NULL), KF_PENDING);
    assert_true(seat_of(&asker)->flight->landed);
    assert_int_equal(bell_rung(&asker_bell), 0);
    asker_end();
}

static struct question another;
static struct bell another_bell;

/* A second caller, who asks by the way and is seated in the flight of the first. */
static enum kf_code another_asks(struct kf_error *error)
{
    (void)error;
    const struct kf_waker waker = bell_waker(&another_bell);
    question_begin(&another, 'a');
    kfi_call_drive(&another.call, &waker);
    another.asking.seat = kfi_seat_new(&asking_class.seat, &another.call);
    kfi_seat_take_locked(another.asking.seat, asker.asking.seat->flight);
    return KF_OK;
}

static void others_in_that_flight_are_woken(void **state)
{
    (void)state;
    bell_init(&another_bell);
    assert_int_equal(asker_ask(another_asks), KF_PENDING);
    assert_int_equal(bell_rung(&asker_bell), 0);
    assert_int_equal(bell_rung(&another_bell), 1);
    kfi_seat_unref(another.asking.seat);
    kfi_call_end(&another.call);
    asker_end();
    bell_destroy(&another_bell);
}

static void *land_and_tell(void *flight)
{
    struct kfi_list seated;
    kfi_list_init(&seated);
    kfi_seats_land_locked(flight, &seated);
    kfi_seats_deliver(&seated);
    return NULL;
}

static enum kf_code a_second_thread_lands(struct kf_error *error)
{
    (void)error;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, land_and_tell, asker.asking.seat->flight), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return KF_OK;
}

static void a_landing_on_another_thread_wakes_whoever_asks(void **state)
{
    (void)state;
    assert_int_equal(asker_ask(a_second_thread_lands), KF_PENDING);
    assert_int_equal(bell_rung(&asker_bell), 1);
    asker_end();
}

static void whoever_asked_is_woken_by_later_landings(void **state)
{
    (void)state;
    assert_int_equal(asker_ask(NULL), KF_PENDING);
    asker_end();
    owner.there = false;
    owner.open = &owner.other;
    assert_int_equal(asker_ask(NULL), KF_PENDING);
    other_lands(KF_OK);
    assert_int_equal(bell_rung(&asker_bell), 1);
    asker_end();
}

/* ---- The last look alone decides ---- */

static void what_is_there_is_answered_by_one_look(void **state)
{
    (void)state;
    struct question question;
    owner.there = true;
    assert_int_equal(ask(&question), KF_OK);
    assert_int_equal(owner.looks, 1);
    assert_int_equal(memory.made, 0); /* a hit allocates nothing */
    assert_unused(&question);
    question_end(&question);
}

static void what_is_under_way_needs_a_seat_and_no_flight(void **state)
{
    (void)state;
    struct question question;
    owner.open = &owner.other;
    assert_int_equal(ask(&question), KF_PENDING);
    assert_int_equal(owner.looks, 2);
    assert_int_equal(owner.made, 0);
    assert_ptr_equal(seat_of(&question)->flight, &owner.other.flight);
    assert_false(owner.other.flight.landed);
    other_lands(KF_OK);
    question_end(&question);
    assert_int_equal(owner.ended, 1);
}

static void whoever_finds_nothing_opens_at_the_second_look(void **state)
{
    (void)state;
    struct question question;
    assert_int_equal(ask(&question), KF_PENDING);
    assert_int_equal(owner.looks, 2);
    assert_int_equal(owner.made, 1);
    /* It was launched, and as it answered at once, it has landed. */
    assert_int_equal(owner.polled, 1);
    assert_int_equal(owner.landed, 1);
    assert_true(seat_of(&question)->flight->landed);
    assert_int_equal(seat_of(&question)->flight->code, KF_OK);
    assert_int_equal(owner.destroyed, 0); /* the seat has it */
    question_end(&question);
    assert_int_equal(owner.destroyed, 1);
    assert_int_equal(owner.left, 1);
    assert_int_equal(owner.ended, 1);
}

static void others_open(unsigned looks)
{
    if (looks == 1)
        owner.open = &owner.other;
}

static void a_flight_that_others_open_meanwhile_is_joined(void **state)
{
    (void)state;
    struct question question;
    owner.after_look = others_open;
    assert_int_equal(ask(&question), KF_PENDING);
    assert_int_equal(owner.looks, 2);
    assert_ptr_equal(seat_of(&question)->flight, &owner.other.flight);
    assert_int_equal(owner.made, 1);
    assert_int_equal(owner.destroyed, 1); /* its own flight was not used */
    assert_int_equal(owner.polled, 0);
    other_lands(KF_OK);
    question_end(&question);
    assert_int_equal(owner.ended, 1);
}

static void others_bring(unsigned looks)
{
    owner.there = owner.there || looks == 1;
}

static void what_comes_meanwhile_is_answered(void **state)
{
    (void)state;
    struct question question;
    owner.after_look = others_bring;
    assert_int_equal(ask(&question), KF_OK);
    assert_int_equal(owner.looks, 2);
    assert_int_equal(owner.made, 1);
    assert_int_equal(owner.ended, 1); /* the seat was not used either */
    assert_unused(&question);
    question_end(&question);
}

static void others_fail(unsigned looks)
{
    if (looks == 1)
        other_lands(KF_E_REMOTE);
}

static void what_goes_meanwhile_is_fetched(void **state)
{
    (void)state;
    struct question question;
    owner.open = &owner.other;
    owner.after_look = others_fail;
    assert_int_equal(ask(&question), KF_PENDING); /* wants a seat, wants a flight, opens */
    assert_int_equal(owner.looks, 3);
    assert_int_equal(owner.made, 1);
    assert_ptr_not_equal(seat_of(&question)->flight, &owner.other.flight);
    assert_int_equal(seat_of(&question)->flight->code, KF_OK);
    question_end(&question);
    assert_int_equal(owner.ended, 1); /* one seat was made for all looks */
    assert_int_equal(owner.destroyed, 1);
}

static void others_take_away(unsigned looks)
{
    owner.there = owner.there && looks != 1;
}

static void what_expires_meanwhile_is_waited_for(void **state)
{
    (void)state;
    struct question question;
    owner.there = owner.ages = true;
    owner.after_look = others_take_away;
    assert_int_equal(ask(&question), KF_PENDING); /* wants a flight, wants a seat too, opens */
    assert_int_equal(owner.looks, 3);
    assert_int_equal(owner.made, 1);
    assert_int_equal(seat_of(&question)->flight->code, KF_OK);
    question_end(&question);
}

static void others_go_and_come(unsigned looks)
{
    owner.open = looks == 1 ? NULL : &owner.other;
}

static void what_was_prepared_is_kept_from_look_to_look(void **state)
{
    (void)state;
    struct question question;
    owner.open = &owner.other;
    owner.after_look = others_go_and_come;
    /* Wants a seat; wants a flight too; finds that of others. */
    assert_int_equal(ask(&question), KF_PENDING);
    assert_int_equal(owner.looks, 3);
    assert_ptr_equal(seat_of(&question)->flight, &owner.other.flight);
    assert_int_equal(owner.destroyed, 1);
    other_lands(KF_OK);
    question_end(&question);
    assert_int_equal(owner.ended, 1);
}

/* ---- Ahead of need ---- */

static void an_answer_may_open_a_flight_with_nobody_in_it(void **state)
{
    (void)state;
    struct question question;
    owner.there = owner.ages = true;
    assert_int_equal(ask(&question), KF_OK);
    assert_null(seat_of(&question));
    assert_int_equal(owner.made, 1);
    assert_int_equal(owner.polled, 1);
    assert_int_equal(owner.landed, 1);
    assert_int_equal(owner.destroyed, 1);
    assert_int_equal(owner.ended, 0); /* no seat was ever made */
    question_end(&question);
}

/* ---- Failures ---- */

static enum kf_code fail_within(struct kf_error *error)
{
    return kf_error_set(error, KF_E_REMOTE, "It broke.");
}

static void a_fetch_that_fails_at_once_is_found_in_the_seat(void **state)
{
    (void)state;
    struct question question;
    owner.within = fail_within;
    assert_int_equal(ask(&question), KF_PENDING);
    assert_true(seat_of(&question)->flight->landed);
    assert_int_equal(seat_of(&question)->flight->code, KF_E_REMOTE);
    assert_string_equal(seat_of(&question)->flight->error.text, "It broke.");
    question_end(&question);
}

static void a_flight_that_cannot_be_made_is_the_answer(void **state)
{
    (void)state;
    struct question question;
    owner.flight_code = KF_E_SYSTEM;
    assert_int_equal(ask(&question), KF_E_SYSTEM);
    assert_string_equal(question.error.text, "The flight was refused.");
    assert_int_equal(owner.looks, 1);
    assert_unused(&question);
    question_end(&question);
}

static void a_seat_goes_when_the_flight_cannot_be_made(void **state)
{
    (void)state;
    struct question question;
    owner.open = &owner.other;
    owner.after_look = others_fail;
    owner.flight_code = KF_E_SYSTEM;
    assert_int_equal(ask(&question), KF_E_SYSTEM);
    assert_int_equal(owner.looks, 2);
    assert_int_equal(owner.ended, 1);
    assert_unused(&question);
    question_end(&question);
}

/* A flight, a seat, and the seat's waker are allocated; without any of them nothing has happened. */
static void without_memory_nothing_changes(void **state)
{
    (void)state;
    struct question question;
    size_t number = 1;
    for (;; number++) {
        fail_allocation(number);
        const enum kf_code code = ask(&question);
        fail_allocation(0);
        if (code == KF_PENDING)
            break;
        assert_int_equal(code, KF_E_NO_MEMORY);
        assert_int_equal(question.error.code, KF_E_NO_MEMORY);
        assert_null(owner.open);
        assert_int_equal(owner.ended, 0);
        assert_unused(&question);
        question_end(&question);
        assert_int_equal(memory.held, 0);
    }
    assert_int_equal(number, 4);
    question_end(&question);
}

static void whoever_is_to_fetch_ahead_needs_memory_for_it(void **state)
{
    (void)state;
    struct question question;
    owner.there = owner.ages = true;
    fail_allocation(1);
    assert_int_equal(ask(&question), KF_E_NO_MEMORY);
    fail_allocation(0);
    assert_unused(&question);
    question_end(&question);
}

/* ---- Waiting for oneself ---- */

static void assert_refused(struct question *question)
{
    const unsigned looks = owner.looks;
    assert_int_equal(kfi_ask(&question->asking, &question->error), KF_E_USAGE);
    assert_string_equal(question->error.text, asking_class.waits_for_itself);
    assert_int_equal(owner.looks, looks);
    assert_null(seat_of(question));
}

static void whoever_asks_with_the_call_of_the_fetch_is_refused(void **state)
{
    (void)state;
    struct question question;
    question_begin(&question, 'a');
    kfi_call_init(&question.call, &owner.other.flight);
    assert_refused(&question);

    struct kf_call *child = kf_call_child(&question.call, 0);
    assert_non_null(child);
    question.asking.call = child;
    assert_refused(&question);
    kfi_call_end(&question.call);
}

static void whoever_asks_with_the_call_of_another_fetch_is_not(void **state)
{
    (void)state;
    struct question question;
    owner.there = true;
    question_begin(&question, 'b');
    kfi_call_init(&question.call, &owner.other.flight);
    assert_int_equal(kfi_ask(&question.asking, &question.error), KF_OK);
    kfi_call_end(&question.call);
}

static enum kf_code ask_for_oneself(struct kf_error *error)
{
    struct question question;
    (void)error;
    question_begin(&question, 'a');
    assert_refused(&question);
    kfi_call_end(&question.call);
    return KF_OK;
}

static void whoever_asks_on_the_thread_of_the_fetch_is_refused(void **state)
{
    (void)state;
    struct question question;
    owner.within = ask_for_oneself;
    assert_int_equal(ask(&question), KF_PENDING);
    assert_int_equal(owner.looks, 2);
    question_end(&question);
}

/* Inside the fetch of `a` a caller asks for `b`, and the fetch of `b` asks for `a`. */
static enum kf_code ask_for_another(struct kf_error *error)
{
    struct question question;
    (void)error;
    owner.open = NULL; /* so that `b` is fetched and not awaited */
    owner.within = ask_for_oneself;
    question_begin(&question, 'b');
    assert_int_equal(kfi_ask(&question.asking, &question.error), KF_PENDING);
    question_end(&question);
    return KF_OK;
}

static void whoever_asks_in_a_fetch_within_the_fetch_is_refused(void **state)
{
    (void)state;
    struct question question;
    owner.within = ask_for_another;
    assert_int_equal(ask(&question), KF_PENDING);
    assert_int_equal(owner.polled, 2);
    question_end(&question);
}

/* ---- The end of a seat ---- */

static void a_call_that_is_dropped_leaves_once(void **state)
{
    (void)state;
    struct question question;
    owner.open = &owner.other;
    assert_int_equal(ask(&question), KF_PENDING);
    assert_int_equal(owner.left, 0);
    kfi_call_end(&question.call);
    assert_int_equal(owner.left, 1);
    assert_int_equal(owner.ended, 1);
    assert_true(kfi_list_empty(&owner.other.flight.seated));
    other_lands(KF_OK);
    assert_true(kfi_list_empty(&owner.seated));
    assert_int_equal(owner.left, 1);
}

static void a_seat_ends_with_its_last_reference(void **state)
{
    (void)state;
    struct question question;
    owner.open = &owner.other;
    assert_int_equal(ask(&question), KF_PENDING);
    other_lands(KF_OK);
    kfi_call_end(&question.call); /* before he was told */
    assert_int_equal(owner.left, 1);
    assert_int_equal(owner.ended, 0);
    kfi_seats_deliver(&owner.seated);
    assert_int_equal(owner.left, 1);
    assert_int_equal(owner.ended, 1);
}

int main(void)
{
    failing_allocator_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whoever_lands_its_own_flight_is_not_woken, begin, end),
        cmocka_unit_test_setup_teardown(others_in_that_flight_are_woken, begin, end),
        cmocka_unit_test_setup_teardown(a_landing_on_another_thread_wakes_whoever_asks, begin, end),
        cmocka_unit_test_setup_teardown(whoever_asked_is_woken_by_later_landings, begin, end),
        cmocka_unit_test_setup_teardown(what_is_there_is_answered_by_one_look, begin, end),
        cmocka_unit_test_setup_teardown(what_is_under_way_needs_a_seat_and_no_flight, begin, end),
        cmocka_unit_test_setup_teardown(whoever_finds_nothing_opens_at_the_second_look, begin, end),
        cmocka_unit_test_setup_teardown(a_flight_that_others_open_meanwhile_is_joined, begin, end),
        cmocka_unit_test_setup_teardown(what_comes_meanwhile_is_answered, begin, end),
        cmocka_unit_test_setup_teardown(what_goes_meanwhile_is_fetched, begin, end),
        cmocka_unit_test_setup_teardown(what_expires_meanwhile_is_waited_for, begin, end),
        cmocka_unit_test_setup_teardown(what_was_prepared_is_kept_from_look_to_look, begin, end),
        cmocka_unit_test_setup_teardown(an_answer_may_open_a_flight_with_nobody_in_it, begin, end),
        cmocka_unit_test_setup_teardown(a_fetch_that_fails_at_once_is_found_in_the_seat, begin, end),
        cmocka_unit_test_setup_teardown(a_flight_that_cannot_be_made_is_the_answer, begin, end),
        cmocka_unit_test_setup_teardown(a_seat_goes_when_the_flight_cannot_be_made, begin, end),
        cmocka_unit_test_setup_teardown(without_memory_nothing_changes, begin, end),
        cmocka_unit_test_setup_teardown(whoever_is_to_fetch_ahead_needs_memory_for_it, begin, end),
        cmocka_unit_test_setup_teardown(whoever_asks_with_the_call_of_the_fetch_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(whoever_asks_with_the_call_of_another_fetch_is_not, begin, end),
        cmocka_unit_test_setup_teardown(whoever_asks_on_the_thread_of_the_fetch_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(whoever_asks_in_a_fetch_within_the_fetch_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(a_call_that_is_dropped_leaves_once, begin, end),
        cmocka_unit_test_setup_teardown(a_seat_ends_with_its_last_reference, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
