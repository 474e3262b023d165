/* A stand-in for the accounts of Windows, of which Wine has none: there, every process is the same user's,
 * LogonUserW lets everybody in, and neither integrity levels nor restricted or linked tokens exist.
 *
 * It takes the place of wtsapi32.dll, which both services that it serves import, our own and PAExec.exe. Once loaded it
 * puts itself in front of some functions of advapi32 in the service's import table, keeps a user, an integrity level and
 * the membership in Administrators for every token that passes through them, and tells a process that is started with a
 * token about these, by variables of its environment:
 *
 *   USERNAME, USERDOMAIN     the user
 *   LAB_INTEGRITY            Medium, High or System
 *   LAB_ADMINISTRATOR        1, or 0 if that group is only there to be denied something
 *
 * The stand-in for whoami.exe prints them. What is shown by this is what a service asks Windows for, and no more:
 * nothing enforces these identities.
 *
 * What Windows may refuse and Wine does not is refused as long as there is a file C:\lab\refuse-CALL: jobs
 * (refuse-AssignProcessToJobObject), the environment of a user (refuse-CreateEnvironmentBlock), his profile (refuse-LoadUserProfileW), and a
 * program of which only the user himself may read the file (refuse-CreateProcessAsUserW).
 *
 * As long as there is a file C:\lab\refuse-UnloadUserProfile a profile takes a minute to be unloaded.
 *
 * C:\lab\accounts.txt has a line "name:password" for every account, in UTF-8. All of them are administrators whose
 * interactive logons user account control filters. LocalService, NetworkService and the managed service account web$ of any
 * domain are logged on as services are. The client of a pipe is WINHOST\Administrator, with all rights, as a
 * network logon of the built-in administrator has them.
 */
#define _WIN32_WINNT 0x0601
#include <windows.h>
#include <stdio.h>
#include <string.h>

#define LONGEST_NAME 256
#define KNOWN_TOKENS 256

struct identity {
	WCHAR domain[LONGEST_NAME], user[LONGEST_NAME];
	DWORD integrity; /* SECURITY_MANDATORY_*_RID */
	BOOL administrator;
};

static const struct identity local_system = {L"NT AUTHORITY", L"SYSTEM", SECURITY_MANDATORY_SYSTEM_RID, TRUE};
static const struct identity client = {L"WINHOST", L"Administrator", SECURITY_MANDATORY_HIGH_RID, TRUE};
static const BYTE local_system_sid[12] = {1, 1, 0, 0, 0, 0, 0, 5 /* NT */, SECURITY_LOCAL_SYSTEM_RID};

/* SERVICE_ACCOUNT_PASSWORD of lmaccess.h. */
static const WCHAR managed_password[] = L"_SA_{262E99C9-6160-4871-ACEC-4E61736B6F21}";

/* ---- what is known of tokens --------------------------------------------------------------------- */

static SRWLOCK lock = SRWLOCK_INIT;
static struct {
	HANDLE token;
	struct identity identity;
} known[KNOWN_TOKENS];
static unsigned next_place;

/* A handle's value is used again after it was closed: its latest meaning counts. */
static void remember(HANDLE token, struct identity identity)
{
	unsigned place;
	AcquireSRWLockExclusive(&lock);
	for (place = 0; place < KNOWN_TOKENS && known[place].token != token; place++) {
	}
	if (place == KNOWN_TOKENS) place = next_place++ % KNOWN_TOKENS;
	known[place].token = token;
	known[place].identity = identity;
	ReleaseSRWLockExclusive(&lock);
}

static struct identity identity_of(HANDLE token)
{
	struct identity identity = client;
	AcquireSRWLockShared(&lock);
	for (unsigned place = 0; place < KNOWN_TOKENS; place++)
		if (known[place].token == token) identity = known[place].identity;
	ReleaseSRWLockShared(&lock);
	return identity;
}

/* A new token, of the only user that Wine has. */
static HANDLE make_token(struct identity identity)
{
	HANDLE own, token = NULL;
	if (!OpenProcessToken(GetCurrentProcess(), TOKEN_ALL_ACCESS, &own)) return NULL;
	DuplicateTokenEx(own, MAXIMUM_ALLOWED, NULL, SecurityImpersonation, TokenPrimary, &token);
	CloseHandle(own);
	if (token) remember(token, identity);
	return token;
}

