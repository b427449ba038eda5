/*
 * The cache's seats, for the model checker SPIN. `tests/model/run` checks it, README.md has the results.
 *
 * WHAT IS MODELLED. A few callers ask for a key or two. The key service, the internal thread, time, kf_cache_clear and
 * kf_cleanup do their part, in every order. An `atomic` is one critical section, or one poll of a fetch.
 * Every run ends (`run` checks that, too). So a caller is held up if he still waits when nothing moves any more.
 *
 *     here                               in the code
 *     a rule or a field of some name     the same in src/materials/cache/: kfi_entry_charge, kfi_turns_serve ...
 *     flights[x]                         struct flight; once landed, also the entry or the parked key that it became
 *     seats[c].flight is x               seat c is in the list `seated` of x
 *     task_wake, task_hand_over          src/base/thread.c, with the same four states
 *     flight_run                         flight_step and flight_hand_over in src/base/flight.c
 *     service, asking, trips             the backing CMM, and whatever it waits for
 *     the promises P1 to P6              README.md
 *     CLEAR, TURNS                       no key from before a clearing goes to whoever asks after it; never more than
 *                                        MAX_FLIGHTS flights of a key are under way, if that is the limit of all
 *     LINE                               nobody in line fits into a flight, and whoever is the k-th is out of it after k
 *                                        landings that had memory for another flight
 *
 * WHAT IS LEFT OUT.
 *   - Looks that come to nothing. kfi_ledger_ask changes nothing if it wants a seat or a flight. The last look decides.
 *   - Wakes of callers by themselves: they are part of the landing. A later wake makes a caller slow, no more, and he is
 *     as slow as he likes anyway.
 *   - Polls that nothing caused: they find nothing, and change nothing.
 *   - Bytes. They are charged by the same rules as messages.
 *   - The clock. A key expires at any time, and a fetch fails at any poll, so at its time limit too.
 *   - Other orders of equal callers. They differ by their numbers only, so they ask in the order of these. The
 *     configurations `any-order` do without this.
 *   - P7, P8, settle, backoff, jitter, fork; memory, references and events. Tests have them.
 */

/* ---- Configuration: each is set with -DNAME=NUMBER ---- */

#ifndef CALLERS
#define CALLERS 4       /* each asks once */
#endif
#ifndef KEYS
#define KEYS 1          /* 1 or 2: caller c asks for key c % KEYS */
#endif
#ifndef CAPACITY
#define CAPACITY 1      /* of the cache, in entries */
#endif
#ifndef MAX_MESSAGES
#define MAX_MESSAGES 2
#endif
#ifndef MAX_MESSAGES_ODD
#define MAX_MESSAGES_ODD MAX_MESSAGES /* that of the CMM of odd callers, who share cache and partition */
#endif
#ifndef MAX_FLIGHTS
#define MAX_FLIGHTS 0   /* 0: any number */
#endif
#ifndef MAX_FLIGHTS_ODD
#define MAX_FLIGHTS_ODD MAX_FLIGHTS /* that of odd callers */
#endif
#ifndef REFRESH_AHEAD
#define REFRESH_AHEAD 0 /* 1: a hit that leaves one message or none has the next key fetched */
#endif
#ifndef WARM
#define WARM 0          /* messages left in an entry that key 0 has at the beginning; 0: it has none */
#endif
#ifndef TRIPS
#define TRIPS 1         /* round trips of a fetch; 0: its first poll ends it, as with a local keyring */
#endif
#ifndef BURST
#define BURST 0         /* 1: the service answers nobody before all have asked */
#endif

/* What may happen, and how often at most. */
#ifndef CANCELS
#define CANCELS 0       /* a caller gives up */
#endif
#ifndef SILENT
#define SILENT 0        /* a caller never polls again, and never gives up */
#endif
#ifndef FAILURES
#define FAILURES 0      /* a fetch fails */
#endif
#ifndef EXPIRIES
#define EXPIRIES 0      /* a key reaches max_age_ms */
#endif
#ifndef CLEARINGS
#define CLEARINGS 0     /* kf_cache_clear */
#endif
#ifndef CLEANUPS
#define CLEANUPS 0      /* kf_cleanup */
#endif
#ifndef NO_MEMORY
#define NO_MEMORY 0     /* a landing has no memory for the flight that should follow */
#endif
#ifndef SPURIOUS
#define SPURIOUS 0      /* a fetch is woken for no reason */
#endif

/* For a look at the model itself. */
#ifndef ANY_ORDER
#define ANY_ORDER 0     /* 1: equal callers ask in any order */
#endif
#ifndef COUNT_ALWAYS
#define COUNT_ALWAYS 0  /* 1: P2 is demanded even where it is not promised */
#endif

