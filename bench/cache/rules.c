/*
 * Rules: how long the lock is held. What runs under it are the ledger's rules, one at a time, and so each is timed alone,
 * on a ledger without a cache around it and on one thread.
 *
 * A scene is a number of steps, each one rule or, for an ask, the longest of its looks. It is played several times, and
 * the time of a step is the least of these: what is more was somebody else's. Median and maximum are those of the steps.
 */
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"
#include "support/bare_ledger.h"

/* ---- What is timed ---- */

#define RUNS 3
#define STEPS_MAX 200000
#define SIZES 6 /* 10, 100 ... 1 000 000 */
#define LIMIT 100

enum rule {
    CLOCK,
    HIT,
    OPEN,
    LAND_EVICTS,
    CLEAR,
    ASK_BURST,
    ASK_SEATED,
    ASK_QUEUED,
    LAND_SEATED,
    LAND_LINE,
    LAND_FAILS,
    LEAVE_OLDEST,
    LEAVE_NEWEST,
    LEAVE_LINE,
    ASK_LENGTHS,
    RULES
};

static const char *const rule_names[RULES] = {
    [CLOCK] = "nothing: two looks at the clock",
    [HIT] = "ask: a hit among N entries",
    [OPEN] = "ask: opens, among N entries",
    [LAND_EVICTS] = "land: evicts one of N entries",
    [CLEAR] = "clear: N entries, a batch",
    [ASK_BURST] = "ask: in a burst of N, 100 to a key",
    [ASK_SEATED] = "ask: coalesces into one flight of N",
    [ASK_QUEUED] = "ask: queues behind that, up to N",
    [LAND_SEATED] = "land: N seated",
    [LAND_LINE] = "land: N seated, N in line get seats",
    [LAND_FAILS] = "land: N seated, N in line share its error",
    [LEAVE_OLDEST] = "leave: N flights, oldest first",
    [LEAVE_NEWEST] = "leave: N flights, newest first",
    [LEAVE_LINE] = "leave: N in line get the room",
    [ASK_LENGTHS] = "ask: in a burst of N, random lengths",
};

/* The steps of one rule at one size: the least of the runs so far. */
struct steps {
    float least_us[STEPS_MAX];
    size_t at, count;
};

struct figures {
    size_t count;
    double median, longest, sum; /* us */
};

static struct steps steps[RULES];
static uint64_t step_began;

static void step_begin(void)
{
    step_began = now_ns();
}

static float step_us(void)
{
    return (float)(now_ns() - step_began) / 1000;
}

static void note(enum rule rule, float us)
{
    struct steps *of = &steps[rule];
    if (of->at == of->count)
        of->least_us[of->count++] = us;
    else if (us < of->least_us[of->at])
        of->least_us[of->at] = us;
    of->at++;
}

