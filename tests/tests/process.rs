//! What a process on the host gets, and what comes back of it.

use std::time::Duration;

use end_to_end::host::on_host;
use end_to_end::module::{self, Task};
use end_to_end::report::not_run;
use lab_windows::pattern;
use serde_json::json;

#[test]
fn output_comes_back() {
    on_host(|host| {
        let outcome = host.run(&json!({ "executable": "cmd.exe", "arguments": "/c echo Hello World" }));
        outcome.assert_ran(0);
        assert_eq!(outcome.text("stdout"), "Hello World\r\n");
        assert_eq!(outcome.text("stderr"), "");
        assert!(!outcome.has("pid"));
    });
}

#[test]
fn exit_codes_are_unsigned_numbers_of_32_bits() {
    on_host(|host| {
        for (given, rc) in [("0", 0), ("10", 10), ("-5", 4_294_967_291)] {
            let arguments = format!("/c exit {given}");
            host.run(&json!({ "executable": "cmd.exe", "arguments": arguments })).assert_ran(rc);
        }
    });
}

#[test]
fn stdout_and_stderr_stay_apart() {
    on_host(|host| {
        let outcome = host.probe("emit both 100000", &json!({}));
        outcome.assert_ran(0);
        let expected = String::from_utf8(pattern(100_000)).expect("the pattern is ASCII");
        assert_eq!(outcome.text("stdout"), expected);
        assert_eq!(outcome.text("stderr"), expected);

        let outcome = host.probe("emit stderr 70", &json!({}));
        outcome.assert_ran(0);
        assert_eq!(outcome.text("stdout"), "");
        assert_eq!(outcome.text("stderr"), &expected[..70]);
    });
}

#[test]
fn ten_megabytes_of_output_come_back_byte_for_byte() {
    on_host(|host| {
        const SIZE: usize = 10_000_000;

        let outcome = host.probe(&format!("emit stdout {SIZE}"), &json!({}));
        outcome.assert_ran(0);
        let expected = pattern(SIZE);
        let stdout = outcome.text("stdout").as_bytes();
        let first_difference = stdout.iter().zip(&expected).position(|(a, b)| a != b);
        assert_eq!((stdout.len(), first_difference), (SIZE, None));
    });
}

#[test]
fn output_that_is_not_utf_8_is_read_in_the_hosts_code_page() {
    on_host(|host| {
        // 0x82 is é in these OEM code pages.
        let said = host.run(&json!({ "executable": "cmd.exe", "arguments": "/c chcp" }));
        let said = said.text("stdout");
        if !["437", "850", "852", "858"].iter().any(|page| said.contains(page)) {
            return not_run(&format!("the host's code page has other characters: {}", said.trim()));
        }
        let outcome = host.probe("bytes 4382736172", &json!({}));
        outcome.assert_ran(0);
        assert_eq!(outcome.text("stdout"), "César");

        let utf_8 = host.probe("bytes 43c3a9736172", &json!({}));
        assert_eq!(utf_8.text("stdout"), "César");
    });
}

