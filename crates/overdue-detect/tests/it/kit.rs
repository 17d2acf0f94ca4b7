//! Rules, scanners and archives for the tests.

use std::io::Write;
use std::sync::{Arc, OnceLock};

use overdue_detect::{Example, FingerprintKey, Limits, RuleSet, ScanGap, Scanned, Scanner};

const RULES: &str = r#"
[[rule]]
id = "aws.access-key"
title = "AWS access key"
service = "AWS"
prefixes = ["AKIA", "ASIA"]
pattern = '(?:AKIA|ASIA)[A-Z2-7]{16}'
checksum = "aws-key-id"
revoke = ["Delete the key."]
reference = "https://docs.aws.amazon.com/"
matches = ["[default]\naws_access_key_id = AKIA{{aws-key}}\naws_secret_access_key = {{base64:40}}\n"]
ignores = ["AKIAIOSFODNN7EXAMPLE"]
[rule.pair]
pattern = '[A-Za-z0-9+/]{40}'
before = 1000
after = 1000
needs = ["digit", "upper", "lower"]
entropy_min = 4.0
alone = "aws.access-key-id"

[[rule]]
id = "aws.access-key-id"
title = "AWS access key id"
service = "AWS"
matcher = "fallback"
id_only = true
revoke = ["Delete the key."]
reference = "https://docs.aws.amazon.com/"
matches = ["AKIA{{aws-key}}"]
ignores = ["AKIA"]

[[rule]]
id = "github.pat"
title = "GitHub token"
service = "GitHub"
prefixes = ["ghp_"]
pattern = 'ghp_[A-Za-z0-9]{36}'
checksum = "github-crc32"
revoke = ["Delete it."]
reference = "https://docs.github.com/"
matches = ["x ghp_{{github:36}}"]
ignores = ["ghp_{{alnum:36}}"]

[[rule]]
id = "private-key.pem"
title = "Private key"
service = "keys"
prefixes = ["-----BEGIN "]
matcher = "pem"
revoke = ["Make another."]
reference = "https://www.rfc-editor.org/rfc/rfc7468"
matches = ["{{pem:RSA PRIVATE KEY}}"]
ignores = ["-----BEGIN CERTIFICATE-----"]

[[rule]]
id = "gcp.service-account-key"
title = "Service account key"
service = "Google Cloud"
prefixes = ["private_key_id"]
matcher = "service-account"
revoke = ["Delete the key."]
reference = "https://cloud.google.com/iam/docs/keys-create-delete"
matches = ['''{
  "type": "service_account",
  "private_key_id": "{{hex:40}}",
  "private_key": "{{pem-escaped:PRIVATE KEY}}",
  "client_email": "x@acme.iam.gserviceaccount.com"
}''']
ignores = ["private_key_id: none"]

[[rule]]
id = "database.url"
title = "Database URL with a password"
service = "databases"
infixes = ["://"]
matcher = "database-url"
revoke = ["Change the password."]
reference = "https://www.postgresql.org/docs/current/libpq-connect.html"
matches = ["postgres://app:{{alnum:20}}@db.acme.io:5432/x"]
ignores = ["postgres://app:${PASSWORD}@db.acme.io/x"]

[[rule]]
id = "generic.assignment"
title = "Assigned secret"
service = "unknown"
keywords = ["password", "passwd", "secret", "token", "api_key", "apikey"]
matcher = "assignment"
revoke = ["Change it."]
reference = "https://cwe.mitre.org/data/definitions/798.html"
matches = ["password = \"{{alnum:20}}\""]
ignores = ["password = \"changeme\""]
"#;

pub(crate) const KEY: [u8; 32] = [7; 32];

pub(crate) fn rules() -> Arc<RuleSet> {
    static RULE_SET: OnceLock<Arc<RuleSet>> = OnceLock::new();
    Arc::clone(RULE_SET.get_or_init(|| Arc::new(RuleSet::parse(&[("kit.toml", RULES)]).expect("good rules"))))
}

pub(crate) fn example(rule: &str, seed: u64) -> Example {
    rules().example(rule, seed).unwrap_or_else(|| panic!("{rule} has an example"))
}

/// A GitHub token, and no more.
pub(crate) fn token(seed: u64) -> String {
    example("github.pat", seed).secret
}

pub(crate) fn scanner_with(limits: Limits) -> Scanner {
    Scanner::new(rules(), FingerprintKey::from_bytes(KEY), limits)
}

pub(crate) fn scan(name: &str, bytes: &[u8]) -> Scanned {
    let scanner = scanner_with(Limits::default());
    let whole = scanner.scan_bytes(name, bytes);
    let streamed = scanner.scan_reader(name, Some(bytes.len() as u64), &mut &bytes[..]);
    assert_eq!(whole, streamed, "in memory and as a stream");
    whole
}

/// Rule, path and line of each detection.
pub(crate) fn seen(scanned: &Scanned) -> Vec<(&str, &str, Option<u32>)> {
    scanned.detections.iter().map(|one| (one.rule.as_str(), one.path.as_str(), one.line)).collect()
}

/// Reason and path of each gap.
pub(crate) fn gaps(scanned: &Scanned) -> Vec<(&'static str, &str)> {
    scanned.gaps.iter().map(|ScanGap { path, reason, .. }| (reason.as_str(), path.as_str())).collect()
}

pub(crate) fn env(token: &str) -> Vec<u8> {
    format!("# settings\nGITHUB={token}\n").into_bytes()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("memory")
}

pub(crate) fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 3);
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

pub(crate) fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

pub(crate) fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).expect("memory");
    }
    builder.into_inner().expect("memory")
}

/// As the `zip` crate writes it. `streamed`: sizes and checksums follow the data.
pub(crate) fn zip(entries: &[(&str, &[u8])], method: zip::CompressionMethod, streamed: bool) -> Vec<u8> {
    fn fill<W: Write + std::io::Seek>(mut zip: zip::ZipWriter<W>, entries: &[(&str, &[u8])], method: zip::CompressionMethod) -> W {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        for (name, bytes) in entries {
            zip.start_file(*name, options).expect("memory");
            zip.write_all(bytes).expect("memory");
        }
        zip.finish().expect("memory")
    }
    if streamed {
        fill(zip::ZipWriter::new_stream(Vec::new()), entries, method).into_inner()
    } else {
        fill(zip::ZipWriter::new(std::io::Cursor::new(Vec::new())), entries, method).into_inner()
    }
}

pub(crate) fn deflated(entries: &[(&str, &[u8])]) -> Vec<u8> {
    zip(entries, zip::CompressionMethod::Deflated, false)
}
