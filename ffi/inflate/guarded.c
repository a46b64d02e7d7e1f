/* Inflates what is broken, in memory with a page behind it that nobody may touch, and none before it.
 *
 *   guarded ROUNDS FILE...
 *
 * Each file is a deflated stream. Each round changes some of it, cuts it off, or both, and gives it to the machine code
 * beside this, in the form that inflater.ts gives it: whatever comes of it must lie where it may. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <sys/mman.h>

int inflate_entry(void *state, const void *);

enum { READ_BEHIND = 1024, WRITTEN_BEHIND = 320, HELD = 8, STATE = 1 << 14, INPUT = 1 << 16, OUTPUT = 1 << 16 };

static uint64_t seed = 88172645463325252u;

static uint64_t number(uint64_t below) {
  seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
  return seed % below;
}

/* So many bytes, between two pages that nobody may touch: right before the one behind them. */
static uint8_t *guarded(size_t size) {
  size_t whole = (size + 4095) / 4096 * 4096;
  uint8_t *memory = mmap(0, whole + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory + 4096, whole, PROT_READ | PROT_WRITE)) abort();
  return memory + 4096 + whole - size;
}

int main(int count, char **words) {
  long rounds = atol(words[1]), stops[16] = {0};
  uint64_t *state = (uint64_t *)guarded(STATE);
  uint8_t *input = guarded(INPUT + 2 * READ_BEHIND), *output = guarded(OUTPUT + WRITTEN_BEHIND);
  static uint8_t whole[INPUT];
  for (long round = 0; round < rounds; round++) {
    FILE *file = fopen(words[2 + number(count - 2)], "rb");
    size_t size = fread(whole, 1, INPUT, file);
    fclose(file);
    /* A part of it that ends where the memory ends, with so much behind it as it may read. */
    if (number(4) == 0) size = number(size + 1);
    memcpy(input + INPUT - size, whole, size);
    for (uint64_t changes = number(4); changes > 0 && size > 0; changes--) {
      size_t most = number(2) ? size : size < 80 ? size : 80;
      input[INPUT - size + number(most)] ^= number(2) ? 1 << number(8) : number(256);
    }
    memset(input + INPUT, 0, 2 * READ_BEHIND);
    /* In whole, or as if more were to come. */
    int is_whole = number(2);
    uint8_t *end = input + INPUT + (is_whole ? 0 : 2 * READ_BEHIND);
    memset(state, 0, STATE);
    state[0] = (uint64_t)(input + INPUT - size);
    state[1] = (uint64_t)(is_whole ? end + HELD : end - READ_BEHIND);
    for (int turn = 0; turn < 200; turn++) {
      /* The memory begins with what may be repeated; what is made may end anywhere behind it. */
      uint64_t room = number(3) ? OUTPUT : number(3000);
      uint64_t history = turn == 0 ? 0 : number(OUTPUT - room + 1);
      uint8_t *from = output + OUTPUT - room;
      state[2] = (uint64_t)from;
      state[3] = (uint64_t)(output + OUTPUT);
      state[4] = (uint64_t)(from - history);
      inflate_entry(state, state);
      if (state[2] < (uint64_t)from || state[2] > (uint64_t)(output + OUTPUT + WRITTEN_BEHIND)) {
        return printf("it made bytes that have no place\n"), 1;
      }
      if (state[10] < 1 || state[10] > 8) return printf("it stopped for %lu\n", (unsigned long)state[10]), 1;
      if (state[10] != 2) break;
    }
    stops[state[10]]++;
  }
  for (int i = 1; i <= 8; i++) printf("%ld%c", stops[i], i < 8 ? ' ' : '\n');
}