/* ---- Designs ---- */

#define AS_BUILT           0
/* Refuted. */
#define OPENER_DRIVES      1  /* a fetch is driven by its opener's polls alone */
#define ONE_IS_WOKEN       2  /* any of the seated drives: one is woken for it, and wakes another if he gives up */
#define OPENERS_DEADLINE   3  /* a fetch fails when its opener gives up */
#define EMPTY_ABANDONED    4  /* a flight is given up when nobody is seated in it any more */
#define TWO_LOCKS          5  /* one for the entries, one for the flights */
#define ONE_LOOK           6  /* whoever found nothing makes a flight and opens it without another look */
#define UNCOUNTED          7  /* any number of callers may take a seat */
#define CHARGED_AT_LANDING 8  /* the same, but those for whom the key has no message ask again */
#define SERVED_BY_ENTRY    9  /* a landing serves the opener; the others ask the cache again */
#define LINE_ASKS_AGAIN    10 /* a landing wakes the first in line to ask again, who then wakes the next */
/* Faults. */
#define REFUND_LATE        11 /* leaving gives the message back even after the landing */
#define OWN_LIMITS         12 /* a key does not take over the limits of those who use it */
#define WAKE_LOST          13 /* a wake in the middle of a poll is forgotten */
#define SEATS_NOT_BARRED   14 /* a flight from before a clearing still takes callers */
#define ENTRY_NOT_BARRED   15 /* a flight from before a clearing may become the entry */
#define PARKED_NOT_CLEARED 16 /* a clearing makes the parked key the entry */
#define TURNS_FORGOTTEN    17 /* a clearing forgets what is under way */
#define LINE_KEPT          18 /* the line waits on though nothing is under way */
#define TURNS_MIND_OTHERS  19 /* a landing opens nothing while others have too much under way for the first in line */
#define NOT_OFFERED        20 /* a flight that a caller opens is not offered to the line */

#ifndef DESIGN
#define DESIGN AS_BUILT
#endif
#define IS(design) (DESIGN == design)
#define UNLIKE_FLIGHTS (MAX_FLIGHTS_ODD != MAX_FLIGHTS)
#define ASKS_AGAIN (IS(CHARGED_AT_LANDING) || IS(SERVED_BY_ENTRY) || IS(LINE_ASKS_AGAIN))
#define HAS_OPENER (IS(OPENER_DRIVES) || IS(OPENERS_DEADLINE) || IS(SERVED_BY_ENTRY))

/* ---- State ---- */

#define NONE    255
#define FLIGHTS (CALLERS + CALLERS * REFRESH_AHEAD + 1)

mtype:state = { RUNNING, RUNNING_WOKEN, IDLE, QUEUED };
mtype:code = { KF_PENDING, KF_OK, KF_E_REMOTE, KF_E_CLEANED_UP, KF_E_NO_MEMORY, ASK_AGAIN };

typedef Flight {
    byte key;
    byte messages;     /* its budget: those charged, */
    byte max_messages; /* and the limit */
    byte clearings;    /* at the opening: if there were more since, it is barred */
    byte cleanups;     /* at the opening: if there were more since, it is not handed over */
    bit ahead;         /* it was opened ahead of need */
    bit landed;
    mtype:code code;   /* its driver's until the landing */
    mtype:state task;
    byte trips;        /* left to make */
    bit asking;        /* the service has a request */
    bit refreshed;     /* as an entry */
    bit expired;       /* as an entry */
#if HAS_OPENER
    byte opener;
#endif
}

typedef Seat {
    byte flight;       /* or NONE: he stands in line, or was answered without a flight */
    mtype:code code;   /* without a flight */
    byte value;        /* the key he was answered with */
    bit woken;         /* his waker was called, and he has not polled since */
}

typedef Place {
    byte entry;        /* or NONE */
    byte parked;       /* or NONE */
    byte under_way;
}

Flight flights[FLIGHTS];
Seat seats[CALLERS];
Place places[KEYS];
chan line[KEYS] = [CALLERS] of { byte };  /* of callers */
chan queue = [FLIGHTS] of { byte };       /* of flights: the internal thread's tasks */
bit stopping;                             /* the internal thread has to end */
byte opened, clearings, cleanups;