/// What a program writes in UTF-16 stands beside what cmd.exe says in its code page.
#[test]
fn utf_16_beside_other_text_stays_legible() {
    const SIXTY: &str = "a line of sixty characters, written in UTF-16, with no end..";

    on_host(|host| {
        let hex = |text: &str| -> String {
            text.encode_utf16().flat_map(u16::to_le_bytes).map(|byte| format!("{byte:02x}")).collect()
        };
        let cmd =
            |line: &str| host.run(&json!({ "executable": "cmd.exe", "arguments": format!("/c {line}") }));
        let probe = format!("{} bytes", host.probe_path());
        let sixty = hex(SIXTY);
        for (line, stdout) in [
            (format!("{probe} {sixty}& echo done"), format!("{SIXTY}done\r\n")),
            (format!("echo start& {probe} {sixty}"), format!("start\r\n{SIXTY}")),
            (format!("echo abc& {probe} {sixty}& echo.& echo done"), format!("abc\r\n{SIXTY}\r\ndone\r\n")),
            (format!("{probe} {sixty}78"), format!("{SIXTY}x")),
        ] {
            let outcome = cmd(&line);
            outcome.assert_ran(0);
            assert_eq!(outcome.text("stdout"), stdout, "{line}");
            let warnings = outcome.result.get("warnings").map(ToString::to_string).unwrap_or_default();
            assert!(
                warnings.contains("guessed") && warnings.contains("PSEXEC_OUTPUT_ENCODING"),
                "{warnings}"
            );
        }
        for (bytes, stdout) in [
            (hex("\u{feff}Grüße"), "Grüße"),
            (hex("Windows PowerShell\r\n"), "Windows PowerShell\r\n"),
            (hex("a\r\n"), "a\r\n"),
            ("610062006300".to_owned(), "a\0b\0c\0"),
        ] {
            let outcome = cmd(&format!("{probe} {bytes}"));
            outcome.assert_ran(0);
            assert_eq!(outcome.text("stdout"), stdout);
            assert!(!outcome.has("warnings"), "{:?}", outcome.result);
        }
    });
}

#[test]
fn a_task_can_name_the_encoding_of_its_output() {
    on_host(|host| {
        let run = |encoding: &str| {
            let options = host.probe_options("bytes c4e3bac3", &json!({}));
            let task = Task::new(&host.options(&options)).expect("a task");
            let mut module = task.command().expect("the module");
            let output = module.env("PSEXEC_OUTPUT_ENCODING", encoding).output().expect("the module starts");
            module::outcome(&output, Duration::ZERO).expect("one JSON object")
        };
        for (encoding, stdout) in [("gbk", "你好"), ("936", "你好"), ("cp437", "─π║├")] {
            let outcome = run(encoding);
            outcome.assert_ran(0);
            assert_eq!(outcome.text("stdout"), stdout, "{encoding}");
            assert!(!outcome.has("warnings"), "{:?}", outcome.result);
        }
        let outcome = run("klingon");
        let message = outcome.assert_failed();
        assert!(message.contains("PSEXEC_OUTPUT_ENCODING names the encoding klingon"), "{message}");
        assert!(!outcome.has("changed"), "{:?}", outcome.result);
    });
}

#[test]
fn output_without_a_last_line_end_is_kept_as_it_is() {
    on_host(|host| {
        assert_eq!(host.probe("bytes 610d0a0d0a62", &json!({})).text("stdout"), "a\r\n\r\nb");
    });
}

#[test]
fn stdin_is_read_line_by_line() {
    on_host(|host| {
        let outcome = host.probe("lines", &json!({ "stdin": "first\nsecond\n\nfourth" }));
        outcome.assert_ran(0);
        assert_eq!(outcome.text("stdout"), "1: first\n2: second\n3: \n4: fourth\n4 lines\n");
    });
}

#[test]
fn stdin_has_an_end() {
    on_host(|host| {
        let input = "äöü\r\n".repeat(20_000);
        let outcome = host.probe("cat", &json!({ "stdin": input }));
        outcome.assert_ran(7);
        assert_eq!(outcome.text("stdout"), input);
        assert_eq!(outcome.text("stderr"), format!("read {}\n", input.len()));
    });
}

#[test]
fn without_stdin_a_process_reads_its_end_at_once() {
    on_host(|host| {
        let outcome = host.probe("cat", &json!({}));
        outcome.assert_ran(7);
        assert_eq!(outcome.text("stdout"), "");
        assert_eq!(outcome.text("stderr"), "read 0\n");
    });
}

#[test]
fn a_process_need_not_read_its_stdin() {
    on_host(|host| {
        let input = "x".repeat(300_000);
        host.probe("exit 3", &json!({ "stdin": input })).assert_ran(3);
        let outcome = host.probe("close-stdin 200", &json!({ "stdin": input }));
        outcome.assert_ran(0);
        assert_eq!(outcome.text("stdout"), "done\n");
    });
}

