/* An NVML library of our own: boards whose power is known for every instant.
 *
 * It exports what hexgate, Zeus and CodeCarbon ask libnvidia-ml.so.1 for, under the names, numbers and layouts of
 * NVIDIA's NVML API reference, so that all of them read one truth. What the boards do stands in the file that
 * HEXGATE_NVML_STUB names; nvml_stub.py writes it, and computes the same in Python:
 *
 *   board UUID               begins a board; what follows is about it
 *   name TEXT
 *   latch_ns N               how often counter and power are refreshed
 *   phase_ns N               when first, after the begin
 *   average_ns N             how much of the past nvmlDeviceGetPowerUsage averages
 *   counter_mj N             the counter at the begin
 *   capability MAJOR MINOR   of CUDA
 *   temperature_c N
 *   mig 0|1
 *   lacks counter|instant|power|memory
 *   reset_ns N               when the counter begins at 0 again, after the begin
 *   lost_ns N                when the board falls off the bus, after the begin
 *   step NS MW               power for so long; before the first step it is the first's, after the last the last's
 *
 * The waveforms begin at the instant on CLOCK_MONOTONIC that stands, in nanoseconds, in a second file, of the same name with
 * ".start" after it. Until there is one, nothing moves.
 *
 * Energy is in picojoules, the product of nanoseconds and milliwatts: 64 bits hold 1 kW for 2.5 hours.
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_BOARDS = 16, TEXT = 96 };
enum {
  SUCCESS = 0,
  UNINITIALIZED = 1,
  INVALID_ARGUMENT = 2,
  NOT_SUPPORTED = 3,
  NOT_FOUND = 6,
  INSUFFICIENT_SIZE = 7,
  DRIVER_NOT_LOADED = 9,
  GPU_IS_LOST = 15,
  UNKNOWN = 999
};
enum { FIELD_ENERGY = 83, FIELD_AVERAGE = 185, FIELD_INSTANT = 186 };
enum { UNSIGNED_INT = 1, UNSIGNED_LONG_LONG = 3 };

struct step {
  int64_t begin_ns, begin_pj, power_mw;
};

struct board {
  char uuid[TEXT], name[TEXT];
  int64_t latch_ns, phase_ns, average_ns, counter_mj, reset_ns, lost_ns;
  int major, minor, temperature_c, mig;
  bool no_counter, no_instant, no_power, no_memory;
  struct step *steps;
  size_t count, room;
  int64_t end_ns, end_pj;
};

struct memory {
  unsigned long long total, free, used;
};

struct memory_v2 {
  unsigned version;
  unsigned long long total, reserved, free, used;
};

struct utilization {
  unsigned gpu, memory;
};

struct temperature {
  unsigned version;
  int sensor, celsius;
};

struct field {
  unsigned id, scope;
  long long timestamp_us, latency_us;
  int type, result;
  union {
    double d;
    unsigned u;
    unsigned long long ull;
  } value;
};

static struct board boards[MAX_BOARDS];
static unsigned board_count;
static int users;
static char start_path[4096];
static int64_t start_ns; /* 0 until it is known */

static int64_t clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t now_ns(void) {
  FILE *file = start_ns == 0 ? fopen(start_path, "r") : NULL;
  if (file != NULL) {
    long long found = 0;
    if (fscanf(file, "%lld", &found) == 1)
      start_ns = found;
    fclose(file);
  }
  int64_t since_ns = clock_ns() - start_ns;
  return start_ns == 0 || since_ns < 0 ? -1 : since_ns;
}

static const struct step *step_at(const struct board *board, int64_t at_ns) {
  size_t low = 0, high = board->count;
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (board->steps[middle].begin_ns <= at_ns)
      low = middle;
    else
      high = middle;
  }
  return &board->steps[low];
}

static int64_t energy_pj(const struct board *board, int64_t at_ns) {
  const struct step *step = step_at(board, at_ns);
  return step->begin_pj + (at_ns - step->begin_ns) * step->power_mw;
}

