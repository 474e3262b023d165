//! PowerShell on the host: what the module hands to it arrives, and what it says comes back. So do Ansible's own modules
//! for Windows, which are scripts for it.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use end_to_end::ansible::{Version, with_oldest_and_usual_version};
use end_to_end::host::{Host, on_powershell_lab};
use end_to_end::lab::{Lab, System};
use end_to_end::module::Outcome;
use end_to_end::payload::Payload;
use end_to_end::report::not_run;
use serde_json::{Value, json};

/// Arguments with which PowerShell takes its standard input for one script: it stops where the script fails, and its
/// exit code says so.
const WHOLE: &str = "-NoProfile -NonInteractive -Command \"& ([scriptblock]::Create((New-Object IO.StreamReader(\
                     [Console]::OpenStandardInput(), [Text.Encoding]::UTF8)).ReadToEnd()))\"";

/// Arguments with which PowerShell takes its standard input for what somebody types.
const TYPED: &str = "-NoProfile -NonInteractive -Command -";

const BEYOND_ASCII: &str = "Grüße, 日本語, Ω, \u{1f980}";

#[test]
fn exit_codes_arrive() {
    on_powershell_lab(|host, _| {
        for (command, rc) in
            [("exit 0", 0), ("exit 3", 3), ("exit 7", 7), ("throw 'no'", 1), ("Get-Item nowhere", 1)]
        {
            run(host, command, &json!({})).assert_ran(rc);
        }
    });
}

#[test]
fn a_script_that_is_missing_is_said_to_be() {
    on_powershell_lab(|host, _| {
        let outcome = powershell(host, r"-NoProfile -NonInteractive -File C:\no\such.ps1", &json!({}));
        // So says PowerShell 7; Windows PowerShell 5.1 has another number.
        outcome.assert_ran(64);
        assert!(outcome.text("stderr").contains(r"C:\no\such.ps1"), "{:#?}", outcome.result);
    });
}

#[test]
fn stdout_and_stderr_stay_apart() {
    on_powershell_lab(|host, _| {
        let command = "Write-Output out; [Console]::Error.WriteLine('direct'); Write-Error wrong";
        let outcome = run(host, command, &json!({}));
        outcome.assert_ran(1);
        assert_eq!(outcome.text("stdout"), "out\r\n");
        let stderr = outcome.text("stderr");
        assert!(stderr.starts_with("direct\r\n") && stderr.contains("wrong"), "{stderr:?}");
    });
}

#[test]
fn standard_input_is_read_to_its_end() {
    on_powershell_lab(|host, _| {
        let lines: String = (0..3_000).map(|number| format!("{number:0>100}\n")).collect();
        let stdin = json!({ "stdin": lines });
        let outcome = run(host, "[Console]::Out.Write([Console]::In.ReadToEnd())", &stdin);
        outcome.assert_ran(0);
        assert!(outcome.text("stdout") == lines, "{} bytes came back", outcome.text("stdout").len());

        let outcome = run(host, "$all = @($input); $all.Count; $all[-1]", &stdin);
        outcome.assert_ran(0);
        assert_eq!(outcome.text("stdout"), format!("3000\r\n{:0>100}\r\n", 2999));
        // And with nothing in it there is an end, too.
        let outcome = run(host, "@($input).Count", &json!({}));
        outcome.assert_ran(0);
        assert_eq!(outcome.text("stdout"), "0\r\n");
    });
}

#[test]
fn a_script_on_stdin_that_is_taken_for_typing_hides_its_failure() {
    on_powershell_lab(|host, _| {
        let script = "$ErrorActionPreference = 'Stop'\nthrow 'wrong'\nWrite-Output behind\n";
        let outcome = powershell(host, TYPED, &json!({ "stdin": script }));
        outcome.assert_ran(0);
        assert_eq!(outcome.text("stdout"), "behind\r\n");
        assert!(outcome.text("stderr").contains("wrong"), "{:#?}", outcome.result);
    });
}

#[test]
fn a_script_on_stdin_that_is_taken_for_typing_is_lost_from_its_first_block_on() {
    on_powershell_lab(|host, _| {
        let script =
            "Write-Output before\nif ($true) {\n  Write-Output within\n}\nWrite-Output behind\nexit 3\n";
        let outcome = powershell(host, TYPED, &json!({ "stdin": script }));
        outcome.assert_ran(0);
        assert_eq!((outcome.text("stdout"), outcome.text("stderr")), ("before\r\n", ""));
    });
}