/* What happened. The promises are checked against it; no rule looks at it. */
byte used[FLIGHTS];     /* callers who got the key, */
byte least[FLIGHTS];    /* and the least limit among them */
bit failed[FLIGHTS];
byte answers[CALLERS];
#if UNLIKE_FLIGHTS
byte may_pass[CALLERS]; /* landings that may not pass him by in line: one more than may */
#endif
byte since[CALLERS];    /* clearings when he asked */
bit gone[CALLERS];      /* he gave up, or fell silent */
byte calls[KEYS];
byte asked[2];
byte ahead, cancels, silent, failures, expiries, no_memory, spurious;

/* From one line of a step to the next. */
hidden byte e, f, i, n, p, s, w;
hidden byte wanted, memory, next;

#define KEY(c)       ((c) % KEYS)
#define LIMIT(c)     ((c) % 2 -> MAX_MESSAGES_ODD : MAX_MESSAGES)
#define MAY_OPEN(c)  ((c) % 2 -> MAX_FLIGHTS_ODD : MAX_FLIGHTS)
#define LESSER(a, b) ((a) < (b) -> (a) : (b))

#define UNDER_WAY(x) ((x) < opened && !flights[x].landed)
#define BARRED(x)    (flights[x].clearings != clearings)

/* Callers with the same number modulo KINDS are equal. */
#define KINDS        (KEYS == 2 || MAX_MESSAGES_ODD != MAX_MESSAGES || UNLIKE_FLIGHTS -> 2 : 1)
#define MAY_ASK(c)   (ANY_ORDER || asked[(c) % KINDS] == (c) / KINDS)
#define ALL_ASKED    (asked[0] + asked[1] == CALLERS)

/* ---- Promises ---- */

/* Always 0: so the report of a broken promise has its name. */
hidden byte P1_NO_OVER_USE, P2_NO_STAMPEDE, P3_SIDE_BY_SIDE, P4_EXACTLY_ONCE, P5_FAILURES_LOCAL, P6_NOBODY_HELD_UP,
            CLEAR_FORGETS, TURNS_KEPT, LINE_OFFERED, LINE_MOVES;
#define PROMISE(name, holds) assert(name || (holds))

/* How many calls the callers of key k cost. */
#define OF_KEY(k)   ((CALLERS + KEYS - 1 - (k)) / KEYS)
#define WARM_OF(k)  ((k) == 0 -> WARM : 0)
#define EXPECTED(k) (OF_KEY(k) <= WARM_OF(k) -> 0 : (OF_KEY(k) - WARM_OF(k) + MAX_MESSAGES - 1) / MAX_MESSAGES)
/* Where that is promised. */
#define COUNTED     ((BURST || CAPACITY >= KEYS || COUNT_ALWAYS) && MAX_MESSAGES_ODD == MAX_MESSAGES && \
                     failures + expiries + clearings + cleanups + no_memory == 0)

#include "ledger.pml"

/* ---- Tasks ---- */

inline wake_one(x)
{
    for (i : 0 .. CALLERS - 1) {
        if
        :: seats[i].flight == x -> seats[i].woken = 1; break
        :: else
        fi
    }
}

/* Somebody has to drive x now. */
inline task_queue(x)
{
    flights[x].task = QUEUED;
#if IS(OPENER_DRIVES)
    seats[flights[x].opener].woken = 1
#elif IS(ONE_IS_WOKEN)
    wake_one(x)
#else
    queue!x
#endif
}

inline task_wake(x)
{
    if
    :: flights[x].task == IDLE -> task_queue(x)
    :: flights[x].task == RUNNING && !IS(WAKE_LOST) -> flights[x].task = RUNNING_WOKEN
    :: else
    fi
}

/* The driver of x lets go of it. */
inline task_hand_over(x)
{
    if
    :: flights[x].task == RUNNING_WOKEN -> task_queue(x)
    :: else -> flights[x].task = IDLE
    fi
}

/* ---- Driving a fetch ---- */

/* One poll of the backing CMM. */
inline fetch_poll(x)
{
    if
    :: flights[x].code != KF_PENDING || flights[x].asking
    :: flights[x].code == KF_PENDING && failures < FAILURES ->
        printf("the fetch of flight %d fails\n", x);
        failures++;
        failed[x] = 1;
        flights[x].code = KF_E_REMOTE
    :: flights[x].code == KF_PENDING && !flights[x].asking && flights[x].trips > 0 ->
        printf("flight %d asks the service\n", x);
        flights[x].trips--;
        flights[x].asking = 1
    :: flights[x].code == KF_PENDING && !flights[x].asking && flights[x].trips == 0 -> flights[x].code = KF_OK
    fi
}

/* The internal thread does not take a flight that was opened before a cleanup. One opened after it may have been made
 * before, so that it is refused or not. */
#define MUST_REFUSE(x) (stopping || flights[x].cleanups != cleanups)

