//! Gives the Windows executable its version information, so that whoever finds the file or the process sees what it
//! is.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS")? != "windows" {
        return Ok(());
    }
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let source = out_dir.join("version.rc");
    let object = out_dir.join("version.o");
    fs::write(&source, version_information(&env::var("CARGO_PKG_VERSION")?))?;
    // Of binutils, to which the linker belongs.
    let resource_compiler = match env::var("CARGO_CFG_TARGET_ARCH")?.as_str() {
        "x86" => "i686-w64-mingw32-windres",
        _ => "x86_64-w64-mingw32-windres",
    };
    let status = Command::new(resource_compiler)
        .arg("--input")
        .arg(&source)
        .arg("--output")
        .arg(&object)
        .status()
        .map_err(|error| format!("cannot run {resource_compiler}: {error}"))?;
    if !status.success() {
        return Err(format!("{resource_compiler} failed: {status}").into());
    }
    println!("cargo:rustc-link-arg-bins={}", object.display());
    Ok(())
}

/// A [VERSIONINFO resource] in American English and Unicode.
///
/// [VERSIONINFO resource]: https://learn.microsoft.com/en-us/windows/win32/menurc/versioninfo-resource
fn version_information(version: &str) -> String {
    let numbers = version.split(['.', '-', '+']).take(3).collect::<Vec<_>>().join(",");
    format!(
        r#"1 VERSIONINFO
FILEVERSION {numbers},0
PRODUCTVERSION {numbers},0
FILEOS 0x40004
FILETYPE 1
{{
  BLOCK "StringFileInfo" {{
    BLOCK "040904b0" {{
      VALUE "CompanyName", "native.windows"
      VALUE "FileDescription", "Remote process service of the Ansible module native.windows.psexec"
      VALUE "FileVersion", "{version}"
      VALUE "InternalName", "native.windows.psexec"
      VALUE "LegalCopyright", "MIT OR Apache-2.0"
      VALUE "OriginalFilename", "native.windows.psexec.exe"
      VALUE "ProductName", "native.windows.psexec"
      VALUE "ProductVersion", "{version}"
    }}
  }}
  BLOCK "VarFileInfo" {{
    VALUE "Translation", 0x409, 1200
  }}
}}
"#
    )
}
