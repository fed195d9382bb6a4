/*
 * The program of the embedded image: greets, and tells what it sees of the container around it. All of it comes from
 * /proc and a handful of system calls; it asks nobody and is told nothing, so what it says is true of any engine.
 *
 * Freestanding and static, a few KB. What it prints is ASCII: a name from outside with any other character shows `?`
 * in its place. Built by build.sh, for x86_64 and aarch64.
 */
#include "../../tape/player/system_call.h"

#if defined(__x86_64__)
#define NR_READ 0
#define NR_WRITE 1
#define NR_CLOSE 3
#define NR_IOCTL 16
#define NR_GETPID 39
#define NR_UNAME 63
#define NR_GETEUID 107
#define NR_GETEGID 108
#define NR_EXIT_GROUP 231
#define NR_OPENAT 257
#elif defined(__aarch64__)
#define NR_IOCTL 29
#define NR_OPENAT 56
#define NR_CLOSE 57
#define NR_READ 63
#define NR_WRITE 64
#define NR_EXIT_GROUP 94
#define NR_UNAME 160
#define NR_GETPID 172
#define NR_GETEUID 175
#define NR_GETEGID 177
#endif

#define AT_FDCWD ((u64)-100)
#define O_CLOEXEC 02000000
#define NS_GET_USERNS 0xb701 /* ioctl_ns(2) */
#define EPERM 1

/* The line of an overlay with hundreds of layers is long; of what is longer the rest is not read. */
#define FILE_BYTES 65536
#define OUT_BYTES 4096
#define NAME_MAX 64

struct state {
	u64 length; /* of what is in `out` */
	char out[OUT_BYTES];
	char file[FILE_BYTES]; /* what was read last, with a NUL behind it */
};

/* --- what is printed */

static void put_char(struct state *state, char c)
{
	if (state->length < OUT_BYTES)
		state->out[state->length++] = c;
}

static void put(struct state *state, const char *text)
{
	while (*text != 0)
		put_char(state, *text++);
}

/* A name from outside, up to a space, comma, colon or the end of its line. */
static void put_name(struct state *state, const char *name)
{
	for (u32 n = 0; n < NAME_MAX && *name != 0 && *name != ' ' && *name != '\n' && *name != ':' && *name != ','; n++, name++)
		put_char(state, *name > ' ' && *name < 127 ? *name : '?');
}

static void put_number(struct state *state, u64 number)
{
	char digits[20];
	u32 n = 0;
	do
		digits[n++] = (char)('0' + number % 10);
	while ((number /= 10) != 0);
	while (n > 0)
		put_char(state, digits[--n]);
}

static void put_count(struct state *state, u64 count, const char *noun)
{
	put_number(state, count);
	put(state, noun);
	if (count != 1)
		put_char(state, 's');
}

static void put_label(struct state *state, const char *label)
{
	put(state, "  ");
	u64 start = state->length;
	put(state, label);
	while (state->length < start + 12 && state->length < OUT_BYTES)
		put_char(state, ' ');
}

/* --- what is read */

/* Reads the beginning of a file. Returns 0 where there is none, and no text then. */
static int read_file(struct state *state, const char *path)
{
	u64 length = 0;
	state->file[0] = 0;
	s64 fd = call(NR_OPENAT, AT_FDCWD, (u64)path, O_CLOEXEC, 0, 0, 0);
	if (fd < 0)
		return 0;
	while (length < FILE_BYTES - 1) {
		s64 got = call(NR_READ, (u64)fd, (u64)(state->file + length), FILE_BYTES - 1 - length, 0, 0, 0);
		if (got <= 0 || (u64)got > FILE_BYTES - 1 - length)
			break;
		length += (u64)got;
	}
	state->file[length] = 0;
	call(NR_CLOSE, (u64)fd, 0, 0, 0, 0, 0);
	return length > 0;
}

/* How long `word` is if the text begins with it, else 0. */
static u32 begins(const char *text, const char *word)
{
	u32 n = 0;
	while (word[n] != 0) {
		if (text[n] != word[n])
			return 0;
		n++;
	}
	return n;
}

