/*
 * The player: plays a tape, a list of system calls that somebody else has computed.
 *
 * It is the only native code of the engine, freestanding and static, so that nothing of the rest (its memory, its
 * binary, its threads) is in the processes that set up a container. It maps the tape from descriptor 3 at BASE,
 * privately, and goes through its records. On a failure it writes {record, errno} to the error descriptor and exits.
 *
 * The layout is src/tape/layout.ts; a test compares the two. Built by build.sh, for x86_64 and aarch64.
 */
#include "system_call.h"

#define BASE 0x20000000UL
#define MAGIC 0x45504154
#define TAPE_FD 3
#define EXIT_FAILED 125

enum { JUMP_NEVER, JUMP_ZERO, JUMP_NONZERO, JUMP_ERROR, JUMP_ALWAYS };
enum { FLAG_IGNORE = 0x100, FLAG_RETRY = 0x200 };
enum { OP_STORE = 0x10000, OP_LOAD, OP_ALU, OP_FAIL, OP_NOP, OP_SAME, OP_DECIMAL };
enum { ALU_ADD, ALU_SUB, ALU_AND, ALU_OR, ALU_SHR, ALU_EQ, ALU_LESS };

struct header {
	u32 magic, count, errorFd, reserved;
	u64 size;
};

struct record {
	u32 nr;
	u32 flags; /* bits 0-5: argument is the result of that record; then FLAG_*; bits 16-19: JUMP_* */
	u64 arg[6];
	u32 jump;
	u32 only; /* the error that JUMP_ERROR is for; 0: any */
	s64 result;
};

#if defined(__x86_64__)
#define NR_MMAP 9
#define NR_LSEEK 8
#define NR_CLOSE 3
#define NR_WRITE 1
#define NR_EXIT_GROUP 231
#elif defined(__aarch64__)
#define NR_MMAP 222
#define NR_LSEEK 62
#define NR_CLOSE 57
#define NR_WRITE 64
#define NR_EXIT_GROUP 94
#endif

static __attribute__((noreturn)) void quit(u64 status)
{
	for (;;)
		call(NR_EXIT_GROUP, status, 0, 0, 0, 0, 0);
}

static __attribute__((noreturn)) void fail(struct header *header, u32 index, s64 errno)
{
	u32 message[2] = { index, (u32)errno };
	call(NR_WRITE, header->errorFd, (u64)message, sizeof message, 0, 0, 0);
	quit(EXIT_FAILED);
}

/* Whether steps may look at and write to what lies there: only behind the records, so that no tape changes itself. */
static int inside(struct header *header, u64 address, u64 size)
{
	u64 heap = (u64)((struct record *)(header + 1) + header->count);
	return size <= header->size && address >= heap && address <= BASE + header->size - size;
}

/* The result of an operation that is not a system call. One that makes no sense is a mistake of the tape's author. */
static s64 operate(struct header *header, u32 index, u32 op, u64 *arg)
{
	u64 a = arg[0], b = arg[1], size = arg[2];
	switch (op) {
	case OP_STORE: /* address, value, size */
		if (size > 8 || !inside(header, a, size))
			break;
		for (u64 i = 0; i < size; i++, b >>= 8)
			((volatile unsigned char *)a)[i] = (unsigned char)b;
		return 0;
	case OP_LOAD: /* address, -, size */
		if (size > 8 || !inside(header, a, size))
			break;
		b = 0;
		while (size--)
			b = b << 8 | ((volatile unsigned char *)a)[size];
		return (s64)b;
	case OP_ALU: /* left, right, operation */
		switch (size) {
		case ALU_ADD: return (s64)(a + b);
		case ALU_SUB: return (s64)(a - b);
		case ALU_AND: return (s64)(a & b);
		case ALU_OR: return (s64)(a | b);
		case ALU_SHR: return (s64)(a >> (b & 63));
		case ALU_EQ: return a == b;
		case ALU_LESS: return a < b;
		}
		break;
	case OP_FAIL: /* errno */
		return -(s64)a;
	case OP_NOP:
		return 0;
	case OP_SAME: /* address, address, size */
		if (!inside(header, a, size) || !inside(header, b, size))
			break;
		while (size && ((volatile unsigned char *)a)[size - 1] == ((volatile unsigned char *)b)[size - 1])
			size--;
		return size == 0;
	case OP_DECIMAL: /* address, value, size: digits, and NULs behind them */
		if (!inside(header, a, size))
			break;
		u64 unit = 1;
		while (b / unit > 9)
			unit *= 10;
		for (u64 i = 0; i < size; i++, unit /= 10)
			((volatile unsigned char *)a)[i] = unit ? (unsigned char)('0' + b / unit % 10) : 0;
		if (unit || !size || ((volatile unsigned char *)a)[size - 1])
			break;
		return 0;
	}
	fail(header, index, 22);
}

__attribute__((noreturn, used)) void play(void)
{
	s64 size = call(NR_LSEEK, TAPE_FD, 0, 2, 0, 0, 0);
	if (size < (s64)sizeof(struct header))
		quit(EXIT_FAILED);
	/* PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED_NOREPLACE */
	if ((u64)call(NR_MMAP, BASE, (u64)size, 3, 0x100002, TAPE_FD, 0) != BASE)
		quit(EXIT_FAILED);
	call(NR_CLOSE, TAPE_FD, 0, 0, 0, 0, 0);

	struct header *header = (struct header *)BASE;
	struct record *records = (struct record *)(header + 1);
	if (header->magic != MAGIC || header->size != (u64)size || header->count > ((u64)size - sizeof *header) / sizeof *records)
		quit(EXIT_FAILED);

	for (u32 i = 0; i < header->count;) {
		struct record *record = &records[i];
		u64 arg[6];
		for (u32 k = 0; k < 6; k++) {
			arg[k] = record->arg[k];
			if (record->flags >> k & 1) {
				if (arg[k] >= header->count)
					fail(header, i, 22);
				arg[k] = (u64)records[arg[k]].result;
			}
		}
		s64 result;
		do
			result = record->nr >= OP_STORE
					 ? operate(header, i, record->nr, arg)
					 : call(record->nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
		while (result == -4 && record->flags & FLAG_RETRY);
		record->result = result;

		/* an ALU result may look like an error and is none */
		int failed = result < 0 && result >= -4095 && record->nr != OP_ALU && record->nr != OP_LOAD;
		u32 when = record->flags >> 16 & 15;
		int jump = when == JUMP_ALWAYS || (when == JUMP_ZERO && result == 0) ||
			   (when == JUMP_NONZERO && result != 0 && !failed) || (when == JUMP_ERROR && failed && (record->only == 0 || record->only == -result));
		if (failed && !jump && !(record->flags & FLAG_IGNORE))
			fail(header, i, -result);
		if (jump && record->jump >= header->count)
			fail(header, i, 22);
		i = jump ? record->jump : i + 1;
	}
	quit(0);
}

START_WITH(play);
