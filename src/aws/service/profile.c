/*
 * The shared configuration files: see profile.h. Called by settings.c, once for a client, and by
 * credentials_static.c, at each refresh of credentials.
 *
 * A file is read whole and cut into strings in place; entries only point into it. The files may hold secrets, so
 * their text is wiped at the end, and no sentence quotes them.
 */
#include "aws/service/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/service/text.h"
#include "base/bytes.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/text.h"

enum section_kind {
    SECTION_NONE,  /* no section has begun */
    SECTION_OTHER, /* one that is not looked at: [sso-session x], [plugins], … */
    SECTION_PROFILE,
    SECTION_DEFAULT, /* [default] of the config file, which does not count beside a [profile default] */
    SECTION_SERVICES
};

/* One `key = value`. Or, with key NULL, the beginning of a section, so that an empty profile exists as well. */
struct kfi_aws_profile_entry {
    enum section_kind kind;
    const struct kfi_aws_profile_file *file;
    const char *name;   /* of the profile or the services */
    const char *parent; /* of a nested key: the key it is under */
    const char *key;
    char *value;
};

/* ---- Reading ---- */

/* `head` followed by `tail`, in memory of its own, or NULL. */
static char *join_text(const char *head, const char *tail)
{
    size_t a = strlen(head), b = strlen(tail);
    char *joined = kfi_alloc(a + b + 1);
    if (joined == NULL)
        return NULL;
    memcpy(joined, head, a);
    memcpy(joined + a, tail, b + 1);
    return joined;
}

/* The home directory followed by `tail`; `*path` becomes NULL if there is no home directory. */
static enum kf_code path_at_home(const char *tail, struct kf_error *error, char **path)
{
    const char *home = kfi_aws_environment("HOME");
    struct passwd entry, *found = NULL;
    char names[4096];
    if (home == NULL && getpwuid_r(getuid(), &entry, names, sizeof names, &found) == 0 && found != NULL)
        home = found->pw_dir;
    *path = NULL;
    if (home == NULL || home[0] == '\0')
        return KF_OK;
    *path = join_text(home, tail);
    return *path != NULL ? KF_OK : kfi_no_memory(error);
}

/* The path that the environment gives, or the one under the home directory. */
static enum kf_code find_path(const char *variable, const char *otherwise, struct kf_error *error,
                              char **path)
{
    const char *given = kfi_aws_environment(variable);
    if (given == NULL)
        return path_at_home(otherwise, error, path);
    if (given[0] == '~' && given[1] == '/')
        return path_at_home(given + 1, error, path);
    *path = join_text(given, "");
    return *path != NULL ? KF_OK : kfi_no_memory(error);
}

static enum kf_code unreadable(const char *path, const char *why, struct kf_error *error)
{
    return kf_error_set(error, KF_E_SYSTEM, "The AWS configuration file %s can't be read: %s.",
                        kfi_shown_text(path, 300).text, why);
}

static enum kf_code file_read_all(int fd, struct kfi_aws_profile_file *file, struct kf_error *error)
{
    for (;;) {
        enum kf_code code = kfi_buf_reserve(&file->text, 4096, KFI_AWS_PROFILE_FILE_MAX + 4096);
        if (code == KF_E_LIMIT || file->text.length > KFI_AWS_PROFILE_FILE_MAX)
            return kf_error_set(error, KF_E_USAGE,
                                "The AWS configuration file %s is larger than %d bytes, which is the limit.",
                                kfi_shown_text(file->path, 300).text, KFI_AWS_PROFILE_FILE_MAX);
        if (code != KF_OK)
            return kfi_no_memory(error);
        /* One byte of room is left for the NUL behind the last string. */
        ssize_t got = read(fd, file->text.data + file->text.length, 4095);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return unreadable(file->path, strerror(errno), error);
        if (got == 0)
            return KF_OK;
        file->text.length += (size_t)got;
    }
}

