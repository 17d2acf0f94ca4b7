//! The canary sweep: sixty secrets in every form go through everything, and come out nowhere.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::program::{ALNUM, Home, git, made_up, stripe_key};
use crate::servers::{Server, python, root, script};

/// How a canary can be wrapped. The first three are planted here, the others by `canaries.py`.
const FORMS: [&str; 15] = [
    "variable",
    "git",
    "credential-file",
    "plain",
    "base64",
    "utf-16",
    "zip",
    "tar",
    "gzip",
    "nested",
    "binary",
    "log",
    "object",
    "function-code",
    "function-environment",
];

/// Four kinds of secret in each form: 60.
fn canaries() -> Vec<Value> {
    let mut all = Vec::new();
    for (number, form) in FORMS.iter().enumerate() {
        for kind in 0..4_u64 {
            let seed = 1_000 + number as u64 * 10 + kind;
            let (text, secret) = match kind {
                0 => (format!("STRIPE_KEY={}", stripe_key(seed)), stripe_key(seed)),
                1 => {
                    let password = made_up(seed, ALNUM, 28);
                    (format!("DATABASE_URL=postgres://app:{password}@db.internal.example/app"), password)
                }
                2 => {
                    let token = made_up(seed, ALNUM, 24);
                    (
                        format!("SLACK_TOKEN={}-{}-{}-{token}", "xoxb", made_up(seed, "123456789", 12), made_up(seed + 5, "123456789", 12)),
                        token,
                    )
                }
                _ => {
                    let password = made_up(seed, ALNUM, 26);
                    (format!("DB_PASSWORD={password}"), password)
                }
            };
            all.push(json!({"form": form, "name": format!("{form}-{kind}"), "text": text, "secret": secret}));
        }
    }
    all
}

fn canary_script(arguments: &[&str], canaries: &Value) -> (bool, String) {
    let mut command = python();
    command.arg(root().join("tests/servers/canaries.py")).args(arguments);
    command.envs([("AWS_ACCESS_KEY_ID", "AKIAROOTTESTTESTTEST"), ("AWS_SECRET_ACCESS_KEY", "x")]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("python3");
    child.stdin.take().expect("its input").write_all(canaries.to_string().as_bytes()).expect("written");
    let output = child.wait_with_output().expect("an end");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn sixty_secrets_in_every_form_come_out_nowhere() {
    let mut home = Home::new();
    let canaries = canaries();
    assert_eq!(canaries.len(), 60);
    let list = Value::Array(canaries.clone());
    let moto = Server::start("moto_plus.py", &[], &[]);
    let planted = home.work().join("planted");
    fs::create_dir(&planted).expect("a folder");
    let (good, said) = canary_script(&["plant", &moto.address, planted.to_str().expect("a path")], &list);
    assert!(good, "{said}");

    // What only the caller can plant: history, the environment, credential files.
    let repository = planted.join("repository");
    fs::create_dir(&repository).expect("a folder");
    git(&repository, &["init", "-q"]);
    for canary in canaries.iter().filter(|canary| canary["form"] == "git") {
        let file = repository.join(canary["name"].as_str().expect("a name"));
        fs::write(&file, format!("{}\n", canary["text"].as_str().expect("text"))).expect("a file");
        git(&repository, &["add", "."]);
        git(&repository, &["commit", "-qm", "add"]);
        fs::remove_file(&file).expect("a file");
        git(&repository, &["commit", "-qam", "remove"]);
    }
    home = home.with_aws(&moto.address, "AKIAROOTTESTTESTTEST", "not-a-secret");
    home.set("MAIL_PASSWORD", "test");
    for canary in canaries.iter().filter(|canary| canary["form"] == "variable") {
        let (name, value) = canary["text"].as_str().expect("text").split_once('=').expect("a pair");
        home.set(name, value);
    }
    let of_files: Vec<&str> =
        canaries.iter().filter(|canary| canary["form"] == "credential-file").map(|canary| canary["text"].as_str().expect("text")).collect();
    fs::write(home.path("home/.netrc"), of_files.join("\n") + "\n").expect("a file");

    // Everything the program writes or says, at the loudest.
    let certs = home.path("certs");
    fs::create_dir(&certs).expect("a folder");
    script("make_cert.py", &[certs.to_str().expect("a path")]);
    let sinks = home.path("sinks");
    fs::create_dir(&sinks).expect("a folder");
    let mail = sinks.join("mail.jsonl");
    let smtp = Server::start("smtp_sink.py", &["--certs", certs.to_str().expect("a path"), "--out", mail.to_str().expect("a path")], &[]);
    let job = |name: &str, send: &str| {
        let text = format!(
            "name = \"{name}\"\n[[audit]]\nprovider = \"aws\"\nregions = [\"us-east-1\"]\nread = [\"iam\", \"functions\", \"objects\", \"secrets\", \"secret-values\"]\n[[audit]]\nprovider = \"machine\"\npaths = [\"planted\"]\n\
             [letters]\nfrom = \"o@acme.example\"\nsecurity = \"security@acme.example\"\nsend = {send}\n"
        );
        fs::write(home.work().join(format!("{name}.toml")), text).expect("a job");
        format!("{name}.toml")
    };
    let by_mail = job(
        "by-mail",
        &format!(
            "{{ smtp = {{ host = \"localhost\", port = {}, user = \"overdue\", password_env = \"MAIL_PASSWORD\", ca_file = \"{}\" }} }}",
            smtp.socket().rsplit(':').next().expect("a port"),
            certs.join("ca.pem").display()
        ),
    );
    let by_file = job("by-file", "{ outbox = \"outbox\" }");
    let mut found = 0;
    for (number, arguments) in [
        vec!["--log", "trace", "run", &by_mail, "--format", "json"],
        vec!["--log", "trace", "--log-json", "run", &by_file],
        vec!["--log", "trace", "audit", "planted", "--format", "json"],
        vec!["--log", "trace", "findings", "--format", "json"],
        vec!["--log", "trace", "credentials"],
        vec!["--log", "trace", "runs"],
    ]
    .into_iter()
    .enumerate()
    {
        let mut command = home.command();
        command.env("RUST_BACKTRACE", "full").args(&arguments);
        let output = command.output().expect("it starts");
        if number == 0 {
            let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            let places: std::collections::BTreeSet<&str> =
                report["detections"].as_array().expect("a list").iter().filter_map(|item| item["fingerprint"].as_str()).collect();
            found = places.len();
        }
        assert!(output.status.code().is_some_and(|code| code < 3), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        fs::write(sinks.join(format!("{number}.out")), &output.stdout).expect("kept");
        fs::write(sinks.join(format!("{number}.err")), &output.stderr).expect("kept");
    }
    // A search that finds nothing proves something only if the secrets went through.
    assert!(found >= 55, "only {found} of 60 canaries were detected");
    let home_folder = home.path("home");
    let outbox = home.work().join("outbox");
    // The planted credential file is where the canary belongs.
    fs::remove_file(home.path("home/.netrc")).expect("a file");
    let (clean, said) = canary_script(
        &["search", home_folder.to_str().expect("a path"), outbox.to_str().expect("a path"), sinks.to_str().expect("a path")],
        &list,
    );
    assert!(clean, "{said}");
    // The search itself finds what is there.
    let (clean, _) = canary_script(&["search", planted.to_str().expect("a path")], &list);
    assert!(!clean, "the search finds nothing even where the canaries were planted");
}
