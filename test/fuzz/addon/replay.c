/*
 * Runs a search's function without the search, for compilers that have no libFuzzer: `replay COUNT FILE …` runs it with
 * each file, and with COUNT inputs that are the same each time.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_BYTES = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t next(uint32_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 17;
  return *state ^= *state << 5;
}

/* In memory of exactly its length, so that the sanitizer detects reads beyond it. */
static void run(const uint8_t *data, size_t size) {
  uint8_t *copy = malloc(size + 1);
  if (copy == NULL) abort();
  for (size_t i = 0; i < size; i++) copy[i] = data[i];
  uint8_t *exact = realloc(copy, size > 0 ? size : 1);
  LLVMFuzzerTestOneInput(exact, size);
  free(exact);
}

int main(int argc, char **argv) {
  static uint8_t bytes[MAX_BYTES];
  uint32_t state = 1;
  for (int i = 2; i < argc; i++) {
    FILE *file = fopen(argv[i], "rb");
    if (file == NULL) return 2;
    run(bytes, fread(bytes, 1, sizeof bytes, file));
    fclose(file);
  }
  for (long left = argc > 1 ? atol(argv[1]) : 0; left > 0; left--) {
    size_t size = next(&state) % (next(&state) % 2048 + 1);
    /* One half has few bits set, so that small numbers are frequent. */
    uint32_t mask = left % 2 == 0 ? 0xff : 0x07;
    for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(next(&state) & mask);
    run(bytes, size);
  }
  printf("survived\n");
  return 0;
}
