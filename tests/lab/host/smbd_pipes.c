/* Preloaded into Debian's smbd: the named pipes of IPC$ are those of a Wine prefix.
 *
 * smbd reaches a pipe by connecting to the Unix socket <ncalrpc dir>/np/<pipe>, where it speaks its
 * named-pipe-auth protocol. This library replaces some of the functions that smbd calls:
 *
 * connect()                        dials the relay that runs in Wine instead of such a socket;
 * map_nt_error_from_unix()         learns the status of a pipe whose instances are all in use;
 * smb2_ioctl_named_pipe()          learns FSCTL_PIPE_WAIT, which plain smbd does not support;
 * nt_status_np_pipe()              reports a closed pipe as Windows does;
 * epoll_ctl()                      keeps what is still to be read of a pipe whose other end is closed;
 * lp_rpc_start_on_demand_helpers() keeps smbd from waiting for a helper that does not know the pipe;
 * pwrite(), unlinkat()             fail for programs, as often as the test wants.
 *
 * LAB_RELAY_PORT is the relay's port, LAB_PIPE_BUFFER the size in bytes of the socket buffers that
 * stand in for a pipe's buffer. LAB_REFUSED_WRITES, LAB_REFUSED_DELETIONS and LAB_REFUSED_TRANSCEIVES say how many
 * requests of a connection are refused before one is carried out: the former two with STATUS_INTERNAL_ERROR, the latter with
 * LAB_TRANSCEIVE_STATUS.
 *
 * The layouts below are those of Samba 4.17 and 4.22: in another smbd this says so, and ends it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	STATUS_INVALID_PARAMETER = 0xC000000Du,
	STATUS_NO_MEMORY = 0xC0000017u,
	STATUS_OBJECT_NAME_NOT_FOUND = 0xC0000034u,
	STATUS_INSUFFICIENT_RESOURCES = 0xC000009Au,
	STATUS_PIPE_NOT_AVAILABLE = 0xC00000ACu,
	STATUS_IO_TIMEOUT = 0xC00000B5u,
	STATUS_INTERNAL_ERROR = 0xC00000E5u,
	STATUS_PIPE_BROKEN = 0xC000014Bu,
	STATUS_CONNECTION_DISCONNECTED = 0xC000020Cu,
	STATUS_CONNECTION_RESET = 0xC000020Du,
};

enum {
	ERROR_FILE_NOT_FOUND = 2,
	ERROR_PATH_NOT_FOUND = 3,
	ERROR_ACCESS_DENIED = 5,
	ERROR_SEM_TIMEOUT = 121,
	ERROR_INVALID_NAME = 123,
	ERROR_PIPE_BUSY = 231,
	ERROR_INTERNAL_ERROR = 1359,
};

/* ---- the relay ---------------------------------------------------------------------------------- */

#define LONGEST_NAME 512

static unsigned number_from_environment(const char *name)
{
	const char *text = getenv(name);
	unsigned number = 0;
	/* By hand: what atoi() is compiled to depends on the C library's version, and smbd's may be older. */
	while (text && *text >= '0' && *text <= '9') number = 10 * number + (*text++ - '0');
	return number;
}

/* Whether the test wants this one of the requests counted here to be refused. Each connection has a process. */
static bool is_refused(const char *variable, unsigned *count)
{
	return *count < number_from_environment(variable) && ++*count;
}

static int real_connect(int fd, const struct sockaddr *address, socklen_t length)
{
	static int (*real)(int, const struct sockaddr *, socklen_t);
	if (!real) real = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect");
	return real(fd, address, length);
}

/* Sends `operation` ('O': open, 'W': wait for a free instance) to the relay:
 * operation u8, timeout in milliseconds u32, length of the name u16, the name in UTF-8.
 * The relay answers with a Win32 error, u32. */
