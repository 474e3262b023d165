//! What only Windows has: accounts, rights, profiles, sessions. `cargo xtask test --host` runs this on the host that
//! the environment names; elsewhere these tests are not run, and reported so.
//!
//! They are written after the documentation of Windows. What they look at does not depend on its language: SIDs,
//! privileges, variables, numbers. Stand-ins for accounts have fewer of these, and their own words beside them.

use std::thread;
use std::time::{Duration, Instant};

use end_to_end::examples::{self, FOR_A_REAL_HOST};
use end_to_end::host::{Host, Logon, on_named_host};
use end_to_end::module::Task;
use end_to_end::report::not_run;
use serde_json::{Value, json};

#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn a_process_runs_as_the_user_that_is_named_in_any_form() {
    on_named_host(|host, user| {
        let seen = whoami(host, &as_user(user, &json!({})));
        let (domain, name) = seen.split_once('\\').expect("whoami says DOMAIN\\user");
        let mut forms = vec![format!(r"{domain}\{name}"), seen.to_uppercase()];
        if is_local(user) {
            assert_eq!(name, user.name.to_lowercase());
            forms.push(format!(r".\{name}"));
        }
        for form in forms {
            let options = as_user(&Logon { name: form.clone(), ..user.clone() }, &json!({}));
            assert_eq!(whoami(host, &options), seen, "{form}");
        }
        assert_ne!(whoami(host, &json!({})), seen, "without process_username it is the connecting user");
    });
}

#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn a_process_runs_as_the_user_of_a_realm() {
    on_named_host(|host, user| {
        let principal = host.run(&as_user(user, &program("whoami.exe", "/upn")));
        let principal = principal.text("stdout").trim().to_owned();
        if !principal.contains('@') {
            return not_run(
                "PSEXEC_TEST_ALT_USERNAME is no account of a domain, so it has no name user@realm",
            );
        }
        let of_realm = Logon { name: principal, ..user.clone() };
        assert_eq!(whoami(host, &as_user(&of_realm, &json!({}))), whoami(host, &as_user(user, &json!({}))));
    });
}

#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn a_wrong_password_of_the_process_is_told() {
    on_named_host(|host, user| {
        let wrong = Logon { password: "wrong".into(), ..user.clone() };
        let outcome = host.run(&as_user(&wrong, &program("whoami.exe", "")));
        let message = outcome.assert_failed();
        assert!(message.contains(&format!("Error logging in as {}. ", user.name)), "{message}");
        assert!(message.contains("[Err=0x52E, 1326]"), "{message}");
    });
}

#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn system_is_the_local_system_in_any_form() {
    on_named_host(|host, _| {
        for name in ["System", "SYSTEM", "system", r"NT AUTHORITY\SYSTEM"] {
            let mut options = program("whoami.exe", "/user");
            options["process_username"] = json!(name);
            let outcome = host.run(&options);
            outcome.assert_ran(0);
            assert_says(outcome.text("stdout"), "S-1-5-18", r"nt authority\system");
        }
    });
}

#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn windows_own_accounts_for_services_need_no_password() {
    on_named_host(|host, _| {
        for (name, sid, seen) in [
            (r"NT AUTHORITY\LocalService", "S-1-5-19", r"nt authority\localservice"),
            (r"NT AUTHORITY\NetworkService", "S-1-5-20", r"nt authority\networkservice"),
            (r"nt authority\network service", "S-1-5-20", r"nt authority\networkservice"),
        ] {
            let mut options = program("whoami.exe", "/user");
            options["process_username"] = json!(name);
            let outcome = host.run(&options);
            outcome.assert_ran(0);
            assert_says(outcome.text("stdout"), sid, seen);
        }
    });
}

/// It has to be installed on the host, and may there log on as a service.
#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn a_managed_service_account_needs_no_password() {
    on_named_host(|host, _| {
        let Ok(name) = std::env::var("PSEXEC_TEST_MANAGED_ACCOUNT") else {
            return not_run("PSEXEC_TEST_MANAGED_ACCOUNT names no managed service account, as DOMAIN\\NAME$");
        };
        let seen = whoami(host, &json!({ "process_username": name }));
        assert_eq!(seen.to_lowercase(), name.to_lowercase());
    });
}

