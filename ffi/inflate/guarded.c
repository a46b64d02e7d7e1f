/* Inflates what is broken, in memory with pages before and behind it that nobody may touch.
 *
 *   guarded ROUNDS FILE...
 *
 * Each file is a deflated stream. Each round changes some of it, cuts it off, or both, and gives it to the machine code
 * beside this, in pieces and in the form in which inflater.ts gives it: whatever comes of it must lie where it may. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int inflate_entry(void *state, const void *);

enum { READ_BEHIND = 1024, WRITTEN_BEHIND = 320, HELD = 8, PAGE = 4096 };
enum { STATE = 1 << 14, INPUT = 16 * PAGE - 2 * READ_BEHIND, OUTPUT = 16 * PAGE - WRITTEN_BEHIND, SMALL = 2 * PAGE };
/* The state's fields, of eight bytes each. */
enum { IN, IN_LIMIT, OUT, OUT_LIMIT, HISTORY, RESULT = 10 };
enum { WANTS_INPUT = 1, WANTS_OUTPUT = 2, LAST_RESULT = 8 };

static uint64_t seed = 88172645463325252u;

static uint64_t number(uint64_t below) {
  seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
  return seed % below;
}

/* Whole pages between two that nobody may touch. */
static uint8_t *guarded(size_t size) {
  uint8_t *memory = mmap(0, size + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory + PAGE, size, PROT_READ | PROT_WRITE)) abort();
  return memory + PAGE;
}

int main(int count, char **words) {
  long rounds = atol(words[1]), stops[LAST_RESULT + 1] = {0};
  uint64_t *state = (uint64_t *)guarded(STATE);
  uint8_t *output = guarded(OUTPUT + WRITTEN_BEHIND);
  uint8_t *large = guarded(INPUT + 2 * READ_BEHIND), *small = guarded(SMALL);
  static uint8_t whole[INPUT];
  for (long round = 0; round < rounds; round++) {
    FILE *file = fopen(words[2 + number(count - 2)], "rb");
    size_t size = fread(whole, 1, INPUT, file);
    fclose(file);
    if (number(4) == 0) size = number(size + 1);
    for (uint64_t changes = number(4); changes > 0 && size > 0; changes--) {
      size_t most = number(2) ? size : size < 80 ? size : 80;
      whole[number(most)] ^= number(2) ? 1 << number(8) : number(256);
    }
    /* At once, or in pieces, of which few lie in memory together: behind the page before it, or before the one behind it. */
    int is_small = number(2), is_last = number(2);
    uint8_t *memory = is_small ? small : large, *input = memory;
    size_t whole_size = is_small ? SMALL : INPUT + 2 * READ_BEHIND, room = whole_size - 2 * READ_BEHIND;
    size_t piece = number(2) ? room : 1 + number(40), given = 0, from = 0, to = 0;
    int is_whole = 0;
    memset(state, 0, STATE);
    for (int turn = 0; turn < 20000; turn++) {
      int64_t limit = is_whole ? (int64_t)to + HELD : (int64_t)to - READ_BEHIND;
      /* Sometimes it is to stop early, and goes on with the same bytes. */
      int64_t near = number(4) == 0 ? (int64_t)(from + number(2000)) : limit;
      if (is_whole || limit >= (int64_t)from) {
        /* The memory begins with what may be repeated; what is made may end anywhere behind it. */
        uint64_t free = number(3) ? OUTPUT : number(3000), history = turn == 0 ? 0 : number(OUTPUT - free + 1);
        uint8_t *out = output + OUTPUT - free;
        if (near < limit) limit = near;
        else near = limit;
        state[IN] = (uint64_t)(input + from);
        state[IN_LIMIT] = (uint64_t)(input + (limit < 0 ? 0 : limit));
        state[OUT] = (uint64_t)out;
        state[OUT_LIMIT] = (uint64_t)(output + OUTPUT);
        state[HISTORY] = (uint64_t)(out - history);
        inflate_entry(state, state);
        from = state[IN] - (uint64_t)input;
        if (state[OUT] < (uint64_t)out || state[OUT] > (uint64_t)(output + OUTPUT + WRITTEN_BEHIND)) {
          return printf("it made bytes that have no place\n"), 1;
        }
        if (state[RESULT] < 1 || state[RESULT] > LAST_RESULT) return printf("it stopped for nothing\n"), 1;
        if (from > INPUT + 2 * READ_BEHIND) return printf("it read what has no place\n"), 1;
        if (state[RESULT] == WANTS_OUTPUT) continue;
        if (state[RESULT] != WANTS_INPUT) break;
        if (limit < (is_whole ? (int64_t)to + HELD : (int64_t)to - READ_BEHIND)) continue;
        if (is_whole) break;
      } else state[RESULT] = WANTS_INPUT;
      size_t held = from < HELD ? from : HELD, moved = from - held, left = to - moved;
      size_t more = size - given < piece ? size - given : piece;
      if (more > room - left) more = room - left;
      is_whole = given == size && more == 0;
      /* Until all is there, no byte behind it may be read; then it goes on with zeros. */
      uint8_t *next = !is_last ? memory : memory + whole_size - left - more - (is_whole ? 2 * READ_BEHIND : 0);
      memmove(next, input + moved, left);
      memcpy(next + left, whole + given, more);
      input = next, given += more, from = held, to = left + more;
      if (is_whole || !is_last) memset(input + to, is_whole ? 0 : 0xa5, 2 * READ_BEHIND);
    }
    stops[state[RESULT]]++;
  }
  for (int i = 1; i <= LAST_RESULT; i++) printf("%ld%c", stops[i], i < LAST_RESULT ? ' ' : '\n');
}
