//! The ordinary package clients, pip and uv, as programs on this machine.
//!
//! They do the talking: which index, which proxy and which certificates is the user's
//! configuration. We say which package at which hash, run them without a shell in a folder of
//! their own (Python isolated, `-I`, so that nothing lying around is imported), and forbid source
//! archives, which would run code.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Client, ClientError, Delivery, Package, Tags, failed};

/// How long a client may take.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How long it may take to tell its version.
const PATIENCE_FOR_A_WORD: Duration = Duration::from_secs(20);
/// How many bytes of a failed client's last words are repeated.
const LAST_WORDS: usize = 500;

/// A client that is a program on this machine.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    program: &'static str,
    arguments: &'static [&'static str],
    unpacks: bool,
}

/// Where a program is told to put things, relative to its folder.
const OUT: &str = "out";
/// The file that tells a program what to get: name, version and hash.
const REQUIREMENTS: &str = "requirements.txt";
/// The file that takes up what a program says.
const LOG: &str = "log";

/// What pip and uv both understand: this wheel, checked by its hash, and nothing else.
const ONE_WHEEL: [&str; 6] = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", REQUIREMENTS];

/// uv has no `download`: it installs into a folder. It shall not download a Python for that.
const UV: &[&str] =
    &["pip", "install", "--no-python-downloads", "--link-mode", "copy", "--no-progress", "--target", OUT];
const PIP: &[&str] = &["download", "--no-input", "--progress-bar", "off", "--dest", OUT];
const PYTHON_PIP: &[&str] = &["-I", "-m", "pip", "download", "--no-input", "--progress-bar", "off", "--dest", OUT];

/// The clients to try, in this order.
pub const PROGRAMS: [Program; 5] = [
    Program { program: "uv", arguments: UV, unpacks: true },
    Program { program: "python3", arguments: PYTHON_PIP, unpacks: false },
    Program { program: "python", arguments: PYTHON_PIP, unpacks: false },
    Program { program: "py", arguments: PYTHON_PIP, unpacks: false },
    Program { program: "pip", arguments: PIP, unpacks: false },
];

/// The same as one takes them: [`fetch`](super::fetch).
pub fn clients() -> [&'static dyn Client; 5] {
    PROGRAMS.each_ref().map(|program| program as &dyn Client)
}

impl Program {
    /// What it says its version is, such as `pip 25.3 from …`.
    ///
    /// # Errors
    /// If it is not there, or cannot say.
    pub fn version(&self) -> Result<String, ClientError> {
        let folder = tempfile::tempdir().map_err(failed("there is no folder to run it in"))?;
        let mut command = Command::new(self.program);
        let own: &[&str] = if self.unpacks { &[] } else { self.arguments }; // uv is a program of its own.
        command.args(own.iter().take_while(|word| **word != "download"));
        run(command.arg("--version"), folder.path(), PATIENCE_FOR_A_WORD)?;
        let words = last_words(&folder.path().join(LOG)).map_err(failed("its answer cannot be read"))?;
        Ok(words.trim_start_matches(": ").to_owned())
    }
}

impl Program {
    /// The wheel made for these, whatever Python and system the client itself is on.
    fn ask_for(&self, tags: &Tags, command: &mut Command) {
        command.args(["--python-version", tags.python]);
        if self.unpacks {
            command.args(["--python-platform", tags.uv]);
            // uv asks this variable which macOS is meant.
            if let Some(version) = tags.macos() {
                command.env("MACOSX_DEPLOYMENT_TARGET", version);
            }
        } else {
            let abi = format!("cp{}", tags.python.replace('.', ""));
            command.args(["--platform", tags.platform, "--implementation", "cp", "--abi", &abi]);
        }
    }
}

impl Tags {
    /// The oldest macOS that the wheel is made for: `14.0` of `macosx_14_0_arm64`.
    fn macos(&self) -> Option<String> {
        let mut parts = self.platform.strip_prefix("macosx_")?.split('_');
        Some(format!("{}.{}", parts.next()?, parts.next()?))
    }
}

impl Client for Program {
    fn name(&self) -> String {
        let verb = if self.unpacks { "install" } else { "download" };
        let words = self.arguments.iter().take_while(|word| **word != verb);
        let words: String = words.map(|word| format!("{word} ")).collect();
        format!("{} {words}{verb}", self.program)
    }

    fn get(&self, package: &Package, folder: &Path) -> Result<Delivery, ClientError> {
        let Package { name, version, wheel, tags, .. } = package;
        let line = format!("{name}=={version} --hash=sha256:{}\n", wheel.sha256);
        fs::write(folder.join(REQUIREMENTS), line).map_err(failed("cannot write the requirements"))?;

        let mut command = Command::new(self.program);
        command.args(self.arguments).args(ONE_WHEEL);
        if let Some(tags) = tags {
            self.ask_for(tags, &mut command);
        }
        // Some people forbid pip to install outside virtual environments. This installs nothing.
        command.env("PIP_REQUIRE_VIRTUALENV", "0").env("NO_COLOR", "1");
        run(&mut command, folder, PATIENCE)?;

        let out = folder.join(OUT);
        if self.unpacks {
            return Ok(Delivery::Unpacked(out));
        }
        let files = fs::read_dir(&out).map_err(failed("it brought nothing"))?;
        let mut paths = files.flatten().map(|file| file.path());
        let wheel = paths.find(|path| path.extension().is_some_and(|suffix| suffix == "whl"));
        wheel.map(Delivery::Wheel).ok_or_else(|| ClientError::Failed("it brought no wheel".to_owned()))
    }
}