/* ---- logon --------------------------------------------------------------------------------------- */

static BOOL password_is_right(const WCHAR *user, const WCHAR *password)
{
	char line[1024], wanted[1024];
	BOOL found = FALSE;
	int name_length, length;
	FILE *accounts = fopen("C:\\lab\\accounts.txt", "r");
	if (!accounts) return FALSE;
	name_length = WideCharToMultiByte(CP_UTF8, 0, user, -1, wanted, 500, NULL, NULL) - 1;
	if (name_length > 0) {
		wanted[name_length] = ':';
		length = WideCharToMultiByte(CP_UTF8, 0, password, -1, wanted + name_length + 1, 500, NULL, NULL);
		while (length > 0 && !found && fgets(line, sizeof(line), accounts)) {
			line[strcspn(line, "\r\n")] = 0;
			found = !_strnicmp(line, wanted, name_length) && !strcmp(line + name_length, wanted + name_length);
		}
	}
	fclose(accounts);
	return found;
}

/* Windows's own accounts for services have no password, and of a managed one Windows has it. */
static BOOL is_of_service(const WCHAR *user, const WCHAR *domain, const WCHAR *password)
{
	if (!lstrcmpiW(domain ? domain : L"", L"NT AUTHORITY"))
		return !password && (!lstrcmpiW(user, L"LocalService") || !lstrcmpiW(user, L"NetworkService"));
	return !lstrcmpiW(user, L"web$") && password && !lstrcmpW(password, managed_password);
}

static BOOL WINAPI log_on(const WCHAR *user, const WCHAR *domain, const WCHAR *password, DWORD type, DWORD provider,
			  HANDLE *token)
{
	struct identity identity = {.integrity = SECURITY_MANDATORY_MEDIUM_RID, .administrator = FALSE};
	(void)provider;
	if (is_of_service(user, domain, password)) {
		if (type != LOGON32_LOGON_SERVICE) {
			SetLastError(ERROR_LOGON_TYPE_NOT_GRANTED);
			return FALSE;
		}
		identity.integrity = SECURITY_MANDATORY_SYSTEM_RID;
	} else if (type != LOGON32_LOGON_INTERACTIVE || !password_is_right(user, password ? password : L"")) {
		SetLastError(ERROR_LOGON_FAILURE);
		return FALSE;
	}
	lstrcpynW(identity.user, user, LONGEST_NAME);
	lstrcpynW(identity.domain, domain && lstrcmpW(domain, L".") ? domain : L"WINHOST", LONGEST_NAME);
	*token = make_token(identity);
	return *token != NULL;
}

/* ---- tokens -------------------------------------------------------------------------------------- */

/* Whoever asks for the token of a process is told that it is a service of Local System. */
static BOOL WINAPI open_process_token(HANDLE process, DWORD access, HANDLE *token)
{
	BOOL opened = OpenProcessToken(process, access, token);
	if (opened) remember(*token, local_system);
	return opened;
}

/* A thread has a token of its own only while it acts for the client of a pipe. */
static BOOL WINAPI open_thread_token(HANDLE thread, DWORD access, BOOL as_self, HANDLE *token)
{
	BOOL opened = OpenThreadToken(thread, access, as_self, token);
	if (opened) remember(*token, client);
	return opened;
}

static BOOL WINAPI duplicate_token(HANDLE token, DWORD access, SECURITY_ATTRIBUTES *attributes,
				   SECURITY_IMPERSONATION_LEVEL level, TOKEN_TYPE type, HANDLE *copy)
{
	struct identity identity = identity_of(token);
	BOOL copied = DuplicateTokenEx(token, access, attributes, level, type, copy);
	if (copied) remember(*copy, identity);
	return copied;
}

static BOOL answer(const void *data, DWORD size, void *buffer, DWORD length, DWORD *needed)
{
	if (needed) *needed = size;
	if (length < size) {
		SetLastError(ERROR_INSUFFICIENT_BUFFER);
		return FALSE;
	}
	memcpy(buffer, data, size);
	return TRUE;
}