#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn an_elevated_process_has_high_integrity_and_a_limited_one_medium() {
    on_named_host(|host, user| {
        for (level, sid, name) in [("elevated", "S-1-16-12288", "High"), ("limited", "S-1-16-8192", "Medium")]
        {
            let mut options = as_user(user, &program("whoami.exe", "/groups"));
            options["integrity_level"] = json!(level);
            let outcome = host.run(&options);
            outcome.assert_ran(0);
            assert_says(outcome.text("stdout"), sid, &format!(r"Mandatory Label\{name} Mandatory Level"));
        }
    });
}

/// Every administrator has this privilege unless the host's policy says otherwise, and nobody else.
#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn an_elevated_process_has_an_administrators_privileges_and_a_limited_one_has_not() {
    on_named_host(|host, user| {
        if host.is_wine() {
            return not_run("Wine has no privileges");
        }
        for (level, wanted) in [("elevated", true), ("limited", false)] {
            let mut options = as_user(user, &program("whoami.exe", "/priv"));
            options["integrity_level"] = json!(level);
            let outcome = host.run(&options);
            outcome.assert_ran(0);
            let privileges = outcome.text("stdout");
            assert_eq!(privileges.contains("SeTakeOwnershipPrivilege"), wanted, "{level}: {privileges}");
        }
    });
}

#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn a_limited_process_cannot_write_where_only_administrators_may() {
    const FILE: &str = r"C:\Windows\native-windows-limited.txt";

    on_named_host(|host, user| {
        if host.is_wine() {
            return not_run("Wine does not enforce rights");
        }
        for (level, written) in [("limited", false), ("elevated", true)] {
            let options = as_user(user, &json!({ "integrity_level": level }));
            let outcome = host.probe(&format!("touch {FILE} 0"), &options);
            assert_eq!(outcome.result.get("rc") == Some(&json!(0)), written, "{level}: {:?}", outcome.result);
        }
        command(host, &format!("del {FILE}"));
    });
}

/// As on a share that the host's own account has no access to: LocalSystem, which the service runs as, cannot open it.
#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn a_program_that_only_its_user_may_read_is_started() {
    const PROGRAM: &str = r"C:\Windows\Temp\native-windows-own.exe";

    on_named_host(|host, user| {
        let Some(sid) = host.sid(user).expect("a look at the user").filter(|_| !host.is_wine()) else {
            return not_run("Wine does not enforce rights");
        };
        command(host, &format!("copy /y {} {PROGRAM}", host.probe_path()));
        command(host, &format!("icacls {PROGRAM} /inheritance:r /grant:r *{sid}:(RX)"));
        let exit = program(PROGRAM, "exit 3");
        host.run(&as_user(user, &exit)).assert_ran(3);
        let mut as_system = exit;
        as_system["process_username"] = json!("System");
        let refused = host.run(&as_system);
        command(host, &format!("icacls {PROGRAM} /reset && del {PROGRAM}"));
        let message = refused.assert_failed();
        assert!(message.contains("[Err=0x5, 5]"), "{message}");
    });
}

#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn the_profile_is_loaded_if_it_is_wanted_and_unloaded_afterwards() {
    on_named_host(|host, user| {
        let Some(sid) = host.sid(user).expect("a logon") else {
            return not_run("whoami tells no SID here");
        };
        if loaded(host, &sid) {
            return not_run(
                "PSEXEC_TEST_ALT_USERNAME is logged on at the host, so his profile is loaded anyway",
            );
        }
        for wanted in [true, false] {
            let mut options = as_user(user, &program("reg.exe", "query HKU"));
            options["load_profile"] = json!(wanted);
            let outcome = host.run(&options);
            outcome.assert_ran(0);
            assert_eq!(names_hive(outcome.text("stdout"), &sid), wanted, "{:?}", outcome.result);
            assert_unloads(host, &sid);
        }
    });
}