/* Polls x, and hands it over or lands it. If the landing opened a flight, x is that one then, and is handed over. */
inline flight_run(x)
{
    atomic { fetch_poll(x) };
    do
    :: atomic { flights[x].code == KF_PENDING && !MUST_REFUSE(x) -> task_hand_over(x) }; break
    :: atomic { flights[x].code == KF_PENDING && cleanups > 0 -> flights[x].code = KF_E_CLEANED_UP }
    :: atomic { flights[x].code != KF_PENDING ->
            if
            :: memory = 1
            :: nempty(line[flights[x].key]) && no_memory < NO_MEMORY -> no_memory++; memory = 0
            fi;
            p = flights[x].key;
            ledger_land(p, x);
            x = next;
            if
            :: x == NONE -> break
            :: else -> flights[x].task = RUNNING_WOKEN /* launched apart */
            fi
        }
    od
}

active proctype internal_thread()
{
    byte x;
end:
    do
    :: atomic { queue?x ->
            printf("the internal thread drives flight %d\n", x);
            flights[x].task = RUNNING;
            if
            :: stopping && flights[x].code == KF_PENDING -> flights[x].code = KF_E_CLEANED_UP
            :: else
            fi
        };
        flight_run(x)
    :: atomic { stopping && empty(queue) -> stopping = 0 }
    od
}

proctype cleaner()
{
end:
    do
    :: atomic { cleanups < CLEANUPS ->
            printf("kf_cleanup\n");
            cleanups++;
            stopping = 1;
            for (i : 0 .. FLIGHTS - 1) {
                if
                :: UNDER_WAY(i) && flights[i].task == IDLE -> flights[i].task = QUEUED; queue!i
                :: else
                fi
            }
        }
    od
}

/* ---- Callers ---- */

inline answer(c)
{
    printf("caller %d has his answer\n", c);
    answers[c]++;
    PROMISE(P4_EXACTLY_ONCE, answers[c] == 1)
}

/* The caller gets the key x. */
inline answer_key(c, x)
{
    answer(c);
    used[x]++;
    least[x] = LESSER(least[x], LIMIT(c));
    PROMISE(P1_NO_OVER_USE, used[x] <= least[x]);
    PROMISE(CLEAR_FORGETS, flights[x].clearings >= since[c])
}

/* What a seat came to, if it came to something. w: it did. */
inline ledger_answer(c)
{
    n = seats[c].flight;
    w = 1;
    if
    :: n != NONE && !flights[n].landed -> w = 0
    :: n != NONE && flights[n].landed && flights[n].code == KF_OK -> answer_key(c, n)
    :: n != NONE && flights[n].landed && flights[n].code != KF_OK ->
        answer(c);
        PROMISE(P5_FAILURES_LOCAL, failed[n] || cleanups > 0)
    :: n == NONE && seats[c].code == KF_OK -> n = seats[c].value; answer_key(c, n)
    :: n == NONE && seats[c].code == KF_E_NO_MEMORY ->
        answer(c);
        PROMISE(P5_FAILURES_LOCAL, no_memory > 0)
    :: else -> w = 0
    fi
}