static BOOL answer_local_system(void *buffer, DWORD length, DWORD *needed)
{
	struct {
		TOKEN_USER user;
		BYTE sid[sizeof(local_system_sid)];
	} *to = buffer;
	if (needed) *needed = sizeof(*to);
	if (length < sizeof(*to)) {
		SetLastError(ERROR_INSUFFICIENT_BUFFER);
		return FALSE;
	}
	memcpy(to->sid, local_system_sid, sizeof(local_system_sid));
	to->user.User.Sid = to->sid;
	to->user.User.Attributes = 0;
	return TRUE;
}

static BOOL WINAPI get_token_information(HANDLE token, TOKEN_INFORMATION_CLASS class, void *buffer, DWORD length,
					 DWORD *needed)
{
	struct identity identity = identity_of(token);
	BOOL filtered = identity.integrity == SECURITY_MANDATORY_MEDIUM_RID;
	DWORD elevation = filtered ? TokenElevationTypeLimited : TokenElevationTypeDefault;
	TOKEN_LINKED_TOKEN linked;
	switch (class) {
	case TokenUser:
		if (lstrcmpW(identity.user, local_system.user)) break;
		return answer_local_system(buffer, length, needed);
	case TokenElevationType: return answer(&elevation, sizeof(elevation), buffer, length, needed);
	case TokenLinkedToken:
		if (!filtered) {
			SetLastError(ERROR_NO_SUCH_LOGON_SESSION);
			return FALSE;
		}
		identity.integrity = SECURITY_MANDATORY_HIGH_RID;
		identity.administrator = TRUE;
		linked.LinkedToken = make_token(identity);
		return answer(&linked, sizeof(linked), buffer, length, needed);
	default: break;
	}
	return GetTokenInformation(token, class, buffer, length, needed);
}

static BOOL WINAPI set_token_information(HANDLE token, TOKEN_INFORMATION_CLASS class, void *buffer, DWORD length)
{
	struct identity identity = identity_of(token);
	TOKEN_MANDATORY_LABEL *label = buffer;
	if (class != TokenIntegrityLevel) return SetTokenInformation(token, class, buffer, length);
	if (length < sizeof(*label)) {
		SetLastError(ERROR_BAD_LENGTH);
		return FALSE;
	}
	identity.integrity = *GetSidSubAuthority(label->Label.Sid, 0);
	remember(token, identity);
	return TRUE;
}

static BOOL WINAPI compute_token_from_level(void *level, HANDLE token, HANDLE *limited, DWORD flags, void *reserved)
{
	struct identity identity = identity_of(token);
	(void)level, (void)flags, (void)reserved;
	identity.administrator = FALSE;
	*limited = make_token(identity);
	return *limited != NULL;
}

/* ---- the process --------------------------------------------------------------------------------- */

static const WCHAR *integrity_name(DWORD integrity)
{
	return integrity >= SECURITY_MANDATORY_SYSTEM_RID ? L"System"
	       : integrity >= SECURITY_MANDATORY_HIGH_RID ? L"High"
	       : integrity >= SECURITY_MANDATORY_MEDIUM_RID ? L"Medium"
							     : L"Low";
}

static BOOL is_ours(const WCHAR *variable)
{
	static const WCHAR *const ours[] = {L"USERNAME=", L"USERDOMAIN=", L"LAB_INTEGRITY=", L"LAB_ADMINISTRATOR="};
	for (size_t i = 0; i < ARRAYSIZE(ours); i++)
		if (!_wcsnicmp(variable, ours[i], lstrlenW(ours[i]))) return TRUE;
	return FALSE;
}

