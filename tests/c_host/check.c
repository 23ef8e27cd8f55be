/* Failures and memory that does not fail. */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"

const char *check_scenario = "start";

void check_failed(const char *file, int line, const char *what, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s:%d: in scenario \"%s\": %s: ", file, line, check_scenario, what);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	log_print(stderr);
	fflush(NULL);
	/* Not exit: the plugin may be in the middle of something, and must not be ended from within. */
	_Exit(1);
}

void *take(size_t bytes)
{
	void *block = malloc(bytes > 0 ? bytes : 1);

	REQUIRE(block != NULL, "no memory for %zu bytes", bytes);
	return block;
}

void *copy_bytes(const void *bytes, size_t count)
{
	void *copy = take(count);

	if (count > 0) {
		memcpy(copy, bytes, count);
	}
	return copy;
}

char *copy_text(const char *text)
{
	return text ? copy_bytes(text, strlen(text) + 1) : NULL;
}
