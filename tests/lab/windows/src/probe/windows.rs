use std::env;
use std::fs;
use std::io::{self, BufRead, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::CloseHandle;
use windows_sys::Win32::System::Console::{
    GetConsoleMode, GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE,
};
use windows_sys::Win32::System::Environment::GetCommandLineW;
use windows_sys::Win32::System::RemoteDesktop::ProcessIdToSessionId;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentProcessId, GetPriorityClass, GetProcessAffinityMask,
};
use windows_sys::Win32::System::WindowsProgramming::GetUserNameW;

pub(crate) type Outcome = Result<i32, Box<dyn std::error::Error>>;

pub(crate) fn main() -> ExitCode {
    let arguments: Vec<String> = env::args_os().skip(1).map(|text| text.to_string_lossy().into()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(code) => std::process::exit(code),
        Err(error) => {
            eprintln!("probe: {error}");
            ExitCode::from(99)
        }
    }
}

fn run(arguments: &[&str]) -> Outcome {
    match *arguments {
        ["affinity"] => print(&format!("{:#x}", affinity()?)),
        // Its arguments are anything.
        ["args", ..] => print(&command_line()),
        ["bytes", hex] => write(&unhex(hex)?),
        ["cat"] => cat(),
        ["close-stdin", ms] => close_stdin(milliseconds(ms)?),
        ["console", file] => console(file),
        ["copy"] => copy(),
        ["cwd"] => print(&env::current_dir()?.to_string_lossy()),
        ["emit", to, count] => emit(to, count.parse()?),
        ["env", name] => env::var(name).map_or(Ok(1), |value| print(&value)),
        ["exit", code] => Ok(code.parse()?),
        ["grandchild", ms] => print(&spawn(&["sleep", ms])?.id().to_string()),
        ["lines"] => lines(),
        ["pipe", name, ref steps @ ..] => pipe(name, steps),
        ["priority"] => print(&format!("{:#x}", priority_class())),
        ["session"] => print(&session().to_string()),
        ["siblings"] => print(&siblings()?.join(" ")),
        ["sleep", ms] => sleep(milliseconds(ms)?),
        ["squat", log] => crate::squat::squat(Path::new(log)),
        ["touch", file, ms] => touch(file, milliseconds(ms)?),
        ["tree", ms] => tree(&["branch", ms]),
        ["branch", ms] => tree(&["sleep", ms]),
        ["whoami"] => print(&user_name()?),
        _ => Err(format!("no such command: {arguments:?}").into()),
    }
}

fn emit(to: &str, count: usize) -> Outcome {
    const PIECE: usize = 8192;

    let (to_stdout, to_stderr) = match to {
        "stdout" => (true, false),
        "stderr" => (false, true),
        "both" => (true, true),
        other => return Err(format!("no such stream: {other}").into()),
    };
    for piece in lab_windows::pattern(count).chunks(PIECE) {
        if to_stdout {
            io::stdout().write_all(piece)?;
        }
        if to_stderr {
            io::stderr().write_all(piece)?;
        }
    }
    io::stdout().flush()?;
    Ok(0)
}

fn cat() -> Outcome {
    let mut data = Vec::new();
    io::stdin().read_to_end(&mut data)?;
    write(&data)?;
    eprintln!("read {}", data.len());
    Ok(7)
}

fn console(file: &str) -> Outcome {
    let streams = [("stdin", STD_INPUT_HANDLE), ("stdout", STD_OUTPUT_HANDLE), ("stderr", STD_ERROR_HANDLE)];
    let consoles = streams.into_iter().filter(|(_, stream)| {
        let mut mode = 0;
        // SAFETY: the handle is this process's own, whatever it is; `mode` outlives the call.
        unsafe { GetConsoleMode(GetStdHandle(*stream), &mut mode) != 0 }
    });
    let mut found: Vec<&str> = consoles.map(|(name, _)| name).collect();
    for name in ["CONIN$", "CONOUT$"] {
        if fs::File::options().read(true).write(true).open(name).is_ok() {
            found.push(name);
        }
    }
    fs::write(file, found.join(" "))?;
    Ok(0)
}

fn copy() -> Outcome {
    io::copy(&mut io::stdin().lock(), &mut io::stdout().lock())?;
    io::stdout().flush()?;
    Ok(0)
}

fn lines() -> Outcome {
    let mut count = 0;
    for line in io::stdin().lock().split(b'\n') {
        let line = line?;
        count += 1;
        write(format!("{count}: {}\n", String::from_utf8_lossy(&line)).as_bytes())?;
    }
    print(&format!("{count} lines"))
}