#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn the_registry_of_a_loaded_profile_can_be_used() {
    const KEY: &str = r"Software\native-windows-psexec-test";

    on_named_host(|host, user| {
        let Some(sid) = host.sid(user).expect("a logon") else {
            return not_run("whoami tells no SID here");
        };
        let loaded_anyway = loaded(host, &sid);
        let of_user = format!(r"HKU\{sid}\{KEY}");
        let script = format!(
            r"/c reg add HKCU\{KEY} /ve /d by-psexec /f & reg query {of_user} /ve & reg delete {of_user} /f"
        );
        let outcome = host.run(&as_user(user, &program("cmd.exe", &script)));
        outcome.assert_ran(0);
        assert!(outcome.text("stdout").contains("by-psexec"), "{:?}", outcome.result);
        if !loaded_anyway {
            assert_unloads(host, &sid);
        }
    });
}

#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn the_environment_is_that_of_the_user() {
    on_named_host(|host, user| {
        let variable = |name: &str, options: &Value| {
            let outcome = host.probe(&format!("env {name}"), options);
            outcome.assert_ran(0);
            outcome.text("stdout").trim_end().to_lowercase()
        };
        let of_user = as_user(user, &json!({}));
        let seen = whoami(host, &of_user);
        let (_, name) = seen.split_once('\\').expect("whoami says DOMAIN\\user");
        assert_eq!(variable("USERNAME", &of_user), name);

        let Some(sid) = host.sid(user).expect("a logon") else {
            return not_run("but for the name of the user: whoami tells no SID here");
        };
        let profile = host.profile_folder(&sid).expect("the registry").expect("a profile, as it was loaded");
        let profile = profile.to_lowercase().replace("%systemdrive%", "c:");
        assert_eq!(variable("USERPROFILE", &of_user), profile);
        assert_eq!(variable("APPDATA", &of_user), format!(r"{profile}\appdata\roaming"));
    });
}

/// Where somebody is logged on at the console it is there, else in session 0, where nobody sees it.
#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn an_interactive_process_is_in_the_session_of_the_console() {
    on_named_host(|host, _| {
        if host.is_wine() {
            return not_run("Wine has one session, and no program that says who is logged on there");
        }
        let session = interactive_session(host, 0);
        match console_session(host) {
            Some((console, true)) => assert_eq!(session, console),
            Some((_, false)) => assert_eq!(session, 0),
            None => not_run("the host does not say who is at its console: it has no query.exe"),
        }
    });
}

/// Whoever is logged on in the session: the process is not his.
#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn an_interactive_process_is_the_connecting_users() {
    const FILE: &str = r"C:\Windows\Temp\native-windows-user.txt";

    on_named_host(|host, _| {
        let mut options = program("cmd.exe", &format!("/c whoami > {FILE}"));
        options["interactive"] = json!(true);
        host.run(&options).assert_ran(0);
        let seen = command(host, &format!("type {FILE} & del {FILE}"));
        assert_eq!(seen.trim_end(), whoami(host, &json!({})));
    });
}

/// `timeout` reads the console, and fails at once where there is none.
#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn an_asynchronous_process_can_wait_with_timeout() {
    const FILE: &str = r"C:\Windows\Temp\native-windows-timeout.txt";

    on_named_host(|host, _| {
        if host.is_wine() {
            return not_run("Wine's timeout.exe is not Windows's");
        }
        let mut options = program("cmd.exe", &format!("/c timeout /t 3 && echo waited> {FILE}"));
        options["asynchronous"] = json!(true);
        assert!(host.run(&options).number("pid") > 0);
        thread::sleep(Duration::from_secs(6));
        assert_eq!(command(host, &format!("type {FILE} & del {FILE}")).trim_end(), "waited");
    });
}

#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn an_interactive_process_is_in_the_session_that_is_named() {
    on_named_host(|host, _| {
        if host.is_wine() {
            return not_run("Wine has one session, and no program that lists it");
        }
        match console_session(host) {
            Some((session, _)) => assert_eq!(interactive_session(host, session), session),
            None => not_run("the host lists no sessions: it has no query.exe"),
        }
    });
}

