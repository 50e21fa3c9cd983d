/*
 * The flags for node's heap that `agent/cli/heap.ts` would choose. With them on its command line node boots once: without
 * them the agent finds out that it needs them, and executes node again. test/unit/image/heap-flags.test.ts compares both.
 */
#include <ctype.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap_sizes.h"

/* In front of the paths of the kernel; a test puts files there. */
#ifndef NODENS_ROOT
#define NODENS_ROOT ""
#endif
#define MIB (1024.0 * 1024.0)
#define CGROUP_FOLDER "/sys/fs/cgroup"

enum { MAX_PATH = 4096, LINE_BYTES = 4096, FLAG_BYTES = 64, MAX_HEAP_FLAGS = 8 };

struct heap_flags {
  int count;
  char text[MAX_HEAP_FLAGS][FLAG_BYTES];
};

/* Whether a command line serves: no subcommand, `agent`, or flags that do more than print a text. */
static int is_serving(const char *first) {
  static const char *const texts[] = {"help", "h", "version", "v", "plugins"};
  if (first == NULL || strcmp(first, "agent") == 0) return 1;
  if (first[0] != '-') return 0;
  const char *name = first + (first[1] == '-' ? 2 : 1);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (strcmp(name, texts[i]) == 0) return 0;
  return 1;
}

/* Without libm. Above 2^53 every double is whole. */
static double whole(double positive) {
  return positive < 9007199254740992.0 ? (double)(long long)positive : positive;
}

static double smaller(double a, double b) { return a < b ? a : b; }

static const char *skip_digits(const char *at) {
  while (isdigit((unsigned char)*at)) at++;
  return at;
}

/* Bytes of a quantity such as `64Mi`, or 0 if the text is not one. */
static double parse_size(const char *text) {
  static const struct {
    const char *name;
    double bytes;
  } units[] = {{"", 1},   {"k", 1e3},   {"K", 1e3},  {"M", 1e6},
               {"G", 1e9}, {"Ki", 1024}, {"Mi", MIB}, {"Gi", 1024 * MIB}};
  const char *end = skip_digits(text);
  if (end == text) return 0;
  if (*end == '.') {
    const char *fraction = skip_digits(end + 1);
    if (fraction == end + 1) return 0;
    end = fraction;
  }
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (strcmp(end, units[i].name) == 0) return whole(strtod(text, NULL) * units[i].bytes);
  return 0;
}

/* Value of the first `-memory`, or 0: the agent refuses a wrong one when it parses its flags. */
static double memory_flag(int argc, char **argv) {
  for (int i = 0; i < argc; i++) {
    if (argv[i][0] != '-') continue;
    const char *name = argv[i] + (argv[i][1] == '-' ? 2 : 1);
    if (strncmp(name, "memory", 6) != 0) continue;
    if (name[6] == '=') return parse_size(name + 7);
    if (name[6] == '\0') return i + 1 < argc ? parse_size(argv[i + 1]) : 0;
  }
  return 0;
}

/* The limit in `path`, or 0 if there is none. */
static double limit_in(const char *path) {
  double bytes = 0;
  FILE *file = fopen(path, "re");
  if (file == NULL) return 0;
  if (fscanf(file, "%lf", &bytes) != 1 || !(bytes < NO_LIMIT_BYTES)) bytes = 0;
  fclose(file);
  return bytes > 0 ? bytes : 0;
}

/* Lowers `*limit` to the smallest limit from `group` upwards: `/a/b`, `/a`, none. 0 is no limit. */
static void look_upwards(const char *folder, char *group, const char *name, double *limit) {
  char path[2 * MAX_PATH];
  for (;;) {
    size_t length = strlen(group);
    while (length > 0 && group[length - 1] == '/') group[--length] = '\0';
    snprintf(path, sizeof path, NODENS_ROOT CGROUP_FOLDER "%s%s/%s", folder, group, name);
    double found = limit_in(path);
    if (found > 0 && (*limit == 0 || found < *limit)) *limit = found;
    char *parent = strrchr(group, '/');
    if (parent == NULL) return;
    *parent = '\0';
  }
}

static int has_controller(char *list, const char *wanted) {
  char *rest = NULL;
  for (char *one = strtok_r(list, ",", &rest); one != NULL; one = strtok_r(NULL, ",", &rest))
    if (strcmp(one, wanted) == 0) return 1;
  return 0;
}

/* The smallest memory limit from this process up the cgroup tree, bytes; 0 if there is none. */
static double cgroup_limit(void) {
  char line[LINE_BYTES];
  double limit = 0;
  FILE *file = fopen(NODENS_ROOT "/proc/self/cgroup", "re");
  if (file == NULL) return 0;
  /* `0::/path` is cgroup v2, `9:memory:/path` v1. */
  while (fgets(line, sizeof line, file) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (group == NULL) continue;
    *group++ = '\0';
    if (*++controllers == '\0') look_upwards("", group, "memory.max", &limit);
    else if (has_controller(controllers, "memory"))
      look_upwards("/memory", group, "memory.limit_in_bytes", &limit);
  }
  fclose(file);
  return limit;
}

static double cache_bytes(double asked, double limit) {
  if (asked > 0) return asked;
  if (limit == 0) return DEFAULT_CACHE_BYTES;
  double share = smaller(limit * CACHE_SHARE, limit - PROCESS_BYTES);
  return share < SMALLEST_CACHE_BYTES ? SMALLEST_CACHE_BYTES : whole(share);
}

/* The flags for `argv`, the arguments after `nodens`. None where the program does not serve, or the user has set sizes. */
static struct heap_flags choose_heap_flags(int argc, char **argv) {
  static const char *const fixed[] = {FIXED_FLAGS NULL};
  struct heap_flags flags = {0};
  const char *options = getenv("NODE_OPTIONS");
  if (!is_serving(argc > 0 ? argv[0] : NULL)) return flags;
  if (options != NULL && strstr(options, "-space-size") != NULL) return flags;
  double limit = cgroup_limit();
  double old = BASE_BYTES + cache_bytes(memory_flag(argc, argv), limit) * HEAP_PER_CACHE;
  if (limit > 0) old = smaller(old, limit * MAX_SHARE);
  /* More digits than a number has: the agent refuses them. */
  if (old > DBL_MAX) return flags;
  int semi = limit > 0 && limit <= SMALL_LIMIT_BYTES ? SMALL_SEMI_SPACE_MIB : SEMI_SPACE_MIB;
  snprintf(flags.text[flags.count++], FLAG_BYTES, "--max-old-space-size=%.0f", whole(old / MIB));
  snprintf(flags.text[flags.count++], FLAG_BYTES, "--max-semi-space-size=%d", semi);
  for (size_t i = 0; fixed[i] != NULL && flags.count < MAX_HEAP_FLAGS; i++)
    snprintf(flags.text[flags.count++], FLAG_BYTES, "%s", fixed[i]);
  return flags;
}
