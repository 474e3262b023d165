//! The oldest compiler that Cargo.toml promises is one that everything compiles with, as far as the dependencies say. What
//! the standard library lacked then, clippy knows (`incompatible_msrv`).

use serde_json::Value;

use crate::build;

#[test]
fn no_dependency_needs_a_newer_compiler() {
    // Fetches what other platforms need and this one has not built.
    let output =
        build::cargo().args(["metadata", "--locked", "--format-version", "1"]).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let promised = version(env!("CARGO_PKG_RUST_VERSION")).expect("a version");
    let packages = metadata["packages"].as_array().expect("packages");
    let newer: Vec<_> = packages
        .iter()
        .filter(|package| package["rust_version"].as_str().and_then(version) > Some(promised.clone()))
        .map(|package| {
            format!("{} {} needs {}", package["name"], package["version"], package["rust_version"])
        })
        .collect();
    assert!(packages.len() > 100 && newer.is_empty(), "Cargo.toml promises {promised:?}, but {newer:#?}");
}

/// `[1, 89]` of `1.89.0`: compilers do not differ in what comes behind.
fn version(text: &str) -> Option<Vec<u32>> {
    let numbers: Option<Vec<u32>> = text.split('.').map(|number| number.parse().ok()).collect();
    numbers.map(|mut numbers| {
        numbers.truncate(2);
        numbers
    })
}