#[test]
fn a_script_on_stdin_that_is_taken_as_a_whole_fails_where_it_fails() {
    on_powershell_lab(|host, _| {
        let script = "Write-Output before\nthrow 'wrong'\nWrite-Output behind\nexit 0\n";
        let outcome = powershell(host, WHOLE, &json!({ "stdin": script }));
        outcome.assert_ran(1);
        assert_eq!(outcome.text("stdout"), "before\r\n");
        assert!(outcome.text("stderr").contains("wrong"), "{:#?}", outcome.result);
    });
}

#[test]
fn a_script_on_stdin_that_is_taken_as_a_whole_has_its_blocks_its_text_and_its_exit_code() {
    on_powershell_lab(|host, _| {
        let script = format!(
            "[Console]::OutputEncoding = [Text.Encoding]::UTF8\nif ($true) {{\n  Write-Output '{BEYOND_ASCII}'\n}}\n\
             Write-Output behind\nexit 3\n"
        );
        let outcome = powershell(host, WHOLE, &json!({ "stdin": script }));
        outcome.assert_ran(3);
        assert_eq!(outcome.text("stdout"), format!("{BEYOND_ASCII}\r\nbehind\r\n"));
    });
}

#[test]
fn text_beyond_ascii_arrives_and_comes_back() {
    on_powershell_lab(|host, _| {
        let utf_8 = "[Console]::OutputEncoding = [Console]::InputEncoding = [Text.Encoding]::UTF8";
        let outcome = run(host, &format!("{utf_8}; Write-Output '{BEYOND_ASCII}'"), &json!({}));
        outcome.assert_ran(0);
        assert_eq!(outcome.text("stdout"), format!("{BEYOND_ASCII}\r\n"));

        let stdin = json!({ "stdin": BEYOND_ASCII });
        let outcome = run(host, &format!("{utf_8}; [Console]::In.ReadToEnd()"), &stdin);
        outcome.assert_ran(0);
        assert_eq!(outcome.text("stdout"), format!("{BEYOND_ASCII}\r\n"));
    });
}

#[test]
fn without_being_told_it_writes_and_reads_in_the_hosts_code_page() {
    on_powershell_lab(|host, _| {
        let command = format!("'{BEYOND_ASCII}'; [Console]::In.ReadToEnd().Length");
        let outcome = run(host, &command, &json!({ "stdin": "ü" }));
        outcome.assert_ran(0);
        // What code page 437 has is right; the two bytes of the input are two characters to it.
        assert_eq!(outcome.text("stdout"), "Grüße, ???, Ω, ??\r\n2\r\n");
    });
}

#[test]
fn a_time_out_ends_it_and_what_it_has_started() {
    on_powershell_lab(|host, lab| {
        const TREE: [(&str, usize); 2] = [("powershell.exe", 1), ("probe.exe", 3)];
        const TIME_OUT: Duration = Duration::from_secs(12);

        let before = lab.snapshot().expect("a snapshot");
        thread::scope(|scope| {
            let running = scope.spawn(|| {
                let options = json!({ "process_timeout": TIME_OUT.as_secs() });
                run(host, r"& C:\lab\probe.exe tree 60000", &options)
            });
            let started = Instant::now();
            while !TREE.iter().all(|(program, count)| processes(lab, program) == *count) {
                assert!(started.elapsed() < TIME_OUT, "{:?}", lab.snapshot());
                thread::sleep(Duration::from_millis(100));
            }
            let outcome = running.join().expect("the run");
            outcome.assert_ran(4_294_967_286);
            assert_eq!(outcome.text("stdout").lines().count(), 2, "the ids of the probe's children");
        });
        host.assert_clean(&before).expect("nothing of it is left");
    });
}

#[test]
fn ten_at_once_keep_apart() {
    on_powershell_lab(|host, _| {
        thread::scope(|scope| {
            for number in 0..10 {
                scope.spawn(move || {
                    let command =
                        format!("Write-Output ('read ' + [Console]::In.ReadToEnd()); exit {number}");
                    let outcome = run(host, &command, &json!({ "stdin": format!("input {number}") }));
                    outcome.assert_ran(number);
                    assert_eq!(outcome.text("stdout"), format!("read input {number}\r\n"));
                });
            }
        });
    });
}