/* The environment, with the identity in it; to be freed. */
static WCHAR *with_identity(const WCHAR *environment, const struct identity *identity)
{
	const WCHAR *variable;
	WCHAR *made, *end;
	size_t length = 4 * LONGEST_NAME;
	for (variable = environment; *variable; variable += lstrlenW(variable) + 1) length += lstrlenW(variable) + 1;
	made = end = LocalAlloc(LPTR, length * sizeof(WCHAR));
	if (!made) return NULL;
	for (variable = environment; *variable; variable += lstrlenW(variable) + 1) {
		if (is_ours(variable)) continue;
		lstrcpyW(end, variable);
		end += lstrlenW(end) + 1;
	}
	end += swprintf(end, LONGEST_NAME + 20, L"USERDOMAIN=%ls", identity->domain) + 1;
	end += swprintf(end, LONGEST_NAME + 20, L"USERNAME=%ls", identity->user) + 1;
	end += swprintf(end, 40, L"LAB_INTEGRITY=%ls", integrity_name(identity->integrity)) + 1;
	end += swprintf(end, 40, L"LAB_ADMINISTRATOR=%d", identity->administrator) + 1;
	*end = 0;
	return made;
}

static BOOL is_refused(const WCHAR *call)
{
	WCHAR file[100];
	swprintf(file, ARRAYSIZE(file), L"C:\\lab\\refuse-%ls", call);
	return GetFileAttributesW(file) != INVALID_FILE_ATTRIBUTES;
}

static BOOL WINAPI assign_process_to_job(HANDLE job, HANDLE process)
{
	if (!is_refused(L"AssignProcessToJobObject")) return AssignProcessToJobObject(job, process);
	SetLastError(ERROR_ACCESS_DENIED);
	return FALSE;
}

/* That of userenv is not linked to: the 32-bit service has none of it. */
static BOOL WINAPI create_environment_block(void **environment, HANDLE token, BOOL inherit)
{
	BOOL(WINAPI * create)(void **, HANDLE, BOOL) =
		(void *)GetProcAddress(GetModuleHandleW(L"userenv.dll"), "CreateEnvironmentBlock");
	if (create && !is_refused(L"CreateEnvironmentBlock")) return create(environment, token, inherit);
	SetLastError(ERROR_FILE_NOT_FOUND);
	return FALSE;
}

static BOOL WINAPI unload_user_profile(HANDLE token, HANDLE profile)
{
	(void)token, (void)profile;
	if (is_refused(L"UnloadUserProfile")) Sleep(60000);
	return TRUE;
}

/* Wine's loads nothing. */
static BOOL WINAPI load_user_profile(HANDLE token, void *profile)
{
	(void)token, (void)profile;
	if (!is_refused(L"LoadUserProfileW")) return TRUE;
	SetLastError(ERROR_ACCESS_DENIED);
	return FALSE;
}

static BOOL acts_as_another(void)
{
	HANDLE token;
	if (!OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, TRUE, &token)) return FALSE;
	CloseHandle(token);
	return TRUE;
}

static BOOL WINAPI create_process_as_user(HANDLE token, const WCHAR *application, WCHAR *command,
					  SECURITY_ATTRIBUTES *of_process, SECURITY_ATTRIBUTES *of_thread, BOOL inherit,
					  DWORD flags, void *environment, const WCHAR *directory, STARTUPINFOW *startup,
					  PROCESS_INFORMATION *information)
{
	struct identity identity = identity_of(token);
	WCHAR *own = environment ? NULL : GetEnvironmentStringsW(), *changed = NULL;
	BOOL created;
	DWORD error;
	if (is_refused(L"CreateProcessAsUserW") && !acts_as_another()) {
		SetLastError(ERROR_ACCESS_DENIED);
		return FALSE;
	}
	if (!environment || flags & CREATE_UNICODE_ENVIRONMENT) {
		changed = with_identity(environment ? environment : own, &identity);
		environment = changed;
		flags |= CREATE_UNICODE_ENVIRONMENT;
	}
	created = CreateProcessAsUserW(token, application, command, of_process, of_thread, inherit, flags, environment,
				       directory, startup, information);
	error = GetLastError();
	if (own) FreeEnvironmentStringsW(own);
	LocalFree(changed);
	SetLastError(error);
	return created;
}

/* ---- in front of advapi32 ------------------------------------------------------------------------ */