fn close_stdin(pause: Duration) -> Outcome {
    // SAFETY: nothing of this program reads standard input after this.
    unsafe { CloseHandle(GetStdHandle(STD_INPUT_HANDLE)) };
    thread::sleep(pause);
    print("done")
}

fn pipe(name: &str, steps: &[&str]) -> Outcome {
    let mut pipe = open_pipe(name)?;
    for step in steps {
        match step.split_once(':').unwrap_or((step, "")) {
            ("send", hex) => pipe.write_all(&unhex(hex)?)?,
            ("zeros", count) => pipe.write_all(&vec![0; count.parse()?])?,
            ("wait", ms) => thread::sleep(milliseconds(ms)?),
            ("read", "") => {
                let mut message = vec![0; 65536];
                let length = pipe.read(&mut message)?;
                let hex: String = message[..length].iter().map(|byte| format!("{byte:02x}")).collect();
                print(&hex)?;
            }
            _ => return Err(format!("no such step: {step}").into()),
        }
    }
    Ok(0)
}

/// Waits until there is such a pipe with room for a client.
fn open_pipe(name: &str) -> io::Result<fs::File> {
    const PATIENCE: Duration = Duration::from_secs(90);

    let started = Instant::now();
    loop {
        match fs::File::options().read(true).write(true).open(format!(r"\\.\pipe\{name}")) {
            Err(_) if started.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(10)),
            opened => return opened,
        }
    }
}

fn sleep(pause: Duration) -> Outcome {
    thread::sleep(pause);
    print("slept")
}

fn touch(file: &str, pause: Duration) -> Outcome {
    thread::sleep(pause);
    fs::write(file, "touched")?;
    Ok(0)
}

fn tree(child: &[&str]) -> Outcome {
    let mut child = spawn(child)?;
    print(&child.id().to_string())?;
    child.wait()?;
    Ok(0)
}

/// This program again, with this program's own standard handles.
fn spawn(arguments: &[&str]) -> io::Result<Child> {
    Command::new(env::current_exe()?).args(arguments).spawn()
}

fn command_line() -> String {
    let mut units = Vec::new();
    // SAFETY: the command line ends in a null, which is not passed, and lives as long as the process.
    unsafe {
        let mut next = GetCommandLineW();
        while *next != 0 {
            units.push(*next);
            next = next.add(1);
        }
    }
    String::from_utf16_lossy(&units)
}

fn priority_class() -> u32 {
    // SAFETY: the process's own pseudo handle needs no closing.
    unsafe { GetPriorityClass(GetCurrentProcess()) }
}

fn affinity() -> io::Result<usize> {
    let (mut of_process, mut of_system) = (0, 0);
    // SAFETY: the process's own pseudo handle needs no closing; both masks outlive the call.
    if unsafe { GetProcessAffinityMask(GetCurrentProcess(), &mut of_process, &mut of_system) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(of_process)
}

fn session() -> u32 {
    let mut session = u32::MAX;
    // SAFETY: `session` outlives the call.
    unsafe { ProcessIdToSessionId(GetCurrentProcessId(), &mut session) };
    session
}

fn siblings() -> io::Result<Vec<String>> {
    let program = env::current_exe()?;
    let program = program.file_name().unwrap_or_default().to_string_lossy();
    let others = lab_windows::processes::running().into_iter();
    let others = others.filter(|(id, name)| *id != std::process::id() && name.eq_ignore_ascii_case(&program));
    Ok(others.map(|(id, _)| id.to_string()).collect())
}

fn user_name() -> io::Result<String> {
    let mut name = [0_u16; 257];
    let mut length = name.len() as u32;
    // SAFETY: `name` has `length` units; both outlive the call.
    if unsafe { GetUserNameW(name.as_mut_ptr(), &mut length) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let end = name.iter().position(|&unit| unit == 0).unwrap_or(name.len());
    Ok(String::from_utf16_lossy(&name[..end]))
}

fn print(text: &str) -> Outcome {
    write(format!("{text}\n").as_bytes())
}

fn write(data: &[u8]) -> Outcome {
    let mut stdout = io::stdout();
    stdout.write_all(data)?;
    stdout.flush()?;
    Ok(0)
}

fn unhex(text: &str) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).ok_or("not a hexadecimal digit");
    text.as_bytes()
        .chunks(2)
        .map(|pair| Ok(pair.iter().map(digit).try_fold(0, |sum, d| d.map(|d| sum * 16 + d))? as u8))
        .collect()
}

fn milliseconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_millis)
}
