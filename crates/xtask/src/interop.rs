//! `test --interop`: programs of other projects on the other side, each got from PyPI or Debian.

use std::env;
use std::fs;
use std::process::Command;

use anyhow::Result;
use end_to_end::ansible::Version;
use end_to_end::interop;
use end_to_end::lab::Form;

use crate::report::{Report, skip};
use crate::{ansible, build, collection, lab, packages, python, step};

const FROM_PYPI: [&str; 3] = ["pypsexec==0.3.0", "impacket==0.13.1", "pytest>=8"];

/// It brings the collections, a few of its fifty megabytes.
const COLLECTIONS_FROM: &str = "ansible==12.3.0";

/// Upstream's collection, and Ansible's own modules for Windows.
const COLLECTIONS: [&str; 2] = ["community/windows", "ansible/windows"];

/// Tests of processes that PAExec.exe cannot pass.
const NOT_WITH_PAEXEC: [(&str, &str); 5] = [
    ("a_time_out_ends_the_whole_tree", "it ends the process itself, whose children live on"),
    (
        "a_module_that_is_terminated_answers_and_ends_the_process",
        "stopped, it leaves the process's children alive",
    ),
    ("a_command_line_may_be_as_long_as_windows_takes_it", "it ends when it is sent settings as long as that"),
    ("output_that_is_not_utf_8_is_read_in_the_hosts_code_page", "it does not tell the host's code pages"),
    ("twenty_runs_at_once_keep_apart", "of many at once, one in hundreds never answers in Wine"),
];

/// Tests of accounts in which PAExec.exe, with the stand-ins in Wine, now and then ends without an answer to START_APP, when the
/// process is to be the connecting user's.
const NOT_RELIABLY_WITH_PAEXEC: [&str; 2] = [
    "a_process_runs_as_the_user_that_is_named_by_stand_in",
    "an_interactive_process_is_the_connecting_users_by_stand_in",
];

/// The interoperability alone.
pub(crate) fn run() -> Result<()> {
    let mut report = Report::default();
    check(&mut report)?;
    report.conclude()
}

/// Adds the interoperability to the report.
pub(crate) fn check(report: &mut Report) -> Result<()> {
    packages::for_interop()?;
    install_environment()?;
    install_collections()?;
    collection::install_for_tests()?;
    lab::prepare(Form::Interop)?;

    others_beside_ours(report)?;
    paexec_for_our_service(report)
}

fn others_beside_ours(report: &mut Report) -> Result<()> {
    let mut tests = build::cargo();
    tests.args(["test", "--package", "end-to-end", "--test", "interop", "--no-fail-fast"]);
    if env::var_os("PSEXEC_TEST_PYPSEXEC").is_some() {
        tests.args(["--", "--include-ignored"]);
    } else {
        report.left_out("pypsexec's own tests", "PSEXEC_TEST_PYPSEXEC names no checkout of it");
    }
    report.tests("interoperability, accounts by stand-ins", &mut tests)?;
    Ok(())
}

fn paexec_for_our_service(report: &mut Report) -> Result<()> {
    let service = interop::paexec()?;
    let mut accounts = build::cargo();
    accounts.args(["test", "--package", "end-to-end", "--test", "interop", "--", "by_stand_in"]);
    accounts.env("PSEXEC_SERVICE_EXE", &service);
    for test in NOT_RELIABLY_WITH_PAEXEC {
        accounts.args(["--skip", test]);
        let reason = "as the connecting user it ends now and then without an answer, by stand-in";
        report.left_out(&format!("PAExec.exe for our service, {test}"), reason);
    }
    report.tests("PAExec.exe for our service, accounts by stand-ins", &mut accounts)?;

    // Not the playbooks: of PAExec.exe, stopped right after its process, one in hundreds does not end and stays behind.
    const FILES: [&str; 9] =
        ["test", "--package", "end-to-end", "--no-fail-fast", "--test", "process", "--test", "many", "--"];
    let mut processes = build::cargo();
    processes.args(FILES);
    processes.env("PSEXEC_TEST_INTEROP", "1").env("PSEXEC_SERVICE_EXE", &service);
    let list = build::cargo().args(FILES).arg("--list").output()?;
    skip(&mut processes, &String::from_utf8_lossy(&list.stdout), &NOT_WITH_PAEXEC.map(|(test, _)| test))?;
    for (test, reason) in NOT_WITH_PAEXEC {
        report.left_out(&format!("PAExec.exe for our service, {test}"), reason);
    }
    report.tests("PAExec.exe for our service, processes", &mut processes)?;
    Ok(())
}

/// Installs pypsexec and others in a virtual environment.
pub(crate) fn install_environment() -> Result<()> {
    python::environment(&interop::environment(), &FROM_PYPI)?;
    Ok(())
}

/// Gets the collections of others, with the tools of the newest Ansible's environment.
pub(crate) fn install_collections() -> Result<()> {
    const TAKE_COLLECTIONS: &str = "import pathlib, sys, zipfile\n\
        folder, *paths = sys.argv[1:]\n\
        [wheel] = pathlib.Path(folder).glob('*.whl')\n\
        with zipfile.ZipFile(wheel) as content:\n    \
            for name in content.namelist():\n        \
                if name.startswith(tuple(f'ansible_collections/{path}/' for path in paths)):\n            \
                    content.extract(name, folder)\n\
        wheel.unlink()";

    let collections = interop::collections();
    let ready = collections.join("ready");
    let wanted = format!("{COLLECTIONS_FROM}: {}", COLLECTIONS.join(" "));
    if fs::read_to_string(&ready).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    if collections.exists() {
        fs::remove_dir_all(&collections)?;
    }
    let programs = ansible::programs(Version::Usual)?;
    let mut pip = Command::new(programs.join("pip"));
    pip.args(["download", "--disable-pip-version-check", "--no-deps", COLLECTIONS_FROM, "--dest"]);
    step::run(&format!("get {COLLECTIONS_FROM}"), pip.arg(&collections))?;
    let mut python = Command::new(programs.join("python"));
    python.args(["-c", TAKE_COLLECTIONS]).arg(&collections).args(COLLECTIONS);
    step::run(&format!("unpack {}", COLLECTIONS.join(" and ")), &mut python)?;
    fs::write(ready, wanted)?;
    Ok(())
}