/* The last instant at which the sensors were refreshed. */
static int64_t latched_ns(const struct board *board) {
  int64_t at_ns = now_ns(), rest = (at_ns - board->phase_ns) % board->latch_ns;
  return at_ns - (rest < 0 ? rest + board->latch_ns : rest);
}

static unsigned long long counter_mj(const struct board *board) {
  int64_t at_ns = latched_ns(board), total_pj = energy_pj(board, at_ns);
  if (at_ns >= board->reset_ns)
    total_pj -= energy_pj(board, board->reset_ns);
  else
    total_pj += board->counter_mj * 1000000000;
  return (unsigned long long)(total_pj / 1000000000);
}

static unsigned instant_mw(const struct board *board) { return (unsigned)step_at(board, latched_ns(board))->power_mw; }

static unsigned average_mw(const struct board *board) {
  int64_t at_ns = latched_ns(board);
  return (unsigned)((energy_pj(board, at_ns) - energy_pj(board, at_ns - board->average_ns)) / board->average_ns);
}

static bool add_step(struct board *board, int64_t ns, int64_t mw) {
  if (board->count == board->room) {
    size_t room = board->room ? 2 * board->room : 1024;
    struct step *steps = realloc(board->steps, room * sizeof *steps);
    if (steps == NULL)
      return false;
    board->steps = steps;
    board->room = room;
  }
  board->steps[board->count++] = (struct step){board->end_ns, board->end_pj, mw};
  board->end_ns += ns;
  board->end_pj += ns * mw;
  return true;
}

static struct board *add_board(const char *uuid) {
  if (board_count == MAX_BOARDS)
    return NULL;
  struct board *board = &boards[board_count++];
  *board = (struct board){.latch_ns = 100000000, .average_ns = 1000000000, .reset_ns = INT64_MAX, .lost_ns = INT64_MAX};
  board->major = 9;
  board->temperature_c = 45;
  snprintf(board->uuid, TEXT, "%s", uuid);
  snprintf(board->name, TEXT, "NVIDIA Stub");
  return board;
}

static bool lack(struct board *board, const char *what) {
  bool *places[] = {&board->no_counter, &board->no_instant, &board->no_power, &board->no_memory};
  const char *names[] = {"counter", "instant", "power", "memory"};
  for (int place = 0; place < 4; place++)
    if (strcmp(names[place], what) == 0)
      return *places[place] = true;
  return false;
}

static bool take(const char *key, const char *rest) {
  static struct board *board;
  long long one = 0, two = 0;
  int numbers = sscanf(rest, "%lld %lld", &one, &two);
  if (strcmp(key, "board") == 0)
    return (board = add_board(rest)) != NULL;
  if (board == NULL)
    return false;
  if (strcmp(key, "step") == 0)
    return numbers == 2 && one > 0 && two >= 0 && add_step(board, one, two);
  if (strcmp(key, "name") == 0)
    return snprintf(board->name, TEXT, "%s", rest) < TEXT;
  if (strcmp(key, "lacks") == 0)
    return lack(board, rest);
  if (strcmp(key, "capability") == 0)
    return board->major = (int)one, board->minor = (int)two, numbers == 2;
  if (numbers != 1)
    return false;
  if (strcmp(key, "latch_ns") == 0)
    return board->latch_ns = one, one > 0;
  if (strcmp(key, "average_ns") == 0)
    return board->average_ns = one, one > 0;
  if (strcmp(key, "phase_ns") == 0)
    return board->phase_ns = one, true;
  if (strcmp(key, "counter_mj") == 0)
    return board->counter_mj = one, true;
  if (strcmp(key, "reset_ns") == 0)
    return board->reset_ns = one, true;
  if (strcmp(key, "lost_ns") == 0)
    return board->lost_ns = one, true;
  if (strcmp(key, "temperature_c") == 0)
    return board->temperature_c = (int)one, true;
  if (strcmp(key, "mig") == 0)
    return board->mig = (int)one, true;
  return false;
}