static int ask_relay(char operation, uint32_t timeout, const char *name)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(number_from_environment("LAB_RELAY_PORT")),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int yes = 1, buffer = number_from_environment("LAB_PIPE_BUFFER"), failure;
	uint8_t request[7 + LONGEST_NAME];
	uint16_t length = strlen(name);
	int relay = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (relay < 0) return -1;
	if (buffer) setsockopt(relay, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	if (real_connect(relay, (struct sockaddr *)&address, sizeof(address)) < 0) goto failed;
	setsockopt(relay, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	request[0] = operation;
	memcpy(request + 1, &timeout, 4);
	memcpy(request + 5, &length, 2);
	memcpy(request + 7, name, length);
	if (send(relay, request, 7 + length, MSG_NOSIGNAL) == 7 + length) return relay;
failed:
	failure = errno;
	close(relay);
	errno = failure;
	return -1;
}

static uint32_t relays_answer(int relay)
{
	uint32_t error;
	return recv(relay, &error, 4, MSG_WAITALL) == 4 ? error : ERROR_INTERNAL_ERROR;
}

/* ---- opening a pipe ----------------------------------------------------------------------------- */

/* Means a file to nobody; map_nt_error_from_unix() knows it. */
#define NO_FREE_INSTANCE EUSERS

/* The errno that smbd turns into the status Windows would give. */
static int errno_of(uint32_t error)
{
	switch (error) {
	case ERROR_FILE_NOT_FOUND:
	case ERROR_PATH_NOT_FOUND:
	case ERROR_INVALID_NAME: return ENOENT;
	case ERROR_ACCESS_DENIED: return EACCES;
	case ERROR_PIPE_BUSY: return NO_FREE_INSTANCE;
	case ERROR_SEM_TIMEOUT: return ETIMEDOUT;
	default: return EIO;
	}
}

/* Pipes that Wine lacks and Samba's own helpers serve. */
static bool samba_serves(const char *name)
{
	static const char *const served[] = {"srvsvc", "wkssvc", "lsarpc", "samr", "winreg"};
	for (size_t i = 0; i < sizeof(served) / sizeof(served[0]); i++)
		if (!strcmp(name, served[i])) return true;
	return false;
}

static bool nobody_serves_it; /* the pipe asked for last */

static int open_pipe(int fd, const char *name, const struct sockaddr *address, socklen_t length)
{
	int relay, result;
	uint32_t error;
	if (strlen(name) > LONGEST_NAME) {
		errno = ENOENT;
		return -1;
	}
	relay = ask_relay('O', 0, name);
	if (relay < 0) return -1;
	error = relays_answer(relay);
	nobody_serves_it = false;
	if (!error) { /* smbd keeps its descriptor, which now is the relay's stream */
		result = dup3(relay, fd, O_CLOEXEC) < 0 ? -1 : 0;
	} else if (error == ERROR_FILE_NOT_FOUND && samba_serves(name)) {
		result = real_connect(fd, address, length);
	} else {
		nobody_serves_it = true;
		errno = errno_of(error);
		result = -1;
	}
	error = errno;
	close(relay);
	errno = error;
	return result;
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
	if (address && address->sa_family == AF_UNIX) {
		const char *name = strstr(((const struct sockaddr_un *)address)->sun_path, "/np/");
		if (name) return open_pipe(fd, name + 4, address, length);
	}
	return real_connect(fd, address, length);
}

bool lp_rpc_start_on_demand_helpers(void)
{
	static bool (*real)(void);
	if (!real) real = (bool (*)(void))dlsym(RTLD_NEXT, "lp_rpc_start_on_demand_helpers");
	return !nobody_serves_it && real && real();
}

/* ---- Samba, by declaration only ------------------------------------------------------------------ */

__attribute__((constructor)) static void check_version(void)
{
	static const char *const known[] = {"4.17.", "4.22."};
	const char *(*samba_version_string)(void) = (const char *(*)(void))dlsym(RTLD_DEFAULT, "samba_version_string");
	const char *version;
	if (!samba_version_string) return; /* a program that smbd starts, and no part of Samba */
	version = samba_version_string();
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strncmp(version, known[i], strlen(known[i]))) return;
	fprintf(stderr, "smbd_pipes.so knows Samba 4.17 and 4.22; this is Samba %s\n", version);
	_exit(1);
}

typedef struct {
	uint32_t v;
} NTSTATUS;

struct tevent_context;
struct tevent_req;
struct tevent_fd;

typedef struct {
	uint8_t *data;
	size_t length;
} DATA_BLOB;