static const struct {
	const char *name;
	void *function;
} replaced[] = {
	{"AssignProcessToJobObject", assign_process_to_job},
	{"CreateEnvironmentBlock", create_environment_block},
	{"LoadUserProfileW", load_user_profile},
	{"UnloadUserProfile", unload_user_profile},
	{"CreateProcessAsUserW", create_process_as_user},
	{"DuplicateTokenEx", duplicate_token},
	{"GetTokenInformation", get_token_information},
	{"LogonUserW", log_on},
	{"OpenProcessToken", open_process_token},
	{"OpenThreadToken", open_thread_token},
	{"SaferComputeTokenFromLevel", compute_token_from_level},
	{"SetTokenInformation", set_token_information},
};

static void *replacement_of(const char *name)
{
	for (size_t i = 0; i < ARRAYSIZE(replaced); i++)
		if (!strcmp(replaced[i].name, name)) return replaced[i].function;
	return NULL;
}

/* PAExec looks some functions up by itself. */
static FARPROC WINAPI get_proc_address(HMODULE module, const char *name)
{
	void *function = HIWORD((ULONG_PTR)name) ? replacement_of(name) : NULL;
	return function ? (FARPROC)function : GetProcAddress(module, name);
}

static void put(IMAGE_THUNK_DATA *place, void *function)
{
	DWORD protection;
	VirtualProtect(place, sizeof(*place), PAGE_READWRITE, &protection);
	place->u1.Function = (ULONG_PTR)function;
	VirtualProtect(place, sizeof(*place), protection, &protection);
}

static void replace_imports(void)
{
	BYTE *base = (BYTE *)GetModuleHandleW(NULL);
	IMAGE_NT_HEADERS *header = (IMAGE_NT_HEADERS *)(base + ((IMAGE_DOS_HEADER *)base)->e_lfanew);
	IMAGE_DATA_DIRECTORY *imports = &header->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IMPORT];
	IMAGE_IMPORT_DESCRIPTOR *library = (IMAGE_IMPORT_DESCRIPTOR *)(base + imports->VirtualAddress);
	for (; library->Name; library++) {
		IMAGE_THUNK_DATA *name = (IMAGE_THUNK_DATA *)(base + library->OriginalFirstThunk);
		IMAGE_THUNK_DATA *place = (IMAGE_THUNK_DATA *)(base + library->FirstThunk);
		for (; name->u1.AddressOfData; name++, place++) {
			const char *imported;
			void *function;
			if (IMAGE_SNAP_BY_ORDINAL(name->u1.Ordinal)) continue;
			imported = (char *)((IMAGE_IMPORT_BY_NAME *)(base + name->u1.AddressOfData))->Name;
			function = strcmp(imported, "GetProcAddress") ? replacement_of(imported) : get_proc_address;
			if (function) put(place, function);
		}
	}
}

BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, void *reserved)
{
	(void)instance, (void)reserved;
	if (reason == DLL_PROCESS_ATTACH) replace_imports();
	return TRUE;
}

/* ---- what the services want of wtsapi32 ---------------------------------------------------------- */

struct session {
	DWORD id;
	const WCHAR *station;
	int state; /* WTSActive */
};

#define EXPORTED __declspec(dllexport)

/* One session, at the console. */
EXPORTED BOOL WINAPI WTSEnumerateSessionsW(HANDLE server, DWORD reserved, DWORD version, struct session **sessions,
					   DWORD *count)
{
	(void)server, (void)reserved, (void)version;
	*sessions = LocalAlloc(LPTR, sizeof(**sessions));
	if (!*sessions) return FALSE;
	(*sessions)->id = 1;
	(*sessions)->station = L"Console";
	*count = 1;
	return TRUE;
}

EXPORTED void WINAPI WTSFreeMemory(void *memory)
{
	LocalFree(memory);
}

/* Somebody is logged on there. */
EXPORTED BOOL WINAPI WTSQueryUserToken(ULONG session, HANDLE *token)
{
	struct identity identity = {L"WINHOST", L"Console-User", SECURITY_MANDATORY_MEDIUM_RID, FALSE};
	if (session != 1) {
		SetLastError(ERROR_NO_TOKEN);
		return FALSE;
	}
	*token = make_token(identity);
	return *token != NULL;
}