/// Runs a command in a folder until it ends well, within the time given.
fn run(command: &mut Command, folder: &Path, patience: Duration) -> Result<(), ClientError> {
    let path = folder.join(LOG);
    let log = File::create(&path).and_then(|log| Ok((log.try_clone()?, log)));
    let (out, err) = log.map_err(failed("cannot write its log"))?;
    command.current_dir(folder).stdin(Stdio::null()).stdout(out).stderr(err);
    let mut child = command.spawn().map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => ClientError::NotInstalled,
        _ => failed("cannot be started")(e),
    })?;
    let outcome = match wait(&mut child, patience).map_err(failed("cannot be waited for"))? {
        Some(status) if status.success() => return Ok(()),
        Some(status) => status.to_string(),
        None => format!("not done after {} s", patience.as_secs()),
    };
    let words = last_words(&path).unwrap_or_default();
    Err(ClientError::Failed(format!("{outcome}{words}")))
}

/// Waits for a process; ends it and returns `None` if it takes too long.
fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    while start.elapsed() < patience {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        sleep(Duration::from_millis(20));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

/// The end of a log on one line, `": …"`, without control characters; empty if there is nothing.
fn last_words(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let start = file.metadata()?.len().saturating_sub(LAST_WORDS as u64);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(LAST_WORDS as u64).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text
        .lines()
        .skip(usize::from(start > 0)) // the first is cut
        .map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    match lines.is_empty() {
        true => Ok(String::new()),
        false => Ok(format!(": {}", lines.join(" / "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_named_as_typed() {
        let names = PROGRAMS.map(|program| program.name());
        let python = ["python3", "python", "py"].map(|p| format!("{p} -I -m pip download"));
        assert_eq!(names[0], "uv pip install");
        assert_eq!(names[1..4], python);
        assert_eq!(names[4], "pip download");
    }

    #[test]
    fn each_client_is_asked_in_its_own_words_for_a_wheel() {
        let tags = Tags { python: "3.11", platform: "macosx_14_0_arm64", uv: "aarch64-apple-darwin" };
        let words = |program: Program| {
            let mut command = Command::new(program.program);
            program.ask_for(&tags, &mut command);
            let words: Vec<String> = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
            let variables = command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)));
            (words.join(" "), variables.collect::<Vec<_>>())
        };
        let target = [("MACOSX_DEPLOYMENT_TARGET".into(), Some("14.0".into()))];
        let uv = "--python-version 3.11 --python-platform aarch64-apple-darwin";
        assert_eq!(words(PROGRAMS[0]), (uv.to_owned(), target.to_vec()));
        let pip = "--python-version 3.11 --platform macosx_14_0_arm64 --implementation cp --abi cp311";
        assert_eq!(words(PROGRAMS[4]), (pip.to_owned(), vec![]));
        assert_eq!(Tags { platform: "win_amd64", ..tags }.macos(), None);
    }

    #[test]
    fn a_program_that_is_not_there_has_no_version() {
        let program = Program { program: "onnxcam-no-such-program", arguments: PIP, unpacks: false };
        assert_eq!(program.version(), Err(ClientError::NotInstalled));
    }

    #[test]
    fn a_missing_program_is_not_installed() {
        let folder = tempfile::tempdir().unwrap();
        let run = run(&mut Command::new("onnxcam-no-such-program"), folder.path(), PATIENCE);
        assert_eq!(run, Err(ClientError::NotInstalled));
    }

    /// The test program itself plays the client: with arguments that it does not know it fails
    /// and says so, and with `--list` it succeeds.
    #[test]
    fn a_failing_program_has_the_last_word() {
        let folder = tempfile::tempdir().unwrap();
        let this = || Command::new(std::env::current_exe().unwrap());
        assert_eq!(run(this().arg("--list"), folder.path(), PATIENCE), Ok(()));
        let outcome = run(this().arg("--no-such-flag"), folder.path(), PATIENCE).unwrap_err().to_string();
        assert!(outcome.contains("no-such-flag") && outcome.contains("exit"), "{outcome}");
        let outcome = run(&mut this(), folder.path(), Duration::ZERO).unwrap_err().to_string();
        assert!(outcome.starts_with("not done after 0 s"), "{outcome}");
    }

    #[test]
    fn last_words_are_the_end_of_the_log_on_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        std::fs::write(&log, "").unwrap();
        assert_eq!(last_words(&log).unwrap(), "");
        std::fs::write(&log, "one\r\n\n  \u{1b}two\u{7}\n").unwrap();
        assert_eq!(last_words(&log).unwrap(), ": one / two");
        std::fs::write(&log, format!("{}\nERROR: no such thing\n", "ä".repeat(500))).unwrap();
        assert_eq!(last_words(&log).unwrap(), ": ERROR: no such thing");
    }
}
