/* A stand-in for whoami.exe: says what the stand-in for accounts (accounts.c) has told this process.
 *
 *   whoami            domain\user
 *   whoami /groups    the integrity level, and the membership in Administrators
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *variable(const char *name, const char *otherwise)
{
	const char *value = getenv(name);
	return value ? value : otherwise;
}

static void print_lower(const char *text)
{
	for (; *text; text++) putchar(tolower((unsigned char)*text));
}

int main(int count, char **arguments)
{
	if (count > 1 && !strcmp(arguments[1], "/groups")) {
		printf("Mandatory Label\\%s Mandatory Level\n", variable("LAB_INTEGRITY", "?"));
		printf("BUILTIN\\Administrators  %s\n",
		       atoi(variable("LAB_ADMINISTRATOR", "0")) ? "Enabled group" : "Group used for deny only");
	} else {
		print_lower(variable("USERDOMAIN", "?"));
		putchar('\\');
		print_lower(variable("USERNAME", "?"));
		putchar('\n');
	}
	return 0;
}
