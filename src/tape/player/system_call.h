/*
 * System calls and the first instruction of a program without a C library, for x86_64 and aarch64. What is built with
 * freestanding.sh includes it.
 */
#pragma once

typedef unsigned int u32;
typedef int s32;
typedef unsigned long u64;
typedef long s64;

#if defined(__x86_64__)
static s64 call(u64 nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	register u64 r10 __asm__("r10") = d;
	register u64 r8 __asm__("r8") = e;
	register u64 r9 __asm__("r9") = f;
	s64 result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}
/* The stack is aligned as the ABI wants it; the function never returns. */
#define START_WITH(function) __asm__(".globl _start\n_start:\n\tandq $-16, %rsp\n\tcall " #function "\n")
#elif defined(__aarch64__)
static s64 call(u64 nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	register u64 x8 __asm__("x8") = nr;
	register u64 x0 __asm__("x0") = a;
	register u64 x1 __asm__("x1") = b;
	register u64 x2 __asm__("x2") = c;
	register u64 x3 __asm__("x3") = d;
	register u64 x4 __asm__("x4") = e;
	register u64 x5 __asm__("x5") = f;
	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return (s64)x0;
}
#define START_WITH(function) __asm__(".globl _start\n_start:\n\tb " #function "\n")
#endif