#[test]
fn the_working_directory_is_system32_or_the_one_that_is_asked_for() {
    on_host(|host| {
        let usual = host.probe("cwd", &json!({}));
        usual.assert_ran(0);
        assert_eq!(usual.text("stdout").trim_end().to_lowercase(), r"c:\windows\system32");

        let other = host.probe("cwd", &json!({ "working_directory": r"C:\Windows\Temp" }));
        other.assert_ran(0);
        assert_eq!(other.text("stdout").trim_end().to_lowercase(), r"c:\windows\temp");
    });
}

#[test]
fn a_working_directory_that_does_not_exist_is_a_failure() {
    on_host(|host| {
        let outcome = host.probe("cwd", &json!({ "working_directory": r"C:\no such folder" }));
        let message = outcome.assert_failed();
        assert!(message.contains("[Err=0x10B, 267]"), "{message}");
    });
}

#[test]
fn arguments_arrive_as_they_are_written() {
    on_host(|host| {
        for arguments in [
            r#"args plain "two words" 'single' ""#,
            r"args trailing\ %PATH% ^& | < > * ? !",
            "args Grüße 日本語 Ω \u{1f980}",
            "args  two  spaces\tand a tab",
            "args",
        ] {
            let outcome = host.probe(arguments, &json!({}));
            outcome.assert_ran(0);
            let expected = format!("\"{}\" {arguments}\n", host.probe_path());
            assert_eq!(outcome.text("stdout"), expected);
        }
    });
}

#[test]
fn a_command_line_may_be_as_long_as_windows_takes_it() {
    on_host(|host| {
        let longest = |length: usize| "x".repeat(length - format!("\"{}\" args ", host.probe_path()).len());
        // Samba takes messages of 64 KB on its pipes, of which the settings have a part.
        let whole = if host.lab().is_some() { 32_000 } else { 32_766 };
        let arguments = format!("args {}", longest(whole));
        let outcome = host.probe(&arguments, &json!({}));
        outcome.assert_ran(0);
        assert!(outcome.text("stdout") == format!("\"{}\" {arguments}\n", host.probe_path()));

        let outcome = host.probe(&format!("args {}", longest(32_767)), &json!({}));
        let message = outcome.assert_failed();
        assert!(message.contains("32767 characters") && message.contains("32766 at most"), "{message}");
        assert!(!outcome.has("changed"), "{:?}", outcome.result);

        if host.lab().is_some() {
            let outcome = host.probe(&format!("args {}", longest(32_766)), &json!({}));
            let message = outcome.assert_failed();
            assert!(
                message.contains("STATUS_PORT_MESSAGE_TOO_LONG") && message.contains("stdin"),
                "{message}"
            );
        }
    });
}

#[test]
fn a_nul_is_refused_before_anything_is_done() {
    on_host(|host| {
        for option in ["arguments", "executable", "working_directory", "process_username"] {
            let outcome = host.probe("exit 0", &json!({ option: "a\0b", "process_password": "Passw0rd" }));
            let message = outcome.assert_failed();
            assert!(message.starts_with(&format!("{option} holds a NUL character")), "{message}");
            assert!(!outcome.has("changed"), "{:?}", outcome.result);
        }
    });
}

#[test]
fn the_priority_is_that_of_the_task() {
    on_host(|host| {
        for (priority, class) in [
            ("idle", "0x40"),
            ("below_normal", "0x4000"),
            ("normal", "0x20"),
            ("above_normal", "0x8000"),
            ("high", "0x80"),
        ] {
            let outcome = host.probe("priority", &json!({ "priority": priority }));
            outcome.assert_ran(0);
            assert_eq!(outcome.text("stdout").trim_end(), class, "{priority}");
        }
    });
}

