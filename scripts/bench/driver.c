// What crate's host side does around a container's program, in C: how fast TypeScript could get at best.
// plan.ts writes the plan: one operation a line, its words divided by tabs. For each line of standard
// input one container is started, and the milliseconds until its end was told are printed.
// cc -O2 -o driver driver.c; driver PLAN

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct blob { char *bytes; size_t size; };
struct operation { char name; char *path; char *value; struct blob blob; };

static struct operation operations[256];
static int count;
static char *state, *root_mount, *group;
static struct blob elf, record;

static void fail(const char *what)
{
	fprintf(stderr, "driver: %s: %s\n", what, strerror(errno));
	exit(1);
}

#define CHECK(call) ({ long result_ = (long)(call); if (result_ < 0) fail(#call); result_; })

static struct blob load(const char *path)
{
	int fd = CHECK(open(path, O_RDONLY | O_CLOEXEC));
	struct stat st;
	CHECK(fstat(fd, &st));
	struct blob blob = { malloc(st.st_size), st.st_size };
	if (read(fd, blob.bytes, blob.size) != (ssize_t)blob.size) fail(path);
	close(fd);
	return blob;
}

static void read_plan(const char *path)
{
	struct blob plan = load(path);
	for (char *at = plan.bytes, *end = at + plan.size; at < end;) {
		char *line = at;
		at = memchr(at, '\n', end - at);
		*at++ = 0;
		char *word = strsep(&line, "\t"), *first = strsep(&line, "\t");
		if (!strcmp(word, "state")) state = first;
		else if (!strcmp(word, "mount")) root_mount = first;
		else if (!strcmp(word, "group")) group = first;
		else if (!strcmp(word, "elf")) elf = load(first);
		else if (!strcmp(word, "record")) record = load(first);
		else {
			// directory, peek at a file's first byte, write, bpf
			struct operation *operation = &operations[count++];
			operation->name = *word;
			operation->path = first;
			operation->value = line;
			if (*word == 'b') operation->blob = load(line);
		}
	}
}

static void write_file(int directory, const char *name, int flags, const char *bytes, size_t size)
{
	int fd = CHECK(openat(directory, name, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600));
	CHECK(write(fd, bytes, size));
	close(fd);
}

// bpf(2): the device program of a cgroup v2 group
static void attach(const struct operation *operation)
{
	int target = CHECK(open(operation->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insn_cnt = operation->blob.size / 8,
		.insns = (uintptr_t)operation->blob.bytes,
		.license = (uintptr_t)"MIT",
	};
	int program = CHECK(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr));
	memset(&attr, 0, sizeof attr);
	attr.target_fd = target;
	attr.attach_bpf_fd = program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	CHECK(syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof attr));
	close(program);
	close(target);
}

static void make_groups(void)
{
	const char *open_path = "";
	int fd = -1;
	char byte;
	for (struct operation *o = operations; o < operations + count; o++) {
		if (o->name == 'w') {
			if (strcmp(o->path, open_path)) {
				if (fd >= 0) close(fd);
				fd = CHECK(open(o->path, O_WRONLY | O_CLOEXEC));
				open_path = o->path;
			}
			CHECK(write(fd, o->value, strlen(o->value)));
		} else if (o->name == 'd') {
			CHECK(mkdir(o->path, 0755));
		} else if (o->name == 'p') {
			int peeked = CHECK(open(o->path, O_RDONLY | O_CLOEXEC));
			CHECK(read(peeked, &byte, 1));
			close(peeked);
		} else {
			attach(o);
		}
	}
	if (fd >= 0) close(fd);
}

static pid_t launch(int control, int report)
{
	int fd = CHECK(memfd_create("crate", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	CHECK(write(fd, elf.bytes, elf.size));
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE));
	int group_fd = group ? CHECK(open(group, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) : -1;
	pid_t pid = vfork();
	if (pid < 0) fail("vfork");
	if (pid == 0) {
		char *argv[] = { "crate-monitor", NULL }, *envp[] = { NULL };
		int from[] = { control, report, group_fd, fd };
		for (int i = 0; i < 4; i++) if (from[i] >= 0) dup3(from[i], 64 + i, O_CLOEXEC);
		for (int i = 0; i < 3; i++) if (from[i] >= 0) dup2(64 + i, 3 + i);
		close_range(group ? 6 : 5, 63, 0);
		execveat(64 + 3, "", argv, envp, AT_EMPTY_PATH);
		_exit(127);
	}
	if (group_fd >= 0) close(group_fd);
	close(fd);
	return pid;
}

// proc(5): the 22nd field of stat
static unsigned long long start_time(pid_t pid)
{
	char path[64], text[4096];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int fd = CHECK(open(path, O_RDONLY | O_CLOEXEC));
	ssize_t size = CHECK(read(fd, text, sizeof text - 1));
	close(fd);
	text[size] = 0;
	char *at = strrchr(text, ')') + 2;
	for (int field = 3; field < 22; field++) at = strchr(at, ' ') + 1;
	return strtoull(at, NULL, 10);
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static double run(void)
{
	double started = now();
	int pair[2], pipes[2];
	int64_t message[2];
	char text[256], info[32], byte = 1;

	CHECK(access(root_mount, F_OK));
	CHECK(mkdir(state, 0700));
	int directory = CHECK(open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	CHECK(flock(directory, LOCK_EX | LOCK_NB));
	write_file(directory, "container.json", O_EXCL, record.bytes, record.size);
	make_groups();
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	CHECK(pipe2(pipes, O_CLOEXEC));
	pid_t monitor = launch(pair[1], pipes[1]);
	close(pair[1]);
	close(pipes[1]);
	if (read(pipes[0], message, 16) != 16 || message[0]) fail("the init's pid");
	int size = snprintf(text, sizeof text,
		"{\"init\":{\"pid\":%d,\"startTime\":%llu},\"monitor\":{\"pid\":%d,\"startTime\":%llu}}",
		(int)message[1], start_time(message[1]), monitor, start_time(monitor));
	write_file(directory, "process.json.new", O_TRUNC, text, size);
	CHECK(renameat(directory, "process.json.new", directory, "process.json"));
	CHECK(send(pair[0], &byte, 1, MSG_NOSIGNAL));
	if (read(pipes[0], message, 16) != 0) fail("a step of the program");
	close(pipes[0]);
	close(directory);
	if (recv(pair[0], info, sizeof info, 0) != sizeof info) fail("the container's end");
	double ended = now();
	// As crate does, the clearing away is left to the monitor; the next container waits for it.
	close(pair[0]);
	int status;
	CHECK(waitpid(monitor, &status, 0));
	if (status) fail("the container");
	return ended - started;
}

int main(int argc, char **argv)
{
	char line[64];
	if (argc != 2) return 2;
	read_plan(argv[1]);
	while (fgets(line, sizeof line, stdin)) {
		printf("%.4f\n", run());
		fflush(stdout);
	}
}
