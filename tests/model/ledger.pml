/*
 * The rules of the model, a part of seats.pml: src/materials/cache/ from budget to ledger, by the same names. A rule leaves
 * what it found in a temporary: an entry in `e`, a flight in `f`, and others that its comment names.
 */

/* ---- Budget ---- */

#define MAX(x, c)     (IS(OWN_LIMITS) -> LIMIT(c) : LESSER(flights[x].max_messages, LIMIT(c)))
#define FITS(x, c)    (flights[x].messages < MAX(x, c))
#define LEFT(x)       (flights[x].max_messages - flights[x].messages)
#define IS_USED_UP(x) (flights[x].messages >= flights[x].max_messages)
#define BEATS(x, y)   (LEFT(x) * flights[y].max_messages >= LEFT(y) * flights[x].max_messages)
/* As if one message of this caller were charged to x. */
#define WOULD_BEAT(x, c, y) \
    ((MAX(x, c) - flights[x].messages - 1) * flights[y].max_messages > LEFT(y) * MAX(x, c))

inline budget_charge(x, c)
{
    flights[x].max_messages = MAX(x, c);
    flights[x].messages++;
    printf("caller %d is charged to key %d: %d of %d\n", c, x, flights[x].messages, flights[x].max_messages)
}

/* ---- Entry ---- */

/* The entry of a place ends; what is parked behind it takes its place. */
inline entry_succeed(k)
{
    places[k].entry = places[k].parked;
    places[k].parked = NONE
}

inline entry_clear(k)
{
    places[k].entry = NONE;
    places[k].parked = NONE
}

/* e: the entry, once those that expired have ended. */
inline entry_live(k)
{
    do
    :: places[k].entry != NONE && flights[places[k].entry].expired -> entry_succeed(k)
    :: else -> break
    od;
    e = places[k].entry
}

/* e: the entry that this caller may be charged to, or NONE. */
inline entry_usable(k, c)
{
    entry_live(k);
    f = places[k].parked;
    if
    :: e != NONE && FITS(e, c) -> skip
    :: e != NONE && !FITS(e, c) && f != NONE && !flights[f].expired && FITS(f, c) && WOULD_BEAT(f, c, e) ->
        entry_succeed(k);
        e = f
    :: else -> e = NONE
    fi
}

/* Charges e, the entry of k. */
inline entry_charge(k, c)
{
    PROMISE(P1_NO_OVER_USE, !flights[e].expired);
    budget_charge(e, c);
    wanted = REFRESH_AHEAD && !flights[e].refreshed && places[k].parked == NONE && LEFT(e) <= 1;
    if
    :: IS_USED_UP(e) -> entry_succeed(k)
    :: else
    fi
}

/* What becomes of the key of x, which landed well. */
inline entry_keep(k, x)
{
    entry_live(k);
    if
    :: IS_USED_UP(x) || (BARRED(x) && !IS(ENTRY_NOT_BARRED)) || CAPACITY == 0 -> skip
    :: else ->
        if
        :: e != NONE && flights[x].ahead && places[k].parked == NONE ->
            printf("key %d is parked\n", x);
            places[k].parked = x
        :: e != NONE && !(flights[x].ahead && places[k].parked == NONE) && !BEATS(x, e) -> skip
        :: else ->
            printf("key %d is the entry\n", x);
            places[k].entry = x;
            if
            :: CAPACITY < KEYS -> entry_clear(1 - k)
            :: else
            fi
        fi
    fi
}

/* ---- Flights ---- */

#define ROOMY(x, c)  (UNDER_WAY(x) && flights[x].key == KEY(c) && (!BARRED(x) || IS(SEATS_NOT_BARRED)) && \
                      (FITS(x, c) || IS(UNCOUNTED) || IS(CHARGED_AT_LANDING)))

/* f: the oldest flight that has room for this caller, or NONE. */
inline flights_find(c)
{
    f = 0;
    do
    :: f == opened -> f = NONE; break
    :: f != opened && ROOMY(f, c) -> break
    :: else -> f++
    od
}

/* f: a new flight, under the limits of this caller. */
inline flights_open(k, c)
{
    f = opened;
    opened++;
    printf("flight %d is opened\n", f);
    flights[f].key = k;
    flights[f].max_messages = LIMIT(c);
    flights[f].clearings = clearings;
    flights[f].cleanups = cleanups;
    flights[f].code = KF_PENDING;
    flights[f].task = RUNNING;
    flights[f].trips = TRIPS;
#if HAS_OPENER
    flights[f].opener = c;
#endif
    places[k].under_way++;
    least[f] = NONE;
    calls[k]++;
    n = 0;
    for (i : 0 .. FLIGHTS - 1) {
        n = n + (UNDER_WAY(i) && flights[i].key == k)
    }
    PROMISE(TURNS_KEPT, UNLIKE_FLIGHTS || MAX_FLIGHTS == 0 || n <= MAX_FLIGHTS)
}

