/* An OpenAI-compatible server of canned replies, which stamps what it emits on CLOCK_MONOTONIC.
 *
 * One thread, epoll, HTTP/1.1 with keep-alive. A POST gets a stream of `tokens` events where its body says
 * "stream": true, else one JSON document; to a path with "predict" it answers {"scores": ...}. A GET gets the list of models.
 * With --stamps each event's text is "t<nanoseconds> ", taken just before the write that carries it, and each reply's id is
 * the request's number here. At SIGTERM the log of all POSTs goes to --log: six int64 a request, see `struct row`.
 *
 *   server --tokens 64 [--first-us D] [--delay-us D] [--bundle] [--stamps] [--stall-at-ms T --stall-ms D] --log FILE
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FD = 65536, DIGITS = 18, MAX_TOKENS = 4096 };
static const int64_t MAX_ROWS = 1 << 26;

struct row {
  int64_t arrived_ns; /* the first bytes of the request were read */
  int64_t read_ns;    /* the whole request was */
  int64_t first_ns;   /* just before the first write of the reply; 0: never */
  int64_t last_ns;    /* just before its last write; 0: never */
  int64_t tokens;     /* of the reply, written so far */
  int64_t streamed;
};

struct conn {
  bool open, busy, streamed, usage, predict, polled_out;
  uint32_t generation;
  int next; /* token */
  int64_t row, arrived_ns;
  char *in, *out;
  size_t have, room, seen, out_have, out_at, out_room;
};

struct due {
  int64_t at_ns;
  int fd;
  uint32_t generation;
};

static struct conn conns[MAX_FD];
static struct due heap[MAX_FD * 2];
static int heap_size, poller, tokens = 64, in_flight, in_flight_max;
static struct row *rows;
static int64_t row_count, connections, first_ns, delay_ns, stall_at_ns, stall_ns, stalled_from_ns, stalled_to_ns, late_max_ns;
static bool bundle, stamps;
static volatile sig_atomic_t stop;
static char event[1024], tail[2][2048], whole[1024], scores[512], models[512];
static size_t event_len, event_id, event_stamp, tail_len[2], tail_id[2][2], whole_len, whole_id, scores_len, models_len;
static char *burst, *ready[2]; /* room for one reply; whole replies, where all are the same */
static size_t ready_len[2];
static const char *HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n";

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void digits(char *at, int64_t value) {
  for (int i = DIGITS - 1; i >= 0; i--, value /= 10) at[i] = (char)('0' + value % 10);
}

/* ---- replies, made once; a stamp and a number are written over zeros of fixed width ---- */

static size_t chunk(char *to, const char *data) { return (size_t)sprintf(to, "%zx\r\n%s\r\n", strlen(data), data); }

/* The next write of a streamed reply: one token, or all of them, and what stands around them. */
static size_t compose(char *to, struct conn *c, int64_t stamp) {
  size_t n = 0;
  if (c->next == 0) n = (size_t)(stpcpy(to, HEAD) - to);
  int last = bundle ? tokens : c->next + 1;
  for (; c->next < last; c->next++, n += event_len) {
    memcpy(to + n, event, event_len);
    if (stamps) digits(to + n + event_id, c->row), digits(to + n + event_stamp, stamp);
  }
  if (c->next == tokens) {
    memcpy(to + n, tail[c->usage], tail_len[c->usage]);
    if (stamps) for (int i = 0; i < 2; i++) digits(to + n + tail_id[c->usage][i], c->row);
    n += tail_len[c->usage];
  }
  return n;
}

