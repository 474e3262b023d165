//! The service's images: for 64-bit and 32-bit Windows, from Windows 7 on.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use end_to_end::folders;
use end_to_end::host::Host;
use end_to_end::lab::{LabOptions, Refusal};
use end_to_end::report::not_run;
use object::read::pe::PeFile;
use object::{Object, pe};
use serde_json::json;
use windows_build::{Architecture, is_for_windows_7};

/// What the images import, each of it there since Windows 7 or longer by its documentation. Before a line is added here, its
/// documentation is looked up; what came later is asked for at run time, as `host.rs` of the service does.
const IN_WINDOWS_7: &str = include_str!("windows_7.txt");

#[test]
fn the_images_import_what_windows_7_has() {
    if !Architecture::ALL.into_iter().all(is_for_windows_7) {
        return not_run("the toolchain's own standard library is for Windows 10");
    }
    let known: BTreeSet<&str> = IN_WINDOWS_7.lines().filter(|line| !line.starts_with('#')).collect();
    let both = [("psexec-service.exe", imports64 as fn(&[u8]) -> _), ("psexec-service-x86.exe", imports32)];
    for (name, imports) in both {
        let imported: BTreeSet<String> = imports(&fs::read(image(name)).expect("`cargo xtask build`"));
        assert!(imported.len() > 50, "{name}: {imported:?}");
        let unknown: Vec<_> = imported.iter().filter(|import| !known.contains(import.as_str())).collect();
        assert!(unknown.is_empty(), "{name} imports what may not be in Windows 7: {unknown:#?}");
    }
}

/// As 32-bit Windows does, and Windows 10 on ARM.
#[test]
fn a_host_that_refuses_64_bit_programs_gets_the_32_bit_service() {
    const R_START_SERVICE_W: u16 = 19;
    const ERROR_BAD_EXE_FORMAT: u32 = 193;
    const ERROR_EXE_MACHINE_TYPE_MISMATCH: u32 = 216;

    let length = fs::metadata(image("psexec-service-x86.exe")).expect("`cargo xtask build`").len();
    for code in [ERROR_BAD_EXE_FORMAT, ERROR_EXE_MACHINE_TYPE_MISMATCH] {
        let refusals = vec![Refusal { opnum: R_START_SERVICE_W, code, count: 1 }];
        let host = Host::of_lab(&LabOptions { refusals, ..LabOptions::default() });
        let before = host.snapshot().expect("a snapshot");
        // Copies its input, says on standard error how much, exits with 7.
        let outcome = host.probe("cat", &json!({ "stdin": "a line\r\n", "_ansible_verbosity": 3 }));
        outcome.assert_ran(7);
        assert_eq!(outcome.text("stdout"), "a line\r\n");
        assert!(outcome.text("stderr").contains('8'), "{}", outcome.text("stderr"));
        assert!(!outcome.has("warnings"), "{:?}", outcome.result);
        let trace = outcome.result["trace"].to_string();
        assert!(trace.contains("once more with the 32-bit service"), "{trace}");
        assert!(trace.contains(&format!("{length} bytes")), "{trace}");
        host.assert_clean(&before).expect("a clean host");
    }
}

fn image(name: &str) -> PathBuf {
    folders::repository().join("target/service").join(name)
}

fn imports64(image: &[u8]) -> BTreeSet<String> {
    imports::<pe::ImageNtHeaders64>(image)
}

fn imports32(image: &[u8]) -> BTreeSet<String> {
    imports::<pe::ImageNtHeaders32>(image)
}

/// Each as `library function`.
fn imports<Headers: object::read::pe::ImageNtHeaders>(image: &[u8]) -> BTreeSet<String> {
    let file = PeFile::<Headers>::parse(image).expect("a program for Windows");
    let imports = file.imports().expect("imports");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    imports.iter().map(|i| format!("{} {}", text(i.library()).to_lowercase(), text(i.name()))).collect()
}
