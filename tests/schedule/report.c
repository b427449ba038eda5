/*
 * Reports: see report.h. Called by the machine. The places are named by addr2line, which comes with the compiler.
 */
#include "schedule/report.h"

#include <execinfo.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "schedule/machine.h"

#define LINES_MAX 1000
#define LINES_FIRST 20 /* more lines than these two together are not printed */
#define LINES_LAST 50
#define PLACES_SHOWN 5

static struct found *reported;
static bool wanted;

static struct line {
    char text[200];
    void *frames[REPORT_FRAMES];
    int frame_count;
} lines[LINES_MAX];
static size_t line_count;

void report_begin(struct found *found, bool is_wanted)
{
    void *unused[1];
    reported = found;
    wanted = is_wanted;
    if (wanted)
        backtrace(unused, 1); /* the first call loads a library */
}

bool report_wanted(void)
{
    return wanted;
}

int report_frames(void **frames)
{
    return wanted ? backtrace(frames, REPORT_FRAMES) : 0;
}

void report_line(const char *text, void *const *frames, int frame_count)
{
    if (!wanted || line_count == LINES_MAX)
        return;
    struct line *line = &lines[line_count++];
    snprintf(line->text, sizeof line->text, "%s", text);
    memcpy(line->frames, frames, (size_t)frame_count * sizeof *frames);
    line->frame_count = frame_count;
}

void report_choice(const struct choice *choice)
{
    if (!wanted)
        return;
    char text[200];
    void *frames[REPORT_FRAMES];
    const int count = report_frames(frames);
    const char *from = machine_name(choice->thread);
    if (choice->kind == CHOICE_NEXT)
        snprintf(text, sizeof text, "  %u %s -> %u %s", choice->thread, from, choice->value,
                 machine_name(choice->value));
    else if (choice->kind == CHOICE_SIGNAL)
        snprintf(text, sizeof text, "  %u %s wakes %u %s", choice->thread, from, choice->value,
                 machine_name(choice->value));
    else
        snprintf(text, sizeof text, "  %u %s waits in vain", choice->thread, from);
    report_line(text, frames, count);
}

/* ---- Places ---- */

static int find_base(struct dl_phdr_info *info, size_t size, void *out)
{
    (void)size;
    *(uintptr_t *)out = info->dlpi_addr;
    return 1; /* the first is the program */
}

/* The path from src/ or tests/ on. */
static const char *short_path(const char *path)
{
    const char *found = strstr(path, "/tests/schedule/");
    if (found == NULL)
        found = strstr(path, "/src/");
    return found != NULL ? found + 1 : path;
}

/* Whether a place is of the library or of a scene, not of the machine or of the system. */
static bool shown(const char *path)
{
    return strncmp(path, "src/", 4) == 0 || strncmp(path, "tests/schedule/scenes/", 22) == 0;
}

static FILE *places_open(void *const *frames, int count, uintptr_t offset)
{
    char command[128 + REPORT_FRAMES * 20];
    uintptr_t base = 0;
    dl_iterate_phdr(find_base, &base);
    size_t length = (size_t)snprintf(command, sizeof command, "addr2line -f -i -e /proc/%d/exe 2>/dev/null",
                                     (int)getpid());
    for (int i = 0; i < count; i++)
        length += (size_t)snprintf(command + length, sizeof command - length, " %#lx",
                                   (unsigned long)((uintptr_t)frames[i] - base - offset));
    return popen(command, "r");
}

static void print_places(const struct line *line)
{
    char function[128], place[512];
    unsigned count = 0;
    FILE *places = line->frame_count > 0 ? places_open(line->frames, line->frame_count, 1) : NULL;
    while (places != NULL && fgets(function, sizeof function, places) != NULL &&
           fgets(place, sizeof place, places) != NULL) {
        function[strcspn(function, "\n")] = '\0';
        place[strcspn(place, " \n")] = '\0';
        if (shown(short_path(place)) && count++ < PLACES_SHOWN)
            printf("%s%s (%s)", count == 1 ? ", in " : " < ", function, short_path(place));
    }
    if (places != NULL)
        pclose(places);
}

void report_function_name(const void *function, char *out, size_t size)
{
    snprintf(out, size, "thread");
    void *frames[1];
    memcpy(frames, &function, sizeof function);
    FILE *places = wanted ? places_open(frames, 1, 0) : NULL;
    if (places == NULL)
        return;
    if (fgets(out, (int)size, places) != NULL)
        out[strcspn(out, "\n")] = '\0';
    pclose(places);
}

_Noreturn void report_failure(const char *kind, const char *text)
{
    snprintf(reported->kind, sizeof reported->kind, "%s", kind);
    snprintf(reported->text, sizeof reported->text, "%s", text);
    for (size_t i = 0; i < line_count; i++) {
        if (i == LINES_FIRST && line_count > LINES_FIRST + LINES_LAST) {
            i = line_count - LINES_LAST;
            printf("  ... %zu lines are left out\n", i - LINES_FIRST);
        }
        fputs(lines[i].text, stdout);
        print_places(&lines[i]);
        putchar('\n');
    }
    fflush(stdout);
    _exit(REPORT_EXIT);
}