static void make_replies(void) {
  const char *zeros = "000000000000000000";
  char data[768], body[768];
  sprintf(data,
          "data: {\"id\":\"chatcmpl-%s\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":"
          "[{\"index\":0,\"delta\":{\"content\":\"t%s \"},\"finish_reason\":null}]}\n\n", zeros, zeros);
  event_len = chunk(event, data);
  event_id = (size_t)(strstr(event, zeros) - event);
  event_stamp = (size_t)(strstr(event, "\"t0") + 2 - event);
  for (int usage = 0; usage < 2; usage++) {
    sprintf(data,
            "data: {\"id\":\"chatcmpl-%s\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":"
            "[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n", zeros);
    size_t n = chunk(tail[usage], data);
    if (usage) {
      sprintf(data,
              "data: {\"id\":\"chatcmpl-%s\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],"
              "\"usage\":{\"prompt_tokens\":16,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n", zeros, tokens, tokens + 16);
      n += chunk(tail[usage] + n, data);
    }
    n += chunk(tail[usage] + n, "data: [DONE]\n\n");
    tail_len[usage] = n + (size_t)sprintf(tail[usage] + n, "0\r\n\r\n");
    char *first = strstr(tail[usage], zeros), *second = strstr(first + DIGITS, zeros);
    tail_id[usage][0] = (size_t)(first - tail[usage]);
    tail_id[usage][1] = (size_t)((second ? second : first) - tail[usage]);
  }
  sprintf(body,
          "{\"id\":\"chatcmpl-%s\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,"
          "\"message\":{\"role\":\"assistant\",\"content\":\"tok\"},\"finish_reason\":\"stop\"}],"
          "\"usage\":{\"prompt_tokens\":16,\"completion_tokens\":%d,\"total_tokens\":%d}}", zeros, tokens, tokens + 16);
  const char *json = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: keep-alive\r\nContent-Length: %zu\r\n\r\n%s";
  whole_len = (size_t)sprintf(whole, json, strlen(body), body);
  whole_id = (size_t)(strstr(whole, zeros) - whole);
  const char *table = "{\"scores\":[[0.125,0.25,0.5,0.125]],\"labels\":[\"a\",\"b\",\"c\",\"d\"]}";
  scores_len = (size_t)sprintf(scores, json, strlen(table), table);
  const char *list = "{\"object\":\"list\",\"data\":[{\"id\":\"m\",\"object\":\"model\",\"created\":1,\"owned_by\":\"bench\"}]}";
  models_len = (size_t)sprintf(models, json, strlen(list), list);
  size_t room = strlen(HEAD) + MAX_TOKENS * event_len + sizeof tail[0];
  burst = malloc(room);
  for (int usage = 0; bundle && !stamps && usage < 2; usage++) {
    struct conn any = {.usage = usage};
    ready_len[usage] = compose(ready[usage] = malloc(room), &any, 0);
  }
}

/* ---- connections ---- */

static void watch(int fd, bool out) {
  epoll_ctl(poller, EPOLL_CTL_MOD, fd, &(struct epoll_event){.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.fd = fd});
  conns[fd].polled_out = out;
}

static void drop(int fd) {
  struct conn *c = &conns[fd];
  if (!c->open) return;
  if (c->busy) in_flight--;
  c->open = c->busy = false;
  c->generation++;
  c->have = c->seen = c->out_have = c->out_at = 0;
  close(fd);
}

static void put(int fd, const char *data, size_t n) {
  struct conn *c = &conns[fd];
  if (c->out_have == c->out_at) {
    ssize_t done = write(fd, data, n);
    if (done < 0 && errno != EAGAIN) { drop(fd); return; }
    if (done == (ssize_t)n) return;
    if (done > 0) data += done, n -= (size_t)done;
    c->out_have = c->out_at = 0;
  }
  if (c->out_have + n > c->out_room) {
    c->out_room = (c->out_have + n) * 2;
    c->out = realloc(c->out, c->out_room);
  }
  memcpy(c->out + c->out_have, data, n);
  c->out_have += n;
  if (!c->polled_out) watch(fd, true);
}

static void flush(int fd) {
  struct conn *c = &conns[fd];
  ssize_t done = write(fd, c->out + c->out_at, c->out_have - c->out_at);
  if (done < 0) { if (errno != EAGAIN) drop(fd); return; }
  c->out_at += (size_t)done;
  if (c->out_at == c->out_have) watch(fd, false);
}

/* ---- the queue of what is due ---- */