#[test]
fn ansibles_win_ping_answers() {
    on_powershell_lab(|host, _| {
        with_oldest_and_usual_version(|version| {
            let answer = task(host, version, "win_ping", "data='Grüße'");
            assert_eq!(answer["ping"], "Grüße", "{answer:#}");
        });
    });
}

#[test]
fn ansibles_win_command_runs_a_program() {
    on_powershell_lab(|host, _| {
        with_oldest_and_usual_version(|version| {
            let answer = task(host, version, "win_command", "cmd.exe /c echo hi");
            assert_eq!((&answer["rc"], &answer["stdout"]), (&json!(0), &json!("hi\r\n")), "{answer:#}");
        });
    });
}

#[test]
fn ansibles_win_shell_runs_a_script() {
    on_powershell_lab(|host, _| {
        with_oldest_and_usual_version(|version| {
            let answer = task(host, version, "win_shell", "Write-Output hello; exit 3");
            assert_eq!((&answer["rc"], &answer["stdout"]), (&json!(3), &json!("hello\r\n")), "{answer:#}");
            assert_eq!(answer["failed"], true, "{answer:#}");
        });
    });
}

#[test]
fn ansibles_win_file_makes_a_folder() {
    on_powershell_lab(|host, lab| {
        with_oldest_and_usual_version(|version| {
            let name = format!("made by {}", version.number());
            let answer = task(host, version, "win_file", &format!(r"path='C:\lab\{name}' state=directory"));
            assert_eq!(answer["changed"], true, "{answer:#}");
            fs::remove_dir(lab.drive_c().join("lab").join(name)).expect("an empty folder");
        });
    });
}

#[test]
fn ansibles_win_stat_sees_a_file() {
    on_powershell_lab(|host, lab| {
        fs::write(lab.drive_c().join("lab/hello.txt"), "hello").expect("a file");
        with_oldest_and_usual_version(|version| {
            let answer = task(host, version, "win_stat", r"path=C:\lab\hello.txt");
            let stat = &answer["stat"];
            assert_eq!((&stat["exists"], &stat["size"]), (&json!(true), &json!(5)), "{answer:#}");
            assert_eq!(stat["checksum"], "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", "{answer:#}");
        });
    });
}

#[test]
fn ansibles_setup_gathers_facts() {
    on_powershell_lab(|host, _| {
        if System::chosen() == System::Debian12 {
            return not_run("on Wine 8 the module prints its facts, but does not end");
        }
        with_oldest_and_usual_version(|version| {
            let answer = task(host, version, "setup", "");
            let facts = &answer["ansible_facts"];
            assert_eq!(facts["ansible_system"], "Win32NT", "{answer:#}");
            assert_eq!(facts["ansible_os_family"], "Windows", "{answer:#}");
            assert_eq!(facts["ansible_powershell_version"], 7, "{answer:#}");
        });
    });
}

/// Runs what Ansible makes of a task with one of its modules for Windows, and returns the module's answer.
#[track_caller]
fn task(host: &Host, version: Version, module: &str, arguments: &str) -> Value {
    let payload = Payload::of(version, module, arguments).expect("Ansible says what it runs");
    let outcome = host.run(&json!({
        "executable": payload.executable,
        "arguments": payload.arguments,
        "stdin": payload.stdin,
    }));
    let said = (outcome.text("stdout"), outcome.text("stderr"));
    assert_eq!((outcome.number("rc"), said.1), (0, ""), "{said:?}");
    serde_json::from_str(said.0).unwrap_or_else(|error| panic!("no JSON: {error}: {said:?}"))
}

/// Runs a command of PowerShell's language that has no double quotes in it.
#[track_caller]
fn run(host: &Host, command: &str, options: &Value) -> Outcome {
    powershell(host, &format!("-NoProfile -NonInteractive -Command \"{command}\""), options)
}

#[track_caller]
fn powershell(host: &Host, arguments: &str, options: &Value) -> Outcome {
    let mut all = json!({ "executable": "powershell.exe", "arguments": arguments });
    for (name, value) in options.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    host.run(&all)
}

/// How many processes of this program there are on the host.
fn processes(lab: &Lab, program: &str) -> usize {
    let snapshot = lab.snapshot().expect("a snapshot");
    snapshot.processes.iter().filter(|process| process.ends_with(&format!(" {program}"))).count()
}