#[test]
fn an_asynchronous_process_lives_on() {
    on_host(|host| {
        const FILE: &str = r"C:\Windows\Temp\native-windows-touched.txt";

        let outcome = host.probe(&format!("touch {FILE} 2000"), &json!({ "asynchronous": true }));
        assert_eq!(outcome.exit_code, Some(0), "{:?}", outcome.result);
        let pid = outcome.number("pid");
        assert!(pid > 0);
        for absent in ["rc", "stdout", "stderr"] {
            assert!(!outcome.has(absent), "{absent} in {:?}", outcome.result);
        }
        if let Some(lab) = host.lab() {
            let processes = lab.snapshot().expect("a snapshot").processes;
            assert!(processes.contains(&format!("{pid} probe.exe")), "{processes:?}");
        }
        std::thread::sleep(Duration::from_secs(3));
        let written = host.run(&json!({ "executable": "cmd.exe", "arguments": format!("/c type {FILE}") }));
        host.run(&json!({ "executable": "cmd.exe", "arguments": format!("/c del {FILE}") })).assert_ran(0);
        assert_eq!(written.text("stdout"), "touched");
    });
}

/// Programs such as `timeout` and `choice` read their console, and fail where there is none.
#[test]
fn an_asynchronous_process_has_a_console() {
    on_host(|host| {
        const FILE: &str = r"C:\Windows\Temp\native-windows-console.txt";

        let outcome = host.probe(&format!("console {FILE}"), &json!({ "asynchronous": true }));
        assert!(outcome.number("pid") > 0);
        std::thread::sleep(Duration::from_secs(2));
        let written = host.run(&json!({ "executable": "cmd.exe", "arguments": format!("/c type {FILE}") }));
        host.run(&json!({ "executable": "cmd.exe", "arguments": format!("/c del {FILE}") })).assert_ran(0);
        assert_eq!(written.text("stdout"), "stdin stdout stderr CONIN$ CONOUT$");
    });
}

#[test]
fn an_interactive_process_answers_with_its_exit_code_alone() {
    on_host(|host| {
        // Where nobody is logged on, only the local system has a right to the desktop.
        let options = json!({ "interactive": true, "process_username": "System" });
        let outcome = host.probe("exit 3", &options);
        outcome.assert_ran(3);
        for absent in ["stdout", "stderr", "pid"] {
            assert!(!outcome.has(absent), "{absent} in {:?}", outcome.result);
        }
    });
}

#[test]
fn a_time_out_ends_the_whole_tree() {
    on_host(|host| {
        let outcome = host.probe("tree 60000", &json!({ "process_timeout": 2 }));
        outcome.assert_ran(4_294_967_286);
        assert!(outcome.elapsed > Duration::from_secs(2), "{:?}", outcome.elapsed);
        assert!(outcome.elapsed < Duration::from_secs(10), "{:?}", outcome.elapsed);
        assert_eq!(outcome.text("stdout").lines().count(), 2, "two ids were printed before");
    });
}

#[test]
fn a_process_that_ends_in_time_keeps_its_exit_code() {
    on_host(|host| {
        host.probe("exit 5", &json!({ "process_timeout": 60 })).assert_ran(5);
    });
}

#[test]
fn a_child_that_keeps_the_output_open_does_not_hold_the_task_up_for_ever() {
    on_host(|host| {
        let outcome = host.probe("grandchild 3000", &json!({}));
        outcome.assert_ran(0);
        assert!(outcome.elapsed < Duration::from_secs(15), "{:?}", outcome.elapsed);
        assert!(outcome.text("stdout").lines().next().is_some_and(|pid| pid.parse::<u32>().is_ok()));
    });
}

#[test]
fn an_executable_that_is_missing_is_named() {
    on_host(|host| {
        let outcome = host.run(&json!({ "executable": "no-such-program.exe" }));
        let message = outcome.assert_failed();
        let beginning = "Received error when running remote process: Received exception from remote PAExec \
                         service: Failed to start \"no-such-program.exe\".";
        assert!(message.starts_with(beginning), "{message}");
        assert!(message.contains("[Err=0x2, 2]"), "{message}");
        assert_eq!(outcome.result.get("changed"), Some(&json!(true)));
    });
}
