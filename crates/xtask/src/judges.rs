//! `test --judges`: what the ecosystem's own programs say of the collection: Galaxy's importer, ansible-test, ansible-lint,
//! antsibull-docs. They come from PyPI, and judge the tarball as users get it, unpacked.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use end_to_end::ansible::Version;
use end_to_end::{examples, folders};

use crate::report::Report;
use crate::{collection, python};

const FROM_PYPI: [&str; 3] = ["ansible-lint==26.10.1", "antsibull-docs==2.28.0", "galaxy-importer==0.4.44"];

/// A version of ansible-core whose ansible-test judges.
struct Sanity {
    version: Version,
    /// The version of pip that it asks for.
    pip: &'static str,
    /// The minor number of the newest Python 3 that it knows.
    newest_python: u32,
}

const OLDEST_AND_NEWEST: [Sanity; 2] = [
    Sanity { version: Version::Oldest, pip: "23.1.2", newest_python: 12 },
    Sanity { version: Version::Newest, pip: "25.2", newest_python: 14 },
];

/// What ansible-test runs to have pip in an environment of its own. It would fetch a script from its project's server; a Python
/// with ensurepip, which every environment here is made by, needs none. Of the options two are not pip's.
const PIP: &str = "import ensurepip, os, subprocess, sys\n\
    ensurepip.bootstrap()\n\
    del os.environ['PIP_CONFIG_FILE']\n\
    wanted = [word for word in sys.argv[1:] if word not in ('--no-setuptools', '--no-wheel')]\n\
    sys.exit(subprocess.call([sys.executable, '-m', 'pip', 'install', *wanted]))\n";

/// The judges alone.
pub(crate) fn run() -> Result<()> {
    collection::install_for_tests()?;
    let mut report = Report::default();
    check(&mut report)?;
    report.conclude()
}

/// Adds their verdicts to the report. The collection has been built.
pub(crate) fn check(report: &mut Report) -> Result<()> {
    let judges = Judges::prepare()?;
    judges.importer(report)?;
    judges.lint(report)?;
    judges.documentation(report)?;
    for sanity in &OLDEST_AND_NEWEST {
        judges.sanity(report, sanity)?;
    }
    Ok(())
}

/// Their programs, and the folder that they work in.
struct Judges {
    folder: PathBuf,
    programs: PathBuf,
}

impl Judges {
    fn prepare() -> Result<Self> {
        let folder = folders::target().join("judges");
        // With the newest ansible-core that this machine has a Python for.
        let (version, python) = match python::at_least(Version::Newest.oldest_python()) {
            Some(python) => (Version::Newest, python),
            None => (Version::Usual, "python3".into()),
        };
        let core = format!("ansible-core=={}.*", version.number());
        let wanted: Vec<&str> = FROM_PYPI.into_iter().chain([core.as_str()]).collect();
        let programs = python::environment_of(&python, &folder.join("venv"), &wanted)?;
        let judges = Self { folder, programs };
        judges.unpack()?;
        Ok(judges)
    }

    /// Unpacks the tarball where Ansible looks for collections, with the lines that let ansible-test leave the program alone: it
    /// reads every file beside modules as Python.
    fn unpack(&self) -> Result<()> {
        empty(&self.collections())?;
        let collection = self.collection();
        fs::create_dir_all(collection.join("tests/sanity"))?;
        let mut tar = Command::new("tar");
        tar.arg("--extract")
            .arg("--file")
            .arg(folders::tarball_for_this_machine())
            .arg("-C")
            .arg(&collection);
        ensure!(tar.status().context("tar does not start")?.success(), "the collection cannot be unpacked");
        let program = folders::program_in_collection(env::consts::ARCH);
        for Sanity { version, .. } in &OLDEST_AND_NEWEST {
            let ignored = collection.join(format!("tests/sanity/ignore-{}.txt", version.number()));
            fs::write(ignored, format!("{program} validate-modules!skip\n"))?;
        }
        // Git's files are what it looks at, and those of this repository leave the target folder out.
        let git = Command::new("git").args(["init", "--quiet"]).current_dir(&collection).status();
        ensure!(git.context("git does not start")?.success(), "git makes no repository");
        Ok(())
    }

    fn collections(&self) -> PathBuf {
        self.folder.join("collections")
    }

    fn collection(&self) -> PathBuf {
        self.collections().join("ansible_collections/native/windows")
    }

    /// What Galaxy does with an upload.
    fn importer(&self, report: &mut Report) -> Result<()> {
        let mut importer = self.command(&self.programs, "python")?;
        importer.args(["-m", "galaxy_importer.main"]).arg(folders::tarball_for_this_machine());
        // It leaves its findings where it works.
        report.check("galaxy-importer", importer.current_dir(&self.folder))
    }