inline flights_seat(x, c)
{
    printf("caller %d takes a seat in flight %d\n", c, x);
    PROMISE(P5_FAILURES_LOCAL, UNDER_WAY(x));
#if !IS(CHARGED_AT_LANDING)
    budget_charge(x, c);
#endif
    seats[c].flight = x
}

/* The landing as far as the seats are concerned. */
inline flights_close(k, x)
{
    printf("flight %d lands\n", x);
    flights[x].landed = 1;
    places[k].under_way = places[k].under_way - !(IS(TURNS_FORGOTTEN) && BARRED(x));
    for (i : 0 .. CALLERS - 1) {
        if
        :: seats[i].flight == x ->
            seats[i].woken = 1;
#if IS(CHARGED_AT_LANDING)
            if
            :: FITS(x, i) -> budget_charge(x, i)
            :: else -> seats[i].flight = NONE; seats[i].code = ASK_AGAIN
            fi
#elif IS(SERVED_BY_ENTRY)
            if
            :: flights[x].opener != i -> seats[i].flight = NONE; seats[i].code = ASK_AGAIN
            :: else
            fi
#endif
        :: else
        fi
    }
}

/* ---- Turns ---- */

#define TURNS_FULL(k, c) (MAY_OPEN(c) > 0 && places[k].under_way >= MAY_OPEN(c))

inline turns_wait(k, c)
{
    printf("caller %d waits in line\n", c);
    line[k]!c;
#if UNLIKE_FLIGHTS
    may_pass[c] = len(line[k])
#endif
}

inline turns_leave(k, c)
{
    line[k]??eval(c)
}

/* Answers w, who is in line, without a flight. */
inline turns_answer(k, answer)
{
    printf("caller %d is answered out of the line\n", w);
    turns_leave(k, w);
    seats[w].code = answer;
    seats[w].woken = 1
}

/* w: the first in line who fits x, or NONE. */
inline line_find(k, x)
{
    w = NONE;
    for (i : 1 .. len(line[k])) {
        line[k]?s;
        line[k]!s;
        w = (w == NONE && FITS(x, s) -> s : w)
    }
}

/* The same for the entry, or else for the parked key. */
inline line_find_kept(k)
{
    w = NONE;
    if
    :: places[k].entry != NONE -> line_find(k, places[k].entry)
    :: else
    fi;
    if
    :: w == NONE && places[k].parked != NONE -> line_find(k, places[k].parked)
    :: else
    fi
}

/* Answers w, who is in line, from the entry. e: the entry, or NONE if it has no room. */
inline serve_entry(k)
{
    entry_usable(k, w);
    if
    :: e != NONE ->
        turns_answer(k, KF_OK);
        seats[w].value = e;
        entry_charge(k, w)
    :: else
    fi
}

/* Seats those in line who fit x, in which room came about. */
inline turns_offer(k, x)
{
    do
    :: empty(line[k]) || BARRED(x) -> break
    :: nempty(line[k]) && !BARRED(x) ->
#if IS(LINE_ASKS_AGAIN)
        line[k]?<w>;
        turns_answer(k, ASK_AGAIN);
        break
#else
        line_find(k, x);
        if
        :: w == NONE -> break
        :: else -> turns_leave(k, w); flights_seat(x, w)
        fi
#endif
    od
}

/* Gives those in line what is in the entry, and opens a flight for the first who is left. next: that flight, or NONE. */
inline turns_serve(k, may_open)
{
    next = NONE;
    w = NONE;
    if
    :: nempty(line[k]) ->
        line[k]?<w>;
#if IS(LINE_ASKS_AGAIN)
        turns_answer(k, ASK_AGAIN);
        w = NONE
#else
        serve_entry(k)
#endif
    :: empty(line[k])
    fi;
    do
    :: IS(LINE_ASKS_AGAIN) || empty(line[k]) -> break
    :: !IS(LINE_ASKS_AGAIN) && nempty(line[k]) ->
        line_find_kept(k);
        if
        :: w == NONE -> break
        :: else -> serve_entry(k)
        fi;
        if
        :: e == NONE -> break
        :: else
        fi
    od;
    if
    :: !IS(LINE_ASKS_AGAIN) && may_open && nempty(line[k]) ->
        line[k]?<w>;
        if
        :: IS(TURNS_MIND_OTHERS) && TURNS_FULL(k, w)
        :: else ->
            flights_open(k, w);
            next = f;
            turns_leave(k, w);
            flights_seat(next, w);
            turns_offer(k, next)
        fi
    :: IS(LINE_ASKS_AGAIN) || !(may_open) || empty(line[k])
    fi
}