#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn a_process_on_the_logon_screen_is_in_the_session_of_the_console() {
    on_named_host(|host, _| {
        let options = json!({ "process_username": "System", "show_ui_on_logon_screen": true });
        let outcome = host.probe("session", &options);
        outcome.assert_ran(0);
        let session: u32 = outcome.text("stdout").trim_end().parse().expect("a number");
        assert_ne!(session, 0, "services are in session 0, the console is not");
    });
}

/// `process.rs` has the others, which need no privilege.
#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn the_priority_may_be_realtime() {
    on_named_host(|host, user| {
        for options in [json!({}), as_user(user, &json!({})), json!({ "process_username": "System" })] {
            let mut options = options;
            options["priority"] = json!("realtime");
            let outcome = host.probe("priority", &options);
            outcome.assert_ran(0);
            assert_eq!(outcome.text("stdout").trim_end(), "0x100", "{:?}", options["process_username"]);
        }
    });
}

#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn system32_is_where_the_hosts_own_programs_are() {
    on_named_host(|host, _| {
        let architecture = |folder: &str| {
            let cmd = format!(r"C:\Windows\{folder}\cmd.exe");
            let outcome = host.run(&program(&cmd, "/c echo %PROCESSOR_ARCHITECTURE%"));
            outcome.assert_ran(0);
            outcome.text("stdout").trim_end().to_owned()
        };
        assert!(["AMD64", "ARM64"].contains(&architecture("System32").as_str()));
        assert_eq!(architecture("SysWOW64"), "x86");
    });
}

#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn a_process_of_another_user_has_its_streams_directory_and_exit_code() {
    on_named_host(|host, user| {
        let outcome = host.probe("cat", &as_user(user, &json!({ "stdin": "as another\n" })));
        outcome.assert_ran(7);
        assert_eq!(outcome.text("stdout"), "as another\n");
        assert_eq!(outcome.text("stderr"), "read 11\n");

        let outcome = host.probe("cwd", &as_user(user, &json!({})));
        assert_eq!(outcome.text("stdout").trim_end().to_lowercase(), r"c:\windows\system32");

        host.probe("tree 60000", &as_user(user, &json!({ "process_timeout": 2 }))).assert_ran(4_294_967_286);
    });
}

#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn the_event_log_says_which_service_was_installed() {
    /// Event 7045 of the service control manager, of the last minute.
    const QUERY: &str = "qe System /f:xml \"/q:*[System[Provider[@Name='Service Control Manager'] and (EventID=7045) \
                         and TimeCreated[timediff(@SystemTime) <= 60000]]]\"";

    on_named_host(|host, _| {
        if host.is_wine() {
            return not_run("Wine has no event log");
        }
        let outcome = host.run(&program("wevtutil.exe", QUERY));
        outcome.assert_ran(0);
        // The run that asks is one itself.
        assert!(outcome.text("stdout").contains("native.windows.psexec-"), "{:?}", outcome.result);
    });
}

/// Installers and reboot checks take an entry of PendingFileRenameOperations for a restart that is due.
#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn a_lost_connection_leaves_no_restart_pending() {
    const QUERY: &str =
        r#"query "HKLM\SYSTEM\CurrentControlSet\Control\Session Manager" /v PendingFileRenameOperations"#;

    on_named_host(|host, _| {
        if host.is_wine() {
            return not_run("Wine deletes the file of a running program, so that nothing has to be marked");
        }
        let task = Task::new(&host.options(&host.probe_options("sleep 5000", &json!({})))).expect("a task");
        let module = task.interrupt("KILL", Duration::from_secs(3)).expect("the module ends");
        assert!(module.arrived, "it was to be killed while the process ran");
        // The process ends by itself, and the service five seconds later.
        thread::sleep(Duration::from_secs(15));
        let pending = host.run(&program("reg.exe", QUERY));
        let left = pending.text("stdout");
        assert!(!left.contains("native.windows.psexec-"), "{left}");
        // What the next run of a quarter of an hour later would do; the file of the run that does it is in use.
        host.run(&program("cmd.exe", r"/c del /q C:\Windows\native.windows.psexec-*.exe"));
    });
}