static enum kf_code file_open_and_read(struct kfi_aws_profile_file *file, struct kf_error *error)
{
    struct stat status;
    /* If the home may not even be looked into (as in a confined service), there is no such file. */
    if (file->path == NULL || stat(file->path, &status) != 0)
        return KF_OK;
    /* Reading anything else than a file or a device could block. */
    if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode))
        return unreadable(file->path, "it is not a file", error);
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return unreadable(file->path, strerror(errno), error);
    file->found = true;
    enum kf_code code = file_read_all(fd, file, error);
    close(fd);
    return code;
}

static enum kf_code file_read(struct kfi_aws_profile_file *file, struct kf_error *error)
{
    const int cancel = kfi_cancel_disable();
    const enum kf_code code = file_open_and_read(file, error);
    kfi_cancel_restore(cancel);
    return code;
}

/* ---- Parsing ---- */

struct parser {
    struct kfi_aws_profiles *profiles;
    struct kfi_aws_profile_file *file;
    bool is_config;
    unsigned line;
    enum section_kind kind;
    const char *name;
    const char *parent;                  /* the last key if it has no value, since nested keys may follow */
    struct kfi_aws_profile_entry *entry; /* the one that an indented line continues, or NULL */
};

static bool is_tab_or_blank(char c)
{
    return c == ' ' || c == '\t';
}

static char *skip_blanks(char *text)
{
    while (is_tab_or_blank(*text))
        text++;
    return text;
}

static void cut_blanks(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && is_tab_or_blank(text[length - 1]))
        text[--length] = '\0';
}

static bool is_comment(char c)
{
    return c == '#' || c == ';';
}

/* Ends `text` where a comment begins, which is at a # or ; behind a blank. */
static void cut_comment(char *text)
{
    for (char *at = text; *at != '\0'; at++) {
        if (is_tab_or_blank(at[0]) && is_comment(at[1]))
            *at = '\0';
        if (*at == '\0')
            return;
    }
}

static enum kf_code malformed(const struct parser *parser, const char *what, struct kf_error *error)
{
    return kf_error_set(error, KF_E_USAGE, "%s, line %u: %s.", kfi_shown_text(parser->file->path, 300).text,
                        parser->line, what);
}

static enum kf_code add_entry(struct parser *parser, const char *key, char *value, struct kf_error *error)
{
    struct kfi_aws_profiles *profiles = parser->profiles;
    if (profiles->count == profiles->room) {
        size_t room = profiles->room > 0 ? profiles->room * 2 : 32;
        struct kfi_aws_profile_entry *entries = kfi_alloc(room * sizeof *entries);
        if (entries == NULL)
            return kfi_no_memory(error);
        if (profiles->count > 0)
            memcpy(entries, profiles->entries, profiles->count * sizeof *entries);
        kfi_free(profiles->entries);
        profiles->entries = entries;
        profiles->room = room;
    }
    parser->entry = &profiles->entries[profiles->count++];
    *parser->entry = (struct kfi_aws_profile_entry){
        parser->kind, parser->file, parser->name, parser->parent, key, value,
    };
    return KF_OK;
}

/* The name without quotes around it. NULL if it is empty, or is several words without quotes. */
static const char *unquote(char *name)
{
    size_t length = strlen(name);
    if (length >= 2 && (name[0] == '"' || name[0] == '\'') && name[length - 1] == name[0]) {
        name[length - 1] = '\0';
        name++;
        return name[0] != '\0' && strpbrk(name, "\"'") == NULL ? name : NULL;
    }
    return length > 0 && strpbrk(name, " \t\"'") == NULL ? name : NULL;
}

/* The name behind `word` and blanks; NULL if the section does not begin with `word`. */
static const char *name_behind(char *section, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(section, word, length) != 0 || !is_tab_or_blank(section[length]))
        return NULL;
    return unquote(skip_blanks(section + length));
}