    /// The examples, as users copy them, and the playbooks of the tests.
    fn lint(&self, report: &mut Report) -> Result<()> {
        let folder = self.folder.join("playbooks");
        empty(&folder)?;
        for (number, example) in examples::of_documentation()?.into_iter().enumerate() {
            let playbook =
                format!("- name: {}\n  {}", example.name, example.playbook().replacen("- ", "", 1));
            fs::write(
                folder.join(format!("documentation_{number}.yml")),
                playbook.trim_end().to_owned() + "\n",
            )?;
        }
        for (number, playbook) in examples::playbooks_of_readme()?.into_iter().enumerate() {
            fs::write(folder.join(format!("readme_{number}.yml")), playbook + "\n")?;
        }
        for entry in fs::read_dir(folders::repository().join("tests/playbooks"))? {
            let path = entry?.path();
            if path.is_file() {
                fs::copy(&path, folder.join(path.file_name().unwrap_or_default()))?;
            }
        }
        let mut lint = self.command(&self.programs, "ansible-lint")?;
        lint.args(["--offline", "--nocolor", "--profile", "production"]).current_dir(&folder);
        let playbooks = fs::read_dir(&folder)?.flatten().map(|entry| entry.path());
        report.check("ansible-lint, profile production", lint.args(playbooks))
    }

    /// Whether it is well formed, and whether pages can be made of it, which are left in `target/judges/pages`.
    fn documentation(&self, report: &mut Report) -> Result<()> {
        let mut lint = self.command(&self.programs, "antsibull-docs")?;
        lint.args(["lint-collection-docs", "--plugin-docs"]).arg(self.collection());
        report.check("antsibull-docs, lint", &mut lint)?;
        let pages = self.folder.join("pages");
        empty(&pages)?;
        let mut render = self.command(&self.programs, "antsibull-docs")?;
        render.args(["collection", "--use-current", "--fail-on-error", "--output-format", "simplified-rst"]);
        render.arg("--dest-dir").arg(&pages).arg("native.windows");
        report.check("antsibull-docs, pages", &mut render)
    }

    /// All sanity tests of one version of ansible-core.
    fn sanity(&self, report: &mut Report, sanity: &Sanity) -> Result<()> {
        let Sanity { version, pip, newest_python } = sanity;
        let title = format!("ansible-test sanity of ansible-core {}", version.number());
        if let Ok(reason) = fs::read_to_string(version.missing()) {
            report.left_out(&title, &reason);
            return Ok(());
        }
        let programs = version.environment().join("bin");
        let python = python::minor(&programs.join("python"))?;
        if python > *newest_python {
            report.left_out(&title, &format!("it knows no Python 3.{python}"));
            return Ok(());
        }
        let cache = self.home().join(".ansible/test/cache");
        fs::create_dir_all(&cache)?;
        fs::write(cache.join(format!("get_pip_{}.py", pip.replace('.', "_"))), PIP)?;
        self.let_pip_trust_what_this_machine_trusts()?;
        let mut test = self.command(&programs, "python")?;
        // Not by its first line, which has the path of that Python, and no path with a space starts anything. It runs, and
        // tests, with this one alone.
        test.arg(programs.join("ansible-test")).args([
            "sanity",
            "--local",
            "--color",
            "no",
            "--python",
            &format!("3.{python}"),
        ]);
        report.check(&title, test.current_dir(self.collection()))
    }

    /// ansible-test keeps the environment from its pip, and older ones do not ask the system whom to trust.
    fn let_pip_trust_what_this_machine_trusts(&self) -> Result<()> {
        let Some(certificates) = env::var_os("PIP_CERT") else { return Ok(()) };
        let folder = self.home().join(".config/pip");
        fs::create_dir_all(&folder)?;
        let settings = format!("[global]\ncert = {}\n", Path::new(&certificates).display());
        Ok(fs::write(folder.join("pip.conf"), settings)?)
    }

    /// One of these programs, which start each other, keep what they like in the home folder, and look for collections.
    fn command(&self, programs: &Path, program: &str) -> Result<Command> {
        let mut command = Command::new(programs.join(program));
        command.env("PATH", python::path_with(programs)?).env("HOME", self.home());
        command.env("ANSIBLE_COLLECTIONS_PATH", self.collections()).env("LC_ALL", "C.UTF-8");
        Ok(command)
    }

    fn home(&self) -> PathBuf {
        self.folder.join("home")
    }
}

/// Makes the folder anew, without what an earlier run has left in it.
fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(fs::create_dir_all(folder)?)
}
