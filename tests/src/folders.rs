//! Where things are.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// The top of the repository.
pub fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// Cargo's target folder, from which this very program runs: `<target>/<profile>/xtask`, or
/// `<target>/<profile>/deps/<test>`.
pub fn target() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    let folder = program
        .parent()
        .map(|folder| if folder.ends_with("deps") { folder.join("..") } else { folder.into() });
    let target = folder.and_then(|folder| folder.join("..").canonicalize().ok());
    target.unwrap_or_else(|| repository().join("target"))
}

/// Where the labs and what they are made of are kept.
pub fn labs() -> PathBuf {
    target().join("lab")
}

/// The module's program for machines like this one, as it stands in the collection.
pub fn module() -> PathBuf {
    program(env::consts::ARCH)
}

/// The module's program for Linux on this architecture, as it stands in the collection.
pub fn program(architecture: &str) -> PathBuf {
    repository().join(program_in_collection(architecture))
}

/// Where the collection has [`program`]. Ansible's own lists of modules leave out what begins with two underscores.
pub fn program_in_collection(architecture: &str) -> String {
    format!("plugins/modules/__psexec_linux_{architecture}")
}

/// Where `cargo xtask collection` leaves its tarball.
pub fn tarball() -> PathBuf {
    target().join("collection").join(TARBALL)
}

/// The same, with a program for machines like this one alone, which the demonstration and the tests install.
pub fn tarball_for_this_machine() -> PathBuf {
    target().join("collection-for-this-machine").join(TARBALL)
}

const TARBALL: &str = concat!("native-windows-", env!("CARGO_PKG_VERSION"), ".tar.gz");

/// Where Ansible is installed, each version in a virtual environment of its own.
pub fn ansible() -> PathBuf {
    target().join("ansible")
}

/// Where the collection is installed for the demonstration and the tests.
pub fn collections() -> PathBuf {
    target().join("collections")
}

/// A folder that other users of this machine can enter, as those above us may forbid. Dropping it removes it.
#[derive(Debug)]
pub struct Public(PathBuf);

impl Public {
    /// Makes one.
    pub fn make() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);

        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("psexec-test-{}-{count}", process::id()));
        // Not one that somebody else has made in our place.
        fs::create_dir(&folder)?;
        let public = Self(folder);
        fs::set_permissions(&public.0, fs::Permissions::from_mode(0o755))?;
        Ok(public)
    }

    /// The folder, in whose path there is no space.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Copies a file into the folder, with its permissions, for root.
    pub fn copy(&self, file: &Path) -> io::Result<PathBuf> {
        let copy = self.0.join(file.file_name().unwrap_or_default());
        fs::copy(file, &copy)?;
        Ok(copy)
    }
}

impl Drop for Public {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