static void push(int64_t at_ns, int fd) {
  int i = heap_size++;
  if (heap_size > MAX_FD * 2) abort();
  for (; i && heap[(i - 1) / 2].at_ns > at_ns; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
  heap[i] = (struct due){at_ns, fd, conns[fd].generation};
}

static struct due pop(void) {
  struct due top = heap[0], last = heap[--heap_size];
  int i = 0;
  for (int child; (child = 2 * i + 1) < heap_size; i = child) {
    if (child + 1 < heap_size && heap[child + 1].at_ns < heap[child].at_ns) child++;
    if (heap[child].at_ns >= last.at_ns) break;
    heap[i] = heap[child];
  }
  heap[i] = last;
  return top;
}

/* ---- replying ---- */

/* Writes what comes next; true when the reply is whole. */
static bool emit(int fd) {
  struct conn *c = &conns[fd];
  struct row *row = &rows[c->row];
  int64_t stamp = now_ns();
  if (!row->first_ns) row->first_ns = stamp;
  if (c->predict) {
    put(fd, scores, scores_len);
  } else if (!c->streamed) {
    if (stamps) digits(whole + whole_id, c->row);
    put(fd, whole, whole_len);
  } else {
    if (ready[c->usage]) {
      c->next = tokens;
      put(fd, ready[c->usage], ready_len[c->usage]);
    } else {
      put(fd, burst, compose(burst, c, stamp));
    }
    row->tokens = c->next;
    if (c->next < tokens) return false;
  }
  row->last_ns = stamp;
  c->busy = false;
  in_flight--;
  return true;
}

static void begin(int fd, const char *head, size_t head_len, const char *body, size_t body_len) {
  struct conn *c = &conns[fd];
  if (!memcmp(head, "GET", 3)) { put(fd, models, models_len); return; }
  if (row_count == MAX_ROWS) { drop(fd); return; }
  c->predict = memmem(head, head_len < 64 ? head_len : 64, "predict", 7) != NULL;
  c->streamed = c->usage = false;
  if (!c->predict) {
    const char *found = memmem(body, body_len, "\"stream\":", 9);
    if (found) {
      for (found += 9; found < body + body_len && *found == ' ';) found++;
      c->streamed = found < body + body_len && *found == 't';
    }
    c->usage = c->streamed && memmem(body, body_len, "\"include_usage\"", 15);
  }
  c->row = row_count++;
  c->next = 0;
  c->busy = true;
  int64_t now = now_ns();
  rows[c->row] = (struct row){.arrived_ns = c->arrived_ns, .read_ns = now, .streamed = c->streamed};
  if (++in_flight > in_flight_max) in_flight_max = in_flight;
  if (stall_ns && !stalled_from_ns) stalled_from_ns = now + stall_at_ns;
  if (first_ns) { push(now + first_ns, fd); return; }
  while (!emit(fd) && conns[fd].open && !delay_ns) {}
  if (c->busy) push(now + delay_ns, fd);
}

/* Takes whole requests from the buffer; one at a time is answered. */
static void take(int fd) {
  struct conn *c = &conns[fd];
  while (c->open && !c->busy && c->have) {
    char *end = memmem(c->in + c->seen, c->have - c->seen, "\r\n\r\n", 4);
    if (!end) { c->seen = c->have > 3 ? c->have - 3 : 0; return; }
    size_t head = (size_t)(end - c->in) + 4, length = 0;
    for (char *line = c->in; (line = memchr(line, '\n', (size_t)(end - line))) != NULL;) {
      line++;
      if ((*line | 32) == 'c' && !strncasecmp(line, "content-length:", 15)) length = strtoul(line + 15, NULL, 10);
    }
    if (c->have < head + length) { c->seen = head - 4; return; }
    begin(fd, c->in, head, c->in + head, length);
    if (!c->open) return;
    c->have -= head + length;
    c->seen = 0;
    memmove(c->in, c->in + head + length, c->have);
    if (c->have) c->arrived_ns = now_ns();
  }
}

static void receive(int fd) {
  struct conn *c = &conns[fd];
  if (c->room - c->have < 4096) c->in = realloc(c->in, c->room = c->room ? c->room * 2 : 16384);
  ssize_t n = read(fd, c->in + c->have, c->room - c->have);
  if (n == 0 || (n < 0 && errno != EAGAIN)) { drop(fd); return; }
  if (n < 0) return;
  if (!c->have) c->arrived_ns = now_ns();
  c->have += (size_t)n;
  take(fd);
}

static void accept_all(int listener) {
  int fd, one = 1;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    if (fd >= MAX_FD) { close(fd); continue; }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    conns[fd].open = true;
    conns[fd].polled_out = false;
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
    connections++;
  }
}

