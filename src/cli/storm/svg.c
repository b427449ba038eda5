/*
 * Draws what a storm did: see storm.h. Called by storm.c. Time runs from left to right. Each call to the key
 * service is a bar, and each caller a line across the bar of the call that it shares, from its ask to its
 * answer. Never judges, and never draws text that comes from outside.
 *
 * Thousands of callers have to stay legible. So a line may stand for several callers of one call, and of many
 * calls only every n-th is drawn. The picture says so. Lengths are whole numbers of tenths of a pixel, so
 * that no locale puts a comma into them.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "storm/scene.h"

enum {
    WIDTH = 540,
    LEFT = 24,          /* the plot is from here */
    RIGHT = WIDTH - 24, /* ... to here */
    TOP = 86,           /* of the plot, within its scenario */
    PLOT_MAX = 400,     /* its height at most */
    LANE_MAX = 16,      /* height of a lane at most, */
    LANES_MAX = 120,    /* ... and how many lanes there are at most */
    ROW_LANES_MAX = 10, /* lanes of one call, if there would be too many */
    LABEL_MIN = 110,    /* tenths of a pixel: rows that are lower than that have no label */
    TICKS_MAX = 8,
    LINE = 18,
};

#define TENTHS(px) (INT64_C(10) * (px))

static const char style[] =
    "text{font:13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}"
    ".head{font-size:21px;font-weight:600}.small{font-size:11px}.soft{fill:#59636e;color:#59636e}"
    ".page{fill:#fff;stroke:#d1d9e0}.grid{stroke:#d8dee4}"
    ".ok{color:#0b7a6f}.failed{color:#c4420d}.mark{fill:currentColor;font-weight:600}"
    ".call{fill:currentColor;fill-opacity:.2}.lost{fill:none;stroke:currentColor;stroke-dasharray:3 2}"
    ".caller{stroke:currentColor;stroke-linecap:round}"
    ".held{fill:currentColor}.left{fill:#fff;stroke:currentColor}.error{stroke:#cf222e}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.soft{fill:#9198a1;color:#9198a1}"
    ".page{fill:#0d1117;stroke:#3d444d}.grid{stroke:#2a313c}"
    ".ok{color:#43c5b2}.failed{color:#ff9a6b}.mark{fill:currentColor}.left{fill:#0d1117}"
    ".error{stroke:#ff7b72}}";

/* Marks that the legend explains if they were drawn. */
enum {
    CACHED = 1, /* a caller whose key was in the cache */
    GAVE_UP = 2,
    ERROR = 4,
    LOST = 8, /* a call that failed, or that nobody waited for */
};

/* The drawing of one scenario. */
struct plot {
    FILE *out;
    const struct storm_report *report;
    struct storm_rows rows;
    size_t every;  /* of so many rows the first is drawn */
    size_t bundle; /* callers that a line stands for */
    uint64_t begin_ns, span_ns, unit_ns, step;
    int64_t height, lane; /* tenths of a pixel: of all lanes, and of one */
    unsigned marks;       /* that were drawn */
};

/* Writes a number of tenths of a pixel. */
static void draw_px(FILE *out, const char *before, int64_t tenths)
{
    fprintf(out, "%s%" PRId64, before, tenths / 10);
    if (tenths % 10 != 0)
        fprintf(out, ".%" PRId64, tenths % 10);
}