static enum kf_code parse_section(struct parser *parser, char *line, struct kf_error *error)
{
    char *end = strchr(line, ']');
    if (end == NULL)
        return malformed(parser, "the section has no closing bracket", error);
    char *rest = skip_blanks(end + 1);
    if (*rest != '\0' && !is_comment(*rest))
        return malformed(parser, "something follows the closing bracket of the section", error);
    *end = '\0';
    char *section = skip_blanks(line + 1);
    cut_blanks(section);

    parser->parent = NULL;
    parser->kind = SECTION_PROFILE;
    if (strcmp(section, "default") == 0) {
        parser->name = section;
        parser->kind = parser->is_config ? SECTION_DEFAULT : SECTION_PROFILE;
    } else if (!parser->is_config) {
        parser->name = unquote(section);
    } else if ((parser->name = name_behind(section, "profile")) == NULL) {
        parser->name = name_behind(section, "services");
        parser->kind = SECTION_SERVICES;
    }
    if (parser->name == NULL)
        parser->kind = SECTION_OTHER;
    enum kf_code code = add_entry(parser, NULL, NULL, error);
    parser->entry = NULL;
    return code;
}

static enum kf_code parse_property(struct parser *parser, char *line, struct kf_error *error)
{
    char *value = strchr(line, '=');
    if (value == NULL)
        return malformed(parser, "this is neither [a section] nor `key = value` nor a # comment", error);
    *value++ = '\0';
    cut_blanks(line);
    if (line[0] == '\0')
        return malformed(parser, "there is no key in front of `=`", error);
    cut_comment(value);
    value = skip_blanks(value);
    cut_blanks(value);
    return add_entry(parser, line, value, error);
}

/* An indented line is a nested key, or continues the value above. */
static enum kf_code parse_indented(struct parser *parser, char *line, struct kf_error *error)
{
    if (parser->parent != NULL)
        return parse_property(parser, line, error);
    if (parser->entry == NULL)
        return malformed(parser, "an indented line continues nothing", error);
    /* The value above and the line are apart by a line break at least, so that there is room for the '\n'. */
    char *end = parser->entry->value + strlen(parser->entry->value);
    cut_blanks(line);
    *end = '\n';
    memmove(end + 1, line, strlen(line) + 1);
    return KF_OK;
}

static enum kf_code parse_line(struct parser *parser, char *line, struct kf_error *error)
{
    char *content = skip_blanks(line);
    if (*content == '\0' || is_comment(*content))
        return KF_OK;
    if (content == line && *content == '[')
        return parse_section(parser, content, error);
    if (parser->kind == SECTION_NONE)
        return malformed(parser, "no [section] has begun yet", error);
    if (content > line)
        return parse_indented(parser, content, error);
    parser->parent = NULL;
    enum kf_code code = parse_property(parser, content, error);
    if (code == KF_OK && parser->entry->value[0] == '\0')
        parser->parent = parser->entry->key;
    return code;
}

static enum kf_code parse_file(struct kfi_aws_profiles *profiles, struct kfi_aws_profile_file *file,
                               struct kf_error *error)
{
    struct parser parser = {.profiles = profiles, .file = file, .is_config = file == &profiles->config};
    if (file->text.length == 0)
        return KF_OK;
    char *line = (char *)file->text.data, *end = line + file->text.length;
    *end = '\0';
    if (file->text.length >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0)
        line += 3;
    while (line < end) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        char *next = stop != NULL ? stop + 1 : end;
        stop = stop != NULL ? stop : end;
        parser.line++;
        if (memchr(line, '\0', (size_t)(stop - line)) != NULL)
            return malformed(&parser, "there is a NUL byte in it", error);
        *stop = '\0';
        if (stop > line && stop[-1] == '\r')
            stop[-1] = '\0';
        enum kf_code code = parse_line(&parser, line, error);
        if (code != KF_OK)
            return code;
        line = next;
    }
    return KF_OK;
}

