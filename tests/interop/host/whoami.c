/* A stand-in for whoami.exe: says what the stand-in for accounts (accounts.c) has told this process.
 *
 *   whoami            domain\user
 *   whoami /groups    the integrity level, and the membership in Administrators
 *
 * In the OEM code page, as the real one writes into a pipe.
 */
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

static const WCHAR *variable(const WCHAR *name)
{
	const WCHAR *value = _wgetenv(name);
	return value ? value : L"?";
}

static void print(const WCHAR *text)
{
	char bytes[1024];
	if (WideCharToMultiByte(CP_OEMCP, 0, text, -1, bytes, sizeof(bytes), NULL, NULL)) fputs(bytes, stdout);
}

static void print_lower(const WCHAR *text)
{
	WCHAR lower[512];
	lstrcpynW(lower, text, ARRAYSIZE(lower));
	CharLowerW(lower);
	print(lower);
}

int wmain(int count, WCHAR **arguments)
{
	if (count > 1 && !lstrcmpW(arguments[1], L"/groups")) {
		print(L"Mandatory Label\\");
		print(variable(L"LAB_INTEGRITY"));
		print(L" Mandatory Level\nBUILTIN\\Administrators  ");
		print(*variable(L"LAB_ADMINISTRATOR") == '1' ? L"Enabled group\n" : L"Group used for deny only\n");
	} else {
		print_lower(variable(L"USERDOMAIN"));
		print(L"\\");
		print_lower(variable(L"USERNAME"));
		print(L"\n");
	}
	return 0;
}