static void draw_text(FILE *out, const char *classes, int x, int64_t y, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
static void draw_text(FILE *out, const char *classes, int x, int64_t y, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(out, "<text%s x=\"%d\" y=\"%" PRId64 "\">", classes, x, y);
    vfprintf(out, format, arguments);
    fputs("</text>\n", out);
    va_end(arguments);
}

/* ---- What is drawn ---- */

/* The next number of 1, 2, 5, 10, 20, 50, ... */
static uint64_t next_round(uint64_t number)
{
    uint64_t power = 1;
    while (number / power >= 10)
        power *= 10;
    return number / power == 1 ? 2 * power : number / power == 2 ? 5 * power : 10 * power;
}

static size_t svg_divide_up(size_t dividend, size_t divisor)
{
    return (dividend + divisor - 1) / divisor;
}

/* How many lines a row has. The row of those without a key is thinned out as the calls are. */
static size_t row_lanes(const struct plot *plot, const struct storm_row *row)
{
    size_t bundle = row->fetch == NULL ? plot->bundle * plot->every : plot->bundle;
    return row->count == 0 ? 1 : svg_divide_up(row->count, bundle);
}

static bool is_drawn(const struct plot *plot, size_t row)
{
    return row % plot->every == 0 || plot->rows.rows[row].fetch == NULL;
}

/* How many lanes are drawn, in how many rows. */
static size_t count_lanes(const struct plot *plot, size_t *rows)
{
    size_t lanes = 0;
    *rows = 0;
    for (size_t i = 0; i < plot->rows.count; i++) {
        if (!is_drawn(plot, i))
            continue;
        lanes += row_lanes(plot, &plot->rows.rows[i]);
        ++*rows;
    }
    return lanes;
}

/*
 * If there would be too many lanes: first bundles callers of one call until none has more than ROW_LANES_MAX
 * lanes, then leaves out calls.
 */
static void choose_lanes(struct plot *plot)
{
    size_t most = 0, rows, lanes;
    for (size_t i = 0; i < plot->rows.count; i++)
        most = plot->rows.rows[i].count > most ? plot->rows.rows[i].count : most;
    plot->bundle = 1;
    plot->every = 1;
    while ((lanes = count_lanes(plot, &rows)) > LANES_MAX) {
        if (svg_divide_up(most, plot->bundle) > ROW_LANES_MAX)
            plot->bundle = next_round(plot->bundle);
        else
            plot->every = next_round(plot->every);
    }
    plot->height = 10 * (int64_t)(lanes * LANE_MAX < PLOT_MAX ? lanes * LANE_MAX : PLOT_MAX);
    /* Between two rows there is a gap of 0.6 lanes. */
    plot->lane = 10 * plot->height / (int64_t)(10 * lanes + 6 * (rows - 1));
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/*
 * The axis goes from the first ask to beyond the last answer, in round trips or, if none is set, in
 * milliseconds.
 */
static void choose_time(struct plot *plot)
{
    const struct storm_trace *trace = &plot->report->result.trace;
    uint64_t end_ns = 0;
    plot->begin_ns = UINT64_MAX;
    for (size_t i = 0; i < trace->caller_count; i++) {
        const struct storm_caller *caller = &trace->callers[i];
        plot->begin_ns = caller->asked_ns < plot->begin_ns ? caller->asked_ns : plot->begin_ns;
        end_ns = later(end_ns, later(caller->held_ns, caller->left_ns));
    }
    for (size_t i = 0; i < trace->fetch_count; i++)
        end_ns = later(end_ns, trace->fetches[i].end_ns);
    uint64_t took_ns = end_ns > plot->begin_ns ? end_ns - plot->begin_ns : 0;
    plot->unit_ns = plot->report->options->rtt_ms * 1000000;
    if (plot->unit_ns == 0)
        plot->unit_ns = took_ns >= 2000000 ? 1000000 : 1000;
    plot->step = 1;
    while (took_ns / (plot->step * plot->unit_ns) >= TICKS_MAX)
        plot->step = next_round(plot->step);
    uint64_t half_ns = later(plot->step * plot->unit_ns / 2, 1000);
    plot->span_ns = (took_ns / half_ns + 1) * half_ns;
}

/* ---- Drawing ---- */

/* Where a moment is, in tenths of a pixel. */
static int64_t x_of(const struct plot *plot, uint64_t ns)
{
    int64_t since_ns = ns > plot->begin_ns ? (int64_t)(ns - plot->begin_ns) : 0;
    return TENTHS(LEFT) + TENTHS(RIGHT - LEFT) * (since_ns / 1000) / (int64_t)(plot->span_ns / 1000);
}

static void draw_axis(const struct plot *plot)
{
    const uint64_t step_ns = plot->step * plot->unit_ns;
    const int64_t bottom = TOP + plot->height / 10 + 6;
    for (uint64_t tick = 0; tick * step_ns <= plot->span_ns; tick++) {
        draw_px(plot->out, "<path class=\"grid\" d=\"M", x_of(plot, plot->begin_ns + tick * step_ns));
        fprintf(plot->out, " %dV%" PRId64 "\"/>", TOP - 6, bottom);
        draw_text(plot->out, " class=\"soft small\" text-anchor=\"middle\"",
                  (int)(x_of(plot, plot->begin_ns + tick * step_ns) / 10), bottom + 14, "%" PRIu64,
                  tick * plot->step);
    }
}

/* Draws a line from the first ask of some callers to their last answer, and a mark that says how it ended. */
static void draw_callers(struct plot *plot, const struct storm_caller *const *callers, size_t count,
                         int64_t y)
{
    const int64_t radius = plot->lane * 36 / 100 < 35 ? plot->lane * 36 / 100 : 35;
    uint64_t asked_ns = UINT64_MAX, left_ns = 0;
    for (size_t i = 0; i < count; i++) {
        asked_ns = callers[i]->asked_ns < asked_ns ? callers[i]->asked_ns : asked_ns;
        left_ns = later(left_ns, later(callers[i]->held_ns, callers[i]->left_ns));
    }
    int64_t x = x_of(plot, left_ns);
    draw_px(plot->out, "<path class=\"caller\" d=\"M", x_of(plot, asked_ns));
    draw_px(plot->out, " ", y);
    draw_px(plot->out, "H", x);
    const bool failed = callers[0]->state == STORM_FAILED, holds = callers[0]->state == STORM_DONE;
    plot->marks |= failed ? ERROR : holds ? 0 : GAVE_UP;
    fprintf(plot->out, "\"/><circle class=\"%s\"", holds ? "held" : failed ? "left error" : "left");
    draw_px(plot->out, " cx=\"", x);
    draw_px(plot->out, "\" cy=\"", y);
    draw_px(plot->out, "\" r=\"", radius);
    fputs("\"/>\n", plot->out);
}

/* Draws the bar of a call. If the call was not answered the bar goes to the end of the axis. */
static void draw_call(struct plot *plot, const struct storm_fetch *fetch, int64_t y, int64_t height)
{
    const int64_t x = x_of(plot, fetch->begin_ns);
    const int64_t end = fetch->end_ns > 0 ? x_of(plot, fetch->end_ns) : TENTHS(RIGHT);
    const bool lost = fetch->end_ns == 0 || fetch->failed;
    plot->marks |= lost ? LOST : 0;
    fprintf(plot->out, "<rect class=\"%s\"", lost ? "call lost" : "call");
    draw_px(plot->out, " x=\"", x);
    draw_px(plot->out, "\" y=\"", y);
    draw_px(plot->out, "\" width=\"", end > x + 10 ? end - x : 10);
    draw_px(plot->out, "\" height=\"", height);
    draw_px(plot->out, "\" rx=\"", height / 3 < 40 ? height / 3 : 40);
    fputs("\"/>\n", plot->out);
}

/* Says what a row is, in words. */
static void describe_row(const struct plot *plot, const struct storm_row *row, char text[64])
{
    const char *what = plot->report->options->decrypt ? "reader" : "message";
    if (row->fetch == NULL)
        snprintf(text, 64, "%zu without a key", row->count);
    else if (row->fetch->failed)
        snprintf(text, 64, "failed");
    else if (row->fetch->end_ns == 0)
        snprintf(text, 64, "not awaited");
    else
        snprintf(text, 64, "%zu %s%s", row->count, what, storm_plural(row->count));
}

/* Writes what a row is on its right, or on its left if there is no room. */
static void draw_label(const struct plot *plot, const struct storm_row *row, uint64_t last_ns, int64_t y,
                       const char *text)
{
    const int64_t right = x_of(plot, last_ns) / 10 + 10;
    const int64_t left = row->fetch != NULL ? x_of(plot, row->fetch->begin_ns) / 10 - 8 : 0;
    const bool fits = right < RIGHT - 80 || left < LEFT + 80;
    draw_text(plot->out, fits ? " class=\"soft small\"" : " class=\"soft small\" text-anchor=\"end\"",
              (int)(fits ? right : left), y / 10 + 4, "%s", text);
}

/* Draws a row at `y`; answers its height. */
static int64_t draw_row(struct plot *plot, const struct storm_row *row, int64_t y)
{
    const size_t lanes = row_lanes(plot, row), bundle = svg_divide_up(row->count, lanes);
    const int64_t height = (int64_t)lanes * plot->lane;
    char text[64];
    uint64_t last_ns = row->fetch != NULL ? row->fetch->end_ns : 0;
    describe_row(plot, row, text);
    fprintf(plot->out, "<g class=\"%s\"><title>%s</title>\n", row->fetch != NULL ? "row" : "row soft", text);
    if (row->fetch != NULL)
        draw_call(plot, row->fetch, y, height);
    for (size_t i = 0; i < lanes && i * bundle < row->count; i++) {
        const size_t left = row->count - i * bundle, count = left < bundle ? left : bundle;
        draw_callers(plot, row->callers + i * bundle, row->fetch != NULL ? count : 1,
                     y + (int64_t)i * plot->lane + plot->lane / 2);
    }
    for (size_t i = 0; i < row->count; i++) {
        if (row->fetch != NULL && row->callers[i]->asked_ns > row->fetch->end_ns)
            plot->marks |= CACHED;
        last_ns = later(last_ns, later(row->callers[i]->held_ns, row->callers[i]->left_ns));
    }
    if (height >= LABEL_MIN)
        draw_label(plot, row, last_ns, y + height / 2, text);
    fputs("</g>\n", plot->out);
    return height;
}

static void draw_rows(struct plot *plot)
{
    int64_t y = TENTHS(TOP);
    draw_px(plot->out, "<g stroke-width=\"",
            plot->lane / 4 > 15  ? 15
            : plot->lane / 4 < 5 ? 5
                                 : plot->lane / 4);
    fputs("\">\n", plot->out);
    for (size_t i = 0; i < plot->rows.count; i++) {
        if (is_drawn(plot, i))
            y += draw_row(plot, &plot->rows.rows[i], y) + plot->lane * 6 / 10;
    }
    fputs("</g>\n", plot->out);
}

/* ---- Words ---- */

static void draw_heading(const struct plot *plot)
{
    const struct storm_report *report = plot->report;
    const struct storm_options *options = report->options;
    char name[STORM_NAME_ROOM];
    storm_name(&report->scenario, name);
    draw_text(plot->out, " class=\"head\"", LEFT, 34, "%" PRIu64 " call%s for %" PRIu64 " caller%s",
              report->result.backing_calls, storm_plural(report->result.backing_calls),
              report->result.callers, storm_plural(report->result.callers));
    draw_text(plot->out, " class=\"soft\"", LEFT, 54, "%s", name);
    fprintf(plot->out, "<text class=\"soft\" x=\"%d\" y=\"%d\">", LEFT, 54 + LINE);
    if (options->decrypt)
        fputs("readers of one message", plot->out);
    else
        fprintf(plot->out, "a data key may encrypt %" PRIu64 " message%s", options->max_messages,
                storm_plural(options->max_messages));
    if (!options->decrypt && options->max_bytes < INT64_MAX)
        fprintf(plot->out, " or %" PRIu64 " bytes", options->max_bytes);
    fputs(options->coalescing ? "; callers share calls" : "; without coalescing", plot->out);
    fputs("</text>\n", plot->out);
}

static int64_t draw_unit(const struct plot *plot, int64_t y)
{
    const uint64_t rtt_ms = plot->report->options->rtt_ms;
    char unit[40] = "milliseconds";
    if (rtt_ms > 0)
        snprintf(unit, sizeof unit, "round trips of %" PRIu64 " ms", rtt_ms);
    else if (plot->unit_ns == 1000)
        snprintf(unit, sizeof unit, "microseconds");
    draw_text(plot->out, " class=\"soft small\" text-anchor=\"middle\"", WIDTH / 2, y, "%s", unit);
    return y + 6;
}

/* Writes by which rule some are left out. */
static int64_t draw_rule(const struct plot *plot, int64_t y)
{
    char lines[64] = "";
    if (plot->bundle > 1)
        snprintf(lines, sizeof lines, "; a line is up to %zu callers of one call", plot->bundle);
    if (plot->every > 1)
        draw_text(plot->out, " class=\"soft\"", LEFT, y += LINE,
                  "Drawn: every %zu%s call and all who share it%s", plot->every,
                  plot->every == 2 ? "nd" : "th", lines);
    else if (plot->bundle > 1)
        draw_text(plot->out, " class=\"soft\"", LEFT, y += LINE, "Drawn: all calls%s", lines);
    return y;
}

static int64_t draw_counts(const struct plot *plot, int64_t y)
{
    const struct storm_report *report = plot->report;
    const struct storm_result *result = &report->result;
    const char *bound = report->expected.exact ? "expected" : "at most";
    const uint64_t errors = result->errors + result->warm_errors;
    if (!report->options->decrypt)
        draw_text(plot->out, "", LEFT, y += LINE,
                  "%" PRIu64 " message%s with %" PRIu64 " data key%s (%s %" PRIu64 ")", result->encryptions,
                  storm_plural(result->encryptions), result->distinct_deks,
                  storm_plural(result->distinct_deks), bound,
                  report->expected.exact ? report->expected.deks : report->expected.bound);
    draw_text(plot->out, "", LEFT, y += LINE,
              "%" PRIu64 " call%s to the key service (%s %" PRIu64 "), %" PRIu64 " at once",
              result->backing_calls, storm_plural(result->backing_calls), bound, report->expected.bound,
              result->peak_in_flight);
    if (errors + result->cancelled > 0)
        draw_text(plot->out, "", LEFT, y += LINE, "%" PRIu64 " caller%s gave up, %" PRIu64 " got an error",
                  result->cancelled, storm_plural(result->cancelled), errors);
    draw_text(plot->out, " class=\"mark\"", LEFT, y += LINE, "%s",
              report->ok ? "As promised" : report->reason);
    return y;
}

/* Answers its height. */
static int64_t draw_plot(struct plot *plot)
{
    fprintf(plot->out, "<g class=\"%s\">\n", plot->report->ok ? "ok" : "failed");
    draw_heading(plot);
    draw_axis(plot);
    draw_rows(plot);
    int64_t y = draw_unit(plot, TOP + plot->height / 10 + 36);
    y = draw_counts(plot, draw_rule(plot, y));
    fputs("</g>\n", plot->out);
    return y + 16;
}

/* Explains lines, bars and dots, in two columns. Answers its height. */
static int64_t draw_legend(FILE *out, unsigned marks)
{
    static const char line[] = "<path class=\"caller\" d=\"M0 -4H26\"/>";
    static const char dot[] = "<circle class=\"held\" cx=\"26\" cy=\"-4\" r=\"3\"/>";
    const struct {
        bool shown, has_line;
        const char *mark, *text;
    } entries[] = {
        {true, false, "<rect class=\"call\" y=\"-10\" width=\"26\" height=\"11\" rx=\"3\"/>",
         "a call to the key service"},
        {true, true, dot, "a caller, until it holds its key"},
        {(marks & CACHED) != 0, false, dot, "its key was in the cache"},
        {(marks & GAVE_UP) != 0, true, "<circle class=\"left\" cx=\"26\" cy=\"-4\" r=\"3\"/>", "it gave up"},
        {(marks & ERROR) != 0, true, "<circle class=\"left error\" cx=\"26\" cy=\"-4\" r=\"3\"/>",
         "it got an error"},
        {(marks & LOST) != 0, false,
         "<rect class=\"call lost\" y=\"-10\" width=\"26\" height=\"11\" rx=\"3\"/>",
         "it failed or was dropped"},
    };
    int shown = 0;
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        if (!entries[i].shown)
            continue;
        fprintf(out, "<g transform=\"translate(%d %d)\">%s%s", shown % 2 == 0 ? LEFT : WIDTH / 2 - 18,
                26 + shown / 2 * LINE, entries[i].has_line ? line : "", entries[i].mark);
        draw_text(out, "", 36, 0, "%s", entries[i].text);
        fputs("</g>\n", out);
        shown++;
    }
    return 26 + (shown + 1) / 2 * LINE;
}

/* ---- The picture ---- */

struct storm_picture {
    FILE *body;
    char *body_text;
    size_t body_length;
    FILE *words; /* the same in words, for readers who don't see it */
    char *words_text;
    size_t words_length;
    int64_t height;
    unsigned marks;
    char *text; /* the whole, once it is finished */
    size_t length;
};

static enum kf_code picture_fail(struct kf_error *error)
{
    return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for the picture.");
}

void storm_picture_free(struct storm_picture *picture)
{
    if (picture == NULL)
        return;
    if (picture->body != NULL)
        fclose(picture->body);
    if (picture->words != NULL)
        fclose(picture->words);
    free(picture->body_text);
    free(picture->words_text);
    free(picture->text);
    free(picture);
}

enum kf_code storm_picture_new(struct kf_error *error, struct storm_picture **out)
{
    struct storm_picture *picture = calloc(1, sizeof *picture);
    if (picture == NULL)
        return picture_fail(error);
    picture->body = open_memstream(&picture->body_text, &picture->body_length);
    picture->words = open_memstream(&picture->words_text, &picture->words_length);
    if (picture->body == NULL || picture->words == NULL) {
        storm_picture_free(picture);
        return picture_fail(error);
    }
    *out = picture;
    return KF_OK;
}

enum kf_code storm_picture_add(struct storm_picture *picture, const struct storm_report *report,
                               struct kf_error *error)
{
    struct plot plot = {.out = picture->body, .report = report};
    char name[STORM_NAME_ROOM];
    enum kf_code code = storm_rows_new(&report->result.trace, error, &plot.rows);
    if (code != KF_OK)
        return code;
    choose_lanes(&plot);
    choose_time(&plot);
    fprintf(picture->body, "<g transform=\"translate(0 %" PRId64 ")\">\n", picture->height);
    if (picture->height > 0)
        fprintf(picture->body, "<path class=\"grid\" d=\"M0 0H%d\"/>\n", WIDTH);
    picture->height += draw_plot(&plot);
    picture->marks |= plot.marks;
    fputs("</g>\n", picture->body);
    storm_name(&report->scenario, name);
    fprintf(picture->words,
            "%s: %" PRIu64 " callers, %" PRIu64 " calls to the key service, %" PRIu64
            " of them at once, %" PRIu64 " data keys. %s. ",
            name, report->result.callers, report->result.backing_calls, report->result.peak_in_flight,
            report->result.distinct_deks, report->ok ? "As promised" : report->reason);
    storm_rows_end(&plot.rows);
    return KF_OK;
}

enum kf_code storm_picture_finish(struct storm_picture *picture, struct kf_error *error, struct kf_view *out)
{
    fprintf(picture->body,
            "<g class=\"soft\" transform=\"translate(0 %" PRId64
            ")\">\n<path class=\"grid\" d=\"M0 0H%d\"/>\n",
            picture->height, WIDTH);
    picture->height += draw_legend(picture->body, picture->marks);
    fputs("</g>\n", picture->body);
    FILE *whole = open_memstream(&picture->text, &picture->length);
    if (whole == NULL || fflush(picture->body) != 0 || fflush(picture->words) != 0) {
        if (whole != NULL)
            fclose(whole);
        return picture_fail(error);
    }
    fprintf(whole,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %" PRId64
            "\" width=\"%d\" height=\"%" PRId64
            "\" role=\"img\" aria-labelledby=\"title words\">\n<title id=\"title\">keyflight storm</title>\n"
            "<desc id=\"words\">%s</desc>\n<style>%s</style>\n"
            "<rect class=\"page\" x=\".5\" y=\".5\" width=\"%d\" height=\"%" PRId64
            "\" rx=\"6\"/>\n%s</svg>\n",
            WIDTH, picture->height, WIDTH, picture->height, picture->words_text, style, WIDTH - 1,
            picture->height - 1, picture->body_text);
    if (fclose(whole) != 0)
        return picture_fail(error);
    *out = kf_view_of(picture->text, picture->length);
    return KF_OK;
}