static int load(void) {
  const char *path = getenv("HEXGATE_NVML_STUB");
  FILE *file = path == NULL ? NULL : fopen(path, "r");
  if (file == NULL || snprintf(start_path, sizeof start_path, "%s.start", path) >= (int)sizeof start_path)
    return DRIVER_NOT_LOADED;
  char line[256], key[32];
  bool good = true;
  while (good && fgets(line, sizeof line, file) != NULL) {
    int used = 0;
    line[strcspn(line, "\n")] = '\0';
    good = sscanf(line, "%31s %n", key, &used) == 1 && take(key, line + used);
    if (!good)
      fprintf(stderr, "nvml_stub: %s: not understood: %s\n", path, line);
  }
  fclose(file);
  for (unsigned place = 0; place < board_count; place++)
    good = good && boards[place].count > 0;
  return good ? SUCCESS : UNKNOWN;
}

static int asked(const struct board *board) {
  if (users == 0)
    return UNINITIALIZED;
  if (board < boards || board >= boards + board_count)
    return INVALID_ARGUMENT;
  return now_ns() >= board->lost_ns ? GPU_IS_LOST : SUCCESS;
}

static int put_text(char *buffer, unsigned length, const char *text) {
  return snprintf(buffer, length, "%s", text) < (int)length ? SUCCESS : INSUFFICIENT_SIZE;
}

/* Answers a device function: an error of the board's own, NOT_SUPPORTED where `lacking`, else what follows. */
#define ANSWER(board, lacking)                                                                                         \
  do {                                                                                                                 \
    int code = asked(board);                                                                                           \
    if (code != SUCCESS)                                                                                               \
      return code;                                                                                                     \
    if (lacking)                                                                                                       \
      return NOT_SUPPORTED;                                                                                            \
  } while (0)

int nvmlInitWithFlags(unsigned flags) {
  (void)flags;
  int code = board_count == 0 ? load() : SUCCESS;
  if (code == SUCCESS)
    users++;
  return code;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) {
  if (users == 0)
    return UNINITIALIZED;
  users--;
  return SUCCESS;
}

const char *nvmlErrorString(int code) { return code == SUCCESS ? "Success" : "An error of the stub"; }

int nvmlSystemGetDriverVersion(char *buffer, unsigned length) { return put_text(buffer, length, "000.00"); }

int nvmlSystemGetNVMLVersion(char *buffer, unsigned length) { return put_text(buffer, length, "13.000.00"); }

int nvmlSystemGetCudaDriverVersion_v2(int *version) {
  *version = 13000;
  return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
  *count = board_count;
  return users == 0 ? UNINITIALIZED : SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct board **handle) {
  if (index >= board_count)
    return INVALID_ARGUMENT;
  *handle = &boards[index];
  return asked(*handle);
}

int nvmlDeviceGetHandleByUUID(const char *uuid, struct board **handle) {
  for (unsigned place = 0; place < board_count; place++)
    if (strcmp(boards[place].uuid, uuid) == 0)
      return nvmlDeviceGetHandleByIndex_v2(place, handle);
  return NOT_FOUND;
}

int nvmlDeviceGetIndex(struct board *board, unsigned *index) {
  ANSWER(board, false);
  *index = (unsigned)(board - boards);
  return SUCCESS;
}

int nvmlDeviceGetUUID(struct board *board, char *buffer, unsigned length) {
  ANSWER(board, false);
  return put_text(buffer, length, board->uuid);
}

int nvmlDeviceGetName(struct board *board, char *buffer, unsigned length) {
  ANSWER(board, false);
  return put_text(buffer, length, board->name);
}

int nvmlDeviceGetCudaComputeCapability(struct board *board, int *major, int *minor) {
  ANSWER(board, false);
  *major = board->major;
  *minor = board->minor;
  return SUCCESS;
}

/* Numbers of the generations: Pascal and older 4, Volta 5, Turing 6, Ampere 7, Ada 8, Hopper 9, Blackwell 10. */
int nvmlDeviceGetArchitecture(struct board *board, unsigned *generation) {
  ANSWER(board, false);
  int capability = 10 * board->major + board->minor;
  const int first[] = {70, 75, 80, 89, 90, 100};
  *generation = 4;
  for (unsigned place = 0; place < 6 && capability >= first[place]; place++)
    *generation = 5 + place;
  return SUCCESS;
}

