//! Real servers and emulators for the tests, each on a free loopback port, each ended with its handle.
//!
//! Python packages are installed once into the build folder by pip. A server that does not come up fails the test: no
//! test is skipped for want of one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A server that does not say `ready` in this time will not.
const READY_MAX: Duration = Duration::from_secs(60);

/// The project's root folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the project's root")
}

/// Folder of the Python packages the servers need.
fn packages() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let list = root().join("tests/servers/requirements.txt");
        let wanted = std::fs::read(&list).expect("tests/servers/requirements.txt");
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("servers");
        std::fs::create_dir_all(&base).expect("the build folder");
        let lock = std::fs::File::create(base.join("lock")).expect("a lock file");
        lock.lock().expect("the lock");
        let folder = base.join("packages");
        let done = base.join("installed.txt");
        if std::fs::read(&done).ok().as_deref() != Some(wanted.as_slice()) {
            let _ = std::fs::remove_dir_all(&folder);
            let _ = writeln!(std::io::stderr(), "installing the test servers into {} (once, about a minute)", folder.display());
            let installed = Command::new("python3")
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--no-warn-conflicts",
                    "--root-user-action=ignore",
                    "--target",
                ])
                .arg(&folder)
                .arg("-r")
                .arg(&list)
                .status()
                .expect("python3 must be installed");
            assert!(installed.success(), "pip could not install {}", list.display());
            std::fs::write(&done, &wanted).expect("the build folder");
        }
        folder
    })
}

/// A Python command that sees the servers' packages.
pub(crate) fn python() -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", packages()).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
    command
}

/// A server process; it ends when this is dropped.
pub(crate) struct Server {
    child: Child,
    /// What it printed after `ready`: an address.
    pub(crate) address: String,
}

impl Server {
    /// Starts a script of `tests/servers` and waits until it prints `ready <address>`.
    pub(crate) fn start(script: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = python();
        command.arg(root().join("tests/servers").join(script)).args(arguments);
        command.envs(environment.iter().copied());
        Self::spawn(command, script)
    }

    /// Starts MiniStack, which wants its port beforehand and tells by its health page when it is up.
    pub(crate) fn ministack() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let mut command = python();
        command.args(["-c", "import sys; from ministack.app import main; sys.exit(main())"]);
        command.envs([("BIND_HOST", "127.0.0.1"), ("GATEWAY_PORT", &port.to_string()), ("EDGE_PORT", &port.to_string())]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("python3");
        let server = Self { child, address: format!("http://127.0.0.1:{port}") };
        wait_until("MiniStack", READY_MAX, || {
            TcpStream::connect(server.socket()).is_ok() && http(server.socket(), "GET", "/_ministack/health", "").0 == 200
        });
        server
    }

    fn spawn(mut command: Command, name: &str) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("python3");
        let out = child.stdout.take().expect("its output");
        let mut err = child.stderr.take().expect("its errors");
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("ready ") {
                    let _ = tell.send(address.trim().to_owned());
                }
            }
        });
        let errors = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let keep = errors.clone();
        std::thread::spawn(move || {
            let mut buffer = [0_u8; 4096];
            while let Ok(count) = err.read(&mut buffer) {
                if count == 0 {
                    break;
                }
                let mut kept = keep.lock().expect("errors");
                kept.push_str(&String::from_utf8_lossy(&buffer[..count]));
                // Only the end is of interest, and a chatty server may run for minutes.
                if kept.len() > 64 << 10 {
                    let cut = kept.len() - (32 << 10);
                    let cut = (cut..kept.len()).find(|at| kept.is_char_boundary(*at)).unwrap_or(kept.len());
                    kept.drain(..cut);
                }
            }
        });
        let Ok(address) = told.recv_timeout(READY_MAX) else {
            let _ = child.kill();
            panic!("{name} did not come up: {}", errors.lock().expect("errors"));
        };
        Self { child, address }
    }

    /// `host:port` of the address.
    pub(crate) fn socket(&self) -> &str {
        self.address.trim_start_matches("http://").trim_end_matches('/')
    }

    /// Sends one HTTP request; the answer's status and body.
    pub(crate) fn http(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        http(self.socket(), method, path, body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One HTTP/1.0 request over a plain socket: all the test hooks need.
fn http(socket: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(socket).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {socket}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, body.to_owned())
}

/// Runs a Python script of `tests/servers` to its end.
pub(crate) fn script(name: &str, arguments: &[&str]) -> String {
    let output = python().arg(root().join("tests/servers").join(name)).args(arguments).output().expect("python3");
    assert!(output.status.success(), "{name} failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until `ready` is true.
pub(crate) fn wait_until(what: &str, limit: Duration, mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < limit, "{what} did not happen within {limit:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
