/* A stand-in for powershell.exe, which Wine lacks: knows four statements, and says so where it is given others.
 *
 *   Write-Host WORD…          prints the rest of the statement and a line feed
 *   Start-Sleep -Seconds N    sleeps
 *   exit N                    ends
 *   [System.IntPtr]::Size     prints the size of a pointer
 *
 * They stand on the command line, separated by semicolons, or, if it is "-", on standard input, one a line.
 */
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static void run(char *statement)
{
	int number;
	statement += strspn(statement, " ");
	statement[strcspn(statement, "\r\n")] = 0;
	if (!*statement) return;
	if (!strncmp(statement, "Write-Host ", 11)) {
		printf("%s\n", statement + 11);
	} else if (sscanf(statement, "Start-Sleep -Seconds %d", &number) == 1) {
		fflush(stdout);
		Sleep(number * 1000);
	} else if (sscanf(statement, "exit %d", &number) == 1) {
		exit(number);
	} else if (!strcmp(statement, "[System.IntPtr]::Size")) {
		printf("%d\n", (int)sizeof(void *));
	} else {
		fprintf(stderr, "this stand-in for powershell.exe does not know: %s\n", statement);
		exit(97);
	}
	fflush(stdout);
}

/* What follows the program's own name. */
static char *arguments(void)
{
	char *line = GetCommandLineA();
	line += *line == '"' ? strcspn(line + 1, "\"") + 2 : strcspn(line, " ");
	return line + strspn(line, " ");
}

int wmain(void)
{
	char line[4096], *statement;
	_setmode(_fileno(stdout), _O_BINARY);
	if (!strcmp(arguments(), "-")) {
		while (fgets(line, sizeof(line), stdin)) run(line);
		return 0;
	}
	for (statement = strtok(arguments(), ";"); statement; statement = strtok(NULL, ";")) run(statement);
	return 0;
}