proctype caller(byte me)
{
    byte x = NONE; /* the flight that he drives */

    atomic {
        MAY_ASK(me) ->
            asked[me % KINDS]++;
            since[me] = clearings;
#if ASKS_AGAIN
ask:
#endif
        entry_usable(KEY(me), me);
        if
        :: e != NONE ->
            entry_charge(KEY(me), me);
            flights[e].refreshed = flights[e].refreshed || wanted;
            answer_key(me, e);
            if
            :: wanted -> goto ahead_of_need
            :: else -> goto end_done
            fi
        :: else -> printf("caller %d finds no entry\n", me)
        fi;
#if IS(TWO_LOCKS)
    };
    atomic {
#endif
        ledger_ask_flights(KEY(me), me);
        x = (wanted -> 0 : NONE);
#if IS(ONE_LOOK)
    };
    atomic {
#endif
        if
        :: x == 0 -> ledger_ask_open(KEY(me), me); x = f
        :: else
        fi;
#if IS(LINE_ASKS_AGAIN)
        if
        :: seats[me].flight != NONE -> turns_serve(KEY(me), false)
        :: else
        fi;
#endif
        seats[me].woken = IS(ONE_IS_WOKEN) /* he polls at once, and so may drive */
    };

    do
    :: x != NONE -> flight_run(x); x = NONE
    :: atomic { x == NONE && seats[me].woken ->
            seats[me].woken = 0;
            ledger_answer(me);
            if
            :: w -> goto leave
#if ASKS_AGAIN
            :: !w && seats[me].code == ASK_AGAIN -> seats[me].code = KF_PENDING; goto ask
#endif
#if IS(OPENER_DRIVES) || IS(ONE_IS_WOKEN)
            :: !w && n != NONE && flights[n].task == QUEUED -> flights[n].task = RUNNING; x = n
#endif
            :: else
            fi
        }
    :: atomic { x == NONE && cancels < CANCELS ->
            cancels++;
            gone[me] = 1;
            printf("caller %d gives up\n", me);
leave:
            w = seats[me].woken;
            ledger_leave(KEY(me), me);
#if IS(EMPTY_ABANDONED)
            if
            :: n != NONE && UNDER_WAY(n) && flights[n].messages == 0 -> flights[n].clearings = NONE
            :: else
            fi;
#elif IS(OPENERS_DEADLINE)
            if
            :: n != NONE && UNDER_WAY(n) && flights[n].opener == me -> flights[n].code = KF_E_REMOTE; task_wake(n)
            :: else
            fi;
#elif IS(ONE_IS_WOKEN)
            if
            :: n != NONE && UNDER_WAY(n) && flights[n].task == QUEUED && w -> wake_one(n)
            :: else
            fi;
#endif
            goto end_done
        }
    :: atomic { x == NONE && silent < SILENT ->
            silent++;
            gone[me] = 1;
            printf("caller %d never polls again\n", me);
            goto end_done
        }
    od;

ahead_of_need:
    atomic { ledger_open_ahead(KEY(me), me); x = f };
    if
    :: x != NONE -> flight_run(x)
    :: else
    fi;
end_done:
    false /* he stays: in which order processes go away is of no interest */
}

/* ---- What else goes on ---- */

/* The answers to flight x. */
proctype service(byte x)
{
end:
    do
    :: atomic { flights[x].asking && (!BURST || ALL_ASKED) ->
            n = flights[x].key;
            PROMISE(P3_SIDE_BY_SIDE, !BURST || MAX_FLIGHTS > 0 || cancels > 0 || calls[n] >= EXPECTED(n));
            printf("the service answers flight %d\n", x);
            flights[x].asking = 0;
            task_wake(x)
        }
    :: atomic { UNDER_WAY(x) && spurious < SPURIOUS -> spurious++; task_wake(x) }
    od
}

/* The keys of a place grow old. */
proctype time(byte k)
{
end:
    do
    :: atomic { expiries < EXPIRIES && places[k].entry != NONE && !flights[places[k].entry].expired ->
            printf("key %d expires\n", places[k].entry);
            expiries++;
            flights[places[k].entry].expired = 1
        }
    :: atomic { expiries < EXPIRIES && places[k].parked != NONE && !flights[places[k].parked].expired ->
            printf("key %d expires\n", places[k].parked);
            expiries++;
            flights[places[k].parked].expired = 1
        }
    od
}

proctype clearer()
{
end:
    do
    :: atomic { clearings < CLEARINGS -> ledger_clear() }
    od
}

/* ---- The beginning and the end ---- */

init {
    atomic {
        for (i : 0 .. KEYS - 1) {
            entry_clear(i)
        }
        for (i : 0 .. CALLERS - 1) {
            seats[i].flight = NONE;
            seats[i].code = KF_PENDING
        }
#if WARM
        flights_open(0, 0);
        calls[0] = 0;
        places[0].under_way = 0;
        places[0].entry = f;
        flights[f].landed = 1;
        flights[f].messages = MAX_MESSAGES - WARM;
        used[f] = MAX_MESSAGES - WARM;
        least[f] = MAX_MESSAGES;
#endif
        for (i : 0 .. FLIGHTS - 1) {
            run service(i)
        }
        for (i : 0 .. KEYS - 1) {
            run time(i)
        }
        run clearer();
        run cleaner();
        for (i : 0 .. CALLERS - 1) {
            run caller(i)
        }
    };
    atomic { timeout ->
            printf("nothing moves any more\n");
            for (i : 0 .. CALLERS - 1) {
                PROMISE(P6_NOBODY_HELD_UP, answers[i] == 1 || gone[i])
            }
            for (i : 0 .. FLIGHTS - 1) {
                PROMISE(P6_NOBODY_HELD_UP, IS(OPENER_DRIVES) || IS(ONE_IS_WOKEN) || !UNDER_WAY(i))
            }
            for (i : 0 .. KEYS - 1) {
                PROMISE(P2_NO_STAMPEDE, !COUNTED || (calls[i] <= EXPECTED(i) + (ahead > 0) &&
                                                     (calls[i] >= EXPECTED(i) || cancels > 0)))
            }
    }
}
