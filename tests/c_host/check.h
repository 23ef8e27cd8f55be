/* What must hold. The first thing that does not ends the host with exit code 1 and says what it was. */
#ifndef CHECK_H
#define CHECK_H

#include <stddef.h>

/* The scenario that is being played, for the message. */
extern const char *check_scenario;

/* Prints the message and ends the process. */
_Noreturn void check_failed(const char *file, int line, const char *what, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#define REQUIRE(condition, ...) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition, __VA_ARGS__))

/* The plugin's return code must be this one. */
#define REQUIRE_CODE(expected, call)                                                                                   \
	do {                                                                                                               \
		const int code_ = (call);                                                                                      \
		if (code_ != (expected)) {                                                                                     \
			check_failed(__FILE__, __LINE__, #call, "returned %d instead of " #expected, code_);                       \
		}                                                                                                              \
	} while (0)

/* malloc and strdup that do not fail; memory that is exactly as long as asked for, so that a read past its end is seen. */
void *take(size_t bytes);
char *copy_text(const char *text);
void *copy_bytes(const void *bytes, size_t count);

#endif