struct smbd_smb2_ioctl_state {
	void *smb2req;
	void *smbreq;
	void *fsp;
	DATA_BLOB in_input;
	uint32_t in_max_output;
	DATA_BLOB out_output;
	uint8_t body_padding;
	bool disconnect;
};

typedef void (*fd_handler)(struct tevent_context *, struct tevent_fd *, uint16_t, void *);
extern struct tevent_fd *_tevent_add_fd(struct tevent_context *, void *, int, uint16_t, fd_handler, void *,
					const char *, const char *) __attribute__((weak));
extern void _tevent_req_done(struct tevent_req *, const char *) __attribute__((weak));
extern struct tevent_req *tevent_req_post(struct tevent_req *, struct tevent_context *) __attribute__((weak));
extern bool _tevent_req_nterror(struct tevent_req *, NTSTATUS, const char *) __attribute__((weak));
extern int _talloc_free(void *, const char *) __attribute__((weak));
extern void *talloc_named_const(const void *, size_t, const char *) __attribute__((weak));

#define HERE "smbd_pipes"
#define READABLE 1 /* TEVENT_FD_READ */

/* ---- FSCTL_PIPE_WAIT, MS-FSCC 2.3.49 ------------------------------------------------------------ */

#define FSCTL_PIPE_WAIT 0x00110018
#define FSCTL_PIPE_TRANSCEIVE 0x0011C017
#define PIPE_WAIT_HEADER 14

struct pipe_wait {
	struct tevent_req *request;
	int relay;
};

static void pipe_wait_answered(struct tevent_context *events, struct tevent_fd *watch, uint16_t flags,
			       void *private)
{
	struct pipe_wait *wait = private;
	struct tevent_req *request = wait->request;
	uint32_t error = relays_answer(wait->relay);
	NTSTATUS status = {error == ERROR_FILE_NOT_FOUND ? STATUS_OBJECT_NAME_NOT_FOUND
			   : error == ERROR_SEM_TIMEOUT	 ? STATUS_IO_TIMEOUT
							 : STATUS_PIPE_NOT_AVAILABLE};
	(void)events, (void)flags;
	_talloc_free(watch, HERE);
	close(wait->relay);
	if (error)
		_tevent_req_nterror(request, status, HERE);
	else
		_tevent_req_done(request, HERE);
}

static struct tevent_req *refuse(struct tevent_req *request, struct tevent_context *events, uint32_t code)
{
	NTSTATUS status = {code};
	_tevent_req_nterror(request, status, HERE);
	return tevent_req_post(request, events);
}

/* Reads the request's name (ASCII only) and its time-out in milliseconds, 0 if it names none. */
static bool parse_pipe_wait(DATA_BLOB input, char name[LONGEST_NAME + 1], uint32_t *timeout)
{
	uint32_t bytes, i;
	int64_t hundred_ns, milliseconds;
	if (input.length < PIPE_WAIT_HEADER) return false;
	memcpy(&hundred_ns, input.data, 8);
	memcpy(&bytes, input.data + 8, 4);
	if (!bytes || bytes > input.length - PIPE_WAIT_HEADER || bytes > 2 * LONGEST_NAME) return false;
	for (i = 0; i < bytes / 2; i++) {
		const uint8_t *unit = input.data + PIPE_WAIT_HEADER + 2 * i;
		name[i] = unit[1] || unit[0] > 0x7f ? '?' : unit[0];
	}
	name[i] = 0;
	milliseconds = (hundred_ns < 0 ? -hundred_ns : hundred_ns) / 10000;
	*timeout = !input.data[12] ? 0 : milliseconds > INT32_MAX ? INT32_MAX : milliseconds;
	return true;
}

static struct tevent_req *pipe_wait(struct tevent_context *events, struct tevent_req *request, DATA_BLOB input)
{
	char name[LONGEST_NAME + 1];
	uint32_t timeout;
	struct pipe_wait *wait;
	if (!parse_pipe_wait(input, name, &timeout)) return refuse(request, events, STATUS_INVALID_PARAMETER);
	wait = talloc_named_const(request, sizeof(*wait), "struct pipe_wait");
	if (!wait) return refuse(request, events, STATUS_NO_MEMORY);
	wait->request = request;
	wait->relay = ask_relay('W', timeout, name);
	if (wait->relay < 0) return refuse(request, events, STATUS_INSUFFICIENT_RESOURCES);
	if (!_tevent_add_fd(events, wait, wait->relay, READABLE, pipe_wait_answered, wait, "pipe_wait_answered",
			    HERE)) {
		close(wait->relay);
		return refuse(request, events, STATUS_NO_MEMORY);
	}
	return request;
}