/// Their programs and arguments as they stand there; hosts and accounts are this host's.
#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn the_documentations_examples_run() {
    on_named_host(|host, user| {
        let examples = examples::of_documentation().expect("the documentation's examples");
        for (name, _) in FOR_A_REAL_HOST {
            let example = examples.iter().find(|example| example.name == name).expect(name);
            let mut options = example.options().expect("its options");
            if !options.as_object().expect("options").contains_key("connection_password") {
                not_run(&format!("{name}: no ticket is at hand"));
                continue;
            }
            let is_of_another = options.get("process_password").is_some();
            for option in ["hostname", "connection_username", "connection_password"] {
                options.as_object_mut().expect("options").remove(option);
            }
            if is_of_another {
                options = as_user(user, &options);
            }
            if options.to_string().contains("Enable-PSRemoting") {
                let asked = host.run(&program("powershell.exe", "-NoProfile -Command Test-WSMan"));
                if asked.result.get("rc") != Some(&json!(0)) {
                    not_run(&format!("{name}: it would leave WinRM enabled, which it is not now"));
                    continue;
                }
            }
            if host.is_wine() {
                not_run(&format!("{name}: Wine has nothing of it"));
                continue;
            }
            let outcome = host.run(&options);
            // Of a package that is not there: ERROR_INSTALL_PACKAGE_OPEN_FAILED.
            let rc = if options["executable"] == "msiexec.exe" { 1619 } else { 0 };
            outcome.assert_ran(rc);
        }
    });
}

/// What the documentation says of programs that find no console in their standard input.
#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn programs_that_ask_a_console_have_another_way() {
    on_named_host(|host, _| {
        if host.is_wine() {
            return not_run("Wine has other programs");
        }
        let cmd = |line: &str, stdin: &str| {
            let mut options = program("cmd.exe", &format!("/c {line}"));
            options["stdin"] = json!(stdin);
            host.run(&options)
        };
        assert_ne!(cmd("timeout /t 1", "").number("rc"), 0);
        cmd("ping -n 2 127.0.0.1 >nul", "").assert_ran(0);
        assert_eq!(cmd("choice /c yn", "").number("rc"), 255);
        cmd("choice /c yn", "n\n").assert_ran(2);
        cmd("pause", "").assert_ran(0);
    });
}

/// What the documentation says of Windows PowerShell's encodings, which PowerShell 7 has not in common.
#[test]
#[ignore = "needs a Windows host, which PSEXEC_TEST_HOST names"]
fn windows_powershell_is_told_its_encodings() {
    const WHOLE: &str = "-NoProfile -NonInteractive -Command \"& ([scriptblock]::Create((New-Object IO.StreamReader(\
                         [Console]::OpenStandardInput(), [Text.Encoding]::UTF8)).ReadToEnd()))\"";

    on_named_host(|host, _| {
        if host.is_wine() {
            return not_run("Wine has no Windows PowerShell");
        }
        let script =
            "[Console]::OutputEncoding = [Text.Encoding]::UTF8\nWrite-Output 'Gr\u{fc}\u{df}e'\nexit 3\n";
        let mut options = program("powershell.exe", WHOLE);
        options["stdin"] = json!(script);
        let outcome = host.run(&options);
        outcome.assert_ran(3);
        assert_eq!(outcome.text("stdout"), "Gr\u{fc}\u{df}e\r\n");

        let script = "$ErrorActionPreference = 'Stop'\nthrow 'wrong'\n";
        options["stdin"] = json!(script);
        let outcome = host.run(&options);
        outcome.assert_ran(1);
        assert!(!outcome.text("stderr").contains("#< CLIXML"), "{:?}", outcome.result);

        // Write-Error 'wrong', in UTF-16 and Base64.
        let encoded = "VwByAGkAdABlAC0ARQByAHIAbwByACAAJwB3AHIAbwBuAGcAJwA=";
        let clixml = host.run(&program("powershell.exe", &format!("-NoProfile -EncodedCommand {encoded}")));
        assert!(clixml.text("stderr").starts_with("#< CLIXML"), "{:?}", clixml.result);
        let text = format!("-NoProfile -OutputFormat Text -EncodedCommand {encoded}");
        let text = host.run(&program("powershell.exe", &text));
        assert!(!text.text("stderr").contains("#< CLIXML"), "{:?}", text.result);
    });
}