static void sleep_until(int64_t at_ns) {
  struct timespec t = {.tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR && !stop) {}
}

static void emit_due(void) {
  int64_t now = now_ns();
  while (heap_size && heap[0].at_ns <= now) {
    struct due due = pop();
    struct conn *c = &conns[due.fd];
    if (!c->open || c->generation != due.generation) continue;
    if (now - due.at_ns > late_max_ns) late_max_ns = now - due.at_ns;
    bool over = emit(due.fd);
    while (!over && c->open && !delay_ns) over = emit(due.fd);
    if (!c->open) continue;
    if (over) take(due.fd);
    else push(due.at_ns + delay_ns, due.fd);
  }
}

static void run(int listener) {
  static struct epoll_event found[1024];
  while (!stop) {
    int64_t left = heap_size ? heap[0].at_ns - now_ns() : 0;
    left = left < 0 ? 0 : left;
    struct timespec wait = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
    int n = epoll_pwait2(poller, found, 1024, heap_size ? &wait : NULL, NULL);
    if (stalled_from_ns && !stalled_to_ns && now_ns() >= stalled_from_ns) {
      stalled_to_ns = stalled_from_ns + stall_ns;
      sleep_until(stalled_to_ns);
    }
    emit_due();
    for (int i = 0; i < n; i++) {
      int fd = found[i].data.fd;
      if (fd == listener) { accept_all(listener); continue; }
      if (conns[fd].open && found[i].events & EPOLLOUT) flush(fd);
      if (conns[fd].open && found[i].events & ~(uint32_t)EPOLLOUT) receive(fd);
    }
  }
}

static void on_signal(int number) { (void)number; stop = 1; }
int main(int argc, char **argv) {
  static const struct option options[] = {
      {"tokens", 1, 0, 't'}, {"first-us", 1, 0, 'f'},    {"delay-us", 1, 0, 'd'}, {"bundle", 0, 0, 'b'}, {"stamps", 0, 0, 's'},
      {"stall-at-ms", 1, 0, 'S'}, {"stall-ms", 1, 0, 'L'}, {"log", 1, 0, 'l'},     {0, 0, 0, 0}};
  const char *log = NULL;
  for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    switch (o) {
      case 't': tokens = atoi(optarg); break;
      case 'f': first_ns = atoll(optarg) * 1000; break;
      case 'd': delay_ns = atoll(optarg) * 1000; break;
      case 'b': bundle = true; break;
      case 's': stamps = true; break;
      case 'S': stall_at_ns = atoll(optarg) * 1000000; break;
      case 'L': stall_ns = atoll(optarg) * 1000000; break;
      case 'l': log = optarg; break;
      default: return 2;
    }
  }
  if (!log || tokens < 1 || tokens > MAX_TOKENS) { fputs("server: --log FILE, and 1 to 4096 tokens\n", stderr); return 2; }
  make_replies();
  rows = mmap(NULL, (size_t)MAX_ROWS * sizeof *rows, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (rows == MAP_FAILED) { perror("mmap"); return 1; }
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096)) { perror("listen"); return 1; }
  getsockname(listener, (struct sockaddr *)&address, &size);
  poller = epoll_create1(0);
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  run(listener);
  FILE *file = fopen(log, "wb");
  if (!file || fwrite(rows, sizeof *rows, (size_t)row_count, file) != (size_t)row_count || fclose(file)) { perror(log); return 1; }
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  printf("{\"connections\": %ld, \"in_flight_max\": %d, \"cpu_s\": %.6f, \"late_max_ms\": %.3f, \"stalled_from_ns\": %ld, \"stalled_to_ns\": %ld}\n",
         (long)connections, in_flight_max,
         (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + 1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec),
         (double)late_max_ns * 1e-6, (long)stalled_from_ns, (long)stalled_to_ns);
  return 0;
}