/* Nobody in line fits into a flight. */
inline line_check(k)
{
#if !IS(LINE_ASKS_AGAIN)
    for (i : 1 .. len(line[k])) {
        line[k]?s;
        line[k]!s;
        for (w : 0 .. FLIGHTS - 1) {
            PROMISE(LINE_OFFERED, !ROOMY(w, s))
        }
    }
#else
    skip
#endif
}

/* A landing could open a flight for those in line: it may pass by whoever is k-th fewer than k times. */
inline line_count(k)
{
#if UNLIKE_FLIGHTS
    for (i : 1 .. len(line[k])) {
        line[k]?s;
        line[k]!s;
        may_pass[s]--;
        PROMISE(LINE_MOVES, may_pass[s] > 0)
    }
#else
    skip
#endif
}

/* Answers all in line: with the error of flight x, or, if that is NONE, that there is no memory. */
inline turns_dismiss(k, x)
{
    do
    :: empty(line[k]) -> break
    :: nempty(line[k]) ->
        line[k]?<w>;
        seats[w].flight = x;
        turns_answer(k, KF_E_NO_MEMORY)
    od
}

/* ---- Ledger ---- */

/* The look at the flights; the one at the entry was in vain. wanted: a flight has to be opened. */
inline ledger_ask_flights(k, c)
{
    flights_find(c);
    wanted = f == NONE && !TURNS_FULL(k, c);
    if
    :: f != NONE -> flights_seat(f, c)
    :: f == NONE && !wanted -> turns_wait(k, c)
    :: else
    fi
}

inline ledger_ask_open(k, c)
{
    flights_open(k, c);
    flights_seat(f, c);
#if !IS(NOT_OFFERED)
    turns_offer(k, f);
#endif
    line_check(k)
}

/* f: a flight opened ahead of need, or NONE: others have fetched the next key, or are doing it, or may not. */
inline ledger_open_ahead(k, c)
{
    e = places[k].entry;
    wanted = (e == NONE || flights[e].refreshed) && places[k].parked == NONE && !TURNS_FULL(k, c);
    for (i : 0 .. FLIGHTS - 1) {
        wanted = wanted && !(UNDER_WAY(i) && flights[i].key == k && !BARRED(i) && !IS_USED_UP(i))
    }
    f = NONE;
    if
    :: wanted ->
        flights_open(k, c);
        flights[f].ahead = 1;
        ahead++;
        turns_offer(k, f)
    :: else
    fi;
    line_check(k)
}

/* `memory`: there is some for the flight that may follow. next: that flight, if it was opened, or NONE. */
inline ledger_land(k, x)
{
    flights_close(k, x);
    if
    :: flights[x].code == KF_OK -> entry_keep(k, x)
    :: flights[x].code == KF_E_CLEANED_UP -> turns_dismiss(k, x)
    :: else
    fi;
    turns_serve(k, memory);
    if
    :: memory -> line_count(k)
    :: else
    fi;
    line_check(k);
    if
    :: places[k].under_way == 0 && !IS(LINE_KEPT) && !IS(LINE_ASKS_AGAIN) -> turns_dismiss(k, NONE)
    :: else
    fi
}

/* A caller leaves: he gives up, or has been answered. n: the flight in which he sat, or NONE. */
inline ledger_leave(k, c)
{
    n = seats[c].flight;
    if
    :: n == NONE && seats[c].code == KF_PENDING ->
        turns_leave(k, c)
    :: n != NONE && (UNDER_WAY(n) || IS(REFUND_LATE)) ->
        flights[n].messages--;
        if
        :: UNDER_WAY(n) -> turns_offer(k, n)
        :: else
        fi
    :: n == NONE && seats[c].code == ASK_AGAIN -> turns_serve(k, false)
    :: else
    fi;
    seats[c].flight = NONE;
    seats[c].code = KF_PENDING;
    seats[c].value = 0;
    seats[c].woken = 0;
    line_check(k)
}

inline ledger_clear()
{
    printf("the cache is cleared\n");
    clearings++;
    for (i : 0 .. KEYS - 1) {
        if
        :: IS(PARKED_NOT_CLEARED) -> entry_succeed(i)
        :: else -> entry_clear(i)
        fi;
        places[i].under_way = (IS(TURNS_FORGOTTEN) -> 0 : places[i].under_way)
    }
}