int nvmlDeviceGetTotalEnergyConsumption(struct board *board, unsigned long long *energy_mj) {
  ANSWER(board, board->no_counter);
  *energy_mj = counter_mj(board);
  return SUCCESS;
}

int nvmlDeviceGetPowerUsage(struct board *board, unsigned *power_mw) {
  ANSWER(board, board->no_power);
  *power_mw = average_mw(board);
  return SUCCESS;
}

int nvmlDeviceGetFieldValues(struct board *board, int count, struct field *fields) {
  ANSWER(board, false);
  for (struct field *field = fields; field < fields + count; field++) {
    bool energy = field->id == FIELD_ENERGY && !board->no_counter;
    bool average = field->id == FIELD_AVERAGE && !board->no_power;
    bool instant = field->id == FIELD_INSTANT && !board->no_instant;
    field->timestamp_us = clock_ns() / 1000;
    field->latency_us = 0;
    field->result = field->scope == 0 && (energy || average || instant) ? SUCCESS : NOT_SUPPORTED;
    field->type = energy ? UNSIGNED_LONG_LONG : UNSIGNED_INT;
    if (field->result != SUCCESS)
      continue;
    if (energy)
      field->value.ull = counter_mj(board);
    else
      field->value.u = average ? average_mw(board) : instant_mw(board);
  }
  return SUCCESS;
}

int nvmlDeviceGetPowerManagementLimitConstraints(struct board *board, unsigned *least_mw, unsigned *most_mw) {
  ANSWER(board, board->no_power);
  *least_mw = 100000;
  *most_mw = 700000;
  return SUCCESS;
}

int nvmlDeviceGetPowerManagementLimit(struct board *board, unsigned *limit_mw) {
  ANSWER(board, board->no_power);
  *limit_mw = 700000;
  return SUCCESS;
}

int nvmlDeviceGetEnforcedPowerLimit(struct board *board, unsigned *limit_mw) {
  return nvmlDeviceGetPowerManagementLimit(board, limit_mw);
}

int nvmlDeviceGetMemoryInfo(struct board *board, struct memory *memory) {
  ANSWER(board, board->no_memory);
  *memory = (struct memory){80ull << 30, 60ull << 30, 20ull << 30};
  return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(struct board *board, struct memory_v2 *memory) {
  ANSWER(board, board->no_memory);
  *memory = (struct memory_v2){memory->version, 80ull << 30, 0, 60ull << 30, 20ull << 30};
  return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(struct board *board, struct utilization *rates) {
  ANSWER(board, board->mig);
  rates->gpu = instant_mw(board) > 100000 ? 100 : 0;
  rates->memory = rates->gpu / 2;
  return SUCCESS;
}

int nvmlDeviceGetTemperatureV(struct board *board, struct temperature *temperature) {
  ANSWER(board, false);
  temperature->celsius = board->temperature_c;
  return SUCCESS;
}

int nvmlDeviceGetTemperature(struct board *board, int sensor, unsigned *celsius) {
  (void)sensor;
  ANSWER(board, false);
  *celsius = (unsigned)board->temperature_c;
  return SUCCESS;
}

int nvmlDeviceGetMigMode(struct board *board, unsigned *current, unsigned *pending) {
  ANSWER(board, false);
  *current = *pending = (unsigned)board->mig;
  return SUCCESS;
}

int nvmlDeviceGetC2cModeInfoV(struct board *board, void *info) {
  (void)info;
  ANSWER(board, true);
  return SUCCESS;
}

int nvmlDeviceGetComputeMode(struct board *board, int *mode) {
  ANSWER(board, false);
  *mode = 0;
  return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(struct board *board, unsigned *count, void *processes) {
  (void)processes;
  ANSWER(board, false);
  *count = 0;
  return SUCCESS;
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(struct board *board, unsigned *count, void *processes) {
  return nvmlDeviceGetComputeRunningProcesses_v3(board, count, processes);
}