static const char *next_line(const char *at)
{
	while (*at != 0 && *at != '\n')
		at++;
	return *at == '\n' ? at + 1 : at;
}

static const char *skip_spaces(const char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

/* Behind the next `count` words of a line and the spaces that follow them. */
static const char *skip_words(const char *at, u32 count)
{
	while (count-- > 0) {
		while (*at != 0 && *at != '\n' && *at != ' ' && *at != '\t')
			at++;
		at = skip_spaces(at);
	}
	return at;
}

static u64 read_number(const char *at)
{
	u64 number = 0;
	for (at = skip_spaces(at); *at >= '0' && *at <= '9'; at++)
		number = number * 10 + (u64)(*at - '0');
	return number;
}

/* What follows `key` on the line that begins with it, or an empty text. */
static const char *find_value(const char *at, const char *key)
{
	for (; *at != 0; at = next_line(at)) {
		u32 n = begins(at, key);
		if (n > 0)
			return skip_spaces(at + n);
	}
	return at;
}

/* --- ids */

struct ids {
	u64 outside; /* what the own id is outside */
	u64 total;   /* how many there are */
	u64 first;   /* outside, of the largest range without the own id */
	u64 largest;
	int found;
	int whole; /* the machine's own: no mapping at all */
};

/* uid_map and gid_map hold a range a line: first inside, first outside, count (user_namespaces(7)). */
static struct ids read_ids(struct state *state, const char *path, u64 own)
{
	struct ids ids = { 0, 0, 0, 0, 0, 0 };
	read_file(state, path);
	for (const char *at = state->file; *at != 0; at = next_line(at)) {
		u64 inside = read_number(at);
		u64 outside = read_number(skip_words(skip_spaces(at), 1));
		u64 count = read_number(skip_words(skip_spaces(at), 2));
		ids.total += count;
		if (own >= inside && own - inside < count) {
			ids.found = 1;
			ids.outside = outside + (own - inside);
			/* the rest of its range */
			outside += own == inside;
			count--;
		}
		if (count > ids.largest) {
			ids.largest = count;
			ids.first = outside;
		}
		if (inside == 0 && ids.total >= 0xffffffff)
			ids.whole = 1;
	}
	return ids;
}

static void put_ids(struct state *state, const struct ids *users, const struct ids *groups, u64 uid)
{
	put_label(state, "user");
	if (users->whole) {
		put_number(state, uid);
		put(state, ", one of the machine's\n");
		return;
	}
	if (uid == 0) {
		put(state, "root");
	} else {
		put(state, "user ");
		put_number(state, uid);
	}
	put(state, " in here is ");
	if (users->found) {
		put(state, "user ");
		put_number(state, users->outside);
	} else {
		put(state, "nobody");
	}
	put(state, " outside\n");
	put_label(state, "more ids");
	if (users->total <= 1 && groups->total <= 1) {
		put(state, "none: all files and processes in here are that user's\n");
		return;
	}
	put_count(state, users->total - (u64)users->found, " more user");
	put(state, " and ");
	put_count(state, groups->total - (u64)groups->found, " more group");
	if (users->largest > 0) {
		put(state, ", outside from ");
		put_number(state, users->first);
		put(state, " on");
	}
	put_char(state, '\n');
}

/* --- namespaces */

static const char *const NAMESPACES[] = {
	"/proc/self/ns/mnt", "/proc/self/ns/pid", "/proc/self/ns/net",    "/proc/self/ns/ipc",
	"/proc/self/ns/uts", "/proc/self/ns/cgroup", "/proc/self/ns/time",
};
#define NAMESPACE_COUNT (sizeof NAMESPACES / sizeof *NAMESPACES)
#define NAME_OFFSET 14

enum { UNKNOWN, OWN, SHARED };

/*
 * Whether a namespace was made within our user namespace, which the kernel tells about those alone: what it refuses to
 * tell about belongs to somebody outside.
 */
static int whose(const char *path)
{
	s64 fd = call(NR_OPENAT, AT_FDCWD, (u64)path, O_CLOEXEC, 0, 0, 0);
	if (fd < 0)
		return UNKNOWN;
	s64 owner = call(NR_IOCTL, (u64)fd, NS_GET_USERNS, 0, 0, 0, 0);
	call(NR_CLOSE, (u64)fd, 0, 0, 0, 0, 0);
	if (owner >= 0)
		call(NR_CLOSE, (u64)owner, 0, 0, 0, 0, 0);
	return owner >= 0 ? OWN : owner == -EPERM ? SHARED : UNKNOWN;
}

static void put_kind(struct state *state, const int *kinds, int kind)
{
	for (u32 i = 0; i < NAMESPACE_COUNT; i++)
		if (kinds[i] == kind) {
			put_char(state, ' ');
			put(state, NAMESPACES[i] + NAME_OFFSET);
		}
}

static void put_namespaces(struct state *state, int is_machine)
{
	int kinds[NAMESPACE_COUNT];
	u32 shared = 0;
	for (u32 i = 0; i < NAMESPACE_COUNT; i++) {
		kinds[i] = whose(NAMESPACES[i]);
		shared += kinds[i] == SHARED;
	}
	put_label(state, "namespaces");
	if (is_machine) {
		put(state, "the machine's");
	} else {
		put(state, "its own: user");
		put_kind(state, kinds, OWN);
		if (shared > 0) {
			put(state, "; shared:");
			put_kind(state, kinds, SHARED);
		}
	}
	put_char(state, '\n');

	u64 pid = (u64)call(NR_GETPID, 0, 0, 0, 0, 0, 0);
	put_label(state, "processes");
	put(state, "this one is number ");
	put_number(state, pid);
	if (pid == 1)
		put(state, ", and sees no others but its children");
	put_char(state, '\n');
}

/* --- network and name */

#define SHOWN_INTERFACES 6

static void put_network(struct state *state)
{
	struct {
		char name[6][65];
	} uts;
	u32 shown = 0, more = 0;
	put_label(state, "host name");
	if (call(NR_UNAME, (u64)&uts, 0, 0, 0, 0, 0) == 0)
		put_name(state, uts.name[1]);
	put_char(state, '\n');
	put_label(state, "network");
	read_file(state, "/proc/self/net/dev");
	/* two lines of heading, then `name: numbers` */
	for (const char *at = next_line(next_line(state->file)); *at != 0; at = next_line(at)) {
		if (shown == SHOWN_INTERFACES) {
			more++;
			continue;
		}
		if (shown++ > 0)
			put(state, ", ");
		put_name(state, skip_spaces(at));
	}
	if (more > 0) {
		put(state, " and ");
		put_number(state, more);
		put(state, " more");
	}
	put(state, shown == 0 ? "none\n" : "\n");
}

/* --- root file system */

/* Layers that overlay's options name, below the one that is written to. */
static u64 count_layers(const char *options)
{
	u64 layers = 0;
	for (const char *at = options; *at != 0 && *at != '\n' && *at != ' ';) {
		u32 n = begins(at, "lowerdir=");
		/* one option a layer, since Linux 6.5 */
		if (n == 0)
			n = begins(at, "lowerdir+=");
		layers += n > 0;
		for (at += n; *at != 0 && *at != '\n' && *at != ' ' && *at != ','; at++) {
			/* a colon in a name has a backslash before it, which the kernel shows as \134 */
			if (begins(at, "\\134:"))
				at += 4;
			else if (n > 0 && *at == ':')
				layers++;
		}
		if (*at == ',')
			at++;
	}
	return layers;
}

static int has_option(const char *options, const char *name)
{
	for (const char *at = options; *at != 0 && *at != '\n' && *at != ' ';) {
		u32 n = begins(at, name);
		if (n > 0 && (at[n] == 0 || at[n] == ' ' || at[n] == '\n' || at[n] == ',' || at[n] == '='))
			return 1;
		while (*at != 0 && *at != '\n' && *at != ' ' && *at != ',')
			at++;
		if (*at == ',')
			at++;
	}
	return 0;
}

/* proc_pid_mountinfo(5): id parent device root TARGET OPTIONS [tags …] - TYPE source OPTIONS */
static void put_root(struct state *state)
{
	const char *line = 0;
	read_file(state, "/proc/self/mountinfo");
	for (const char *at = state->file; *at != 0; at = next_line(at))
		if (begins(skip_words(at, 4), "/ "))
			line = at; /* the last one lies on top */
	put_label(state, "root");
	if (line == 0) {
		put(state, "not to be seen\n");
		return;
	}
	const char *options = skip_words(line, 5);
	const char *type = options;
	while (*type != 0 && *type != '\n' && !begins(type, "- "))
		type = skip_words(type, 1);
	if (*type == '-')
		type += 2;
	const char *more = skip_words(type, 2);
	int is_overlay = begins(type, "overlay ") > 0;
	if (is_overlay) {
		put(state, "overlay of ");
		put_count(state, count_layers(more), " layer");
		if (has_option(more, "upperdir"))
			put(state, ", and one on top for what is written");
	} else {
		put(state, "one tree, on ");
		put_name(state, type);
	}
	put(state, has_option(options, "ro") ? "; read-only\n" : "\n");
}

/* --- rights */

static u64 count_bits(const char *hex)
{
	u64 bits = 0;
	for (; (*hex >= '0' && *hex <= '9') || (*hex >= 'a' && *hex <= 'f'); hex++)
		for (u32 digit = *hex <= '9' ? (u32)(*hex - '0') : (u32)(*hex - 'a' + 10); digit != 0; digit >>= 1)
			bits += digit & 1;
	return bits;
}

static void put_rights(struct state *state, int is_machine)
{
	static const char FILTERS[3][24] = { "no seccomp filter", "strict seccomp", "a seccomp filter" };
	read_file(state, "/proc/self/status");
	const char *capabilities = find_value(state->file, "CapEff:");
	const char *seccomp = find_value(state->file, "Seccomp:");
	put_label(state, "rights");
	put_number(state, count_bits(capabilities));
	put(state, " capabilities");
	if (!is_machine)
		put(state, ", over this container alone");
	if (*seccomp >= '0' && *seccomp <= '2') {
		put(state, "; ");
		put(state, FILTERS[*seccomp - '0']);
	}
	if (*find_value(state->file, "NoNewPrivs:") == '1')
		put(state, "; no new privileges");
	put_char(state, '\n');
}

__attribute__((noreturn, used)) void greet(void)
{
	struct state state;
	state.length = 0;
	u64 uid = (u64)call(NR_GETEUID, 0, 0, 0, 0, 0, 0);
	u64 gid = (u64)call(NR_GETEGID, 0, 0, 0, 0, 0, 0);
	struct ids users = read_ids(&state, "/proc/self/uid_map", uid);
	struct ids groups = read_ids(&state, "/proc/self/gid_map", gid);

	put(&state, users.whole ? "Hello! This program is in no container of its own. What it sees:\n\n"
				: "Hello from a container! This is what has just been set up for it:\n\n");
	put_ids(&state, &users, &groups, uid);
	put_namespaces(&state, users.whole);
	put_network(&state);
	put_root(&state);
	put_rights(&state, users.whole);
	put(&state, "\nIts image is a part of dugout's own file: nothing was downloaded. What next?\n\n"
		    "  dugout run --rm -it --rootfs /:O sh   this machine's own programs, with nothing that can be broken\n"
		    "  dugout run --rm -it debian bash       an image from a registry\n"
		    "  dugout run --explain hello            every system call behind these lines\n");

	for (u64 done = 0; done < state.length;) {
		s64 written = call(NR_WRITE, 1, (u64)(state.out + done), state.length - done, 0, 0, 0);
		if (written == -4)
			continue;
		if (written <= 0)
			break;
		done += (u64)written;
	}
	for (;;)
		call(NR_EXIT_GROUP, 0, 0, 0, 0, 0, 0);
}

START_WITH(greet);