fn program(executable: &str, arguments: &str) -> Value {
    json!({ "executable": executable, "arguments": arguments })
}

/// These options, and the user for the process.
fn as_user(user: &Logon, options: &Value) -> Value {
    let mut all = options.clone();
    all["process_username"] = json!(user.name);
    all["process_password"] = json!(user.password);
    all
}

/// Whether it is written as an account of the host itself is.
fn is_local(user: &Logon) -> bool {
    !user.name.contains(['\\', '@'])
}

/// What `whoami` says to these options, in lower case.
#[track_caller]
fn whoami(host: &Host, options: &Value) -> String {
    let mut options = options.clone();
    options["executable"] = json!("whoami.exe");
    let outcome = host.run(&options);
    outcome.assert_ran(0);
    outcome.text("stdout").trim_end().to_lowercase()
}

/// A command of `cmd.exe`, as the connecting user; its output.
#[track_caller]
fn command(host: &Host, command: &str) -> String {
    let outcome = host.run(&program("cmd.exe", &format!("/c {command}")));
    outcome.assert_ran(0);
    outcome.text("stdout").to_owned()
}

/// Whether the user's part of the registry is there.
#[track_caller]
fn loaded(host: &Host, sid: &str) -> bool {
    let outcome = host.run(&program("reg.exe", "query HKU"));
    outcome.assert_ran(0);
    names_hive(outcome.text("stdout"), sid)
}

fn names_hive(listing: &str, sid: &str) -> bool {
    listing.lines().any(|line| line.trim_end() == format!(r"HKEY_USERS\{sid}"))
}

/// Windows may take a moment for what it has promised.
#[track_caller]
fn assert_unloads(host: &Host, sid: &str) {
    let started = Instant::now();
    while loaded(host, sid) {
        assert!(started.elapsed() < Duration::from_secs(20), "the profile of {sid} is still loaded");
        thread::sleep(Duration::from_millis(500));
    }
}

/// Runs an interactive process as the local system; the number of the session that it found itself in.
#[track_caller]
fn interactive_session(host: &Host, wanted: u32) -> u32 {
    const FILE: &str = r"C:\Windows\Temp\native-windows-session.txt";

    let mut options = program("cmd.exe", &format!("/c {} session > {FILE} & exit 5", host.probe_path()));
    options["process_username"] = json!("System");
    options["interactive"] = json!(true);
    options["interactive_session"] = json!(wanted);
    let outcome = host.run(&options);
    outcome.assert_ran(5);
    for absent in ["stdout", "stderr", "pid"] {
        assert!(!outcome.has(absent), "{absent} in {:?}", outcome.result);
    }
    let written = command(host, &format!("type {FILE} & del {FILE}"));
    written.trim_end().parse().unwrap_or_else(|error| panic!("{error}: {written:?}"))
}

/// The number of the session that `query session` says is at the console, which has a desktop whether somebody is
/// logged on or not, and whether somebody is. `None` where the host has no such program.
#[track_caller]
fn console_session(host: &Host) -> Option<(u32, bool)> {
    let outcome = host.run(&program("cmd.exe", "/c query session"));
    let stdout = outcome.result.get("stdout").and_then(Value::as_str).unwrap_or_default();
    let words =
        stdout.lines().map(|line| line.trim_start_matches('>').split_whitespace().collect::<Vec<_>>());
    let console = words.into_iter().find(|words| words.first() == Some(&"console"))?;
    // The user's name stands before the number, if there is one.
    let number = console.iter().skip(1).position(|word| word.parse::<u32>().is_ok())?;
    Some((console.get(number + 1)?.parse().ok()?, number > 0))
}

/// Stand-ins know the name alone; the SID is in the output of Windows of any language.
#[track_caller]
fn assert_says(text: &str, sid: &str, name: &str) {
    let names = text.to_lowercase().contains(&name.to_lowercase());
    assert!(names || text.contains(sid), "neither {sid} nor {name} in {text}");
}