/* If the config file has a [profile default], its [default] does not count. */
static void settle_default(struct kfi_aws_profiles *profiles)
{
    bool has_both = false;
    for (size_t i = 0; i < profiles->count; i++) {
        const struct kfi_aws_profile_entry *entry = &profiles->entries[i];
        has_both = has_both || (entry->file == &profiles->config && entry->kind == SECTION_PROFILE &&
                                strcmp(entry->name, "default") == 0);
    }
    for (size_t i = 0; i < profiles->count; i++) {
        if (profiles->entries[i].kind == SECTION_DEFAULT)
            profiles->entries[i].kind = has_both ? SECTION_OTHER : SECTION_PROFILE;
    }
}

enum kf_code kfi_aws_profiles_read(struct kf_error *error, struct kfi_aws_profiles *out)
{
    memset(out, 0, sizeof *out);
    enum kf_code code = find_path("AWS_CONFIG_FILE", "/.aws/config", error, &out->config.path);
    if (code == KF_OK)
        code = find_path("AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials", error, &out->credentials.path);
    if (code == KF_OK)
        code = file_read(&out->config, error);
    if (code == KF_OK)
        code = file_read(&out->credentials, error);
    if (code == KF_OK)
        code = parse_file(out, &out->config, error);
    if (code == KF_OK)
        code = parse_file(out, &out->credentials, error);
    if (code == KF_OK)
        settle_default(out);
    else
        kfi_aws_profiles_free(out);
    return code;
}

void kfi_aws_profiles_free(struct kfi_aws_profiles *profiles)
{
    kfi_free(profiles->entries);
    kf_buf_free(&profiles->config.text);
    kf_buf_free(&profiles->credentials.text);
    kfi_free(profiles->config.path);
    kfi_free(profiles->credentials.path);
    memset(profiles, 0, sizeof *profiles);
}

/* ---- Looking up ---- */

bool kfi_aws_profile_exists(const struct kfi_aws_profiles *profiles, const char *profile)
{
    for (size_t i = 0; i < profiles->count; i++) {
        const struct kfi_aws_profile_entry *entry = &profiles->entries[i];
        if (entry->kind == SECTION_PROFILE && strcmp(entry->name, profile) == 0)
            return true;
    }
    return false;
}

/* The last entry wins. So the credentials file comes before the config file, which is read first. */
static const struct kfi_aws_profile_entry *entry_find(const struct kfi_aws_profiles *profiles,
                                                      enum section_kind kind, const char *name,
                                                      const char *parent, const char *key)
{
    for (size_t i = profiles->count; i-- > 0;) {
        const struct kfi_aws_profile_entry *entry = &profiles->entries[i];
        if (entry->kind == kind && entry->key != NULL && strcmp(entry->name, name) == 0 &&
            (parent == NULL ? entry->parent == NULL
                            : entry->parent != NULL && strcasecmp(entry->parent, parent) == 0) &&
            strcasecmp(entry->key, key) == 0)
            return entry;
    }
    return NULL;
}

static const char *entry_value(const struct kfi_aws_profile_entry *entry, const char **path)
{
    if (entry == NULL)
        return NULL;
    if (path != NULL)
        *path = entry->file->path;
    return entry->value;
}

const char *kfi_aws_profile_get(const struct kfi_aws_profiles *profiles, const char *profile, const char *key,
                                const char **path)
{
    return entry_value(entry_find(profiles, SECTION_PROFILE, profile, NULL, key), path);
}

const char *kfi_aws_profile_get_service(const struct kfi_aws_profiles *profiles, const char *profile,
                                        const char *section, const char *key, const char **path)
{
    const char *services = kfi_aws_profile_get(profiles, profile, "services", NULL);
    return services == NULL
               ? NULL
               : entry_value(entry_find(profiles, SECTION_SERVICES, services, section, key), path);
}