struct tevent_req *smb2_ioctl_named_pipe(uint32_t code, struct tevent_context *events, struct tevent_req *request,
					 struct smbd_smb2_ioctl_state *state)
{
	typedef struct tevent_req *(*handler)(uint32_t, struct tevent_context *, struct tevent_req *,
					      struct smbd_smb2_ioctl_state *);
	static handler real;
	static unsigned refused;
	if (code == FSCTL_PIPE_TRANSCEIVE && is_refused("LAB_REFUSED_TRANSCEIVES", &refused))
		return refuse(request, events, number_from_environment("LAB_TRANSCEIVE_STATUS"));
	if (code == FSCTL_PIPE_WAIT) return pipe_wait(events, request, state->in_input);
	if (!real) real = (handler)dlsym(RTLD_NEXT, "smb2_ioctl_named_pipe");
	return real(code, events, request, state);
}

/* ---- the end of a pipe --------------------------------------------------------------------------- */

/* Samba 4.22 wants to hear of the end of a stream even where nobody reads from it, and then forgets what has not been
 * read yet. Whoever reads hears of the end behind the last byte. */
int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	static int (*real)(int, int, int, struct epoll_event *);
	if (event) event->events &= ~(uint32_t)EPOLLRDHUP;
	if (!real) real = (int (*)(int, int, int, struct epoll_event *))dlsym(RTLD_NEXT, "epoll_ctl");
	return real(epoll, operation, fd, event);
}

/* ---- programs that are looked at by another ------------------------------------------------------ */

/* Means a file to nobody; map_nt_error_from_unix() knows it. */
#define REFUSED EBADSLT

static bool is_program(const char *path)
{
	size_t length = path ? strlen(path) : 0;
	return length > 4 && !strcmp(path + length - 4, ".exe");
}

static bool is_open_program(int fd)
{
	char link[64], path[4096];
	ssize_t length;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0) return false;
	path[length] = 0;
	return is_program(path);
}

static ssize_t write_or_refuse(int fd, const void *bytes, size_t count, off_t offset)
{
	static ssize_t (*real)(int, const void *, size_t, off_t);
	static unsigned refused;
	if (is_open_program(fd) && is_refused("LAB_REFUSED_WRITES", &refused)) {
		errno = REFUSED;
		return -1;
	}
	if (!real) real = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite64");
	return real(fd, bytes, count, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
	return write_or_refuse(fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t offset)
{
	return write_or_refuse(fd, bytes, count, offset);
}

int unlinkat(int folder, const char *path, int flags)
{
	static int (*real)(int, const char *, int);
	static unsigned refused;
	if (is_program(path) && is_refused("LAB_REFUSED_DELETIONS", &refused)) {
		errno = REFUSED;
		return -1;
	}
	if (!real) real = (int (*)(int, const char *, int))dlsym(RTLD_NEXT, "unlinkat");
	return real(folder, path, flags);
}

/* ---- statuses that Windows gives ---------------------------------------------------------------- */

NTSTATUS map_nt_error_from_unix(int error)
{
	static NTSTATUS (*real)(int);
	if (error == NO_FREE_INSTANCE) return (NTSTATUS){STATUS_PIPE_NOT_AVAILABLE};
	if (error == REFUSED) return (NTSTATUS){STATUS_INTERNAL_ERROR};
	if (!real) real = (NTSTATUS(*)(int))dlsym(RTLD_NEXT, "map_nt_error_from_unix");
	return real(error);
}

NTSTATUS nt_status_np_pipe(NTSTATUS status)
{
	if (status.v == STATUS_CONNECTION_DISCONNECTED || status.v == STATUS_CONNECTION_RESET)
		status.v = STATUS_PIPE_BROKEN;
	return status;
}