static int by_time(const void *left, const void *right)
{
    const float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

static struct figures figures_of(struct steps *of)
{
    struct figures figures = {.count = of->count};
    qsort(of->least_us, of->count, sizeof of->least_us[0], by_time);
    for (size_t i = 0; i < of->count; i++)
        figures.sum += (double)of->least_us[i];
    if (of->count > 0) {
        figures.median = (double)of->least_us[of->count / 2];
        figures.longest = (double)of->least_us[of->count - 1];
    }
    return figures;
}

/* ---- The steps ---- */

/* What asks and opens in a scene, in this order. */
struct scene {
    struct bare bare;
    struct seat **seats;
    struct flight **flights;
    size_t seat_count, flight_count;
};

/* With room for so many. */
static void scene_open(struct scene *scene, size_t capacity, size_t room)
{
    *scene = (struct scene){.seats = malloc(room * sizeof(struct seat *)),
                            .flights = malloc(room * sizeof(struct flight *))};
    if (scene->seats == NULL || scene->flights == NULL)
        exit(EXIT_FAILURE);
    bare_open(&scene->bare, capacity);
}

static float land(struct scene *scene, size_t index, enum kf_code code, struct flight *next)
{
    struct flight *flight = scene->flights[index];
    flight->base.code = code;
    step_begin();
    const bool opened =
        kfi_ledger_land(&scene->bare.ledger, flight, next, scene->bare.now_ms, &scene->bare.after);
    const float us = step_us();
    bare_flight_unref(flight);
    bare_flight_unref(scene->bare.after.awaited);
    scene->bare.after.awaited = NULL;
    scene->flights[index] = NULL;
    if (opened)
        scene->flights[scene->flight_count++] = next;
    return us;
}

static float leave(struct scene *scene, size_t index)
{
    struct seat *seat = scene->seats[index];
    step_begin();
    kfi_ledger_leave(&scene->bare.ledger, seat, &scene->bare.after);
    const float us = step_us();
    bare_seat_unref(seat);
    scene->seats[index] = NULL;
    return us;
}

static void scene_close(struct scene *scene)
{
    for (size_t i = 0; i < scene->flight_count; i++) {
        if (scene->flights[i] != NULL)
            land(scene, i, KF_OK, NULL);
    }
    for (size_t i = 0; i < scene->seat_count; i++) {
        if (scene->seats[i] != NULL)
            leave(scene, i);
    }
    bare_close(&scene->bare);
    free(scene->seats);
    free(scene->flights);
}

/* All keys of a scene have the same materials, so that a million of them fit into memory. */
static struct flight *flight_new(unsigned key, const struct kfi_policy *policy)
{
    static const struct kfi_materials *shared;
    struct flight *flight = bare_flight_new(key, policy);
    if (shared == NULL)
        shared = kfi_materials_ref(flight->materials);
    kfi_materials_unref(flight->materials);
    flight->materials = kfi_materials_ref(shared);
    return flight;
}

/* Asks as the cache does: looks, prepares and looks again. Each look is under the lock; the longest one counts. */
static float ask(struct scene *scene, unsigned key, const struct kfi_policy *policy, uint64_t length)
{
    const struct ledger_question question = {bare_key(key), bare_direction(key), policy, length};
    struct bare *bare = &scene->bare;
    struct ledger_answer answer;
    struct seat *seat = NULL;
    struct flight *flight = NULL;
    float longest = 0;
    do {
        step_begin();
        kfi_ledger_ask(&bare->ledger, &question, seat, flight, bare->now_ms, &answer, &bare->after);
        const float us = step_us();
        longest = us > longest ? us : longest;
        if (answer.look >= KFI_LEDGER_WANTS_SEAT && seat == NULL)
            seat = bare_seat_new(policy, length);
        if (answer.look == KFI_LEDGER_WANTS_FLIGHT)
            flight = flight_new(key, policy);
    } while (answer.look >= KFI_LEDGER_WANTS_SEAT);
    if (seat != NULL)
        scene->seats[scene->seat_count++] = seat;
    if (answer.look == KFI_LEDGER_OPENED)
        scene->flights[scene->flight_count++] = flight;
    kfi_materials_unref(answer.materials);
    return longest;
}

static void ask_times(struct scene *scene, enum rule rule, size_t times, const struct kfi_policy *policy)
{
    for (size_t i = 0; i < times; i++)
        note(rule, ask(scene, 0, policy, 1));
}

/* ---- The scenes ---- */

#define HITS 20000
#define NEW_KEYS 1000
#define SWEPT 256

static void play_entries(size_t n)
{
    const struct kfi_policy policy = bare_policy(UINT64_MAX, UINT64_MAX, UINT64_MAX);
    struct scene scene;
    scene_open(&scene, n, 1);
    for (unsigned i = 0; i < n + NEW_KEYS; i++) { /* the last ones evict the first */
        const float ask_us = ask(&scene, mixed(i), &policy, 1);
        const float land_us = land(&scene, 0, KF_OK, NULL);
        leave(&scene, 0);
        scene.seat_count = scene.flight_count = 0;
        bare_tidy(&scene.bare);
        if (i >= n) {
            note(OPEN, ask_us);
            note(LAND_EVICTS, land_us);
        }
    }
    for (unsigned i = 0; i < HITS; i++)
        note(HIT, ask(&scene, mixed(NEW_KEYS + mixed(i) % (unsigned)n), &policy, 1));
    step_begin();
    const uint64_t clearing = kfi_ledger_clear(&scene.bare.ledger);
    note(CLEAR, step_us());
    for (bool more = true; more;) { /* in batches, as the cache does */
        step_begin();
        more = kfi_ledger_sweep(&scene.bare.ledger, clearing, SWEPT, &scene.bare.after);
        note(CLEAR, step_us());
        bare_tidy(&scene.bare);
    }
    scene_close(&scene);
}

static void play_burst(size_t n)
{
    const struct kfi_policy policy = bare_policy(LIMIT, UINT64_MAX, UINT64_MAX);
    struct scene scene;
    scene_open(&scene, 1, n);
    ask_times(&scene, ASK_BURST, n, &policy);
    scene_close(&scene);
}

/* A flight of N seats, and as many callers in the line behind it; it lands, and so does the next one. */
static void play_line(size_t n)
{
    struct kfi_policy policy = bare_policy(n, UINT64_MAX, UINT64_MAX);
    struct scene scene;
    policy.max_flights = 1;
    policy.failure_backoff_ms = 1;
    scene_open(&scene, 1, 4 * n);
    ask_times(&scene, ASK_SEATED, n, &policy);
    ask_times(&scene, ASK_QUEUED, n, &policy);
    note(LAND_LINE, land(&scene, 0, KF_OK, flight_new(0, &policy)));
    ask_times(&scene, ASK_QUEUED, n, &policy);
    note(LAND_FAILS, land(&scene, 1, KF_E_REMOTE, NULL));
    scene.bare.now_ms++;
    ask_times(&scene, ASK_SEATED, n, &policy);
    note(LAND_SEATED, land(&scene, 2, KF_OK, NULL));
    scene_close(&scene);
}

/* N flights with a seat each, full, and all are left. */
static void play_leave_oldest(size_t n)
{
    const struct kfi_policy policy = bare_policy(1, UINT64_MAX, UINT64_MAX);
    struct scene scene;
    scene_open(&scene, 1, n);
    for (size_t i = 0; i < n; i++)
        ask(&scene, 0, &policy, 1);
    for (size_t i = 0; i < n; i++)
        note(LEAVE_OLDEST, leave(&scene, i));
    scene_close(&scene);
}

/* The same, newest first. */
static void play_leave_newest(size_t n)
{
    const struct kfi_policy policy = bare_policy(1, UINT64_MAX, UINT64_MAX);
    struct scene scene;
    scene_open(&scene, 1, n);
    for (size_t i = 0; i < n; i++)
        ask(&scene, 0, &policy, 1);
    for (size_t i = n; i-- > 0;)
        note(LEAVE_NEWEST, leave(&scene, i));
    scene_close(&scene);
}

/* One whose message takes all bytes of the only flight, and N short ones in the line behind him; he leaves. */
static void play_leave_line(size_t n)
{
    struct kfi_policy policy = bare_policy(UINT64_MAX, n, UINT64_MAX);
    struct scene scene;
    policy.max_flights = 1;
    scene_open(&scene, 1, n + 1);
    ask(&scene, 0, &policy, n);
    for (size_t i = 0; i < n; i++)
        ask(&scene, 0, &policy, 1);
    note(LEAVE_LINE, leave(&scene, 0));
    scene_close(&scene);
}

/* Lengths up to what a key may encrypt. */
static void play_lengths(size_t n)
{
    const struct kfi_policy policy = bare_policy(UINT64_MAX, 1000000, UINT64_MAX);
    struct scene scene;
    scene_open(&scene, 1, n);
    for (size_t i = 0; i < n; i++)
        note(ASK_LENGTHS, ask(&scene, 0, &policy, 1 + mixed((unsigned)i) % 1000000));
    scene_close(&scene);
}

/* ---- The table ---- */

static void play_clock(size_t n)
{
    (void)n;
    for (size_t i = 0; i < 1000; i++) {
        step_begin();
        note(CLOCK, step_us());
    }
}

/* Plays a scene RUNS times. */
static void play(void (*scene)(size_t n), size_t n)
{
    for (size_t run = 0; run < RUNS; run++) {
        for (size_t rule = 0; rule < RULES; rule++)
            steps[rule].at = 0;
        scene(n);
    }
}

static void steps_forget(void)
{
    for (size_t rule = 0; rule < RULES; rule++)
        steps[rule].count = 0;
}

/* Microseconds, with as many digits as mean something. */
static void us_write(char *text, size_t size, double us)
{
    snprintf(text, size, "%.*f", us < 10 ? 2 : us < 100 ? 1 : 0, us);
}

/* A step's figures: only one number if there was only one step. */
static void figures_print(const struct figures *figures)
{
    char median[24], longest[24];
    us_write(median, sizeof median, figures->median);
    us_write(longest, sizeof longest, figures->longest);
    if (figures->count > 1)
        printf("%7s / %-7s", median, longest);
    else
        printf("%10s%-7s", "", figures->count == 1 ? longest : "");
}

static void rule_print(enum rule rule, const struct figures figures[SIZES])
{
    const struct figures *first = NULL, *last = NULL;
    printf("%-41s", rule_names[rule]);
    for (size_t i = 0; i < SIZES; i++) {
        figures_print(&figures[i]);
        if (figures[i].count == 0)
            continue;
        first = first == NULL ? &figures[i] : first;
        last = &figures[i];
    }
    if (last != first)
        printf("x %.0f", last->longest / first->longest);
    printf("\n");
}

/* A tenth as many waiters as entries. */
static void play_all(size_t n, size_t most)
{
    play(play_entries, n);
    if (n > most / 10)
        return;
    play(play_burst, n);
    play(play_line, n);
    play(play_leave_oldest, n);
    play(play_leave_newest, n);
    play(play_leave_line, n);
    play(play_lengths, n);
}

static void measure_rules(size_t most)
{
    static struct figures figures[RULES][SIZES];
    size_t n = 10, sizes = 0;
    printf("\nthe lock is held, in us: median / maximum of the steps, and how the maximum grows\n%-41s", "N");
    for (; sizes < SIZES && n <= most; sizes++, n *= 10) {
        steps_forget();
        if (sizes == 0)
            play(play_clock, n);
        play_all(n, most);
        for (size_t rule = 0; rule < RULES; rule++)
            figures[rule][sizes] = figures_of(&steps[rule]);
        printf("%11s%-6zu", "", n);
        fflush(stdout);
    }
    printf("\n");
    for (enum rule rule = 0; rule < RULES; rule++)
        rule_print(rule, figures[rule]);
}

/* A whole burst, of equal lengths and of random ones. */
static void measure_lengths(size_t callers)
{
    steps_forget();
    play(play_burst, callers);
    const struct figures equal = figures_of(&steps[ASK_BURST]);
    steps_forget();
    play(play_lengths, callers);
    const struct figures random = figures_of(&steps[ASK_LENGTHS]);
    printf("\n%zu callers at once: the lock is held for %.1f ms in all, %.2f us at most\n", callers,
           equal.sum / 1000, equal.longest);
    printf("of random lengths: %.0f ms in all (x %.0f), %.0f us at most (x %.0f)\n", random.sum / 1000,
           random.sum / equal.sum, random.longest, random.longest / equal.longest);
}
