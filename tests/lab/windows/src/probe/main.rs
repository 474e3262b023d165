//! The program that tests run on the Windows host: `probe COMMAND [ARGUMENT…]`.
//!
//! | command | what it does |
//! |---|---|
//! | `affinity` | prints the mask of the processors it may use, in hexadecimal |
//! | `args` | prints its command line, in UTF-8 |
//! | `bytes HEX` | writes these bytes |
//! | `cat` | copies standard input to standard output, says on standard error how much, exits with 7 |
//! | `close-stdin MS` | closes standard input, sleeps, prints `done` |
//! | `console FILE` | writes to the file which of its standard streams are a console's, and whether it can open one |
//! | `copy` | copies standard input to standard output as it comes |
//! | `cwd` | prints the working directory |
//! | `emit stdout\|stderr\|both N` | writes N bytes of the pattern to each |
//! | `env NAME` | prints the variable, exits with 1 if there is none |
//! | `exit N` | exits with N |
//! | `grandchild MS` | leaves a child behind that holds standard output so long; prints the child's id |
//! | `lines` | answers every line of standard input at once |
//! | `pipe NAME STEP…` | connects to a named pipe; `send:HEX` and `zeros:N` write a message, `read` prints one, `wait:MS` waits |
//! | `priority` | prints the priority class, in hexadecimal |
//! | `session` | prints the session's number |
//! | `siblings` | prints the ids of the other processes of this program |
//! | `sleep MS` | sleeps, prints `slept` |
//! | `squat LOG` | makes the pipe of every executable that appears in `C:\windows`, until there is a file LOG with the suffix `.stop`; writes to LOG what it has made, and what it is sent |
//! | `touch FILE MS` | writes the file after so long |
//! | `tree MS` | runs with a child and a grandchild, which all sleep so long |
//! | `whoami` | prints the user's name |

#[cfg(windows)]
mod squat;
#[cfg(windows)]
mod windows;

#[cfg(windows)]
fn main() -> std::process::ExitCode {
    windows::main()
}

#[cfg(not(windows))]
fn main() {
    eprintln!("this is a program for Windows");
}
